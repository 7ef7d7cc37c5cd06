"""The scoreboard on its own, and in cocotb under Icarus: it passes the units and fails a mutant."""

from __future__ import annotations

import contextlib
import importlib
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import halfsim as hs
from halfsim.interop.cocotb import MismatchError, Scoreboard, drive, sample

ROOT = Path(__file__).resolve().parent.parent.parent
BENCH = ROOT / "hdl" / "bench"


class Port:
    """A stand-in for a handle: the text of its bits as a value, a width."""

    def __init__(self, width: int, value: Any = 0) -> None:
        self._path, self.width, self.value = "dut.x", width, value

    def __len__(self) -> int:
        if self.width == 1:
            raise TypeError("a single bit has no length")
        return self.width


# ------------------------------------------------------------------------------------------------------------ ports


@pytest.mark.parametrize(
    ("width", "value", "bits"),
    [
        (16, hs.from_bits(0x7C01), 0x7C01),
        (16, np.float16(-0.0), 0x8000),
        (32, np.float32(1), 0x3F800000),
        (48, np.float16([1, 2, -2]), 0xC000_4000_3C00),
        (3, hs.Rounding.roundTiesToAway, 4),
        (1, True, 1),
        (1, np.bool_(False), 0),
        (16, np.uint16(0xFFFF), 0xFFFF),
    ],
)
def test_drive_puts_bits_on_a_port(width: int, value: Any, bits: int) -> None:
    port = Port(width)
    drive(port, value)
    assert port.value == bits and type(port.value) is int


@pytest.mark.parametrize(
    ("width", "value", "error", "message"),
    [
        (16, 1.5, TypeError, r"dut\.x: value=1\.5 is of type float; pass np\.float16"),
        (16, "1", TypeError, "of type str"),
        (16, np.float32(1), ValueError, r"dut\.x has 16 bits, the value has 32 bits"),
        (32, np.float16(1), ValueError, "has 32 bits, the value has 16 bits"),
        (3, 8, ValueError, "has 3 bits, the value has 0x8"),
        (3, -1, ValueError, "has 3 bits"),
    ],
)
def test_drive_refuses_what_does_not_fit(width: int, value: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        drive(Port(width), value)


def test_sample_returns_numbers_and_words() -> None:
    nan = sample(Port(16, f"{0xFC01:016b}"))
    assert isinstance(nan, np.float16) and hs.to_bits(nan) == 0xFC01
    assert sample(Port(32, f"{0xC0490FDB:032b}"), np.float32) == np.float32(-np.pi)
    lanes = sample(Port(32, f"{0xC000_3C00:032b}"))
    assert lanes.dtype == np.float16 and lanes.tolist() == [1, -2]
    assert sample(Port(5, "10001"), int) == 17


@pytest.mark.parametrize("text", ["X" * 16, "0000000000000Z00", "U" * 16])
def test_an_undefined_bit_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=rf"dut\.x is {text}, with bits that are [XZU]; is it driven"):
        sample(Port(16, text))


def test_sample_refuses_a_width_that_is_no_number() -> None:
    with pytest.raises(ValueError, match="has 5 bits, which are no float16 numbers"):
        sample(Port(5, "10001"))


# ------------------------------------------------------------------------------------------------------- scoreboard

ONE, TINY = np.float16(1), np.float16(2**-11)


def test_the_message_names_operands_and_difference_and_explains() -> None:
    board = Scoreboard(hs.add, rounding="rup", environment=hs.RISCV)
    with pytest.raises(MismatchError) as caught:
        board.check(ONE, TINY, value=0x3C00, flags=3)
    first, *rest = str(caught.value).splitlines()
    assert first == (
        "add(0x3C00, 0x1000), roundTowardPositive, RISCV: value is 0x3C00, want 0x3C01 (1.001); "
        "flags are inexact|underflow, want inexact"
    )
    assert str(hs.explain("add", ONE, TINY, rounding="rup", environment=hs.RISCV)) == "\n".join(rest[1:])


def test_nans_are_compared_bit_for_bit_and_zeros_by_sign() -> None:
    board = Scoreboard(hs.add, environment=hs.RISCV, limit=10)
    board.check(ONE, np.float16(np.nan), value=hs.from_bits(0x7E00), flags=0)
    board.check(ONE, np.float16(np.nan), value=hs.from_bits(0x7E01), flags=0)
    board.check(ONE, -ONE, value=np.float16(-0.0), flags=0)
    board.check(ONE, -ONE, value=np.float16(0), flags=0)
    assert len(board.mismatches) == 2
    with pytest.raises(MismatchError, match="2 of 4 results"):
        board.finish()


def test_a_pipeline_answers_in_order() -> None:
    board = Scoreboard(hs.multiply)
    for x in (1, 2, 3):
        board.expect(np.float16(x), np.float16(x), rounding="rtz")
    with pytest.raises(MismatchError, match="3 expected results are still to be observed"):
        board.check(ONE, ONE, value=ONE)
    for z in (1, 4):
        board.observe(np.float16(z), 0)
    with pytest.raises(MismatchError, match=r"1 results never came; the first is \w+\(0x"):
        board.finish()
    board.observe(np.float16(9))
    assert board.finish() == 3
    with pytest.raises(MismatchError, match="no operands are waiting"):
        board.observe(np.float16(9))


