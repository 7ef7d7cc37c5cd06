from __future__ import annotations

import gzip
import hashlib
import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from halfsim.studies.tables.operands import OPERANDS, Images, exact_product, normal, operands
from halfsim.training.data import fashion, fashion_folder
from halfsim.training.words import Words


def test_normal_numbers_have_the_moments_and_tails_of_the_distribution() -> None:
    x = normal(Words(3, 4), 400_001)
    assert x.shape == (400_001,)
    # Five standard errors each.
    assert abs(x.mean()) < 5 / math.sqrt(x.size)
    assert abs(x.var() - 1) < 5 * math.sqrt(2 / x.size)
    for limit in (0.5, 1.0, 2.0, 3.0):
        share = math.erf(limit / math.sqrt(2))
        assert abs((np.abs(x) < limit).mean() - share) < 5 * math.sqrt(share * (1 - share) / x.size)
    assert abs(np.corrcoef(x[:-1:2], x[1::2])[0, 1]) < 5 / math.sqrt(x.size / 2)


def test_normal_numbers_never_change() -> None:
    # IEEE 754 fixes every bit, on every machine.
    digest = hashlib.sha256(normal(Words(7, 1), 1000).astype("<f8").tobytes()).hexdigest()
    assert digest == "669eb463c9f050c6f461f6d135d77f29801d5b8242790e1bac2a75517ed1a583"
    assert normal(Words(7, 1), 0).size == 0


def test_pixels_of_clothes_are_the_bytes_of_the_file() -> None:
    folder = fashion_folder()
    if folder is None:
        pytest.skip("no Fashion-MNIST on this system")
    file = folder / "train-images-idx3-ubyte"
    content = file.read_bytes() if file.exists() else gzip.decompress(file.with_name(f"{file.name}.gz").read_bytes())
    raw = np.frombuffer(content, np.uint8, 300 * 784, 16).reshape(300, 784)
    images = Images("fashion-mnist", 300)
    assert (images.pixels == (raw / 255).astype(np.float16)).all()
    assert len(images.labels) == 300 and images.name == "fashion-mnist"


def test_digits_are_sixteenths() -> None:
    images = Images("digits", 32768)
    assert images.pixels.shape == (1400, 64)
    assert set(np.unique(images.pixels * 16)) == set(range(17))


def test_digits_that_stand_in_are_sixteenths_of_the_same_size(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("HALFSIM_DATA", raising=False)
    monkeypatch.setattr(fashion, "_DEBIAN", tmp_path)
    with pytest.warns(UserWarning, match="digits, enlarged"):
        images = Images("digits-or-fashion", 3000)
    assert images.pixels.shape == (3000, 784)
    assert set(np.unique(images.pixels * 16)) == set(range(17))


def test_rows_are_parts_of_the_stream_of_images() -> None:
    images = Images("digits", 1400)
    rows = images.rows(3, 200)
    assert rows.shape == (3, 200) and rows.dtype == np.float16
    whole = {pixels.tobytes() for pixels in images.pixels}
    for row in rows:
        starts = [
            s for s in range(64) if row[s : s + 64].tobytes() in whole and row[s + 64 : s + 128].tobytes() in whole
        ]
        assert starts  # somewhere, images begin and follow each other
    assert (images.rows(2, 100) == rows[:2, :100]).all()


def test_rows_longer_than_the_data_are_refused() -> None:
    with pytest.raises(ValueError, match="take 1401 images, but digits has 1400"):
        Images("digits", 1400).rows(1, 1400 * 64)


def test_unknown_names_are_refused() -> None:
    with pytest.raises(ValueError, match="dataset='cifar'"):
        Images("cifar", 10)
    with pytest.raises(ValueError, match="kind='pixels' is unknown"):
        operands("pixels", Images("digits", 10), 2, 64)


@pytest.mark.parametrize("kind", OPERANDS)
def test_operands_are_binary16_matrices(kind: str) -> None:
    a, b = operands(kind, Images("digits", 100), 3, 256)
    assert a.shape == (3, 256) and b.shape == (256, 3) and a.dtype == b.dtype == np.float16
    if kind == "pixels × normal":
        assert abs(b.astype(np.float64).std() * math.sqrt(256) - 1) < 5 / math.sqrt(2 * b.size)


def test_exact_products_are_those_of_fractions() -> None:
    random = np.random.default_rng(1)
    a = (random.normal(size=(3, 500)) * 2.0 ** random.integers(-20, 12, (3, 500))).astype(np.float16)
    b = (random.normal(size=(500, 2)) * 2.0 ** random.integers(-20, 12, (500, 2))).astype(np.float16)
    for i, row in enumerate(exact_product(a, b)):
        for j, found in enumerate(row):
            exact = sum(Fraction(float(x)) * Fraction(float(y)) for x, y in zip(a[i], b[:, j], strict=True))
            assert found == float(exact)  # a fraction becomes the nearest binary64
