"""The grid of a study: tasks under policies, computed tables, and the list of jobs they make with the seeds."""

from __future__ import annotations

import importlib
import inspect
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from halfsim import __version__
from halfsim.policy import Policy
from halfsim.studies.cells import Cell, fresh
from halfsim.studies.folder import RunFolder
from halfsim.studies.runs import perform, provenance
from halfsim.studies.store import plain, run_id, source_digest
from halfsim.training.experiment import Experiment, Settings
from halfsim.training.tasks import Task

__all__ = ["Job", "Part", "RunJob", "Table", "TableJob", "Variant", "jobs_of"]


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One row of a part.

    Parameters
    ----------
    name : str
        Name in tables and figures.
    policy : Policy
        Precision.
    settings, task : Settings, Task, optional
        Instead of those of the part.

    Examples
    --------
    >>> from halfsim.policy import named
    >>> from halfsim.studies import Variant
    >>> Variant(name="as in the paper", policy=named("mixed")).settings is None
    True
    """

    name: str
    policy: Policy
    settings: Settings | None = None
    task: Task | None = None


@dataclass(frozen=True, kw_only=True)
class Part:
    """One task under several policies.

    Parameters
    ----------
    name, title : str
        Name in files, heading in reports.
    claim : str
        What the table is expected to show.
    task : Task
        Data and loss.
    settings : Settings
        Network, optimizer, length.
    policies : tuple of Policy
        Rows of the table, named as the policies are.
    variants : tuple of Variant
        More rows, after those of the policies. The first row is the baseline of the others, seed by seed.
    shown : tuple of str
        Rows whose learning curves are drawn.

    Raises
    ------
    ValueError
        If there are no rows, two of one name, or one shown that is not there.

    Examples
    --------
    >>> from halfsim.studies import STUDIES
    >>> [row.name for row in STUDIES["quickstart"].parts[0].rows][:2]
    ['binary32', 'master']
    """

    name: str
    title: str
    claim: str
    task: Task
    settings: Settings
    policies: tuple[Policy, ...] = ()
    variants: tuple[Variant, ...] = ()
    shown: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        names = [row.name for row in self.rows]
        if not names:
            raise ValueError(f"Part: {self.name} has neither policies nor variants")
        if len(set(names)) != len(names) or not set(self.shown) <= set(names):
            raise ValueError(f"Part: rows {names} must differ in name and include those shown, {list(self.shown)}")

    @property
    def rows(self) -> tuple[Variant, ...]:
        """All rows; the first is the baseline."""
        return (*(Variant(name=policy.name, policy=policy) for policy in self.policies), *self.variants)


@dataclass(frozen=True, kw_only=True)
class Table:
    """Numbers that are computed, not trained.

    Parameters
    ----------
    name, title : str
        Name in files, heading in reports.
    claim : str
        What the table is expected to show.
    function : str
        ``"package.module:function"``, a pure function of plain arguments that returns a list of dict, one per row. One
        that takes ``cells``, a `halfsim.studies.cells.Cell`, goes on with the cell at which it was killed.
    arguments : dict
        Its arguments: numbers, texts, and lists of them.
    tasks : tuple of Task
        Those whose data it reads: a table from other data is another table.
    trains : bool
        Whether it is made of runs: the function then takes the folder of all runs, ``runs``, to keep them in.
    columns : tuple of str
        Keys of the rows, in the order of the columns; the first names the row. All that there are by default.
    figure : str
        ``"package.module:function"`` that draws the rows, as those of `halfsim.plotting`; "" for none.
    drawing : dict
        Its keyword arguments.
    caption : str
        What the figure shows.

    Examples
    --------
    >>> from pathlib import Path
    >>> from halfsim.studies import Table
    >>> columns = {"function": "halfsim.studies.tables.memory:layers", "arguments": {"network": "AlexNet"}}
    >>> Table(name="layers", title="Layers", claim="", **columns).call(Path("runs"))[-1]["parameters"]
    60965224
    """

    name: str
    title: str
    claim: str
    function: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    tasks: tuple[Task, ...] = ()
    trains: bool = False
    columns: tuple[str, ...] = ()
    figure: str = ""
    drawing: Mapping[str, Any] = field(default_factory=dict)
    caption: str = ""

    def call(self, runs: Path, cells: Cell = fresh) -> list[dict[str, Any]]:
        """Compute the rows; `runs` is the folder of all runs.

        Parameters
        ----------
        runs : Path
            Folder of all runs; tables that train nothing do not read it.
        cells : Cell
            Knows the cells that are computed already, and keeps those that get computed.

        Returns
        -------
        list of dict
            The rows, column names to values.
        """
        module, _, name = self.function.partition(":")
        function: Callable[..., list[dict[str, Any]]] = getattr(importlib.import_module(module), name)
        known = {"cells": cells} if "cells" in inspect.signature(function).parameters else {}
        return function(**self.arguments, **({"runs": runs} if self.trains else {}), **known)


@dataclass(frozen=True, kw_only=True)
class RunJob:
    """One training run: an experiment, and where its results go.

    Parameters
    ----------
    part, variant : str
        Names of the part and of its row.
    experiment : Experiment
        The run.
    """

    part: str
    variant: str
    experiment: Experiment

    @cached_property
    def config(self) -> dict[str, Any]:
        """Everything that decides the bits of the run.

        The part and the name of the policy do not: equal runs are run once. Releases of NumPy do not either: of NumPy
        a run takes the words of a bit generator, and operations that round nothing.
        """
        config = self.experiment.config()
        policy = {key: value for key, value in config["policy"].items() if key != "name"}
        return {
            **config,
            "policy": policy,
            "data": _source(self.experiment.task),
            "code": {"version": __version__, "sha256": source_digest()},
        }

    @cached_property
    def id(self) -> str:
        """Name of the run's folder."""
        return run_id(self.config)

    @property
    def steps(self) -> int:
        """Steps of the run."""
        return self.experiment.settings.steps

    def perform(self, folder: Path) -> None:
        """Make the run, or go on with it, in its folder among those of all runs."""
        perform(self.experiment, self.config, RunFolder(folder / self.id))


