"""The commands of hdl/README.md do what the page says, line by line."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
BLOCKS = re.findall(r"^```sh\n(.+?)^```$", (ROOT / "hdl" / "README.md").read_text(), re.MULTILINE | re.DOTALL)
TOOLS = ("iverilog", "ghdl", "verilator")


@pytest.mark.parametrize("tool", TOOLS)
def test_the_commands_run_and_the_design_passes(tool: str, tmp_path: Path) -> None:
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed")
    # The first block installs things and runs all there is.
    (block,) = (text for text in BLOCKS[1:] if f"{tool} " in text)
    (tmp_path / "hdl").symlink_to(ROOT / "hdl")
    command = tmp_path / "bin" / "halfsim"
    command.parent.mkdir()
    command.write_text(f"#!{sys.executable}\nfrom halfsim.cli import main\nmain()\n")
    command.chmod(0o755)
    environment = {**os.environ, "PATH": f"{command.parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        ["bash", "-euc", block], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = re.search(r"^PASS rows=(\d+)$", done.stdout, re.MULTILINE)
    assert found is not None, done.stdout
    assert int(found[1]) > 50_000
