"""The checker counts, finds planted errors, and its model of the instructions says what the PTX ISA says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from halfsim.capture import DeviceError, Record, __main__, capture, check, read, report
from halfsim.capture.model import expected
from tests.capture.machine import Machine

OPERATIONS = ("arithmetic", "fma", "comparisons", "unary", "cvt")
SOME = (
    "experiments.mma.m16n8k16.f",
    "experiments.mma.m16n8k32.e4m3.f16",
    "mma.m16n8k16",
    "wmma",
    "chain.mma.m16n8k8.tf32",
)
EVERYTHING = ("experiments", "mma", "wmma", "wgmma.m64n8k", "chain.mma")


@pytest.mark.parametrize(
    "products", [pytest.param(SOME, id="some"), pytest.param(EVERYTHING, id="every", marks=pytest.mark.slow)]
)
def test_a_machine_that_answers_with_the_simulator_agrees_everywhere(products: tuple[str, ...], tmp_path: Path) -> None:
    capture(tmp_path, Machine(), only=(*products, *OPERATIONS))
    found = list(check(tmp_path))
    assert all(item.equal == item.count and not item.first for item in found)
    assert sum(item.count for item in found) > 2_000_000
    silent = {item.instruction for item in found if item.count == 0}
    assert silent == {"ex2.approx.f16", "tanh.approx.f16"}
    assert sum(path.stat().st_size for path in tmp_path.rglob("*.npz")) < 7.5e6


@pytest.mark.parametrize(
    ("group", "opcode"),
    [
        ("mma.m16n8k16", "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32"),
        ("chain.mma.m16n8k16", "mma.sync.aligned.m16n8k16.row.col.f16.f16.f16.f16"),
        ("wmma.m16n16k16", "wmma.mma.sync.aligned.row.row.m16n16k16.f32.f32"),
        ("mma.m16n8k16.bf16", "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32"),
        ("chain.mma.m16n8k8", "mma.sync.aligned.m16n8k8.row.col.f16.f16.f16.f16"),
        ("chain.mma.m16n8k8.tf32", "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32"),
        ("wgmma.m64n8k32.e5m2-e4m3", "wgmma.mma_async.sync.aligned.m64n8k32.f32.e5m2.e4m3"),
        ("arithmetic", "add.rn.ftz.f16"),
        ("fma", "fma.rn.sat.f16x2"),
        ("cvt.from-f16", "cvt.rmi.s64.f16"),
        ("cvt.f32", "cvt.rz.f16x2.f32"),
        ("comparisons", "setp.geu.f16"),
    ],
)
def test_one_wrong_bit_is_found_where_it_is(group: str, opcode: str, tmp_path: Path) -> None:
    machine = Machine()

    def planted(name: str, words: Any) -> Any:
        # The probe of a layout, of 8 tiles, must not see the error.
        if name != opcode or (words.ndim == 3 and len(words) == 8):
            return words
        wrong = np.ascontiguousarray(words).copy()
        wrong.reshape(-1)[123] ^= wrong.dtype.type(1)
        return wrong

    machine.planted = planted
    capture(tmp_path, machine, only=(group,))
    wrong = [item for item in check(tmp_path) if item.equal != item.count]
    assert {item.group for item in wrong} == {group} and len(wrong) == 1
    (agreement,) = wrong
    first = agreement.first[0]
    assert int(first.got, 16) ^ int(first.wanted, 16) == 1
    if "chain" not in group:
        assert agreement.count - agreement.equal == 1
    text = report(agreement)
    assert f"{agreement.equal:,} of {agreement.count:,} equal" in text and f"GPU {first.got}" in text
    if "mma" in opcode:
        assert {"A", "B", "C"} == set(first.operands)


@pytest.mark.parametrize(("capability", "shape", "longest"), [((7, 5), "m16n8k8", 1024), ((7, 0), "m8n8k4", 512)])
def test_turing_and_volta_are_chained_over_k(
    capability: tuple[int, int], shape: str, longest: int, tmp_path: Path
) -> None:
    """K = 16 and more is beyond one instruction there."""
    capture(tmp_path, Machine(capability), only=("chain.mma",))
    found = list(check(tmp_path))
    assert {(item.instruction, item.count > 0, item.agrees) for item in found if shape in item.group} == {
        (f"mma.{shape}.{kind}", True, True) for kind in ("f32", "f16")
    }
    (recorded,) = read(tmp_path)
    record = next(item for item in recorded.records() if item.group == f"chain.mma.{shape}")
    k = int(shape.rpartition("k")[2])
    assert record.operands["K"].tolist() == [k << e for e in range(8)] and k << 7 == longest
    assert record.result.shape[0] == 8


def test_a_neighbouring_row_disagrees(tmp_path: Path) -> None:
    """A capture that follows Hopper's row is not an Ampere capture."""
    capture(tmp_path, Machine(), only=("mma.m16n8k16", "experiments.mma.m16n8k16.f32"))

    def ampere(record: Record) -> Any:
        return expected(
            Record("", (8, 0), record.group, record.instruction, record.opcode, record.operands, record.result)
        )

    found = {item.instruction: item for item in check(tmp_path, model=ampere) if item.group == "mma.m16n8k16"}
    for kind in ("f32", "f16"):
        assert 0 < found[f"mma.m16n8k16.{kind}"].equal < found[f"mma.m16n8k16.{kind}"].count
    named = [item for item in check(tmp_path, limit=999, model=ampere) if item.group == "experiments.mma.m16n8k16.f32"]
    assert {"cancel", "chain: 2^25, then a block with -2^25 and 1"} <= {item.where for item in named[0].first}


