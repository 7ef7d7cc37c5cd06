"""The generator of random rounding decisions against the plain Python one, and its counter layout."""

from __future__ import annotations

import numpy as np
import pytest

from halfsim.core.control import control_word
from halfsim.core.philox import draw, philox4x32
from halfsim.environment import IEEE
from halfsim.rounding import Rounding, Stochastic
from tests.oracles import philox

RANDOM = control_word(Stochastic(bits=32, seed=0), IEEE)
SEEDS = [0, 1, 12345, 2**32 - 1, 2**32, 2**63 - 1]


def test_words_equal_the_definition():
    rng = np.random.default_rng(7)
    for _ in range(2000):
        counter = [int(w) for w in rng.integers(0, 2**32, 4)]
        key = [int(w) for w in rng.integers(0, 2**32, 2)]
        want = philox.philox4x32(sum(w << 32 * i for i, w in enumerate(counter)), key[0] | key[1] << 32)
        assert list(philox4x32(*counter, *key)) == want


@pytest.mark.parametrize("seed", SEEDS)
def test_draw_counts_elements_and_steps(seed):
    for index in (0, 1, 2, 2**32 - 1, 2**32, 2**63 - 1):
        for step in (0, 1, 2, 3, 4, 5, 1000, 2**20 + 3):
            assert draw(RANDOM, seed, index, step) == philox.word(seed, index, step)


def test_draw_takes_the_upper_half_of_a_seed_in_twos_complement():
    assert draw(RANDOM, -1, 5, 0) == philox.word(2**64 - 1, 5, 0)


def test_deterministic_rounding_draws_nothing():
    for mode in Rounding:
        assert draw(control_word(mode, IEEE), 7, 3, 0) == 0
