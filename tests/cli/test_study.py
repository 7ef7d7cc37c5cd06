"""`halfsim study`: the list, and a report without a run."""

from __future__ import annotations

import re
from pathlib import Path

from tests.cli.running import invoke


def test_a_report_needs_a_run(tmp_path: Path) -> None:
    shown = invoke("study", "report", "quickstart", "--out", str(tmp_path / "none"))
    assert shown.exit_code == 1
    assert "run halfsim study run quickstart first" in shown.stderr
    assert shown.stderr.count("\n") == 1


def test_studies_are_listed() -> None:
    assert re.search(r"^quickstart +\w", invoke("study", "list").stdout, re.M)
