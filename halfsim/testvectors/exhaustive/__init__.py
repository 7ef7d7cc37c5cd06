"""Every pair of operands, or as many triples as patience allows, against a witness that shares no code.

A `Job` is cut into blocks; `check` computes one, compares it with the witness and digests it. `compute` hands
blocks to any `halfsim.executors.Workers`, `Store` remembers them through kills, `Digests` is what two machines compare.
"""

from halfsim.testvectors.exhaustive.digests import Digests, compare, load, save, summary
from halfsim.testvectors.exhaustive.jobs import JOBS, SIZE, Block, Job, Mismatch, check, jobs
from halfsim.testvectors.exhaustive.run import compute, ordered
from halfsim.testvectors.exhaustive.store import Store

__all__ = [
    "JOBS",
    "SIZE",
    "Block",
    "Digests",
    "Job",
    "Mismatch",
    "Store",
    "check",
    "compare",
    "compute",
    "jobs",
    "load",
    "ordered",
    "save",
    "summary",
]
