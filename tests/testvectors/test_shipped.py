"""The shipped vectors: the command makes them again byte for byte, and exact arithmetic agrees with their rows."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from halfsim.testvectors import SUBJECTS, subject
from halfsim.testvectors.formats import VectorFileError, read
from halfsim.testvectors.shipped import ENVIRONMENTS, FLUSHING, Member, compact, main, members
from tests.checking import STEPS
from tests.oracles import rational
from tests.oracles.rows import row


@pytest.fixture(scope="module")
def every() -> list[Member]:
    """All files of the set; which there are is computed."""
    return list(members())


def test_every_operation_mode_and_environment_is_there(every: list[Member]):
    found = {(m.subject.name, m.rounding, m.environment) for m in every}
    assert {m.subject for m in every} == set(SUBJECTS)
    for known in SUBJECTS:
        modes = ("rne", "rna", "rtz", "rup", "rdn", "odd") if known.rounds else ()
        assert {(known.name, mode, env) for mode in modes for env in ENVIRONMENTS} <= found
        assert (known.name, "rne", "RISCV") in found
    # Results of these differ by NaN rule, of comparisons they do not.
    assert ("minimum", "rne", "CUDA") in found
    assert ("less", "rne", "CUDA") not in found


# By the manuals: which machine, and an operation that flushes, and some that do not or do not exist.
FLUSHED = {
    "ARM_FZ16": ("ARM", {("fma", "rtz"), ("round_to_integral", "rna"), ("less", "rne")}, {("convert_f32_f16", "rne")}),
    "CUDA_FTZ": ("CUDA", {("fma", "rne"), ("minimum_number", "rne")}, {("add", "rtz"), ("divide", "rne")}),
}


def machine(environment: str) -> rational.Machine:
    if environment in rational.MACHINES:
        return rational.MACHINES[environment]
    return dataclasses.replace(rational.MACHINES[FLUSHED[environment][0]], flush_inputs=True, flush_results=True)


@pytest.mark.parametrize("environment", FLUSHING)
def test_what_flushes_is_there(environment: str, every: list[Member]):
    _, there, absent = FLUSHED[environment]
    found = {(m.subject.name, m.rounding) for m in every if m.environment == environment}
    assert there <= found
    assert not absent & found
    for member in every:
        if member.environment == environment and member.subject.name in ("multiply", "fma", "divide"):
            _, block = compact(member)
            magnitude = block.result & 0x7FFF
            assert not ((magnitude > 0) & (magnitude < 0x400)).any()
            # Subnormal operands, and tiny results of normal ones.
            tiny = [(words & 0x7FFF > 0) & (words & 0x7FFF < 0x400) for words in block.operands]
            assert np.logical_or.reduce(tiny).sum() > 100
            assert ((block.flags & 2 != 0) & (magnitude == 0) & ~np.logical_or.reduce(tiny)).sum() > 20


def test_the_command_makes_the_same_bytes(root: Path, tmp_path: Path):
    (tmp_path / "MANIFEST.toml").write_bytes((root / "vectors" / "MANIFEST.toml").read_bytes())
    (tmp_path / "golden" / "riscv").mkdir(parents=True)
    (tmp_path / "golden" / "riscv" / "left-over.tv").touch()
    assert CliRunner().invoke(main, [str(tmp_path)], catch_exceptions=False).exit_code == 0
    shipped = {p.relative_to(root / "vectors"): p.read_bytes() for p in (root / "vectors" / "golden").rglob("*.tv")}
    made = {p.relative_to(tmp_path): p.read_bytes() for p in (tmp_path / "golden").rglob("*.tv")}
    assert made.keys() == shipped.keys()
    assert [str(name) for name in made if made[name] != shipped[name]] == []
    assert (tmp_path / "MANIFEST.toml").read_bytes() == (root / "vectors" / "MANIFEST.toml").read_bytes()
    assert sum(map(len, shipped.values())) < 20_000_000


def disagreements(path: Path, member: Member, *, step: int = 1, sealed: bool = True) -> list[str]:
    """Rows of a file, all or every so many, that exact arithmetic does not give."""
    ctx = rational.Context(member.rounding, machine(member.environment))
    name, exact = member.subject.name, "exact" in member.setting.options
    wrong = []
    with read(path) as vectors:
        assert vectors.header.rounding == member.setting.rounding
        assert vectors.header.environment == member.setting.environment
        assert vectors.header.rows > 0
        for block in vectors.blocks:
            columns = [column[::step].tolist() for column in (*block.operands, block.result, block.flags)]
            for *operands, result, flags in zip(*columns, strict=True):
                if row(name, operands, ctx, exact) != (result, flags):
                    wrong.append(f"{name} {operands}: {result:#x} {flags}")
        assert vectors.digest.verified == sealed
    return wrong


@STEPS
@pytest.mark.parametrize("environment", [*ENVIRONMENTS, *FLUSHING])
def test_rows_of_every_file_equal_exact_arithmetic(root: Path, environment: str, every: list[Member], step: int):
    for member in every:
        if member.environment == environment:
            assert disagreements(root / "vectors" / member.file, member, step=step) == []


def test_a_wrong_row_would_be_found(tmp_path: Path):
    from halfsim.testvectors.shipped import write_member

    member = Member(subject("multiply"), "rup", "ARM")
    write_member(member, tmp_path)
    path = tmp_path / member.file
    assert disagreements(path, member) == []
    lines = path.read_text().splitlines()
    a, b, z, flags = lines[100].split("_")
    lines[100] = f"{a}_{b}_{z}_{int(flags, 16) ^ 2:02X}"
    path.write_text("\n".join([lines[0].replace("halfsim ", "my "), *lines[1:-1]]) + "\n")
    assert len(disagreements(path, member, sealed=False)) == 1
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(VectorFileError, match="are not those that the SHA-256"):
        disagreements(path, member)


def test_files_keep_the_bins_of_their_plans():
    from halfsim.testvectors.coverage import Coverage

    for member in (Member(subject("divide"), "rne", "RISCV"), Member(subject("fma"), "odd", "ARM")):
        planned, block = compact(member)
        small, large = Coverage(member.subject), Coverage(member.subject)
        small.add(block.operands, block.result, block.flags)
        words = planned.block(0, planned.rows).words
        large.add(words, *member.setting.evaluate(words))
        assert small.hits.keys() == large.hits.keys()
        assert len(block.result) < 4000
        assert len(np.unique(np.stack(block.operands), axis=1).T) > 0.8 * len(block.result)
