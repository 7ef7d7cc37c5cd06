"""A grid of a few short runs, and a job that kills its process the first time."""

from __future__ import annotations

import multiprocessing
import os
import signal
from dataclasses import dataclass, replace
from pathlib import Path

from halfsim.policy import named
from halfsim.studies.grid import Job, Part, jobs_of
from halfsim.training.loop import Settings
from halfsim.training.models import Perceptron

__all__ = ["Deadly", "grid", "part"]


def part(steps: int = 6) -> Part:
    """Digits under three policies."""
    return Part(
        name="tiny",
        title="Tiny",
        claim="Short runs.",
        task="digits",
        settings=Settings(
            model=Perceptron(sizes=(64, 8, 10)), rate=1e-3, batch=8, steps=steps, evaluate_every=3, sample_every=2
        ),
        policies=tuple(named(name) for name in ("binary32", "mixed-scaled", "binary16-stochastic")),
        shown=("binary32", "mixed-scaled"),
    )


def grid(steps: int = 6, seeds: int = 2) -> list[Job]:
    """Its runs."""
    return jobs_of([part(steps)], range(seeds))


@dataclass(frozen=True, kw_only=True)
class Deadly(Job):
    """Kills the worker that runs it, unless the marker is there."""

    marker: Path

    def name(self) -> str:
        """Return the name of the run's record, if the process lives."""
        if multiprocessing.parent_process() is not None and not self.marker.exists():
            self.marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().name()

    @classmethod
    def of(cls, job: Job, marker: Path) -> Deadly:
        """Make a job deadly."""
        return cls(**{name: getattr(job, name) for name in job.__dataclass_fields__}, marker=marker)


if __name__ == "__main__":
    import sys

    from halfsim.studies.runner import execute

    # Long runs after a short one: something to kill.
    jobs = [*grid(), *(replace(job, settings=replace(job.settings, steps=10**7)) for job in grid())]
    execute(jobs, Path(sys.argv[1]), processes=1, progress=False)
