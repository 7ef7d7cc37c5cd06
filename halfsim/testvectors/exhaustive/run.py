"""Running blocks anywhere that takes functions: local processes, Dask workers, or this process."""

from __future__ import annotations

import concurrent.futures
import contextlib
import itertools
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import Connection
from typing import Any

from halfsim.testvectors.exhaustive.jobs import Block, Job, check

__all__ = ["Workers", "dask_executor", "ordered", "processes"]

_ATTEMPTS = 4
# Prime to the number of blocks.
_STRIDE = 1021

MakeExecutor = Callable[[], contextlib.AbstractContextManager[Executor]]


def ordered(job: Job, shard: tuple[int, int] = (1, 1)) -> list[int]:
    """Return the blocks of part I of N, spread so that an early look has seen every exponent."""
    index, count = shard
    return [n * _STRIDE % job.blocks for n in range(job.blocks) if n * _STRIDE % job.blocks % count == index - 1]


@contextlib.contextmanager
def processes(workers: int) -> Iterator[Executor]:
    """Give a pool of fresh processes, each of one thread; they end at once when this process does, however it ends."""
    context = multiprocessing.get_context("spawn")
    # Only this process holds the other end, so the workers see it closed even when this one is killed.
    watched, held = context.Pipe(duplex=False)
    with watched, held, ProcessPoolExecutor(workers, context, _begin, (watched,)) as pool:
        try:
            yield pool
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            held.close()
            raise


def _begin(watched: Connection) -> None:
    """Prepare a worker; an interrupt is its parent's business, which ends it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(watched,), daemon=True).start()
    _one_thread()


def _end_with(watched: Connection) -> None:
    with contextlib.suppress(EOFError, OSError):
        watched.recv_bytes()
    os._exit(1)


def _one_thread() -> None:
    import halfsim

    halfsim.set_num_threads(1)


@contextlib.contextmanager
def dask_executor(scheduler: str) -> Iterator[Executor]:
    """Give the workers of a Dask scheduler, ``tcp://host:8786``; tasks of a dead worker go to another.

    Raises
    ------
    ValueError
        If Dask is not installed.
    OSError
        If no scheduler answers.
    """
    try:
        from distributed import Client
    except ModuleNotFoundError:
        raise ValueError("verify: a scheduler needs Dask: pip install 'halfsim[distributed]'") from None
    connect: Any = Client
    with connect(scheduler, timeout="10s", set_as_default=False) as client:
        client.run(_one_thread)
        yield client.get_executor(retries=_ATTEMPTS, pure=False)


class Workers:
    """Where blocks are computed; a pool whose workers have died is replaced by a new one.

    Parameters
    ----------
    make : callable
        Makes the executor, as a context manager.
    ahead : int
        Blocks in flight.
    """

    def __init__(self, make: MakeExecutor, ahead: int) -> None:
        self._make, self._ahead = make, ahead
        self._stack = contextlib.ExitStack()
        self._executor: Executor | None = None

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *details: Any) -> None:
        self._stack.__exit__(*details)

    def run(self, job: Job, blocks: Iterable[int], work: Callable[[Job, int], Block] = check) -> Iterator[Block]:
        """Yield the blocks of a job as they finish, in any order.

        Parameters
        ----------
        job : Job
            What to verify.
        blocks : iterable of int
            Which blocks.
        work : callable
            What is done with a job and a block.

        Raises
        ------
        RuntimeError
            When workers have died time after time.
        """
        left = dict.fromkeys(blocks)
        for _ in range(_ATTEMPTS):
            if self._executor is None:
                self._executor = self._stack.enter_context(self._make())
            try:
                for block in self._drain(self._executor, job, list(left), work):
                    del left[block.number]
                    yield block
                return
            except BrokenProcessPool:
                # A worker was killed, and its pool went with it; what it had finished has been yielded.
                self._stack.close()
                self._executor = None
        raise RuntimeError(f"verify: the workers died {_ATTEMPTS} times on {job.name}; look for a lack of memory")

    def _drain(
        self, executor: Executor, job: Job, blocks: list[int], work: Callable[[Job, int], Block]
    ) -> Iterator[Block]:
        waiting: set[Future[Block]] = set()
        queue = iter(blocks)
        while True:
            for number in itertools.islice(queue, self._ahead - len(waiting)):
                waiting.add(executor.submit(work, job, number))
            if not waiting:
                return
            finished, waiting = concurrent.futures.wait(waiting, return_when=concurrent.futures.FIRST_COMPLETED)
            for future in finished:
                yield future.result()
