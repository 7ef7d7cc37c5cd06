"""The table of digests: what all results of a job hash to, for anyone to recompute."""

from __future__ import annotations

import hashlib
import textwrap
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import halfsim
from halfsim.testvectors.exhaustive.jobs import JOBS, SIZE, Block, Job
from halfsim.testvectors.formats.files import replacing

__all__ = ["Digests", "compare", "load", "save", "summary"]

_PARTS = 64


@dataclass(frozen=True, slots=True)
class Digests:
    """What a finished job hashes to.

    Parameters
    ----------
    rows : int
        Results digested.
    root : str
        SHA-256 of the digests of all blocks, as text, in order.
    parts : tuple of str
        The same of each 64th of the blocks, to see where two runs differ.
    version : str
        Version of halfsim that computed it.
    """

    rows: int
    root: str
    parts: tuple[str, ...]
    version: str


def summary(job: Job, done: Mapping[int, Block]) -> Digests | None:
    """Return the digests of a job, or None unless all its blocks are done and right."""
    if len(done) < job.blocks or any(block.wrong for block in done.values()):
        return None
    size = job.blocks // _PARTS
    parts = [_joined(done[number] for number in range(i * size, (i + 1) * size)) for i in range(_PARTS)]
    root = _joined(done[number] for number in range(job.blocks))
    return Digests(job.blocks * SIZE, root, tuple(parts), halfsim.__version__)


def _joined(blocks: Iterable[Block]) -> str:
    return hashlib.sha256("".join(block.digest for block in blocks).encode()).hexdigest()


def load(path: Path) -> dict[str, Digests]:
    """Return the table of a file; empty if there is none.

    Raises
    ------
    ValueError
        If the file is no such table.
    """
    if not path.exists():
        return {}
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
        return {
            name: Digests(table["rows"], table["root"], tuple(table["parts"]), table["version"])
            for name, table in tables.items()
        }
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise ValueError(f"verify: {path} is no table of digests: {error}") from None


def save(path: Path, table: Mapping[str, Digests]) -> None:
    """Write a table, whole or not at all; its head says which jobs are there and which are not."""
    known = [job.name for job in JOBS]
    there, missing = ([name for name in known if (name in table) == there] for there in (True, False))
    lines = [
        "# SHA-256 of all results of each job, see README.md; recompute with `halfsim verify exhaustive`.",
        "#",
        f"# {len(there)} of {len(known)} jobs were run to the end, all blocks equal to the witness:",
        *_listed(there),
        f"# {len(missing)} were not, and have no digest here:",
        *_listed(missing),
    ]
    for name, digests in sorted(table.items()):
        lines += ["", f"[{name}]", f"rows = {digests.rows}", f'version = "{digests.version}"']
        lines += [f'root = "{digests.root}"', "parts = [", *(f'  "{part}",' for part in digests.parts), "]"]
    with replacing(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


def _listed(names: Iterable[str]) -> list[str]:
    return textwrap.wrap(" ".join(names), 116, initial_indent="#   ", subsequent_indent="#   ", break_on_hyphens=False)


def compare(job: Job, done: Mapping[int, Block], wanted: Digests) -> list[range]:
    """Return the ranges of blocks, among those that are done, whose digests are not those of a table."""
    size = job.blocks // _PARTS
    wrong = []
    for i, part in enumerate(wanted.parts):
        blocks = range(i * size, (i + 1) * size)
        if all(number in done for number in blocks) and _joined(done[number] for number in blocks) != part:
            wrong.append(blocks)
    return wrong
