"""Quotients and roots in binary16 and in the small formats, whose pairs are all tried."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from halfsim.core import division
from halfsim.core.fields import layout
from halfsim.formats import BFLOAT16, BINARY32, E4M3, E5M2, TF32
from tests.checking import assert_same, control, flagged
from tests.oracles import corners, rational, softfloat

RISCV = rational.MACHINES["RISCV"]
EVERY = np.arange(65536, dtype=np.uint64)


@pytest.mark.parametrize("tininess", ["after", "before"])
@pytest.mark.parametrize("mode", rational.MODES)
def test_sqrt_of_every_input_equals_softfloat(mode, tininess):
    want = softfloat.operate("sqrt", EVERY, mode=mode, tininess=tininess)
    assert_same(
        f"sqrt {mode}",
        [EVERY],
        want,
        flagged("sqrt", [EVERY], rational.Context(mode, replace(RISCV, tininess=tininess))),
    )


@pytest.mark.parametrize("fmt", [E4M3, E5M2], ids=lambda f: f.name)
def test_quotients_of_all_pairs_of_small_formats(fmt):
    for mode in rational.MODES:
        context = rational.Context(mode, RISCV)
        word, fields = control(context), layout(fmt)
        for a, b in itertools.product(range(0, 256, 3), range(256)):
            assert division.divide(a, b, fields, word, 0) == rational.divide(a, b, context, fmt), (mode, a, b)


@pytest.mark.parametrize("fmt", [BFLOAT16, TF32, BINARY32, E4M3], ids=lambda f: f.name)
def test_roots_in_other_formats(fmt):
    for mode in rational.MODES:
        context = rational.Context(mode, RISCV)
        word, fields = control(context), layout(fmt)
        for a in corners.near_one(fmt, 500, 36):
            assert division.sqrt(a, fields, word, 0) == rational.sqrt(a, context, fmt), (mode, hex(a))
