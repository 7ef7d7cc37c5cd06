"""The rows: well formed, and with peers whose answers are halfsim's unless they are known to be wrong."""

from __future__ import annotations

import itertools
import re
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
import pytest

from halfsim.benchmarks import FAMILIES, ROWS, Row, Sizes
from halfsim.benchmarks.measure import _answer, _check
from halfsim.benchmarks.rows import OURS

SIZES = Sizes(3000, 48)
# pychop overflows, breaks ties and rounds to odd otherwise, and knows no -0.
MAY_DIFFER = {("pychop", "")}
# Of the targets' peers, those that are no requirement of the tests.
OPTIONAL = {"torch half", "softfloatpy", "mmasim"}


def test_names_are_unique_and_families_are_whole() -> None:
    assert len({(row.family, row.name) for row in ROWS}) == len(ROWS) > 70
    assert [row.family for row in ROWS].count("tensor cores") == 6
    assert {"convert", "arithmetic", "modes", "flags", "stochastic", "call", "tensor cores"} <= set(FAMILIES)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.family}: {row.name}")
def test_a_row_makes_a_case_whose_answers_agree(row: Row) -> None:
    case = row.make(SIZES)
    names = [contender.name for contender in (case.ours, *case.peers)]
    assert names[0] == OURS
    assert len(set(names)) == len(names)
    assert case.roof in names
    assert set(row.targets) <= {*names, *OPTIONAL}
    assert all(0 < floor <= goal for floor, goal in row.targets.values())
    assert case.ours.work > 0
    assert case.ours.bytes > 0
    with np.errstate(all="ignore"):
        mine = _answer(case.ours)
        for peer in case.peers:
            compared, differ = _check(mine, peer)
            assert compared > 0 or peer.note, f"{peer.name} is not compared and nobody says why"
            if not any(peer.name == name and row.name.startswith(start) for name, start in MAY_DIFFER):
                assert differ == 0, peer.name


def test_rows_of_a_family_stand_together() -> None:
    families = [row.family for row in ROWS]
    assert [name for i, name in enumerate(families) if name not in families[:i]] == list(FAMILIES)
    assert sum(a != b for a, b in itertools.pairwise(families)) == len(FAMILIES) - 1


def test_pytest_finds_the_rows_and_the_page_says_how_large_they_are(root: Path, pytestconfig: pytest.Config) -> None:
    assert any(fnmatch("bench_rows.py", pattern) for pattern in pytestconfig.getini("python_files"))
    source = (root / "benchmarks" / "bench_rows.py").read_text(encoding="utf-8")
    sizes = re.search(r"^SIZES = Sizes\(([\d_]+), (\d+)\)$", source, re.MULTILINE)
    assert sizes
    elements, order = map(int, sizes.groups())
    page = (root / "docs" / "performance.md").read_text(encoding="utf-8")
    assert f"operands have {elements:,} elements and products are {order} x {order} x {order}" in page
