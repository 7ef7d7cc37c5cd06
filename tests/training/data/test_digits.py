from __future__ import annotations

import hashlib
import subprocess
import sys
from importlib import resources

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn import datasets

from halfsim.training.data import digits, enlarged_digits


def test_digits_are_exact_in_binary16_and_split() -> None:
    data = digits()
    assert data.train[0].shape == (1400, 64)
    assert data.test[0].shape == (397, 64)
    pixels = np.concatenate([data.train[0], data.test[0]])
    assert pixels.dtype == np.float16
    assert set(np.unique(pixels.astype(np.float64) * 16)) == set(range(17))
    labels = np.concatenate([data.train[1], data.test[1]])
    assert np.bincount(labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


def test_the_order_of_the_digits_is_fixed() -> None:
    data = digits()
    content = b"".join(part.tobytes() for half in (data.train, data.test) for part in half)
    assert hashlib.sha256(content).hexdigest()[:16] == "f7a7d683f90fdf26"


def test_the_file_is_named_by_its_digest() -> None:
    content = (resources.files("sklearn.datasets.data") / "digits.csv.gz").read_bytes()
    assert digits().sha256 == hashlib.sha256(content).hexdigest()


def test_the_digits_are_those_that_scikit_learn_reads() -> None:
    theirs, mine = datasets.load_digits(), digits()
    pixels = np.concatenate([mine.train[0], mine.test[0]]).astype(np.float64) * 16
    labels = np.concatenate([mine.train[1], mine.test[1]])
    found, wanted = (np.column_stack(pair) for pair in ((pixels, labels), (theirs.data, theirs.target)))
    assert np.array_equal(found[np.lexsort(found.T)], wanted[np.lexsort(wanted.T)])


def test_scikit_learn_is_not_imported_for_its_file() -> None:
    code = "import sys; from halfsim.training.data import digits; digits(); sys.exit('sklearn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_fewer_digits_are_the_first_ones() -> None:
    few, all_ = digits(train=30, test=7), digits()
    for half, whole, count in ((few.train, all_.train, 30), (few.test, all_.test, 7)):
        assert np.array_equal(half[0], whole[0][:count])
        assert np.array_equal(half[1], whole[1][:count])
    with pytest.raises(ValueError, match="digits: train=1401 must be an integer from 1 to 1400"):
        digits(train=1401, test=7)


def test_pooled_pixels_are_means_of_squares() -> None:
    whole, pooled = digits().test[0].reshape(-1, 8, 8).astype(float), digits(pool=2).test[0].reshape(-1, 4, 4)
    for row, column in np.ndindex(4, 4):
        square = whole[:, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
        assert np.array_equal(pooled[:, row, column], square.mean(axis=(1, 2)))
    with pytest.raises(ValueError, match="pool=3 does not divide 8 × 8 pixels"):
        digits(pool=3)


def test_enlarged_digits_are_digits_three_times_as_large_in_a_frame() -> None:
    small, large = digits(), enlarged_digits(2000, 2000)
    pixels = np.rint((large.train[0].astype(np.float64) * 0.3493 + 0.2246) * 16).reshape(-1, 28, 28)
    assert (pixels[:1400, 2:26, 2:26] == 16 * np.kron(small.train[0].reshape(-1, 8, 8), np.ones((1, 3, 3)))).all()
    assert pixels.sum() == pixels[:, 2:26, 2:26].sum() > 0
    assert (large.train[0][1400:] == large.train[0][:600]).all() and (
        large.train[1][1400:] == large.train[1][:600]
    ).all()
    assert large.test[0].shape == (397, 784) and (large.test[1] == small.test[1]).all()
    assert large.normalised == (0.2246, 0.3493, 16)


def test_enlarged_digits_are_normalised() -> None:
    x = enlarged_digits().train[0].astype(np.float64)
    assert abs(x.mean()) < 1e-3 and abs(x.std() - 1) < 1e-3
    pooled = enlarged_digits(pool=2).train[0].astype(np.float64).reshape(-1, 14, 14)
    assert abs(pooled - x.reshape(-1, 14, 2, 14, 2).mean(axis=(2, 4))).max() < 2e-3
