"""A configuration and its sweep as a study of its own: every combination of values a row, every seed a run."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from halfsim.studies.grid import Part, Variant
from halfsim.studies.study import Study
from halfsim.training.config import ConfigError, Point, expand, experiment, read
from halfsim.training.experiment import Experiment

__all__ = ["configured"]

_SHOWN = 6


def configured(path: Path, changes: Iterable[str] = ()) -> tuple[Study, list[int]]:
    """Return the study that a TOML file describes, and its seeds.

    Parameters
    ----------
    path : Path
        See `halfsim.training.config`.
    changes : iterable of str
        ``key=value`` each: changes of the file's keys.

    Raises
    ------
    ConfigError
        For the first mistake; nothing is run before all combinations are checked.
    """
    table = read(path, changes)
    if "seed" in (together := table["sweep"].get("zip", [])):
        raise ConfigError(f"{path}: sweep.zip={together!r} must not have seed: every row is run with every seed")
    seeds: dict[int, None] = {}
    rows: dict[str, Experiment] = {}
    for point in expand(table, str(path)):
        made = experiment(point.table, str(path))
        seeds[made.seed] = None
        rows.setdefault(_name(point, made), made)
    first = next(iter(rows.values()))
    part = Part(
        name="runs",
        title=path.stem,
        claim="",
        task=first.task,
        settings=first.settings,
        variants=tuple(
            Variant(name=name, policy=made.policy, settings=made.settings, task=made.task)
            for name, made in rows.items()
        ),
        shown=tuple(rows)[:_SHOWN],
    )
    return Study(name=path.stem, summary=f"runs of {path.name}", claim="", parts=(part,)), list(seeds)


def _name(point: Point, made: Experiment) -> str:
    """Return the name of a row: what tells it from the others, or its policy's if there are no others."""
    values = {key: value for key, value in point.changes.items() if key != "seed"}
    return ", ".join(f"{key}={value}" for key, value in values.items()) or made.policy.name