def answer(opcode: str, *operands: Any) -> list[int]:
    arrays = dict(zip("abc", (np.atleast_1d(item) for item in operands), strict=False))
    wanted = expected(Record("", (9, 0), "", opcode, opcode, arrays, arrays["a"]))
    assert wanted is not None
    listed: list[int] = wanted.tolist()
    return listed


def h(*values: float) -> Any:
    return np.array(values, np.float16).view(np.uint16)


@pytest.mark.parametrize(
    ("opcode", "operands", "wanted"),
    [
        ("add.rn.f16", (h(1, np.inf), h(2**-11, -np.inf)), [0x3C00, 0x7FFF]),
        ("add.rn.sat.f16", (h(0.75, -1, 3, np.nan), h(0.5, 0.5, 0, 1)), [0x3C00, 0, 0x3C00, 0]),
        ("sub.rn.ftz.f16", (h(2**-24, 2**-14), h(0, 2**-15)), [0, 0x0400]),
        ("mul.rn.ftz.f16", (h(-(2**-14)), h(0.5)), [0x8000]),
        ("fma.rn.f16", (h(1 + 2**-10), h(1 + 2**-10), h(-1 - 2**-9)), [0x0010]),
        ("fma.rn.relu.f16", (h(-1, np.nan, 2), h(1, 1, 1), h(0, 0, 0)), [0, 0x7FFF, 0x4000]),
        ("min.f16", (h(np.nan, -0.0, 1), h(1, 0.0, 2)), [0x3C00, 0x8000, 0x3C00]),
        ("max.NaN.f16", (h(np.nan, -0.0), h(1, 0.0)), [0x7FFF, 0]),
        ("setp.ne.f16", (h(1, np.nan, 1), h(1, 1, 2)), [0, 0, 1]),
        ("setp.neu.f16", (h(1, np.nan, 1), h(1, 1, 2)), [0, 1, 1]),
        ("setp.equ.f16", (h(1, np.nan, 1), h(1, 1, 2)), [1, 1, 0]),
        ("setp.ltu.f16", (h(1, np.nan, 2), h(2, 1, 1)), [1, 1, 0]),
        ("setp.leu.f16", (h(1, np.nan, 2), h(1, 1, 1)), [1, 1, 0]),
        ("setp.gtu.f16", (h(1, np.nan, 2), h(1, 1, 1)), [0, 1, 1]),
        ("setp.geu.f16", (h(1, np.nan, 0), h(1, 1, 1)), [1, 1, 0]),
        ("setp.ge.f16", (h(1, np.nan, 0), h(1, 1, 1)), [1, 0, 0]),
        ("setp.eq.ftz.f16", (h(2**-24), h(0)), [1]),
        ("setp.num.f16", (h(1, np.nan), h(1, 1)), [1, 0]),
        ("cvt.rn.f16.f32", (np.float32([65520, 1 + 2**-11]).view(np.uint32),), [0x7C00, 0x3C00]),
        ("cvt.rz.f16.f32", (np.float32([1e9, -1e9]).view(np.uint32),), [0x7BFF, 0xFBFF]),
        ("cvt.rp.f16.f32", (np.float32([1e-30, -1e-30]).view(np.uint32),), [0x0001, 0x8000]),
        ("cvt.rm.f16.f32", (np.array([0x80000001], np.uint32),), [0x8001]),
        ("cvt.rn.f16x2.f32", (np.float32([1]).view(np.uint32), np.float32([2]).view(np.uint32)), [0x4000, 0x3C00]),
        ("cvt.rzi.s32.f16", (h(-2.5, np.nan, np.inf),), [0xFFFFFFFE, 0, 0x7FFFFFFF]),
        ("cvt.rzi.u16.f16", (h(-2.5, 65504, np.inf),), [0, 65504, 65535]),
        ("cvt.rni.u64.f16", (h(2.5, np.nan, -np.inf),), [2, 1 << 63, 0]),
        ("cvt.rpi.f16.f16", (h(0.25, -0.25),), [0x3C00, 0x8000]),
        ("cvt.rz.f16.s32", (np.array([-70000, 2049], np.int32).view(np.uint32),), [0xFBFF, 0x6800]),
        ("cvt.rp.f16.u64", (np.array([2**64 - 1, 2049], np.uint64),), [0x7C00, 0x6801]),
        ("cvt.sat.f32.f16", (h(2, -1, np.nan),), [0x3F800000, 0, 0]),
        ("neg.ftz.f16", (h(2**-24, 1),), [0x8000, 0xBC00]),
    ],
)
def test_the_model_says_what_the_ptx_isa_says(opcode: str, operands: tuple[Any, ...], wanted: list[int]) -> None:
    assert answer(opcode, *operands) == wanted