def test_nothing_compared_is_a_failure() -> None:
    with pytest.raises(MismatchError, match="nothing was compared"):
        Scoreboard(hs.add).finish()


def test_flag_orders() -> None:
    for order, word in (("testfloat", 0x10), ("mxcsr", 0x01), ("fpsr", 0x01)):
        board = Scoreboard(hs.multiply, environment=hs.RISCV, flag_order=order)
        board.check(np.float16(0), np.float16(np.inf), value=0x7E00, flags=word)
        with pytest.raises(ValueError, match="bits that are no flag"):
            board.check(np.float16(0), np.float16(np.inf), value=0x7E00, flags=0x40)
    with pytest.raises(ValueError, match="unknown order"):
        Scoreboard(hs.add, flag_order="arm")


def test_dot_products_and_relations_and_options() -> None:
    a, b = np.float16([4096, 4096, 0.25]), np.float16([2048, -2048, 1])
    board = Scoreboard(hs.dot, accumulator="h100:f32")
    board.check(a, b, np.float32(0), value=np.float32(0.25))
    with pytest.raises(MismatchError, match=r"dot\(\[0x6C00 0x6C00 0x3400\].*value is 0x0, want|value is 0x00000000"):
        board.check(a, b, np.float32(0), value=np.float32(0))
    Scoreboard(hs.less).check(ONE, TINY, value=0, flags=0)
    exact = Scoreboard(hs.round_to_integral, exact=True)
    exact.check(np.float16(1.5), value=np.float16(2), flags=1)
    with pytest.raises(TypeError, match=r"halfsim\.dot needs an accumulator"):
        Scoreboard(hs.dot)
    with pytest.raises(TypeError, match="other operations take none"):
        Scoreboard(hs.add, accumulator="h100:f32")


# ----------------------------------------------------------------------------------------------------------- cocotb


def simulate(design: str, fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[int, int, str]:
    """Run a cocotb bench under Icarus; return (tests, failures, what was printed)."""
    from hdl.designs import DESIGNS, mutants

    runner_module = pytest.importorskip("cocotb_tools.runner", reason="cocotb is not installed")
    if importlib.import_module("find_libpython").find_libpython() is None:
        pytest.skip("cocotb needs a Python with a shared library")
    row = DESIGNS[design]
    (mutant,) = [m for m in mutants() if (m.design, m.name) == (design, fault)] or [None]
    top = "tensor_dot" if row.parameters else f"binary16_{design}"
    bench = "cocotb_dot" if row.parameters else "cocotb_units"
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(BENCH)]))
    monkeypatch.syspath_prepend(str(BENCH))
    runner = runner_module.get_runner("icarus")
    log = tmp_path / "log"
    runner.build(
        sources=row.paths(tmp_path / "rtl", mutant),
        hdl_toplevel=top,
        build_dir=tmp_path / "build",
        parameters=dict(row.parameters),
        timescale=("1ns", "1ps"),
        log_file=tmp_path / "build.log",
    )
    # The runner exits when a test fails; what happened is in the results.
    with contextlib.suppress(SystemExit):
        runner.test(
            hdl_toplevel=top,
            test_module=bench,
            build_dir=tmp_path / "build",
            results_xml=str(tmp_path / "results.xml"),
            extra_env={"COUNT": "1000", "ACCUMULATOR": f"{design}:f32"},
            log_file=log,
        )
    tests, failures = runner_module.get_results(tmp_path / "results.xml")
    return tests, failures, log.read_text()


@pytest.mark.skipif(shutil.which("iverilog") is None, reason="iverilog is not installed")
@pytest.mark.parametrize(
    ("design", "fault"),
    [
        ("fma", ""),
        ("a100", ""),
        ("add", "no sticky bit"),
        pytest.param("add", "", marks=pytest.mark.slow),
        pytest.param("fma", "rounds the product first", marks=pytest.mark.slow),
        pytest.param("a100", "F - 1", marks=pytest.mark.slow),
    ],
)
def test_a_cocotb_bench(design: str, fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tests, failures, log = simulate(design, fault, tmp_path, monkeypatch)
    assert tests == 1
    assert failures == bool(fault), log
    if fault:
        assert "MismatchError" in log and ", want " in log
    else:
        assert "1000 " in log and "agree" in log


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("iverilog") is None, reason="iverilog is not installed")
def test_an_undriven_design_fails_with_a_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from hdl import designs

    floating = designs.Mutant("floating", "add", "binary16_add.v", "assign flags = special", "wire [4:0] x = special")
    monkeypatch.setattr(designs, "mutants", lambda: (floating,))
    _, failures, log = simulate("add", "floating", tmp_path, monkeypatch)
    assert failures == 1
    assert "is ZZZZZ, with bits that are Z; is it driven" in log
