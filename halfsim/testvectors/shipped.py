"""The set of vectors that ships with the project: ``python -m halfsim.testvectors.shipped vectors`` makes it again.

A compact file for every operation, rounding direction and environment: a row for each bin of the coverage model that
the operation's plan hits, and as many more, evenly from every family, as its size allows. An operation that does not
round has one file per environment that changes its results. Environments that flush subnormals have the operations and
directions whose instructions flush.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

import halfsim as hs
from halfsim.rounding import ALIASES
from halfsim.testvectors.bins import indices
from halfsim.testvectors.cases import Plan, plan
from halfsim.testvectors.coverage import reachable
from halfsim.testvectors.diagnosis import Setting
from halfsim.testvectors.formats import Block, environment_name
from halfsim.testvectors.formats.files import replacing
from halfsim.testvectors.formats.spellings import TV
from halfsim.testvectors.generate import header_of
from halfsim.testvectors.subjects import SUBJECTS, Subject

__all__ = ["ENVIRONMENTS", "FLUSHING", "Flushing", "Member", "compact", "main", "members", "write_member"]

ENVIRONMENTS = ("RISCV", "ARM", "X86", "CUDA")
SEED = 1
_MODES = ("rne", "rna", "rtz", "rup", "rdn", "odd")
# Rows of a file: three operands, two that are rounded, wide conversions, the rest.
_SIZES = {"fma": 2400, "pair": 1200, "wide": 900, "plain": 500}
_MANIFEST = "MANIFEST.toml"
_QUIET = ("equal", "less_quiet", "less_equal_quiet", "greater_quiet", "greater_equal_quiet", "unordered")


@dataclass(frozen=True, slots=True, kw_only=True)
class Flushing:
    """Hardware that flushes subnormals of binary16 in some of its instructions.

    Parameters
    ----------
    environment : Environment
        What it does in those.
    operations : tuple of str
        Which they are.
    modes : tuple of str
        Their directions of rounding.
    away : tuple of str
        Which of them have ties away, too.
    """

    environment: hs.Environment
    operations: tuple[str, ...]
    modes: tuple[str, ...]
    away: tuple[str, ...] = field(default=())

    def has(self, subject: Subject, mode: str) -> bool:
        """Whether an operation in a direction is among them."""
        modes = self.modes + (("rna",) if subject.name in self.away else ())
        return subject.name in self.operations and (mode in modes or not subject.rounds)


_TO_INTEGERS = ("round_to_integral", *(f"convert_f16_{sign}{width}" for sign in ("i", "ui") for width in (16, 32, 64)))
FLUSHING: Mapping[str, Flushing] = {
    "ARM_FZ16": Flushing(
        environment=replace(hs.ARM, flush_inputs=True, flush_results=True),
        operations=(
            *("add", "subtract", "multiply", "divide", "fma", "sqrt"),
            *("minimum", "maximum", "min_num", "max_num"),
            *(*_QUIET, "less", "less_equal", "greater", "greater_equal"),
            *_TO_INTEGERS,
        ),
        modes=("rne", "rtz", "rup", "rdn"),
        away=_TO_INTEGERS,
    ),
    "CUDA_FTZ": Flushing(
        environment=replace(hs.CUDA, flush_inputs=True, flush_results=True),
        operations=(
            *("add", "subtract", "multiply", "fma"),
            *("minimum", "maximum", "minimum_number", "maximum_number"),
            *(*_QUIET, "not_equal"),
        ),
        modes=("rne",),
    ),
}
"""FPCR.FZ16 [@arm-arm]: data processing in binary16, but no conversion between formats of floating point. The suffix
``.ftz`` of ``.f16`` instructions [@ptx-isa]. AVX512-FP16 ignores MXCSR's FTZ and DAZ, and RISC-V cannot flush."""


@dataclass(frozen=True, slots=True)
class Member:
    """One file of the set.

    Parameters
    ----------
    subject : Subject
        The operation.
    rounding : str
        Alias of the rounding direction.
    environment : str
        Name of the environment, one of `ENVIRONMENTS` or a key of `FLUSHING`.
    """

    subject: Subject
    rounding: str
    environment: str

    @property
    def file(self) -> str:
        """Path in the folder of vectors."""
        suffix = f"-{self.rounding}" if self.subject.rounds else ""
        return f"golden/{self.environment.lower()}/{self.subject.name}{suffix}.tv"

    @property
    def setting(self) -> Setting:
        """What the rows are computed with; to integers, inexact is raised."""
        options = ("exact",) if "exact" in self.subject.options else ()
        flushing = FLUSHING.get(self.environment)
        environment: hs.Environment = getattr(hs, self.environment) if flushing is None else flushing.environment
        return Setting(self.subject, ALIASES[self.rounding], environment, options)


