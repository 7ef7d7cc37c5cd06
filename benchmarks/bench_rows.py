"""Every contender of every row of `halfsim bench` under pytest-benchmark, for its statistics and its history.

``pytest benchmarks/ --benchmark-only -k "add and halfsim"``; the sizes are small, as every case is made to
learn who takes part. For ratios run ``halfsim bench``: there everybody works in turn.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import halfsim as hs
from halfsim.benchmarks import ROWS, Row, Sizes

pytest.importorskip("pytest_benchmark")

SIZES = Sizes(10_000, 64)


def contenders() -> Iterator[Any]:
    for row in ROWS:
        case = row.make(SIZES)
        for contender in (case.ours, *case.peers):
            yield pytest.param(row, contender.name, id=f"{row.family}: {row.name}: {contender.name}")


@pytest.mark.benchmark(timer=time.process_time)
@pytest.mark.parametrize(("row", "name"), list(contenders()))
def test_row(row: Row, name: str, benchmark: Any) -> None:
    hs.set_num_threads(1)
    case = row.make(SIZES)
    (contender,) = (c for c in (case.ours, *case.peers) if c.name == name)
    benchmark.group = f"{row.family}: {row.name}"
    benchmark.extra_info["work"] = contender.work
    with np.errstate(all="ignore"):
        benchmark(contender.call)