@pytest.mark.parametrize(
    ("opcode", "operands", "wanted"),
    [
        ("add.rn.sat.f16", (h(-0.0, 0.0, -1, 1, np.nan), h(-0.0, 0.0, 0, 0, 0)), [0, 0, 0, 0x3C00, 0]),
        ("mul.rn.ftz.sat.f16", (h(-(2**-14), 2**-14, -1), h(0.5, 0.5, 1)), [0, 0, 0]),
        ("fma.rn.relu.f16", (h(-0.0, -1, np.nan), h(1, 1, 1), h(-0.0, 0, 0)), [0, 0, 0x7FFF]),
        ("cvt.rn.relu.f16.f32", (np.float32([-1, -1e-30, -0.0, 0]).view(np.uint32),), [0, 0, 0, 0]),
        ("cvt.sat.f64.f16", (h(-0.0, -1, np.nan),), [0, 0, 0]),
        ("cvt.ftz.f32.f16", (h(2**-24),), [0x33800000]),
        ("cvt.rm.ftz.f16.f32", (np.array([0x80000001], np.uint32),), [0x8001]),
        ("cvt.rn.f16.f64", (np.array([0x7FF0000000000001, 0xFFFFFFFFFFFFFFFF], np.uint64),), [0x7E00, 0xFFFF]),
        ("cvt.f64.f16", (np.array([0xFC01], np.uint16),), [0xFFF8040000000000]),
        ("cvt.rni.s64.f16", (h(np.nan),), [1 << 63]),
        ("neg.f16", (np.array([0x7C01, 0xFE00], np.uint16),), [0x7FFF, 0x7FFF]),
        ("abs.f16", (np.array([0xFC01], np.uint16),), [0x7FFF]),
    ],
)
def test_the_model_says_what_the_hardware_says(opcode: str, operands: tuple[Any, ...], wanted: list[int]) -> None:
    """What the PTX ISA leaves open, or says otherwise: vectors/cuda/9.0 holds these answers."""
    assert answer(opcode, *operands) == wanted


