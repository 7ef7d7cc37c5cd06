"""New processes: interpreters, for what only shows in one, and shells, for the commands of pages."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

__all__ = ["ROOT", "environment", "python", "shell"]

ROOT = Path(__file__).resolve().parent.parent


def environment(package: Path = ROOT, **changes: str) -> dict[str, str]:
    """Return the environment of an interpreter that imports the package in a folder."""
    return {**os.environ, "PYTHONPATH": str(package), **changes}


def python(*arguments: str, package: Path = ROOT, **changes: str) -> str:
    """Run a new interpreter beside a package and return what it prints; its errors become the test's."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=package,
        env=environment(package, **changes),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def shell(folder: Path, script: str, timeout: float = 300) -> subprocess.CompletedProcess[str]:
    """Run a script of bash in a folder, where ``halfsim`` is this package's command and ``python`` this interpreter."""
    commands = folder / "bin"
    if not commands.exists():
        commands.mkdir()
        # Neither a link to the interpreter, which would miss its packages, nor a script that worker processes import.
        run = "-c 'from halfsim.cli import main; main(prog_name=\"halfsim\")'"
        for name, arguments in (("halfsim", run), ("python", "")):
            command = commands / name
            command.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {arguments} "$@"\n')
            command.chmod(0o755)
    return subprocess.run(
        ["bash", "-uc", script],
        cwd=folder,
        env=environment(PATH=f"{commands}:{os.environ['PATH']}"),
        capture_output=True,
        text=True,
        timeout=timeout,
    )
