"""Runs that a computed table is made of, each in a folder of its own: a kill costs the step in flight alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from halfsim.studies.folder import RunFolder
from halfsim.studies.grid import RunJob
from halfsim.training.experiment import Experiment
from halfsim.training.trainer import Trainer

__all__ = ["trained"]


def trained(experiment: Experiment, runs: Path | None) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the summary and the events of a run.

    Parameters
    ----------
    experiment : Experiment
        What is run.
    runs : Path or None
        The folder of all runs: the run is made there, gone on with, or found finished. None makes it and keeps nothing.

    Examples
    --------
    >>> from halfsim.policy import named
    >>> from halfsim.studies.recipes import DIGITS, SMALL_STEPS
    >>> from dataclasses import replace
    >>> brief = replace(SMALL_STEPS, steps=2, evaluate_every=2)
    >>> summary, events = trained(Experiment(task=DIGITS, settings=brief, policy=named("mixed"), seed=0), None)
    >>> summary["steps"], [event["step"] for event in events if "loss" in event]
    ([0, 2], [0, 1])
    """
    if runs is None:
        trainer = Trainer(experiment)
        events = [line for _ in range(experiment.settings.steps) for line in trainer.advance().lines]
        return trainer.record().summary(), events
    job = RunJob(part="", variant="", experiment=experiment)
    job.perform(runs)
    folder = RunFolder(runs / job.id)
    summary = folder.summary()
    if summary is None:
        raise FileNotFoundError(f"trained: {folder.path} has lost its summary; run the study again")
    return summary, list(folder.read_events())
