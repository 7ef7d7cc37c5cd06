"""Which blocks of a job are computed, in which order, by any workers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from halfsim.executors import Workers
from halfsim.testvectors.exhaustive.jobs import Block, Job, check

__all__ = ["compute", "ordered"]

# Prime to the number of blocks.
_STRIDE = 1021


def ordered(job: Job, shard: tuple[int, int] = (1, 1)) -> list[int]:
    """Return the blocks of part I of N, spread so that an early look has seen every exponent."""
    index, count = shard
    return [n * _STRIDE % job.blocks for n in range(job.blocks) if n * _STRIDE % job.blocks % count == index - 1]


def compute(
    workers: Workers, job: Job, blocks: Iterable[int], work: Callable[[Job, int], Block] = check
) -> Iterator[Block]:
    """Yield the blocks of a job as they finish, in any order.

    Parameters
    ----------
    workers : Workers
        Who computes.
    job : Job
        What to verify.
    blocks : iterable of int
        Which blocks.
    work : callable
        What is done with a job and a block.
    """
    for _, block in workers.run(work, {number: (job, number) for number in blocks}, job.name):
        yield block
