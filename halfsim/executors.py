"""Running functions anywhere that takes them: local processes or Dask workers, behind `concurrent.futures`."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import itertools
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from halfsim.kernels.threads import set_num_threads

__all__ = ["AddressError", "MakeExecutor", "Workers", "dask_executor", "one_thread", "processes"]

_ATTEMPTS = 4
_PATIENCE = 10
"""Seconds that a scheduler has to answer."""

MakeExecutor = Callable[[], contextlib.AbstractContextManager[Executor]]
_Key = TypeVar("_Key")
_Result = TypeVar("_Result")


@contextlib.contextmanager
def processes(workers: int) -> Iterator[Executor]:
    """Give a pool of fresh processes, each of one thread; they end at once when this process does, however it ends."""
    # A fresh interpreter per worker: no lock or thread of this process is copied in a wrong state.
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
    one_thread()


def _end_with(watched: Connection) -> None:
    with contextlib.suppress(EOFError, OSError):
        watched.recv_bytes()
    os._exit(1)


def one_thread() -> None:
    """Give this worker one thread: the workers are the parallelism."""
    set_num_threads(1)


class AddressError(ValueError):
    """A text that is no address of a scheduler."""


@contextlib.contextmanager
def dask_executor(scheduler: str) -> Iterator[Executor]:
    """Give the workers of a Dask scheduler, ``tcp://host:8786``; tasks of a dead worker go to another.

    Raises
    ------
    ValueError
        If Dask is not installed, or, an `AddressError`, if the text is no address.
    OSError
        If no scheduler answers.
    """
    try:
        from distributed import Client
    except ModuleNotFoundError:
        raise ValueError("a scheduler needs Dask: pip install 'halfsim[distributed]'") from None
    asyncio.run(_reach(scheduler))
    connect: Any = Client
    with connect(scheduler, timeout=_PATIENCE, set_as_default=False) as client:
        # A worker that dies meanwhile answers with the loss of its connection: the others go on.
        for answer in client.run(one_thread, on_error="return").values():
            if isinstance(answer, Exception) and not isinstance(answer, OSError):
                raise answer
        yield client.get_executor(retries=_ATTEMPTS, pure=False)


async def _reach(scheduler: str) -> None:
    """Connect and hang up: a client that fails at what is no address is never closed, and complains at exit."""
    import distributed

    # Any: its own types leave this out, and it need not be here when they are checked.
    package: Any = distributed
    connect = package.comm.connect
    try:
        comm = await connect(scheduler, timeout=_PATIENCE)
    except (ValueError, OverflowError) as error:
        raise AddressError(
            f"scheduler={scheduler!r} is no address: {error}; pass one such as tcp://HOST:8786"
        ) from None
    await comm.close()


class Workers:
    """Where calls are made; a pool whose workers have died is replaced by a new one.

    Parameters
    ----------
    make : callable
        Makes the executor, as a context manager.
    ahead : int
        Calls in flight.
    """

    def __init__(self, make: MakeExecutor, ahead: int) -> None:
        self._make, self._ahead = make, ahead
        self._stack = contextlib.ExitStack()
        self._executor: Executor | None = None

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *details: Any) -> None:
        self._stack.__exit__(*details)

    def run(
        self, work: Callable[..., _Result], calls: Mapping[_Key, tuple[Any, ...]], what: str
    ) -> Iterator[tuple[_Key, _Result]]:
        """Yield the keys of the calls and what they returned, in the order in which they finish.

        Parameters
        ----------
        work : callable
            An importable function; called twice with the same arguments, it does the same.
        calls : mapping to tuple
            Its arguments, under a key each.
        what : str
            What the error calls the work.

        Raises
        ------
        RuntimeError
            When workers have died time after time and nothing was finished in between.
        """
        left = dict(calls)
        deaths = 0
        while deaths < _ATTEMPTS:
            if self._executor is None:
                self._executor = self._stack.enter_context(self._make())
            try:
                for key, result in self._drain(self._executor, work, dict(left)):
                    deaths = 0
                    del left[key]
                    yield key, result
                return
            except BrokenProcessPool:
                # A worker was killed, and its pool went with it; what it had finished has been yielded.
                deaths += 1
                self._stack.close()
                self._executor = None
        raise RuntimeError(f"the workers died {_ATTEMPTS} times on {what}; look for a lack of memory")

    def _drain(
        self, executor: Executor, work: Callable[..., _Result], calls: Mapping[_Key, tuple[Any, ...]]
    ) -> Iterator[tuple[_Key, _Result]]:
        waiting: dict[Future[_Result], _Key] = {}
        queue = iter(calls.items())
        while True:
            with _interrupts_held():
                for key, arguments in itertools.islice(queue, self._ahead - len(waiting)):
                    waiting[executor.submit(work, *arguments)] = key
            if not waiting:
                return
            finished, _ = concurrent.futures.wait(waiting, return_when=concurrent.futures.FIRST_COMPLETED)
            for future in finished:
                yield waiting.pop(future), future.result()


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
