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
from halfsim.training.experiment import Experiment
from halfsim.training.trainer import Trainer

__all__ = ["perform", "provenance"]

_WORTH, _LONGEST = 20, 1.0
"""Between two checkpoints lies this many times the seconds that the last one took, but at most this many seconds; a
longer step has one of its own."""


def perform(experiment: Experiment, config: Mapping[str, Any], folder: RunFolder) -> None:
    """Run an experiment from the last checkpoint in the folder, or from the start, and write its summary.

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
    with folder.events() as events:
        if folder.summary() is not None:
            return
        folder.describe(config)
        trainer, seconds = _resumed(experiment, folder, events)
        began = saved = time.monotonic()
        cost = 0.0
        while not trainer.done:
            events.append(trainer.advance().lines)
            now = time.monotonic()
            if now - saved >= min(_WORTH * cost, _LONGEST) or trainer.done:
                folder.save_checkpoint(trainer.state(), events, seconds + now - began)
                saved = time.monotonic()
                cost = saved - now
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


def _resumed(experiment: Experiment, folder: RunFolder, events: Events) -> tuple[Trainer, float]:
    """Return the trainer as the last checkpoint left it, if there is one that is whole, and the seconds spent."""
    found = folder.load_checkpoint(events)
    if found is not None:
        trainer = Trainer(experiment)
        trainer.restore(found[0])
        return trainer, found[1]
    events.clear()
    return Trainer(experiment), 0.0


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
