"""The reader on folders that the tests write, and on Fashion-MNIST itself where the system has it."""

from __future__ import annotations

import gzip
import hashlib
import struct
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from halfsim.training.data import fashion_folder, fashion_mnist
from halfsim.training.words import Words


def write(folder: Path, name: str, array: np.ndarray, packed: bool) -> None:
    content = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.astype(np.uint8).tobytes()
    if packed:
        (folder / f"{name}.gz").write_bytes(gzip.compress(content, mtime=0))
    else:
        (folder / name).write_bytes(content)


def fill(folder: Path, packed: bool = True) -> dict[str, np.ndarray]:
    """Write 12 and 5 images that hold every pixel value."""
    random = Words(1, 1)
    arrays = {
        "train-images-idx3-ubyte": random.integers(256, 12 * 784).reshape(12, 28, 28),
        "train-labels-idx1-ubyte": np.arange(12) % 10,
        "t10k-images-idx3-ubyte": random.integers(256, 5 * 784).reshape(5, 28, 28),
        "t10k-labels-idx1-ubyte": np.arange(5)[::-1],
    }
    for name, array in arrays.items():
        write(folder, name, array, packed)
    return arrays


@pytest.fixture(autouse=True)
def no_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HALFSIM_DATA", raising=False)


def nearest16(exact: Fraction) -> Fraction:
    """The multiple of the binary16 ulp nearest to a number of magnitude below 4, ties to even."""
    exponent = max((abs(exact).numerator.bit_length() - abs(exact).denominator.bit_length()) - 1, -14)
    while abs(exact) >= Fraction(2) ** (exponent + 1):
        exponent += 1
    ulp = Fraction(2) ** (exponent - 10)
    return round(exact / ulp) * ulp


@pytest.mark.parametrize("packed", [False, True])
def test_images_are_read_normalised_and_cut(tmp_path: Path, packed: bool) -> None:
    arrays = fill(tmp_path, packed)
    data = fashion_mnist(7, 3, folder=tmp_path)
    assert data.train[1].tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert data.test[1].tolist() == [4, 3, 2]
    assert data.train[0].shape == (7, 784)
    assert data.test[0].dtype == np.float16
    table = {p: nearest16((Fraction(p, 255) - Fraction(2860, 10000)) / Fraction(3530, 10000)) for p in range(256)}
    pixels = arrays["train-images-idx3-ubyte"][:7].reshape(-1).tolist()
    assert set(pixels) == set(range(256))
    assert [Fraction(float(x)) for x in data.train[0].reshape(-1)] == [table[p] for p in pixels]


def test_the_digest_is_that_of_the_digests(tmp_path: Path) -> None:
    fill(tmp_path)
    data = fashion_mnist(1, 1, folder=tmp_path)
    names = data.file.split()
    assert names == [f"{part}-{kind}-ubyte.gz" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")]
    lines = "".join(f"{hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()}  {name}\n" for name in names)
    assert data.sha256 == hashlib.sha256(lines.encode()).hexdigest()


def test_pixels_are_pooled_before_they_are_normalised(tmp_path: Path) -> None:
    images = fill(tmp_path)["t10k-images-idx3-ubyte"]
    pooled = fashion_mnist(1, 5, pool=2, folder=tmp_path).test[0].reshape(5, 14, 14)
    for row, column in ((0, 0), (3, 9), (13, 13)):
        mean = images[:, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2].mean(axis=(1, 2))
        assert np.array_equal(pooled[:, row, column], ((mean / 255 - 0.2860) / 0.3530).astype(np.float16))


def test_the_variable_names_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HALFSIM_DATA", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"fashion_folder: HALFSIM_DATA='.*' has no train-images-idx3-ubyte a"):
        fashion_folder()
    fill(tmp_path)
    assert fashion_folder() == tmp_path
    assert fashion_mnist(2, 2).train[1].tolist() == [0, 1]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    fill(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(FileNotFoundError, match=r"folder='.*' has no t10k-labels-idx1-ubyte, plain or with .gz"):
        fashion_mnist(1, 1, folder=tmp_path)


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("train-labels-idx1-ubyte", np.zeros(11), "12 images of 28 × 28 pixels and 11 labels"),
        ("train-labels-idx1-ubyte", np.full(12, 10), "labels up to 10"),
        ("train-images-idx3-ubyte", np.zeros((12, 8, 8)), "12 images of 8 × 8 pixels"),
        ("train-images-idx3-ubyte", np.zeros((12, 28)), "begins with 00000802, not 00000803"),
    ],
)
def test_files_that_do_not_fit_are_refused(tmp_path: Path, name: str, array: np.ndarray, message: str) -> None:
    fill(tmp_path)
    write(tmp_path, name, array, packed=True)
    with pytest.raises(ValueError, match=message):
        fashion_mnist(1, 1, folder=tmp_path)


@pytest.mark.parametrize("counts", [(0, 1), (13, 1), (1, 6)])
def test_counts_are_checked(tmp_path: Path, counts: tuple[int, int]) -> None:
    fill(tmp_path)
    with pytest.raises(ValueError, match=r"examples of .* are asked for; pass 1 to "):
        fashion_mnist(*counts, folder=tmp_path)


def test_the_set_itself() -> None:
    if fashion_folder() is None:
        pytest.skip("Fashion-MNIST is not here: install Debian's dataset-fashion-mnist, or set HALFSIM_DATA")
    data = fashion_mnist(60_000, 10_000)
    assert np.bincount(data.train[1]).tolist() == [6000] * 10
    assert np.bincount(data.test[1]).tolist() == [1000] * 10
    # Mean and deviation of all pixels are 0 and 1 by their normalisation; every seventh image is enough to see that.
    pixels = data.train[0][::7].astype(np.float64)
    assert abs(pixels.mean()) < 0.01
    assert pixels.std() == pytest.approx(1, abs=0.01)
