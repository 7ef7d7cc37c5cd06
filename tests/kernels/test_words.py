"""Words drawn many at a time: those of the definition, wherever an index crosses 2**32."""

from __future__ import annotations

import numpy as np
import pytest
from numba import carray

from halfsim.core._jit import kernel
from halfsim.kernels import vectors, words
from halfsim.kernels.integers import lane_numbers
from tests.oracles import philox

SEEDS = [0, 7, -1, 2**63 - 1, -(2**62) + 3]
# The lower half wraps in the first step, between steps, in the last and behind it; the upper one from -1 and 2**31 - 1.
INDICES = [
    0,
    5,
    2**32,
    2**63 - 3,
    -2,
    -(2**63),
    *(2**32 - k for k in (1, 15, 16, 17, 31, 32, 33, 63, 64, 65, 511, 512)),
]
COUNTS = [0, 1, 2, 31, 32, 33, 64, 65, 511, 512]


@kernel
def first(count, seed, index, z):
    drawn = carray(words.room(), words.ROOM)
    words.first_words(drawn, count, seed, index)
    z[:] = drawn[: z.size]


@kernel
def four(seed, index, counter, z):
    elements = vectors.add(vectors.splat(index), lane_numbers())
    words.draw_words(elements, seed, counter, z)


def defined(seed: int, index: int, count: int) -> list[int]:
    return [philox.word(seed % 2**64, (index + i) % 2**64) for i in range(count)]


@pytest.mark.parametrize("index", INDICES)
@pytest.mark.parametrize("seed", SEEDS[-2:])
def test_first_words(seed: int, index: int) -> None:
    want = np.array(defined(seed, index, words.PIECE), np.uint32)
    for count in COUNTS:
        z = np.empty(count, np.uint32)
        first(count, seed, index, z)
        assert np.array_equal(z, want[:count]), count


@pytest.mark.parametrize("seed", SEEDS)
def test_first_words_take_a_whole_seed(seed: int) -> None:
    z = np.empty(100, np.uint32)
    first(100, seed, 12345678901, z)
    assert z.tolist() == defined(seed, 12345678901, 100)


@pytest.mark.parametrize("index", INDICES)
@pytest.mark.parametrize("seed", SEEDS)
def test_all_four_words(seed: int, index: int) -> None:
    z = np.empty((4, vectors.LANES), np.int64)
    for counter in (0, 1, 1000, 2**32 - 1):
        four(seed, index, counter, z.ravel())
        for element in range(vectors.LANES):
            want = philox.philox4x32((index + element) % 2**64 | counter << 64, seed % 2**64)
            assert [word % 2**32 for word in z[:, element].tolist()] == want, counter
