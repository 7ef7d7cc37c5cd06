"""Every source in docs/references.bib is cited, and every citation has its entry.

A citation is ``[@key]`` in code and in the pages that are shown as they are, ``{cite}`key``` in those of the site.
"""

from __future__ import annotations

import re
from pathlib import Path

CITED = ("halfsim/**/*.py", "tests/**/*.py", "docs/**/*.md", "README.md", "vectors/**/*.md")


def test_citations_and_entries_are_the_same(root: Path) -> None:
    entries = re.findall(r"^@\w+\{([\w-]+),$", (root / "docs" / "references.bib").read_text(), re.MULTILINE)
    assert len(entries) == len(set(entries)) > 20
    files = {path for pattern in CITED for path in root.glob(pattern)} - {Path(__file__)}
    cited = set()
    for path in files:
        text = path.read_text()
        cited |= set(re.findall(r"\[@([\w-]+)\]", text))
        for keys in re.findall(r"\{cite(?::\w+)?\}`([\w, -]+)`", text):
            cited |= set(keys.replace(" ", "").split(","))
    assert set(entries) == cited
