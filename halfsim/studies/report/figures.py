"""Which figures a study has: curves, gradients, loss scales and memory of its runs, and those of its tables."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from halfsim import plotting
from halfsim.plotting import Look
from halfsim.plotting.bars import bar_names
from halfsim.studies.report.drawing import Drawing, slug
from halfsim.studies.report.gradients import constant_scale, loss_scale_kind
from halfsim.studies.report.maps import ledger_maps
from halfsim.studies.report.measures import measure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["drawings", "table_drawing"]

Run: TypeAlias = Mapping[str, Any]
Part: TypeAlias = Mapping[str, Any]
_NARROW = (5.2, 4.2)
_BARS = (plotting.memory_bars, plotting.required_scale)
"""Figures with a bar per row of their table."""


def drawings(part: Part, runs: Sequence[Run], looks: Mapping[str, Look], folder: Path) -> list[Drawing]:
    """Return the figures of the runs of a part.

    Parameters
    ----------
    part : mapping
        As ``results.json`` holds it.
    runs : sequence of mapping
        Its runs.
    looks : mapping of variant to Look
        The same for all parts of a study.
    folder : Path
        Of the runs; ``RUN/events.jsonl`` in it is read for the maps.
    """
    groups = {name: [run for run in runs if run["variant"] == name] for name in part["names"]}
    groups = {name: found for name, found in groups.items() if found}
    if not groups:
        return []
    shown = {name: found for name, found in groups.items() if name in part["shown"]} or groups
    made = [
        *_curves(part, shown, looks),
        _gradients(part, runs),
        _scales(part, groups, looks),
        ledger_maps(part, shown, folder),
        _memory(part, groups),
    ]
    return [drawing for drawing in made if drawing is not None]


def _curves(part: Part, shown: Mapping[str, Sequence[Run]], looks: Mapping[str, Look]) -> list[Drawing]:
    steps = sorted(set.intersection(*(set(run["steps"]) for found in shown.values() for run in found)))
    names = list(dict.fromkeys(name for found in shown.values() for run in found for name in run["measures"]))
    skipped = {name: sorted({step for run in found for step in run["skipped"]}) for name, found in shown.items()}
    return [_curve(part, shown, looks, name, steps, skipped) for name in names] if steps else []


def _curve(
    part: Part,
    shown: Mapping[str, Sequence[Run]],
    looks: Mapping[str, Look],
    name: str,
    steps: Sequence[int],
    skipped: Mapping[str, Sequence[int]],
) -> Drawing:
    how = measure(name)
    curves = [
        (variant, [_at(run, name, steps) for run in found if name in run["measures"]])
        for variant, found in shown.items()
    ]
    curves = [(variant, values) for variant, values in curves if values]
    finite = [value for _, values in curves for line in values for value in line if math.isfinite(value)]
    steep = how.factor == 1 and bool(finite) and min(finite) > 0 and max(finite) > 30 * min(finite)

    def draw(figure: Figure) -> None:
        ticks = {variant: skipped[variant] for variant, _ in curves}
        plotting.learning_curves(
            figure.subplots(), steps, curves, ylabel=how.label, percent=how.factor == 100, log=steep, skipped=ticks,
            looks=looks,
        )  # fmt: skip

    seeds = {variant: [run["seed"] for run in found if name in run["measures"]] for variant, found in shown.items()}
    rows = [
        {"variant": variant, "seed": seed, "step": step, name: value}
        for variant, values in curves
        for seed, line in zip(seeds[variant], values, strict=True)
        for step, value in zip(steps, line, strict=True)
    ]
    return Drawing(
        name=slug(part["name"], name),
        title=how.label[:1].upper() + how.label[1:],
        caption="Mean over seeds; bands are one standard deviation wide on either side.",
        size=_NARROW,
        draw=draw,
        rows=rows,
    )


def _at(run: Run, name: str, steps: Sequence[int]) -> list[float]:
    values = dict(zip(run["steps"], run["measures"][name], strict=False))
    return [math.nan if values.get(step) is None else float(values[step]) for step in steps]


def _gradients(part: Part, runs: Sequence[Run]) -> Drawing | None:
    found = part.get("gradients")
    if not found:
        return None
    totals, lowest, scaled = found["counts"], found["lowest"], found["scaled"]
    # What a scale has moved already is not moved again.
    scale = None if scaled else constant_scale(runs)

    def draw(figure: Figure) -> None:
        curves = [(f"{kind}s", counts) for kind, counts in totals.items()]
        plotting.gradient_histogram(figure.subplots(), curves, lowest=lowest, scale=scale, scaled=scaled)

    last = len(next(iter(totals.values()))) - 1
    edges = ["zero", *(str(lowest + i) for i in range(last - 1)), "not finite"]
    rows = [{"exponent": edge, **{kind: counts[i] for kind, counts in totals.items()}} for i, edge in enumerate(edges)]
    arrow = "" if scale is None else " The arrow is as long as the largest constant loss scale moves them."
    return Drawing(
        name=slug(part["name"], "gradients"),
        title=f"Gradients of {found['row']}, {'with its' if scaled else 'without'} loss scale, all layers and seeds",
        caption=f"Shaded is what binary16 stores as zero, as a subnormal number and as infinity.{arrow}",
        size=(5.6, 4.2),
        draw=draw,
        rows=rows,
    )


def _scales(part: Part, groups: Mapping[str, Sequence[Run]], looks: Mapping[str, Look]) -> Drawing | None:
    """Draw S(t) of the variants whose scale moves; None if none does. Scales per layer have no single S(t)."""
    lines: dict[tuple[str, str], list[tuple[int, list[tuple[int, float]], list[int]]]] = {}
    for variant, found in groups.items():
        for run in (run for run in found if loss_scale_kind(run) != "layer"):
            phases = run.get("phases") or {"": run}
            for phase, curve in phases.items():
                scale = [(int(step), float(value)) for step, value in curve["scale"]]
                lines.setdefault((variant, phase), []).append((run["seed"], scale, list(curve["skipped"])))
    moving = {key: runs for key, runs in lines.items() if any(len(scale) > 1 or skips for _, scale, skips in runs)}
    if not moving:
        return None
    names = {key: f"{key[0]}, {key[1]}" if key[1] else key[0] for key in moving}
    last = max(run["steps"][-1] for found in groups.values() for run in found if run["steps"])

    def draw(figure: Figure) -> None:
        curves = [(names[key], [scale for _, scale, _ in runs]) for key, runs in moving.items()]
        skipped = {names[key]: sorted({step for run in runs for step in run[2]}) for key, runs in moving.items()}
        own = {names[key]: looks[key[0]] for key in moving if not key[1]}
        plotting.loss_scale(figure.subplots(), curves, last=last, skipped=skipped, looks=own)

    rows = [
        {"variant": names[key], "seed": seed, "from step": step, "scale": value}
        for key, runs in moving.items()
        for seed, scale, _ in runs
        for step, value in scale
    ]
    return Drawing(
        name=slug(part["name"], "scale"),
        title="Loss scale",
        caption="One line per seed; ticks at the foot are steps whose gradient overflowed: the update was skipped.",
        size=_NARROW,
        draw=draw,
        rows=rows,
    )


def _memory(part: Part, groups: Mapping[str, Sequence[Run]]) -> Drawing | None:
    rows = [{"policy": name, **found[0]["bytes"]} for name, found in groups.items() if found[0].get("bytes")]
    if not rows:
        return None

    lines = max(name.count("\n") + 1 for name in bar_names(list(groups)))

    def draw(figure: Figure) -> None:
        plotting.memory_bars(figure.subplots(), rows)

    return Drawing(
        name=slug(part["name"], "memory"),
        title="Memory",
        caption="Bytes of the arrays that one step of training holds, and their ratio to the first bar.",
        size=(5.6, 1.9 + max(0.34, 0.16 * lines + 0.06) * len(rows)),
        draw=draw,
        rows=[{column: row.get(column, 0) for column in dict.fromkeys(k for r in rows for k in r)} for row in rows],
    )


def table_drawing(part: Part, function: Callable[..., Any], looks: Mapping[str, Look]) -> Drawing:
    """Return the figure that a computed table names.

    Parameters
    ----------
    part : mapping
        The table, as ``results.json`` holds it.
    function : callable
        Of `halfsim.plotting`, or one that is called alike: axes, rows, and the table's ``drawing`` by keyword.
    looks : mapping of name to Look
        Passed to functions that take it.
    """
    import inspect

    options = dict(part["drawing"])
    if "looks" in inspect.signature(function).parameters:
        options["looks"] = looks

    def draw(figure: Figure) -> None:
        function(figure.subplots(), part["rows"], **options)

    return Drawing(
        name=slug(part["name"]),
        title=part["title"],
        caption=part["caption"],
        size=(6.0, 2.2 + 0.36 * len(part["rows"]) if function in _BARS else 4.6),
        draw=draw,
        rows=part["rows"],
    )
