"""Run a list of jobs on processes: finished ones are skipped, and a kill loses only what was running."""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

from halfsim.kernels.threads import get_num_threads, set_num_threads
from halfsim.studies.grid import Job
from halfsim.studies.progress import Progress
from halfsim.studies.store import load, save
from halfsim.training.loop import train
from halfsim.training.tasks import task

__all__ = ["check_seeds", "execute", "run_job"]

_RESTARTS = 3


def check_seeds(seeds: int | Sequence[int]) -> list[int]:
    """Return the seeds: a number stands for that many from 0."""
    chosen = list(range(seeds)) if isinstance(seeds, int) else list(seeds)
    if not chosen or len(set(chosen)) != len(chosen) or not all(isinstance(s, int) and 0 <= s < 2**63 for s in chosen):
        raise ValueError(f"run: seeds={seeds!r} must be a positive number of seeds, or different non-negative integers")
    return chosen


def run_job(job: Job, folder: Path) -> dict[str, Any]:
    """Train one network and write its record to the folder; return the record."""
    started = time.perf_counter()
    record = train(task(job.task), job.policy, job.settings, job.seed)
    result = {
        "id": job.name(),
        "seed": job.seed,
        "seconds": round(time.perf_counter() - started, 3),
        "record": record,
        "config": job.config(),
    }
    save(folder / f"{result['id']}.json", result)
    return _reread(folder, str(result["id"]))


def execute(
    jobs: Sequence[Job], folder: Path, processes: int | None = None, progress: bool = True
) -> list[dict[str, Any]]:
    """Run the jobs whose records are not in the folder; return all records in the order of the jobs.

    Jobs with the same configuration share a record; part and policy are those of the job.
    """
    names = [job.name() for job in jobs]
    found = {name: load(folder / f"{name}.json") for name in names}
    waiting = {name: job for name, job in zip(names, jobs, strict=True) if found[name] is None}
    processes = min(processes or get_num_threads(), max(len(waiting), 1))
    with Progress(len(found), len(found) - len(waiting), progress) as bar:
        if processes <= 1:
            for name, job in waiting.items():
                found[name] = run_job(job, folder)
                bar.advance(job.policy.name)
        else:
            for name, result in _in_processes(waiting, folder, processes):
                found[name] = result
                bar.advance(waiting[name].policy.name)
    return [{"part": job.part, "policy": job.policy.name, **found[name]} for name, job in zip(names, jobs, strict=True)]


def _in_processes(waiting: dict[str, Job], folder: Path, processes: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield results as they come; when a process dies, start again with what is left."""
    left = dict(waiting)
    others = set(multiprocessing.active_children())
    for attempt in range(_RESTARTS):
        # A fresh interpreter per worker: no lock or thread of this process is copied in a wrong state.
        with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), _one_thread) as pool:
            try:
                for name, result in _submit(pool, left, folder):
                    del left[name]
                    yield name, result
                return
            except BrokenProcessPool:
                if attempt == _RESTARTS - 1:
                    raise
            except BaseException:
                # Records are written whole, so a worker can stop anywhere; waiting for it could take minutes.
                for worker in set(multiprocessing.active_children()) - others:
                    worker.terminate()
                pool.shutdown(wait=False, cancel_futures=True)
                raise


def _submit(pool: Executor, jobs: dict[str, Job], folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    with _interrupts_held():
        futures = {pool.submit(run_job, job, folder): name for name, job in jobs.items()}
    for future in as_completed(futures):
        yield futures[future], future.result()


@contextlib.contextmanager
def _interrupts_held() -> Iterator[None]:
    """Hold Ctrl-C back: processes started meanwhile never see it, and leave it to this one to stop them."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _one_thread() -> None:
    """Give every worker one thread: the processes are the parallelism."""
    set_num_threads(1)


def _reread(folder: Path, name: str) -> dict[str, Any]:
    # What a later call finds on disk is what this one returns.
    result: dict[str, Any] = load(folder / f"{name}.json")
    return result
