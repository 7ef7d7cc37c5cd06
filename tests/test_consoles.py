"""The commands of the site's pages do what the pages say: ``console`` blocks run in order and print what is shown.

A block of code with a caption is a file of that name.
"""

from __future__ import annotations

import doctest
import re
import shutil
from pathlib import Path

import pytest

from tests.processes import ROOT, shell

FOLDERS = ("start", "tutorials", "howto", "reference", "explanation")
PAGES = [page for folder in FOLDERS for page in sorted((ROOT / "docs" / folder).glob("*.md"))]
BLOCK = re.compile(r"^```(?:(console)|\{code-block\} \w+\n:caption: (\S+)\n)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^\$ ((?:.*\\\n)*.*)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)
TOOLS = ("iverilog",)
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "page", [page for page in PAGES if "```console" in page.read_text()], ids=lambda page: page.stem
)
def test_commands_of_a_page(page: Path, tmp_path: Path) -> None:
    text = page.read_text()
    for tool in TOOLS:
        if re.search(rf"^\$ {tool} ", text, re.MULTILINE) and shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")
    for name in ("docs", "hdl", "vectors"):
        (tmp_path / name).symlink_to(ROOT / name)
    blocks = BLOCK.findall(text)
    assert len([console for console, *_ in blocks if console]) == text.count("```console")
    for console, name, content in blocks:
        if not console:
            (tmp_path / name).write_text(content)
            continue
        commands = COMMAND.findall(content)
        assert "".join(f"$ {command}\n{shown}" for command, shown in commands) == content
        for command, shown in commands:
            done = shell(tmp_path, f"exec 2>&1; set -o pipefail\n{command}")  # both outputs, as a terminal shows them
            printed = done.stdout
            if shown:
                assert doctest.OutputChecker().check_output(shown, printed, OPTIONS), f"$ {command}\n{printed}"
            else:
                assert done.returncode == 0, f"$ {command}\n{printed}"
