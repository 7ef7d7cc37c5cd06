"""Read captures back: every archive is checked against its manifest first."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from halfsim.capture.recorder import MANIFEST, SCHEMA, digest

__all__ = ["Capture", "Damage", "Record", "read", "scan", "unlisted"]


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """The results of one instruction on one GPU.

    Parameters
    ----------
    gpu, capability : str, tuple of int
        Name and compute capability.
    group, instruction, opcode : str
        The file, the key in it, and the PTX instruction or library call.
    operands : dict of arrays
        Bit patterns: ``a b c r`` of scalar instructions; ``A B``, ``C.f32`` or ``C.f16`` of matrix instructions;
        ``coverage``, indices into `coverage`; ``K``, the lengths after which a chain was read.
    result : array
        Bit patterns, aligned with the operands; chains and experiments have one D per entry of ``K``.
    coverage, labels : tuple of str
        Names of the coverage classes, and of the tiles of experiments.

    Examples
    --------
    >>> import numpy as np
    >>> from halfsim.capture import Record
    >>> operands = {"a": np.uint16([0x3C00])}
    >>> Record("a GPU", (9, 0), "unary", "neg.f16", "neg.f16", operands, np.uint16([0xBC00])).result.size
    1
    """

    gpu: str
    capability: tuple[int, int]
    group: str
    instruction: str
    opcode: str
    operands: dict[str, NDArray[Any]] = field(repr=False)
    result: NDArray[Any] = field(repr=False)
    coverage: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Damage:
    """Something that could not be read or compared.

    Parameters
    ----------
    message : str
        One sentence: what, and the way out.
    gpu, group, instruction : str
        Where; empty as far as it is not known.

    Examples
    --------
    >>> from halfsim.capture import Damage
    >>> Damage("read: the manifest is damaged; capture again").agrees
    False
    """

    message: str
    gpu: str = ""
    group: str = ""
    instruction: str = ""

    @property
    def agrees(self) -> bool:
        """False, always: what cannot be read agrees with nothing."""
        return False


@dataclass(frozen=True, slots=True)
class Capture:
    """What one GPU answered.

    Parameters
    ----------
    folder : Path
        Where its files are.
    manifest : dict
        Provenance of everything: GPU, driver, CUDA, dates, seeds, digests, opcodes, machine code.

    Examples
    --------
    >>> from pathlib import Path
    >>> from halfsim.capture import Capture
    >>> list(Capture(Path("nowhere"), {"gpu": "a GPU", "groups": {}}).records())
    []
    """

    folder: Path
    manifest: dict[str, Any] = field(repr=False)

    def records(self) -> Iterator[Record]:
        """Yield every recorded result, group by group.

        Raises
        ------
        ValueError
            If a file is missing, damaged or differs from its digest.
        """
        for item in self.contents():
            if isinstance(item, Damage):
                raise ValueError(item.message)
            yield item

    def contents(self, only: tuple[str, ...] = ()) -> Iterator[Record | Damage]:
        """Yield every recorded result, and what is damaged in place of those that cannot be read.

        Parameters
        ----------
        only : tuple of str
            Only groups whose names begin with one of these; none for all. The others are not even opened.
        """
        for group, entry in self.manifest["groups"].items():
            if only and not group.startswith(only):
                continue
            try:
                yield from self._group(group, entry)
            except ValueError as error:
                yield Damage(str(error), self.manifest["gpu"], group)
            except (KeyError, TypeError, AttributeError):
                path = self.folder / MANIFEST
                yield Damage(f"read: {path} is damaged at {group}; restore it or capture again", group=group)

    def _group(self, group: str, entry: dict[str, Any]) -> Iterator[Record | Damage]:
        major, minor = self.manifest["compute_capability"].split(".")
        arrays = self._arrays(entry)
        operands = {name: array for name, array in arrays.items() if not name.startswith("D.")}
        for name, details in entry["instructions"].items():
            if details["status"] != "recorded":
                continue
            if f"D.{name}" not in arrays:
                text = f"read: {self.folder / entry['file']} holds no results of {name}; capture that group again"
                yield Damage(text, self.manifest["gpu"], group, name)
                continue
            yield Record(
                self.manifest["gpu"],
                (int(major), int(minor)),
                group,
                name,
                details["opcode"],
                operands,
                arrays[f"D.{name}"],
                tuple(entry["coverage"]),
                tuple(entry["labels"]),
            )

    def _arrays(self, entry: dict[str, Any]) -> dict[str, NDArray[Any]]:
        path = self.folder / entry["file"]
        if not path.is_file():
            raise ValueError(f"read: {path} is missing though its manifest lists it; capture that group again")
        content = path.read_bytes()
        if digest(content) != entry["sha256"]:
            raise ValueError(f"read: {path} differs from the digest in its manifest; restore it or capture it again")
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
        except Exception:  # a damaged archive can raise whatever its decoders do: zlib, lzma, struct, NumPy
            raise ValueError(f"read: {path} is not a whole archive; restore it or capture it again") from None
        if entry["exhaustive"]:
            arrays["a"] = np.arange(1 << 16).astype(np.uint16)
        return arrays


def _require(manifest: dict[str, Any]) -> None:
    """Raise if a field that every reader uses is absent or malformed."""
    major, minor = manifest["compute_capability"].split(".")
    if not (major.isdecimal() and minor.isdecimal() and isinstance(manifest["gpu"], str)):
        raise ValueError
    manifest["groups"].items()


def _open(file: Path) -> Capture:
    try:
        manifest = json.loads(file.read_text())
        schema = manifest["schema"]
        if schema == SCHEMA:
            _require(manifest)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ValueError(f"read: {file} is damaged; restore it or capture again") from None
    if schema != SCHEMA:
        raise ValueError(f"read: {file} has schema {schema!r}, this version reads {SCHEMA}; use another version")
    return Capture(file.parent, manifest)


def scan(path: str | Path) -> Iterator[Capture | Damage]:
    """Yield the captures in a folder and all folders below it, and what is damaged in place of the others.

    Parameters
    ----------
    path : str or Path
        A folder, or the manifest of one capture.

    Raises
    ------
    ValueError
        If there is neither.
    """
    root = Path(path)
    if not root.exists():
        raise ValueError(f"read: {root} does not exist; pass the folder that capture wrote to, such as vectors/cuda")
    if not (root.is_dir() or (root.is_file() and root.name == MANIFEST)):
        raise ValueError(f"read: {root} is not a folder; pass the folder that capture wrote to, such as vectors/cuda")
    for file in [root] if root.is_file() else sorted(root.rglob(MANIFEST)):
        try:
            yield _open(file)
        except ValueError as error:
            yield Damage(str(error))


def unlisted(path: str | Path) -> Iterator[Damage]:
    """Yield what is wrong with archives that belong to no capture, as no manifest beside them lists them.

    Parameters
    ----------
    path : str or Path
        As for `scan`.
    """
    root = Path(path)
    archives = root.parent.glob("*.npz") if root.is_file() else root.rglob("*.npz")
    for folder, files in groupby(
        sorted(archives, key=lambda file: (file.parent, file.name)), key=lambda file: file.parent
    ):
        manifest = folder / MANIFEST
        if not manifest.is_file():
            yield Damage(
                f"read: {folder} holds {next(files).name} but no {MANIFEST}, so it is no capture; restore the manifest "
                "or capture again (vectors are checked file by file)"
            )
            continue
        try:
            entries = _open(manifest).manifest["groups"].values()
            listed = {entry["file"] for entry in entries}
        except (ValueError, KeyError, TypeError):
            continue  # a damaged manifest is reported as such
        for file in files:
            if file.name not in listed:
                text = f"read: {file} is not listed in the {MANIFEST} beside it; continue the capture, or move it away"
                yield Damage(text)


def read(path: str | Path) -> list[Capture]:
    """Return the captures in a folder and all folders below it.

    Parameters
    ----------
    path : str or Path
        For example ``vectors/cuda``, or the manifest of one capture.

    Raises
    ------
    ValueError
        If the folder does not exist, or a manifest is damaged or of another schema.

    Examples
    --------
    >>> import tempfile
    >>> from halfsim.capture import read
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     read(folder)
    []
    """
    found = []
    for item in scan(path):
        if isinstance(item, Damage):
            raise ValueError(item.message)
        found.append(item)
    return found
