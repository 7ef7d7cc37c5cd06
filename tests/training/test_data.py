from __future__ import annotations

import hashlib
from importlib import resources

import numpy as np
import pytest

pytest.importorskip("sklearn")

from halfsim.training.data import digits, heat_map, patches
from halfsim.training.models import Perceptron
from halfsim.training.tasks import Classification, Detection, batches, task
from halfsim.training.words import Words


def test_digits_are_exact_in_binary16_and_split() -> None:
    data = digits()
    assert data.train[0].shape == (1400, 64)
    assert data.test[0].shape == (397, 64)
    pixels = np.concatenate([data.train[0], data.test[0]])
    assert pixels.dtype == np.float16
    assert set(np.unique(pixels.astype(np.float64) * 16)) == set(range(17))
    labels = np.concatenate([data.train[1], data.test[1]])
    assert np.bincount(labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


def test_the_file_is_named_by_its_digest() -> None:
    content = (resources.files("sklearn.datasets.data") / "digits.csv.gz").read_bytes()
    assert digits().sha256 == hashlib.sha256(content).hexdigest()


def test_patches_are_centred_and_zero_beyond_the_border() -> None:
    images = np.arange(256, dtype=np.float64).reshape(1, 16, 16)
    windows = patches(images, 2).reshape(8, 8, 8, 8)
    for r, c in np.ndindex(8, 8):
        for i, j in np.ndindex(8, 8):
            row, column = 2 * r - 4 + i, 2 * c - 4 + j
            inside = 0 <= row < 16 and 0 <= column < 16
            assert windows[r, c, i, j] == (images[0, row, column] if inside else 0)


def test_every_canvas_has_one_digit_and_its_window_shows_it() -> None:
    data = heat_map(train=30, test=10)
    assert data.train[0].shape == (30, 256, 64)
    for (x, y), known in ((data.train, digits().train), (data.test, digits().test)):
        assert y.sum(axis=(1, 2)).tolist() == [1] * len(y)
        canvas, position, label = np.nonzero(y)
        seen = x[canvas, position].reshape(-1, 8, 8).astype(np.float64)
        candidates = known[0].reshape(-1, 8, 8).astype(np.float64)
        for window, digit in zip(seen, label, strict=True):
            # The digit lies in the window, shifted by at most one pixel, brighter than the noise.
            best = min(
                float(np.abs(window[r : r + 7, c : c + 7] - candidate[:7, :7]).max())
                for candidate in candidates[known[1] == digit]
                for r in (0, 1)
                for c in (0, 1)
            )
            assert best < 0.13


def test_batches_visit_every_example_once_per_epoch() -> None:
    data = digits()
    stream = batches(data, 100, seed=3)
    seen = np.concatenate([next(stream)[0] for _ in range(14)])
    assert sorted(map(bytes, seen)) == sorted(map(bytes, data.train[0]))
    again = batches(data, 100, seed=3)
    assert np.array_equal(next(again)[0], seen[:100])
    assert not np.array_equal(next(batches(data, 100, seed=4))[0], seen[:100])


def test_a_batch_is_no_larger_than_the_data() -> None:
    with pytest.raises(ValueError, match="exceeds the 1400 training examples"):
        next(batches(digits(), 1401, seed=0))


def test_measures_of_perfect_and_of_empty_answers() -> None:
    data = digits()
    labels = data.test[1]
    assert Classification(data).measure(np.eye(10)[labels] * 100, labels) == {"loss": pytest.approx(0), "accuracy": 1.0}
    assert Classification(data).measure(np.zeros((397, 10)), labels)["loss"] == pytest.approx(np.log(10))
    canvases = heat_map(train=30, test=10)
    targets = canvases.test[1]
    logits = np.where(targets, 50.0, -50.0).reshape(-1, 10)
    perfect = Detection(canvases).measure(logits, targets)
    assert perfect == {"loss": pytest.approx(0), "accuracy": 1.0, "false alarms": pytest.approx(0)}
    undecided = Detection(canvases).measure(np.zeros((2560, 10)), targets)
    assert undecided["loss"] == pytest.approx(2560 * np.log(2))
    assert undecided["false alarms"] == pytest.approx(2559 / 2)


def test_initial_weights_have_the_variance_of_he_and_depend_on_the_seed() -> None:
    model = Perceptron(sizes=(64, 128, 10), head=0.5, bias=-3.0)
    flat = model.initial(1)
    assert flat.size == 64 * 128 + 128 + 1280 + 10
    assert flat[: 64 * 128].std() == pytest.approx((2 / 64) ** 0.5, rel=0.02)
    assert flat[-1290:-10].std() == pytest.approx(0.5 * (2 / 128) ** 0.5, rel=0.05)
    assert flat[-10:].tolist() == [-3.0] * 10
    assert np.array_equal(flat, model.initial(1))
    assert not np.array_equal(flat, model.initial(2))


def philox64(key: tuple[int, int], count: int) -> list[int]:
    """Philox4x64-10 as its authors define it, counter from 1 (Salmon et al., SC 2011)."""
    words: list[int] = []
    for counter in range(1, -(-count // 4) + 1):
        x, k = [counter, 0, 0, 0], list(key)
        for _ in range(10):
            low, high = x[0] * 0xD2E7470EE14C6C93, x[2] * 0xCA5A826395121157
            x = [high >> 64 ^ x[1] ^ k[0], high % 2**64, low >> 64 ^ x[3] ^ k[1], low % 2**64]
            k = [(k[0] + 0x9E3779B97F4A7C15) % 2**64, (k[1] + 0xBB67AE8584CAA73B) % 2**64]
        words += x
    return words[:count]


@pytest.mark.parametrize("key", [(9, 2), (2**64 - 1, 0), (0, 2**63)])
def test_words_are_philox_keyed_by_seed_and_purpose(key: tuple[int, int]) -> None:
    words = philox64(key, 50)
    assert Words(*key).raw(50).tolist() == words
    assert Words(*key).uniform(50).tolist() == [(word >> 11) / 2**53 for word in words]
    assert Words(*key).integers(10, 50).tolist() == [(word >> 32) * 10 // 2**32 for word in words]
    assert Words(*key).permutation(50).tolist() == sorted(range(50), key=words.__getitem__)


def test_batches_and_initial_weights_are_made_from_words_alone() -> None:
    data = digits()
    words = philox64((3, 1), 1400)
    order = sorted(range(1400), key=words.__getitem__)
    assert np.array_equal(next(batches(data, 20, seed=3))[0], data.train[0][order[:20]])
    expected = [np.float32(6**0.5 / 8 * (2 * (word >> 11) / 2**53 - 1)) for word in philox64((5, 0), 640)]
    assert Perceptron(sizes=(64, 10)).initial(5)[:640].tolist() == expected


def test_unknown_tasks_are_named() -> None:
    with pytest.raises(ValueError, match="known are digits, heat-map"):
        task("imagenet")
