"""Fashion-MNIST, where the system has its files.

H. Xiao, K. Rasul and R. Vollgraf, "Fashion-MNIST: a novel image dataset for benchmarking machine learning algorithms"
[@xiao2017]. Debian's package ``dataset-fashion-mnist`` brings the files.
"""

from __future__ import annotations

import hashlib
import os
from functools import lru_cache
from pathlib import Path

import numpy as np

from halfsim.training.arithmetic import Array
from halfsim.training.data.dataset import Dataset, pooled
from halfsim.training.data.idx import parse_idx

__all__ = ["fashion_folder", "fashion_mnist"]

VARIABLE = "HALFSIM_DATA"
_DEBIAN = Path("/usr/share/datasets/fashion-mnist")
_PARTS = ("train", "t10k")
_NAMES = tuple(f"{part}-{content}" for part in _PARTS for content in ("images-idx3-ubyte", "labels-idx1-ubyte"))
# Mean and standard deviation of the training pixels over 255, to four digits.
_MEAN, _DEVIATION = 0.2860, 0.3530
_LARGEST = 255


def fashion_folder(folder: str | Path | None = None) -> Path | None:
    """Return the folder of the IDX files: `folder`, else what ``HALFSIM_DATA`` names, else Debian's; None for none.

    Parameters
    ----------
    folder : path, optional
        Folder with the four IDX files, plain or with ``.gz``.

    Returns
    -------
    Path or None
        None if no folder was named and Debian's package ``dataset-fashion-mnist`` is not installed.

    Raises
    ------
    FileNotFoundError
        When `folder` or ``HALFSIM_DATA`` is given and lacks a file, which is never made up for by another folder.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from halfsim.training.data import fashion_folder
    >>> names = [f"{part}-{kind}-ubyte" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in names:
    ...         _ = (Path(folder) / name).write_bytes(b"")
    ...     fashion_folder(folder) == Path(folder)
    True
    """
    given = folder or os.environ.get(VARIABLE)
    if not given:
        return _DEBIAN if all(_find(_DEBIAN, name) for name in _NAMES) else None
    where = "folder" if folder else VARIABLE
    missing = [name for name in _NAMES if _find(Path(given), name) is None]
    if missing:
        raise FileNotFoundError(
            f"fashion_folder: {where}={str(given)!r} has no {' and no '.join(missing)}, plain or with .gz; "
            f"name the folder of Fashion-MNIST's four IDX files"
        )
    return Path(given)


def fashion_mnist(train: int = 8000, test: int = 2000, *, pool: int = 1, folder: str | Path | None = None) -> Dataset:
    """Return the first `train` and the first `test` images of clothes, 28 × 28 pixels in ten classes.

    Inputs are (n, 784 / pool²): ``(x / 255 - 0.2860) / 0.3530`` of the pixels 0 to 255 in binary64, rounded to binary16
    once; targets are labels 0 to 9. The data are those of [@xiao2017].

    Parameters
    ----------
    train, test : int
        How many of the 60,000 and of the 10,000.
    pool : int
        Side of the squares of pixels that are averaged first.
    folder : path, optional
        Where the four IDX files are, plain or compressed by gzip; see `fashion_folder`.

    Returns
    -------
    Dataset
        Inputs float16, targets int64; training and test images in the order of the files.

    Raises
    ------
    FileNotFoundError
        When there are no files.
    ValueError
        When a file is damaged, or more images are asked for than there are.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from halfsim.training.data import fashion_mnist
    >>> images = bytes([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 28, 0, 0, 0, 28]) + bytes([0, 255]) * 784
    >>> labels = bytes([0, 0, 8, 1, 0, 0, 0, 2, 9, 0])
    >>> with tempfile.TemporaryDirectory() as folder:  # two images in place of 60,000
    ...     for part in ("train", "t10k"):
    ...         _ = (Path(folder) / f"{part}-images-idx3-ubyte").write_bytes(images)
    ...         _ = (Path(folder) / f"{part}-labels-idx1-ubyte").write_bytes(labels)
    ...     x, y = fashion_mnist(2, 1, folder=folder).train
    >>> x.shape, x[0, :2], y
    ((2, 784), array([-0.81 ,  2.023], dtype=float16), array([9, 0]))
    """
    found = fashion_folder(folder)
    if found is None:
        raise FileNotFoundError(
            f"fashion_mnist: there is no {_DEBIAN}; install Debian's package dataset-fashion-mnist, or set {VARIABLE} "
            "to a folder with the four IDX files"
        )
    return _read(found.resolve(), train, test, pool)


@lru_cache(maxsize=4)
def _read(folder: Path, train: int, test: int, pool: int) -> Dataset:
    files, sha256, arrays = _files(folder)
    halves = [
        _examples(images, labels, count, pool, str(folder / part))
        for part, count, (images, labels) in zip(_PARTS, (train, test), arrays, strict=True)
    ]
    scale = (_MEAN, _DEVIATION, _LARGEST)
    return Dataset("fashion-mnist", files, sha256, halves[0], halves[1], normalised=scale)


@lru_cache(maxsize=1)
def _files(folder: Path) -> tuple[str, str, list[tuple[Array, Array]]]:
    """Return the names of the files, their digest, and images and labels of both parts as they are."""
    files, lines, arrays = [], [], []
    for name in _NAMES:
        path = _find(folder, name)
        if path is None:
            raise FileNotFoundError(f"fashion_mnist: {folder / name} is gone; put it back")
        content = path.read_bytes()
        files.append(path.name)
        lines.append(f"{hashlib.sha256(content).hexdigest()}  {path.name}\n")
        arrays.append(parse_idx(content, str(path), dimensions=3 if "images" in name else 1))
    sha256 = hashlib.sha256("".join(lines).encode()).hexdigest()
    return " ".join(files), sha256, [(arrays[0], arrays[1]), (arrays[2], arrays[3])]


def _examples(images: Array, labels: Array, count: int, pool: int, source: str) -> tuple[Array, Array]:
    if len(images) != len(labels) or images.shape[1:] != (28, 28) or labels.max(initial=0) > 9:
        raise ValueError(
            f"fashion_mnist: {source}-* hold {len(images)} images of {images.shape[1]} × {images.shape[2]} pixels and "
            f"{len(labels)} labels up to {labels.max(initial=0)}; they must be as many, 28 × 28 and 0 to 9"
        )
    if not 0 < count <= len(images):
        raise ValueError(f"fashion_mnist: {count} examples of {source}-* are asked for; pass 1 to {len(images)}")
    means = np.arange(255 * pool**2 + 1) / pool**2
    normalised = ((means / 255 - _MEAN) / _DEVIATION).astype(np.float16)
    return normalised[pooled(images[:count], pool)].reshape(count, -1), labels[:count].astype(np.int64)


def _find(folder: Path, name: str) -> Path | None:
    return next((path for path in (folder / f"{name}.gz", folder / name) if path.is_file()), None)
