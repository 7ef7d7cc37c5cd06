"""The files of a capture: one archive per group, and a manifest that is always true of the files beside it."""

from __future__ import annotations

import hashlib
import io
import json
import os
import zipfile
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from halfsim._version import __version__
from halfsim.capture.device import DeviceError, Facts

__all__ = ["MANIFEST", "Recorder", "digest", "folder_of"]

MANIFEST = "MANIFEST.json"
SCHEMA = 1


def digest(content: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def folder_of(root: Path, facts: Facts) -> Path:
    """Return where a GPU's files go: ``<root>/<compute capability>/<name>``."""
    name = "".join(letter if letter.isalnum() else "-" for letter in facts.gpu.lower())
    return root / f"{facts.capability[0]}.{facts.capability[1]}" / "-".join(part for part in name.split("-") if part)


def _archive(arrays: dict[str, NDArray[Any]]) -> bytes:
    """Return a compressed npz without timestamps: the same arrays give the same bytes."""
    content = io.BytesIO()
    # LZMA halves exhaustive results that deflation leaves as they are; some builds of Python are without it.
    method = zipfile.ZIP_LZMA if find_spec("_lzma") else zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(content, "w", method) as file:
        for name, array in arrays.items():
            stored = io.BytesIO()
            np.lib.format.write_array(stored, np.ascontiguousarray(array), allow_pickle=False)
            file.writestr(zipfile.ZipInfo(f"{name}.npy"), stored.getvalue(), method)
    return content.getvalue()


def _replace(path: Path, content: bytes) -> None:
    """Write a file that is whole or absent, whenever the program is killed."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


class Recorder:
    """The folder of one GPU.

    Parameters
    ----------
    root : Path
        Folder of all captures.
    facts : Facts
        The GPU.
    seed : int
        Seed of the operands; one per folder.

    Raises
    ------
    DeviceError
        If the folder holds a capture with another seed or schema, or cannot be written.
    """

    def __init__(self, root: Path, facts: Facts, seed: int) -> None:
        self.folder = folder_of(root, facts)
        self._facts, self._seed = facts, seed
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DeviceError(
                f"capture: --out {root} cannot be written ({error.strerror}); pass another folder"
            ) from None
        for leftover in self.folder.glob(".*.npz.*"):  # of a run that was killed while it wrote
            leftover.unlink()
        path = self.folder / MANIFEST
        self.manifest: dict[str, Any] = self._begin()
        if path.exists():
            self.manifest = self._resume(path)

    def _begin(self) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "gpu": self._facts.gpu,
            "compute_capability": f"{self._facts.capability[0]}.{self._facts.capability[1]}",
            "seed": self._seed,
            "licence": "BSD-3-Clause",
            "groups": {},
        }

    def _resume(self, path: Path) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads(path.read_text())
            wrong = [key for key in ("schema", "gpu", "compute_capability", "seed") if found[key] != self.manifest[key]]
        except (ValueError, KeyError, TypeError):
            raise DeviceError(f"capture: {path} is damaged; move it away, or pass another --out") from None
        if wrong:
            key = wrong[0]
            raise DeviceError(
                f"capture: {path} has {key} {found[key]!r}, not {self.manifest[key]!r}; pass another --out"
                + (f" or --seed {found[key]}" if key == "seed" else "")
            )
        return found

    def tried(self, group: str) -> bool:
        """Whether a group is recorded, though perhaps with failures."""
        return group in self.manifest["groups"]

    def finished(self, group: str) -> bool:
        """Whether a group is recorded without failures and its file is as recorded."""
        entry = self.manifest["groups"].get(group)
        if entry is None or not entry["finished"]:
            return False
        path = self.folder / entry["file"]
        return path.is_file() and digest(path.read_bytes()) == str(entry["sha256"])

    def save(
        self,
        group: str,
        arrays: dict[str, NDArray[Any]],
        instructions: dict[str, dict[str, Any]],
        coverage: tuple[str, ...] = (),
        labels: tuple[str, ...] = (),
    ) -> int:
        """Write a group's file and then the manifest; return the size of the file in bytes."""
        every = arrays.get("a")
        exhaustive = every is not None and every.dtype == np.uint16 and np.array_equal(every, np.arange(1 << 16))
        stored = {name: array for name, array in arrays.items() if not (exhaustive and name == "a")}
        content = _archive(stored)
        name = f"{group}.npz"
        _replace(self.folder / name, content)
        self.manifest["groups"][group] = {
            "file": name,
            "sha256": digest(content),
            "finished": all(entry["status"] != "failed" for entry in instructions.values()),
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "source": f"halfsim {__version__}",
            "driver": self._facts.driver,
            "cuda": self._facts.cuda,
            "exhaustive": bool(exhaustive),
            "coverage": list(coverage),
            "labels": list(labels),
            "instructions": instructions,
        }
        _replace(self.folder / MANIFEST, (json.dumps(self.manifest, indent=1) + "\n").encode())
        return len(content)