@dataclass(frozen=True, kw_only=True)
class TableJob:
    """One computed table.

    Parameters
    ----------
    table : Table
        What is computed.
    """

    table: Table

    @property
    def part(self) -> str:
        """Name of the table."""
        return self.table.name

    variant = ""
    steps = 1

    @cached_property
    def config(self) -> dict[str, Any]:
        """Everything that decides the rows."""
        return {
            "function": self.table.function,
            "arguments": plain(self.table.arguments),
            "data": list({one["name"]: one for one in map(_source, self.table.tasks)}.values()),
            "code": {"version": __version__, "sha256": source_digest()},
        }

    @cached_property
    def id(self) -> str:
        """Name of the table's folder."""
        return run_id(self.config)

    def perform(self, folder: Path) -> None:
        """Compute the table in its folder among those of all runs."""
        mine = RunFolder(folder / self.id)
        with mine.events():
            if mine.summary() is not None:
                return
            mine.describe(self.config)
            started = time.perf_counter()
            cells = mine.cells()
            rows = self.table.call(folder, cells)
            seconds = round(time.perf_counter() - started, 3)
            mine.finish({"config": self.config, "rows": rows, "seconds": seconds, "provenance": provenance()})
            cells.remove()


def _source(task: Task) -> dict[str, str]:
    """Return which data a task has, and the file they come from."""
    data = task.data
    return {"name": data.name, "file": data.file, "sha256": data.sha256}


Job = RunJob | TableJob


def jobs_of(parts: Sequence[Part | Table], seeds: Sequence[int]) -> list[Job]:
    """Return the jobs of a grid, seed by seed, so that an interrupted study has whole seeds."""
    tables: list[Job] = [TableJob(table=part) for part in parts if isinstance(part, Table)]
    runs: list[Job] = [
        RunJob(
            part=part.name,
            variant=row.name,
            experiment=Experiment(
                task=row.task or part.task, settings=row.settings or part.settings, policy=row.policy, seed=seed
            ),
        )
        for seed in seeds
        for part in parts
        if isinstance(part, Part)
        for row in part.rows
    ]
    return [*runs, *tables]