def members() -> Iterator[Member]:
    """Yield every file of the set."""
    for known in SUBJECTS:
        modes = _MODES if known.rounds else ("rne",)
        for environment in ENVIRONMENTS:
            for mode in modes:
                member = Member(known, mode, environment)
                if known.rounds or environment == ENVIRONMENTS[0] or _differs(member):
                    yield member
        for environment, flushing in FLUSHING.items():
            yield from (Member(known, mode, environment) for mode in modes if flushing.has(known, mode))


def _differs(member: Member) -> bool:
    """Whether an environment changes any result of an operation that does not round."""
    first = Member(member.subject, member.rounding, ENVIRONMENTS[0])
    for block in plan(member.subject, seed=SEED).blocks():
        ours, theirs = (each.setting.evaluate(block.words) for each in (member, first))
        if any((x != y).any() for x, y in zip(ours, theirs, strict=True)):
            return True
    return False


def _size(subject: Subject) -> int:
    if len(subject.operands) > 2:
        return _SIZES["fma"]
    if subject.rounds and len(subject.operands) == 2:
        return _SIZES["pair"]
    return _SIZES["wide" if subject.rounds else "plain"]


@lru_cache(maxsize=2)
def _whole(subject: Subject) -> tuple[Plan, tuple[NDArray[np.unsignedinteger], ...]]:
    planned = plan(subject, seed=SEED)
    return planned, planned.block(0, planned.rows).words


def compact(member: Member) -> tuple[Plan, Block]:
    """Return the plan that rows are chosen from, and the chosen rows with their results."""
    planned, words = _whole(member.subject)
    result, flags = member.setting.evaluate(words)
    _, first = np.unique(indices(member.subject, words, result, flags), return_index=True)
    chosen = np.zeros(planned.rows, np.bool_)
    chosen[first] = True
    left = max(_size(member.subject) - len(first), 0) // len(planned.sources)
    base = 0
    for source in planned.sources:
        # An odd step, so that rows of a grid do not fall into one column.
        step = max(source.rows // left, 1) | 1 if left else source.rows
        chosen[base : base + source.rows : step] = True
        base += source.rows
    rows = np.flatnonzero(chosen)
    return planned, Block(tuple(column[rows] for column in words), result[rows], flags[rows])


def _reachable(setting: Setting) -> list[str]:
    """Return the line of the manifest with the number of bins that operands can reach, where it is known."""
    known = reachable(setting.subject, setting.rounding, setting.environment, setting.options)
    return [] if known is None else [f"reachable = {len(known.bins)}"]


def write_member(member: Member, folder: Path) -> str:
    """Write one file, and return its table of the manifest."""
    planned, block = compact(member)
    setting, known = member.setting, member.subject
    header = replace(header_of(planned, setting, seed=SEED), rows=len(block.result))
    path = folder / member.file
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary, temporary.open("wb") as file:
        TV.write(file, header, [block])
    bins = len(np.unique(indices(known, block.operands, block.result, block.flags)))
    return "\n".join(
        [
            "[[vectors]]",
            f'file = "{member.file}"',
            f'operation = "{known.name}"',
            f'rounding = "{ALIASES[member.rounding].name}"',
            f'environment = "{environment_name(setting.environment)}"',
            f'source = "halfsim {hs.__version__}"',
            'generator = "python -m halfsim.testvectors.shipped vectors"',
            f"seed = {SEED}",
            f"count = {len(block.result)}",
            f"bins = {bins}",
            *_reachable(setting),
            'licence = "BSD-3-Clause"',
            f'sha256 = "{hashlib.sha256(path.read_bytes()).hexdigest()}"',
            'evidence = "all rows equal the exact rational arithmetic of tests/oracles"',
        ]
    )


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
def main(folder: Path) -> None:
    """Write the shipped set to FOLDER and its tables to FOLDER/MANIFEST.toml, whose other lines stay."""
    manifest = folder / _MANIFEST
    text = manifest.read_text(encoding="utf-8") if manifest.exists() else "schema = 1\n"
    tables = []
    every = list(members())
    with click.progressbar(every, label="vectors", file=sys.stderr, show_pos=True) as bar:
        for member in bar:
            tables.append(write_member(member, folder))
    written = {member.file for member in every}
    for environment in (*ENVIRONMENTS, *FLUSHING):
        for path in (folder / "golden" / environment.lower()).glob("*.tv"):
            if path.relative_to(folder).as_posix() not in written:
                path.unlink()
    with replacing(manifest) as temporary:
        head = text.split("\n[[vectors]]\n")[0].rstrip()
        temporary.write_text(head + "\n\n" + "\n\n".join(tables) + "\n", encoding="utf-8", newline="\n")
    click.echo(f"{len(every)} files in {folder}")


if __name__ == "__main__":
    main()
