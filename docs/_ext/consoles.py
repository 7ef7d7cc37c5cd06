"""Run the ``console`` blocks of a page, and say where the page shows something else than they print.

``python -m docs._ext.consoles docs/howto/*.md`` fills blocks that show no output yet, and lists those that differ.
"""

from __future__ import annotations

import doctest
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Step", "run", "steps"]

ROOT = Path(__file__).resolve().parents[2]
_BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_STEP = re.compile(r"^\$ ((?:.*\\\n)*.*)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)


@dataclass(frozen=True)
class Step:
    """A command of a page, and what the page shows below it.

    Parameters
    ----------
    command, shown : str
        The command without its prompt, and its output; ``...`` stands for what is left out.
    place : int
        Where the output begins in the page.
    """

    command: str
    shown: str
    place: int

    def agrees(self, printed: str) -> bool:
        """Whether the command printed what the page shows, trailing blanks apart."""
        options = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
        return doctest.OutputChecker().check_output(self.shown, printed, options)


def steps(text: str) -> list[Step]:
    """Return the commands of all ``console`` blocks of a page, in order."""
    return [
        Step(step[1], step[2], block.start(1) + step.start(2))
        for block in _BLOCK.finditer(text)
        for step in _STEP.finditer(block[1])
    ]


def run(text: str) -> Iterator[tuple[Step, str]]:
    """Run the commands of a page in a folder of their own, and give what each printed, errors and all."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for part in ("hdl", "vectors", "docs"):
            (folder / part).symlink_to(ROOT / part)
        (folder / ".bin").mkdir()
        for name, call in (("halfsim", "-c 'from halfsim.cli import main; main(prog_name="halfsim")'"), ("python", "")):
            command = folder / ".bin" / name
            command.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {call} "$@"\n')
            command.chmod(0o755)
        paths = {"PATH": f"{folder / '.bin'}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT), "COLUMNS": "100"}
        for step in steps(text):
            done = subprocess.run(
                ["bash", "-c", step.command],
                cwd=folder,
                env={**os.environ, **paths, "OMP_NUM_THREADS": "1"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=600,
            )
            yield step, done.stdout


def _fill(path: Path) -> bool:
    """Write what commands print below those that show nothing, and report differences."""
    text = path.read_text()
    filled, end, equal = [], 0, True
    for step, printed in run(text):
        filled.append(text[end : step.place])
        end = step.place
        if not step.shown:
            filled.append("".join(f"{line.rstrip()}\n" for line in printed.splitlines()))
        elif not step.agrees(printed):
            equal = False
            print(f"{path}: $ {step.command}\n{printed}")
    path.write_text("".join([*filled, text[end:]]))
    return equal


if __name__ == "__main__":
    sys.exit(not all([_fill(Path(name)) for name in sys.argv[1:]]))
