"""Write the results of a study: one JSON file, tables for programs, a report to read, figures."""

from __future__ import annotations

import importlib
import io
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from halfsim.studies.report.checks import evaluate
from halfsim.studies.report.drawing import slug
from halfsim.studies.report.gradients import gradients_of
from halfsim.studies.report.provenance import data_of, provenance_of
from halfsim.studies.report.summary import rows, summarise
from halfsim.studies.report.text import markdown
from halfsim.studies.store import load, save, save_table, write_atomically

if TYPE_CHECKING:
    from halfsim.studies.report.drawing import Drawing
    from halfsim.studies.study import Study

__all__ = ["read", "write"]

Result = Mapping[str, Any]


def write(study: Study, runs: Sequence[Result], tables: Sequence[Result], out: Path) -> dict[str, Any]:
    """Write everything a study leaves; the same results give the same bytes.

    Parameters
    ----------
    study : Study
        Claim, parts and checks.
    runs, tables : sequence of mapping
        Summaries of the runs, with ``part`` and ``variant``, and of the computed tables, with ``part`` and ``rows``.
    out : Path
        Folder: ``results.json``, ``report.md``, ``report.html``, ``results.csv`` and ``results.parquet`` if there are
        runs, ``tables/`` with the computed tables, and ``figures/`` with a PNG, an SVG and a CSV file each. The events
        of the runs are read from ``runs/``.

    Returns
    -------
    dict
        What ``results.json`` holds.
    """
    save(out / "results.json", describe(study, runs, tables))
    # What is shown is what a later call finds on disk.
    results: dict[str, Any] = load(out / "results.json")
    flat = rows(runs)
    if flat:
        save_table(out / "results.csv", flat)
        _with("pyarrow", "results.parquet", lambda: write_atomically(out / "results.parquet", _parquet(flat)))
    for part in results["parts"]:
        if "rows" in part:
            save_table(out / "tables" / f"{slug(part['name'])}.csv", part["rows"])
    write_atomically(out / "report.md", markdown(results))
    _with("matplotlib", "figures", lambda: _draw(results, out))
    return results


def describe(study: Study, runs: Sequence[Result], tables: Sequence[Result]) -> dict[str, Any]:
    """Return what ``results.json`` holds."""
    computed = {table["part"]: table for table in tables}
    parts = [_part(part, runs, computed) for part in study.parts]
    return {
        "study": study.name,
        "summary": study.summary,
        "claim": study.claim,
        "paper": study.paper,
        "limits": study.limits,
        "parts": parts,
        "checks": evaluate(study.checks, parts),
        "provenance": provenance_of([*runs, *tables]),
        "runs": list(runs),
    }


def _part(part: Any, runs: Sequence[Result], computed: Mapping[str, Result]) -> dict[str, Any]:
    head = {"name": part.name, "title": part.title, "claim": part.claim}
    if part.name in computed:
        table = computed[part.name]
        found = list(table["rows"])
        columns = list(part.columns) or list(dict.fromkeys(column for row in found for column in row))
        return {
            **head,
            "id": table["id"],
            "data": [one["name"] for one in data_of([table])],
            "function": table["config"].get("function", ""),
            "arguments": table["config"].get("arguments", {}),
            "columns": columns,
            "rows": found,
            "figure": part.figure,
            "drawing": dict(part.drawing),
            "caption": part.caption,
        }
    names = [row.name for row in part.rows]
    mine = [run for run in runs if run["part"] == part.name]
    held: dict[str, Any] = {name: next((run["bytes"] for run in mine if run["variant"] == name), {}) for name in names}
    return {
        **head,
        "data": [one["name"] for one in data_of(mine)],
        "names": names,
        "shown": list(part.shown),
        "summary": summarise(runs, part.name, names),
        "bytes": {name: found for name, found in held.items() if found},
        "gradients": gradients_of(names, mine),
    }


def _parquet(flat: Sequence[Result]) -> bytes:
    import pyarrow as pa
    from pyarrow import parquet

    content = io.BytesIO()
    parquet.write_table(pa.Table.from_pylist([dict(row) for row in flat]), content, compression="zstd")
    return content.getvalue()


def _draw(results: Mapping[str, Any], out: Path) -> None:
    """Write the figures, and the page that shows them."""
    from halfsim.plotting import palette
    from halfsim.studies.report.drawing import save_drawing
    from halfsim.studies.report.page import page

    looks = palette(name for part in results["parts"] for name in part.get("names", ()))
    taken: set[str] = set()
    drawn = []
    for part in results["parts"]:
        mine = [_named(drawing, taken) for drawing in _drawings(part, results, looks, out)]
        drawn.append([(drawing, save_drawing(drawing, out / "figures")) for drawing in mine])
    _with("jinja2", "report.html", lambda: write_atomically(out / "report.html", page(results, drawn)))


def _named(drawing: Drawing, taken: set[str]) -> Drawing:
    """Return the drawing under a name that no other has, whatever the letter case, and note it."""
    name, count = drawing.name, 1
    while name.lower() in taken:
        count += 1
        name = f"{drawing.name}-{count}"
    taken.add(name.lower())
    return replace(drawing, name=name)


def _drawings(part: Result, results: Result, looks: Any, out: Path) -> list[Drawing]:
    from halfsim.studies.report.figures import drawings, table_drawing

    if "names" in part:
        mine = [run for run in results["runs"] if run["part"] == part["name"]]
        return drawings(part, mine, looks, out / "runs")
    if not part["figure"]:
        return []
    module, _, name = part["figure"].partition(":")
    return [table_drawing(part, getattr(importlib.import_module(module), name), looks)]


def _with(package: str, what: str, make: Any) -> None:
    """Make something that needs a package; without it, say so and go on: the numbers are kept."""
    try:
        make()
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != package:
            raise
        print(f"{what}: not written, {package} is not installed; pip install 'halfsim[studies]'", file=sys.stderr)


def read(name: str, out: Path) -> str:
    """Return the report of a finished study as text.

    Raises
    ------
    FileNotFoundError
        If the folder holds none.
    """
    study = load(out / "results.json")
    if study is None or study.get("study") != name:
        raise FileNotFoundError(f"report: {out} holds no results of {name}; halfsim study run {name} makes them")
    return markdown(study)
