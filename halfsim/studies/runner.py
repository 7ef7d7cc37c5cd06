"""Run a list of jobs anywhere: finished ones are skipped, and a killed run goes on to the same bits.

The step in flight is computed again, none before it; after a crash of the system a second of steps at most.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from halfsim.executors import Workers, dask_executor, one_thread
from halfsim.executors import processes as local_processes
from halfsim.kernels.threads import get_num_threads
from halfsim.studies.folder import RunFolder
from halfsim.studies.grid import Job
from halfsim.studies.progress import Progress

__all__ = ["check_seeds", "execute"]

_AHEAD = 1000
"""Jobs that a cluster is given at once: it may have more workers than anyone counted."""


def check_seeds(seeds: int | Sequence[int]) -> list[int]:
    """Return the seeds: a number stands for that many from 0."""
    chosen = list(range(seeds)) if isinstance(seeds, int) else list(seeds)
    if not chosen or len(set(chosen)) != len(chosen) or not all(isinstance(s, int) and 0 <= s < 2**63 for s in chosen):
        raise ValueError(f"run: seeds={seeds!r} must be a positive number of seeds, or different non-negative integers")
    return chosen


def execute(
    jobs: Sequence[Job],
    folder: Path,
    processes: int | None = None,
    progress: bool = True,
    scheduler: str | None = None,
) -> list[dict[str, Any]]:
    """Run the jobs that are not finished in the folder; return all summaries in the order of the jobs.

    Jobs with the same configuration share a run; ``part`` and ``variant`` are those of the job.

    Parameters
    ----------
    jobs : sequence of RunJob or TableJob
        What is to be done.
    folder : Path
        Where every run has its folder.
    processes : int, optional
        Local processes; the number of processors by default. With one, the jobs are done in this process.
    progress : bool
        Whether to show progress on standard error.
    scheduler : str, optional
        Address of a Dask scheduler, whose workers see the folder under the same name, instead of local processes.

    Raises
    ------
    RuntimeError
        If workers die time after time.
    FileNotFoundError
        If the workers of a scheduler have written where this machine cannot see it.
    """
    folder = Path(folder).resolve()
    found = {job.id: _summary(folder, job.id) for job in jobs}
    waiting = {job.id: job for job in jobs if found[job.id] is None}
    with Progress(folder, {name: job.steps for name, job in waiting.items()}, len(found), progress) as bar:
        for name in _perform(waiting, folder, processes or get_num_threads(), scheduler):
            found[name] = _summary(folder, name)
            if found[name] is None:
                raise FileNotFoundError(
                    f"run: a worker has finished {name}, but {folder / name} has no summary; "
                    "pass an output folder that all workers and this machine share"
                )
            bar.advance(name, waiting[name].variant or waiting[name].part)
    return [{"part": job.part, "variant": job.variant, **(found[job.id] or {})} for job in jobs]


def _summary(folder: Path, name: str) -> dict[str, Any] | None:
    return RunFolder(folder / name).summary()


def _perform(waiting: Mapping[str, Job], folder: Path, count: int, scheduler: str | None) -> Iterator[str]:
    """Yield the names of the jobs as they finish."""
    count = min(count, len(waiting))
    if scheduler is None and count <= 1:
        for name, job in waiting.items():
            job.perform(folder)
            yield name
        return
    make = functools.partial(dask_executor, scheduler) if scheduler else functools.partial(local_processes, count)
    with Workers(make, _AHEAD if scheduler else count) as workers:
        for name, _ in workers.run(_work, {name: (job, folder) for name, job in waiting.items()}, "the runs"):
            yield name


def _work(job: Job, folder: Path) -> None:
    # A worker that has joined a cluster late does not know it yet.
    one_thread()
    job.perform(folder)
