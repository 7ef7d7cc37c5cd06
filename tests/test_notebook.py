"""The notebook of the course is stored without outputs, and every exercise has a solution that checks itself."""

from __future__ import annotations

import ast
import json
import re
from itertools import pairwise
from typing import Any

import pytest

from tests.processes import ROOT

(NOTEBOOK,) = (ROOT / "docs" / "notebooks").glob("*.ipynb")


@pytest.fixture(scope="module")
def cells() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(NOTEBOOK.read_text())["cells"]
    return [{**cell, "source": "".join(cell["source"])} for cell in found]


def test_nothing_is_stored_but_the_sources(cells: list[dict[str, Any]]) -> None:
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)
    assert NOTEBOOK.stat().st_size < 50_000


def test_every_exercise_has_a_solution_that_checks_itself(cells: list[dict[str, Any]]) -> None:
    asked = [i for i, cell in enumerate(cells) if cell["source"].startswith("**Exercise ")]
    numbers = [int(re.findall(r"\d+", cells[i]["source"])[0]) for i in asked]
    assert numbers == list(range(1, len(asked) + 1))
    for i, number in zip(asked, numbers, strict=True):
        answer, solution = cells[i + 1], cells[i + 2]
        assert answer["source"] == "# Your answer."
        assert solution["source"].startswith(f"# Solution {number}.\n")
        assert solution["metadata"]["jupyter"]["source_hidden"]
        assert any(isinstance(node, ast.Assert) for node in ast.walk(ast.parse(solution["source"])))


def test_every_section_ends_in_an_exercise(cells: list[dict[str, Any]]) -> None:
    numbered = re.compile(r"^## \d\. ", re.MULTILINE)
    starts = [i for i, cell in enumerate(cells) if cell["source"].startswith("## ")]
    sections = ["\n".join(cell["source"] for cell in cells[one:other]) for one, other in pairwise(starts)]
    assert len(sections) == 6
    assert all(numbered.match(section) and "# Solution " in section for section in sections)
