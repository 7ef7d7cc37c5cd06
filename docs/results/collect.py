"""Copy what finished studies left into this folder: reports, tables, figures and configurations, and an index.

Run it as ``make results`` after ``make studies``.
"""

from __future__ import annotations

import math
import shutil
import sys
from pathlib import Path
from typing import Any

from halfsim.studies import STUDIES
from halfsim.studies.report.drawing import slug
from halfsim.studies.report.text import cited
from halfsim.studies.store import load, write_atomically

_HEAD = """# Results

What `make studies` found, as it was found; nothing here is written by hand but these paragraphs. A folder per study:
`report.md` and the same with figures as `report.html`, the numbers of every run in `results.csv`, computed tables,
figures and the numbers they show, the configuration of every row for its first seed (`halfsim train FILE` repeats that
run), and function, arguments and data of every computed table. Runs are named by their configuration, their data and
the sources that made them, which may be older than these pages; the tests repeat them and compare the weights.

The networks have thousands of parameters and train in seconds on small data. They show when and why each claim holds,
down to the bit; they do not show the accuracies of large networks, and a check that is met here is no proof for those.
Equal results within the noise between seeds are equal for this many seeds. What a study cannot claim stands at its end.
"""


def main(runs: Path, out: Path) -> None:
    """Copy, and write the index."""
    lines = [_HEAD]
    for name, study in STUDIES.items():
        found = load(runs / name / "results.json")
        if found is None:
            raise SystemExit(f"{runs / name} holds no results: run make studies first")
        _copy(runs / name, out / name, found)
        lines += [f"## {name}", "", cited(study.claim), ""]
        if study.paper:
            lines += [f"**The paper.** {cited(study.paper)}", ""]
        lines += _checks(found["checks"])
        lines += [f"[report]({name}/report.md) · [with figures]({name}/report.html)", ""]
    write_atomically(out / "README.md", "\n".join(lines))


def _copy(source: Path, target: Path, found: dict[str, Any]) -> None:
    if target.exists():
        shutil.rmtree(target)
    target.mkdir(parents=True)
    for name in ("report.md", "report.html", "results.csv"):
        if (source / name).exists():
            shutil.copy(source / name, target / name)
    if (source / "tables").exists():
        shutil.copytree(source / "tables", target / "tables")
    for pattern in ("*.svg", "*.csv"):
        for file in sorted((source / "figures").glob(pattern)):
            (target / "figures").mkdir(exist_ok=True)
            shutil.copy(file, target / "figures" / file.name)
    for run in found["runs"]:
        if run["seed"] == 0:
            name = f"{run['part']}, {run['variant']}.toml".replace("/", "-")
            (target / "configs").mkdir(exist_ok=True)
            shutil.copy(source / "runs" / run["id"] / "config.toml", target / "configs" / name)
    for part in found["parts"]:
        if "rows" in part:
            (target / "configs" / "tables").mkdir(parents=True, exist_ok=True)
            copied = target / "configs" / "tables" / f"{slug(part['name'])}.toml"
            shutil.copy(source / "runs" / part["id"] / "config.toml", copied)


def _checks(checks: list[dict[str, Any]]) -> list[str]:
    if not checks:
        return []
    rows = ["| expected | range | found |", "| --- | --- | --- |"]
    for check in checks:
        value = "none" if check["found"] is None else f"{check['found']:.4g}"
        mark = " **not met**" if check["passed"] is False else ""
        limits = f"{_bound(check['low'])} … {_bound(check['high'])}"
        rows.append(f"| {check['part']}: {check['name']} | {limits} | {value}{mark} |")
    return [*rows, ""]


def _bound(value: float) -> str:
    """Return a bound as a number, or as a power of two where that is short and the number is not."""
    fraction, exponent = math.frexp(value)
    return f"2^{exponent - 1}" if fraction == 0.5 and value >= 1e6 else f"{value:g}"


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
