"""Running the command, in this process and in one of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from click.testing import CliRunner, Result

from halfsim.cli import main

__all__ = ["EXAMPLE", "ROOT", "RUN", "invoke", "process"]


ROOT = Path(__file__).resolve().parent.parent.parent


RUN = (sys.executable, "-c", "from halfsim.cli import main; main(prog_name='halfsim')")


EXAMPLE = ("explain", "fma", "0x3c01", "0x3c01", "0x8001", "--rounding", "rtz")


def invoke(*arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(main, list(arguments), input=stdin)


def process(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*RUN, *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )
