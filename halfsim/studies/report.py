"""Tables of a study: mean and standard deviation over seeds, and differences to the baseline seed by seed."""

from __future__ import annotations

import platform
import statistics
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numba
import numpy as np

from halfsim import __version__
from halfsim.studies.grid import Part
from halfsim.studies.store import load, save, save_table, write_atomically

__all__ = ["read", "rows", "summarise", "table", "write"]

_LEDGER = ("updates_lost", "gradients_flushed", "gradient_error")
_LEADING = ("accuracy", "loss")


def rows(runs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return one flat row per run, with every measure that some run has."""
    found = [name for run in runs for name in run["record"]["measures"]]
    names = list(dict.fromkeys([*_LEADING, *found]))
    return [
        {
            "part": run["part"],
            "policy": run["policy"],
            "seed": run["seed"],
            **{
                name: run["record"]["measures"][name][-1] if name in run["record"]["measures"] else None
                for name in names
            },
            **{name: run["record"]["ledger"][name] for name in _LEDGER},
            "steps_skipped": len(run["record"]["skipped"]),
            "final_scale": run["record"]["scale"][-1],
            "weights_sha256": run["record"]["weights_sha256"],
            "run": run["id"],
        }
        for run in runs
    ]


def summarise(runs: Sequence[dict[str, Any]], part: Part) -> list[dict[str, Any]]:
    """Return one row per policy: (mean, sd) of every measure, and of accuracy and loss less the baseline's."""
    runs = [run for run in runs if run["part"] == part.name]
    table = rows(runs)
    measures = [name for name in table[0] if name not in _LABELS]
    baseline = {row["seed"]: row for row in table if row["policy"] == part.policies[0].name}
    summary = []
    for policy in part.policies:
        mine = [row for row in table if row["policy"] == policy.name]
        row: dict[str, Any] = {"policy": policy.name, "seeds": len(mine)}
        for measure in measures:
            row[measure] = _spread([one[measure] for one in mine])
        for measure in _LEADING:
            pairs = [(one[measure], baseline[one["seed"]][measure]) for one in mine]
            row[f"{measure}_difference"] = _spread([None if None in pair else pair[0] - pair[1] for pair in pairs])
        summary.append(row)
    return summary


_KNOWN = ("policy", "seeds", *_LEADING, *_LEDGER, "steps_skipped", "accuracy_difference", "loss_difference")
_LABELS = ("part", "policy", "seed", "final_scale", "weights_sha256", "run")


def _spread(values: Sequence[float | None]) -> tuple[float, float] | None:
    """Return mean and sample standard deviation, None if a value is not a number."""
    numbers = [value for value in values if value is not None]
    if len(numbers) != len(values) or not numbers:
        return None
    return statistics.fmean(numbers), statistics.stdev(numbers) if len(numbers) > 1 else 0.0


def table(summary: Sequence[dict[str, Any]]) -> str:
    """Return the summary of a part as a Markdown table that also reads well as text."""
    extra = [name for name in summary[0] if name not in _KNOWN]
    head = ("policy", "accuracy %", "Δ", "loss", "Δ", *extra, "lost %", "flushed %", "error %")
    body = [
        (
            row["policy"],
            _cell(row["accuracy"], 100, 1),
            _cell(row["accuracy_difference"], 100, 1, signed=True) if i else "",
            _cell(row["loss"], 1, 3),
            _cell(row["loss_difference"], 1, 3, signed=True) if i else "",
            *(_cell(row[name], 1, 2) for name in extra),
            _cell(row["updates_lost"], 100, 1, spread=False),
            _cell(row["gradients_flushed"], 100, 1, spread=False),
            _cell(row["gradient_error"], 100, 2, spread=False),
        )
        for i, row in enumerate(summary)
    ]
    widths = [max(len(line[column]) for line in (head, *body)) for column in range(len(head))]
    lines = [
        _line(head, widths),
        "|" + "|".join("-" * (w + 1) + (":" if i else "-") for i, w in enumerate(widths)) + "|",
    ]
    return "\n".join(lines + [_line(line, widths) for line in body])


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [
        cell.rjust(width) if i else cell.ljust(width) for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return "| " + " | ".join(padded) + " |"


def _cell(
    value: Sequence[float] | None, factor: float, digits: int, *, signed: bool = False, spread: bool = True
) -> str:
    if value is None:
        return "NaN"
    sign = "+" if signed else ""
    mean = f"{factor * value[0]:{sign}.{digits}f}".replace("-", "−")
    return f"{mean} ± {factor * value[1]:.{digits}f}" if spread else mean


def text(study: dict[str, Any]) -> str:
    """Return the report as Markdown, from what ``results.json`` holds."""
    lines = [f"# {study['study']}: {study['summary']}", "", _wrap(study["claim"]), ""]
    for part in study["parts"]:
        lines += [f"## {part['title']}", "", _wrap(part["claim"]), "", table(part["summary"]), ""]
    seeds = max(row["seeds"] for part in study["parts"] for row in part["summary"])
    made = study["provenance"]
    lines += [
        _wrap(
            f"Test data, mean ± standard deviation over {seeds} seed{'s' if seeds > 1 else ''}; Δ is the difference to "
            "the first row, seed by seed. Loss: nats per example. Lost: updates Δw ≠ 0 that left the weight as it was "
            "(stochastic rounding moves few weights, each by a whole ulp, and is right on average). "
            "Flushed: gradients stored as zero that are not zero when the same operands are evaluated in binary32. "
            "Error: distance of the stored weight gradients from sums in binary32, relative, root mean square. The "
            "optimizer's state and arithmetic are binary32 under every policy."
        ),
        "",
        _wrap(
            f"Data: {made['data']}, sha256 {made['data_sha256']}. halfsim {made['halfsim']}, Python {made['python']}, "
            f"NumPy {made['numpy']}, Numba {made['numba']}, {made['machine']}."
        ),
    ]
    return "\n".join(lines) + "\n"


def _wrap(paragraph: str) -> str:
    return textwrap.fill(paragraph, 100, break_long_words=False, break_on_hyphens=False)


def write(
    name: str, summary: str, claim: str, parts: Sequence[Part], runs: Sequence[dict[str, Any]], out: Path
) -> None:
    """Write ``results.json``, ``results.csv`` and ``report.md``."""
    data = runs[0]["config"]["data"]
    study = {
        "study": name,
        "summary": summary,
        "claim": claim,
        "provenance": {
            "halfsim": __version__,
            "python": platform.python_version(),
            "numpy": np.__version__,
            "numba": numba.__version__,
            "machine": platform.machine(),
            "data": data["file"],
            "data_sha256": data["sha256"],
        },
        "parts": [{"name": p.name, "title": p.title, "claim": p.claim, "summary": summarise(runs, p)} for p in parts],
        "runs": list(runs),
    }
    save(out / "results.json", study)
    save_table(out / "results.csv", rows(runs))
    write_atomically(out / "report.md", text(load(out / "results.json")))


def read(name: str, out: Path) -> str:
    """Return the report of a finished study.

    Raises
    ------
    FileNotFoundError
        If the folder holds none.
    """
    study = load(out / "results.json")
    if study is None or study.get("study") != name:
        raise FileNotFoundError(f"report: {out} holds no results of {name}; halfsim study run {name} makes them")
    return text(study)
