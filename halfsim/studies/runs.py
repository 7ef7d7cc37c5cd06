"""Make one run in its folder, or go on with one that was stopped."""

from __future__ import annotations

import platform
import time
from collections.abc import Mapping
from typing import Any

import numba
import numpy as np

from halfsim import __version__
from halfsim.kernels.threads import get_num_threads
from halfsim.studies.folder import Events, RunFolder
from halfsim.studies.journal import Journal
from halfsim.training.experiment import Experiment
from halfsim.training.trainer import Trainer

__all__ = ["perform", "provenance"]

_LONGEST = 1.0
"""Seconds between two checkpoints, or a step if that takes longer; in between the journal keeps every step."""


def perform(experiment: Experiment, config: Mapping[str, Any], folder: RunFolder) -> None:
    """Run an experiment from the last step that the folder knows, or from the start, and write its summary.

    Two that make the same run take turns, and the second finds it finished.

    Parameters
    ----------
    experiment : Experiment
        What is run.
    config : dict
        Its resolved configuration.
    folder : RunFolder
        Where.
    """
    with folder.events() as events, folder.journal() as journal:
        if folder.summary() is not None:
            return
        folder.describe(config)
        trainer, seconds = _resumed(experiment, folder, events, journal)
        began = saved = time.monotonic()
        while not trainer.done:
            events.append(trainer.advance().lines)
            now = time.monotonic()
            if now - saved >= _LONGEST or trainer.done:
                folder.save_checkpoint(trainer.state(), events, seconds + now - began)
                saved = now
            else:
                folder.note(trainer.state(), events, seconds + now - began, journal)
        journal.remove()
        folder.save_histograms()
        folder.finish(
            {
                "config": config,
                "seed": experiment.seed,
                **trainer.record().summary(),
                "seconds": round(seconds + time.monotonic() - began, 3),
                "provenance": provenance(),
            }
        )


def _resumed(experiment: Experiment, folder: RunFolder, events: Events, journal: Journal) -> tuple[Trainer, float]:
    """Return the trainer after the last step that is kept, if there is one, and the seconds spent."""
    trainer, found = Trainer(experiment), folder.last_state(events, journal)
    if found is None:
        events.clear()
        return trainer, 0.0
    trainer.restore(found[0])
    return trainer, found[1]


def provenance() -> dict[str, Any]:
    """Return what computes: versions and machine."""
    return {
        "halfsim": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "numba": numba.__version__,
        "machine": platform.machine(),
        "processor": _processor(),
        "threads": get_num_threads(),
        "system": platform.system(),
    }


def _processor() -> str:
    """Return the name of the processor, where the system tells."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.processor()
