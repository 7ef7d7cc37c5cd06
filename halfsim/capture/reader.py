"""Read captures back: every archive is checked against its manifest first."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from halfsim.capture.recorder import MANIFEST, SCHEMA, digest

__all__ = ["Capture", "Record", "read"]


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
class Capture:
    """What one GPU answered.

    Parameters
    ----------
    folder : Path
        Where its files are.
    manifest : dict
        Provenance of everything: GPU, driver, CUDA, dates, seeds, digests, opcodes, machine code.
    """

    folder: Path
    manifest: dict[str, Any] = field(repr=False)

    def records(self) -> Iterator[Record]:
        """Yield every recorded result, group by group.

        Raises
        ------
        ValueError
            If a file is missing or differs from its digest.
        """
        major, minor = self.manifest["compute_capability"].split(".")
        for group, entry in self.manifest["groups"].items():
            arrays = self._arrays(entry)
            operands = {name: array for name, array in arrays.items() if not name.startswith("D.")}
            for name, details in entry["instructions"].items():
                if details["status"] == "recorded":
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
        if digest(path.read_bytes()) != entry["sha256"]:
            raise ValueError(f"read: {path} differs from the digest in its manifest; restore it or capture it again")
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        if entry["exhaustive"]:
            arrays["a"] = np.arange(1 << 16).astype(np.uint16)
        return arrays


def read(path: str | Path) -> list[Capture]:
    """Return the captures in a folder and all folders below it.

    Parameters
    ----------
    path : str or Path
        For example ``vectors/cuda``.

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
    root = Path(path)
    if not root.is_dir():
        raise ValueError(f"read: {root} is not a folder; pass the folder that capture wrote to, such as vectors/cuda")
    found = []
    for file in sorted(root.rglob(MANIFEST)):
        try:
            manifest = json.loads(file.read_text())
            schema = manifest["schema"]
        except (ValueError, KeyError, TypeError):
            raise ValueError(f"read: {file} is damaged; restore it or capture again") from None
        if schema != SCHEMA:
            raise ValueError(f"read: {file} has schema {schema!r}, this version reads {SCHEMA}; use another version")
        found.append(Capture(file.parent, manifest))
    return found
