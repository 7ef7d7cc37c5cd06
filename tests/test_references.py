"""Every source in docs/references.bib is cited, as ``[@key]``, and every citation has its entry."""

from __future__ import annotations

import re
from pathlib import Path

CITED = ("halfsim/**/*.py", "tests/**/*.py", "docs/**/*.md", "README.md", "vectors/**/*.md")


def test_citations_and_entries_are_the_same(root: Path) -> None:
    entries = re.findall(r"^@\w+\{([\w-]+),$", (root / "docs" / "references.bib").read_text(), re.MULTILINE)
    assert len(entries) == len(set(entries)) > 20
    files = {path for pattern in CITED for path in root.glob(pattern)} - {Path(__file__)}
    cited = {key for path in files for key in re.findall(r"\[@([\w-]+)\]", path.read_text())}
    assert set(entries) == cited
