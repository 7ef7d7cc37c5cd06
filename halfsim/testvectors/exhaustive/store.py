"""Which blocks are done, one line each, appended: a kill costs the blocks in flight, a damaged line its own block."""

from __future__ import annotations

import hashlib
import json
import os
import time
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path

import halfsim
from halfsim.locks import locked
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

    Other sources have another folder: what was verified before a change says nothing about the code after it. Several
    processes may share a folder: each appends whole lines, one at a time, and nobody removes another's.

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
    unreadable : int
        Lines that were cut or damaged, and whose blocks therefore count as not done.
    """

    def __init__(self, folder: Path, job: Job) -> None:
        self.path = folder / source_digest() / f"{job.name}.jsonl"
        self._blocks = job.blocks
        self._file: int | None = None
        self._synced = 0.0
        self.done, damaged = self._parsed(self._content())
        self.unreadable = len(damaged)
        self.wrong = sorted(number for number, block in self.done.items() if block.wrong)
        for number in self.wrong:
            del self.done[number]

    def __enter__(self) -> Store:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0), 0o666)
        with locked(self._file):
            self._end_line()
            self._blank(self._parsed(self.path.read_bytes())[1])
        return self

    def __exit__(self, *details: object) -> None:
        if self._file is not None:
            os.fsync(self._file)
            os.close(self._file)
            self._file = None

    def add(self, block: Block) -> None:
        """Append a block."""
        assert self._file is not None
        left = memoryview(json.dumps(asdict(block)).encode() + b"\n")
        with locked(self._file):
            self._end_line()
            while left:
                left = left[os.write(self._file, left) :]
        self.done[block.number] = block
        if time.monotonic() - self._synced > _SYNC_SECONDS:
            os.fsync(self._file)
            self._synced = time.monotonic()

    def refresh(self) -> None:
        """Take up the blocks that other processes have finished since; of wrong ones, they give the account."""
        found, _ = self._parsed(self._content())
        self.done = {**{number: block for number, block in found.items() if not block.wrong}, **self.done}

    def _content(self) -> bytes:
        if not self.path.exists():
            return b""
        with self.path.open("rb") as file, locked(file.fileno()):
            return file.read()

    def _parsed(self, content: bytes) -> tuple[dict[int, Block], list[tuple[int, int]]]:
        """Return the blocks of a log, and offset and length of each line that is none."""
        blocks: dict[int, Block] = {}
        damaged: list[tuple[int, int]] = []
        start = 0
        for line in content.split(b"\n"):
            if line.strip():
                try:
                    block = _block(json.loads(line), self._blocks)
                except (ValueError, TypeError, KeyError, AttributeError):
                    damaged.append((start, len(line)))
                else:
                    blocks[block.number] = block  # of a block computed again, the last line counts
            start += len(line) + 1
        return blocks, damaged

    def _end_line(self) -> None:
        """Keep what a killed process has left of a line apart from the next."""
        assert self._file is not None
        if os.lseek(self._file, 0, os.SEEK_END):
            os.lseek(self._file, -1, os.SEEK_END)
            if os.read(self._file, 1) != b"\n":
                os.write(self._file, b"\n")

    def _blank(self, damaged: list[tuple[int, int]]) -> None:
        """Overwrite lines with spaces: no other line moves, so that a kill meanwhile and other writers do no harm."""
        if damaged:
            with self.path.open("r+b") as file:
                for start, length in damaged:
                    file.seek(start)
                    file.write(b" " * length)


def _block(record: dict[str, object], blocks: int) -> Block:
    first = [Mismatch(**{**item, "operands": tuple(item["operands"])}) for item in record.pop("first")]  # type: ignore[attr-defined]
    block = Block(**record, first=tuple(first))  # type: ignore[arg-type]
    if block.number not in range(blocks) or not isinstance(block.digest, str) or not isinstance(block.wrong, int):
        raise ValueError(f"no block of a job of {blocks}")
    return block
