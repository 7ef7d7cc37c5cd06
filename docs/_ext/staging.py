"""What lies outside of the sources of the site and goes into it as it is: reports of studies, the explorer."""

from __future__ import annotations

import shutil
from pathlib import Path

from halfsim.explore.page import export

__all__ = ["STAGED", "stage"]

_DOCS = Path(__file__).resolve().parents[1]
STAGED = _DOCS / "_build" / "extra"


def stage() -> None:
    """Copy every study's report to ``reports/NAME.html``, and write the explorer to where its page looks for it."""
    shutil.rmtree(STAGED, ignore_errors=True)
    reports = STAGED / "reports"
    reports.mkdir(parents=True)
    for report in sorted(_DOCS.glob("results/*/report.html")):
        # Beside results/NAME/report.md, whose page has that very name.
        shutil.copy2(report, reports / f"{report.parent.name}.html")
    export(STAGED / "explorer" / "page")
