"""New interpreters, for what only shows in a process of its own: imports and the cache of kernels."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

__all__ = ["ROOT", "environment", "python"]

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
