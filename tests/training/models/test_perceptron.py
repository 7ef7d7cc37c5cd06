from __future__ import annotations

import hashlib

import numpy as np
import pytest

from halfsim.training.models import Perceptron
from tests.training.philox import philox64


def test_initial_weights_have_the_variance_of_he_and_depend_on_the_seed() -> None:
    model = Perceptron(sizes=(64, 128, 10), head=0.5, bias=-3.0)
    assert list(model.shapes) == ["linear1.weight", "linear1.bias", "linear2.weight", "linear2.bias"]
    flat = model.initial(1)
    assert flat.size == 64 * 128 + 128 + 1280 + 10
    assert flat[: 64 * 128].std() == pytest.approx((2 / 64) ** 0.5, rel=0.02)
    assert flat[-1290:-10].std() == pytest.approx(0.5 * (2 / 128) ** 0.5, rel=0.05)
    assert flat[-10:].tolist() == [-3.0] * 10
    assert np.array_equal(flat, model.initial(1))
    assert not np.array_equal(flat, model.initial(2))


def test_initial_weights_are_made_from_words_alone() -> None:
    expected = [np.float32(6**0.5 / 8 * (2 * (word >> 11) / 2**53 - 1)) for word in philox64((5, 0), 640)]
    assert Perceptron(sizes=(64, 10)).initial(5)[:640].tolist() == expected


@pytest.mark.parametrize(
    ("model", "digest"),
    [
        (Perceptron(sizes=(64, 128, 10)), "b341b126b794a55d"),
        (Perceptron(sizes=(64, 16, 10), head=0.1, bias=-6.906754778648554), "d2b7d26c2e1e4260"),
    ],
)
def test_the_networks_of_the_quickstart_start_where_they_always_did(model: Perceptron, digest: str) -> None:
    assert hashlib.sha256(model.initial(5).tobytes()).hexdigest()[:16] == digest
