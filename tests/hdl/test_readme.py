"""The commands of hdl/README.md do what the page says, line by line."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.processes import ROOT, shell

BLOCKS = re.findall(r"^```sh\n(.+?)^```$", (ROOT / "hdl" / "README.md").read_text(), re.MULTILINE | re.DOTALL)
TOOLS = ("iverilog", "ghdl", "verilator")


@pytest.mark.parametrize("tool", TOOLS)
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
