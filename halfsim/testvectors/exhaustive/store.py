"""Which blocks are done, one line each, appended: a kill costs the blocks in flight and nothing else."""

from __future__ import annotations

import hashlib
import json
import os
import time
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import IO

import halfsim
from halfsim.testvectors.exhaustive.jobs import Block, Job, Mismatch

__all__ = ["Store", "source_digest"]

_SYNC_SECONDS = 2.0


@lru_cache(maxsize=1)
def source_digest() -> str:
    """Return 16 hexadecimal digits of a digest of the sources that a result depends on."""
    package = Path(halfsim.__file__).resolve().parent
    patterns = ("*.py", "core/*.py", "kernels/*.py", "testvectors/exhaustive/*.py")
    digest = hashlib.sha256()
    for path in sorted(path for pattern in patterns for path in package.glob(pattern)):
        digest.update(path.relative_to(package).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


class Store:
    """The finished blocks of one job, in ``FOLDER/<digest of the sources>/<job>.jsonl``.

    Other sources have another folder: what was verified before a change says nothing about the code after it.

    Parameters
    ----------
    folder : Path
        Folder of all runs.
    job : Job
        Whose blocks they are.

    Attributes
    ----------
    done : dict of int to Block
        What is finished, by number. A stored block with wrong rows is not: it is to be computed again.
    wrong : list of int
        Numbers of the blocks that were stored with wrong rows.
    """

    def __init__(self, folder: Path, job: Job) -> None:
        self.path = folder / source_digest() / f"{job.name}.jsonl"
        self.done: dict[int, Block] = {}
        self._file: IO[bytes] | None = None
        self._synced = 0.0
        self._read()
        self.wrong = sorted(number for number, block in self.done.items() if block.wrong)
        for number in self.wrong:
            del self.done[number]

    def __enter__(self) -> Store:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self.path.open("r+b") if self.path.exists() else self.path.open("w+b")
        self._file.seek(self._whole)
        self._file.truncate()
        return self

    def __exit__(self, *details: object) -> None:
        if self._file is not None:
            os.fsync(self._file.fileno())
            self._file.close()

    def _read(self) -> None:
        """Read what is there; a line that a kill has cut, and all behind it, counts as not written."""
        self._whole = 0
        if not self.path.exists():
            return
        for line in self.path.read_bytes().splitlines(keepends=True):
            try:
                block = _block(json.loads(line))
            except (ValueError, TypeError, KeyError):
                return
            if not line.endswith(b"\n"):
                return
            self.done[block.number] = block  # of a block computed again, the last line counts
            self._whole += len(line)

    def add(self, block: Block) -> None:
        """Append a block."""
        assert self._file is not None
        self._file.write(json.dumps(asdict(block)).encode() + b"\n")
        self._file.flush()
        self.done[block.number] = block
        if time.monotonic() - self._synced > _SYNC_SECONDS:
            os.fsync(self._file.fileno())
            self._synced = time.monotonic()


def _block(record: dict[str, object]) -> Block:
    first = [Mismatch(**{**item, "operands": tuple(item["operands"])}) for item in record.pop("first")]  # type: ignore[attr-defined]
    return Block(**record, first=tuple(first))  # type: ignore[arg-type]