def test_nothing_is_promised_of_approximations_and_libraries() -> None:
    word = {"a": h(np.nan)}
    for opcode in ("ex2.approx.f16", "cvt.rs.f16x2.f32", "hsqrt() of cuda_fp16.h", "torch 2.4: matmul, default"):
        assert expected(Record("", (9, 0), "", opcode, opcode, word, word["a"])) is None


def run(*arguments: str) -> Any:
    return CliRunner().invoke(__main__.main, list(arguments), prog_name="python -m halfsim.capture")


def test_the_command_records_checks_and_lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine()
    monkeypatch.setattr(__main__, "open_device", lambda gpu: machine)
    done = run("--out", str(tmp_path), "--only", "experiments.mma.m16n8k16.f")
    assert done.exit_code == 0 and "[ 1/2] experiments.mma.m16n8k16.f32: 1 recorded" in done.output
    done = run("--check", str(tmp_path))
    assert done.exit_code == 0 and "3,072 of 3,072 equal" in done.output
    some = run("--check", str(tmp_path), "--only", "experiments.mma.m16n8k16.f16")
    assert some.exit_code == 0 and "3,328 of 3,328 equal" in some.output and ".f32" not in some.output
    none = run("--check", str(tmp_path), "--only", "arithmetic")
    assert none.exit_code == 1
    assert "holds no results of groups that begin with arithmetic, so nothing was compared" in none.output
    machine.planted = lambda name, words: words if words.shape[0] == 8 else words ^ words.dtype.type(1)
    run("--out", str(tmp_path / "wrong"), "--only", "experiments.mma.m16n8k16.f32")
    done = run("--check", str(tmp_path / "wrong"))
    assert done.exit_code == 1 and "0 of 3,072 equal" in done.output and "cancel" in done.output
    listed = run("--list").output.splitlines()
    assert len(listed) > 40 and listed[0].startswith("experiments.mma.m16n8k16.f32:")
    some = run("--list", "--only", "wmma", "--only", "cvt.s").output.splitlines()
    assert [line.partition(":")[0] for line in some] == ["wmma.m16n16k16", "cvt.s16", "cvt.s32", "cvt.s64"]


def test_the_command_fails_in_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(gpu: int) -> Any:
        raise DeviceError("gone")

    monkeypatch.setattr(__main__, "open_device", absent)
    for arguments, status, text in (
        (["--out", str(tmp_path)], 1, "Error: gone"),
        (["--check", str(tmp_path / "absent")], 1, "does not exist"),
        (["--list", "--only", "mma.m16n8k61"], 2, "no group begins with 'mma.m16n8k61'; did you mean mma.m16n8k16 or"),
        (["--out", str(tmp_path), "--only", "arithmetic2"], 2, "did you mean arithmetic?"),
        ([], 2, "pass --out FOLDER"),
        (["--out", str(tmp_path), "--seed", "-1"], 2, "-1 is not in the range"),
    ):
        done = run(*arguments)
        assert done.exit_code == status and text in done.output and "Traceback" not in done.output
    assert "holds no capture" in run("--check", str(tmp_path)).output
