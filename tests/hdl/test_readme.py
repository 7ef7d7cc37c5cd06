"""The commands of hdl/README.md do what the page says, line by line."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.processes import ROOT, shell

BLOCKS = re.findall(r"^```sh\n(.+?)^```$", (ROOT / "hdl" / "README.md").read_text(), re.MULTILINE | re.DOTALL)


# Verilator's program takes a C++ compiler longer than the rest of the page; what it calls, C programs call elsewhere.
@pytest.mark.parametrize("tool", [pytest.param("verilator", marks=pytest.mark.slow), "iverilog", "ghdl"])
def test_the_commands_run_and_the_design_passes(tool: str, tmp_path: Path) -> None:
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed")
    # The first block installs things and runs all there is.
    (block,) = (text for text in BLOCKS[1:] if f"{tool} " in text)
    (tmp_path / "hdl").symlink_to(ROOT / "hdl")
    done = shell(tmp_path, f"set -e\n{block}")
    assert done.returncode == 0, done.stdout + done.stderr
    found = re.search(r"^PASS rows=(\d+)$", done.stdout, re.MULTILINE)
    assert found is not None, done.stdout
    assert int(found[1]) > 50_000


def test_the_bench_refuses_a_direction_that_is_none(tmp_path: Path) -> None:
    if shutil.which("iverilog") is None:
        pytest.skip("iverilog is not installed")
    (tmp_path / "hdl").symlink_to(ROOT / "hdl")
    sources = "hdl/bench/elementwise_bench.sv hdl/rtl/binary16_add.v hdl/rtl/binary16_round.v"
    built = shell(tmp_path, f"iverilog -g2012 -DDESIGN=binary16_add -s elementwise_bench -o add.vvp {sources}")
    assert built.returncode == 0, built.stderr
    (tmp_path / "add.tv").write_text("3C00_3C00_4000_00\n")
    for mode, passes in ((4, True), (8, False), (9, False)):  # three bits of 8 and 9 are 0 and 1
        done = shell(tmp_path, f"vvp -n add.vvp +vectors=add.tv +rows=1 +rounding={mode} +tininess_before=0")
        assert (done.returncode == 0) == passes, done.stdout + done.stderr
        assert ("PASS rows=1" if passes else "pass +rounding=0..4") in done.stdout + done.stderr
