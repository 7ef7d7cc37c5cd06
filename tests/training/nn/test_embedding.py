"""The gradient of a table's rows is summed as the policy sums biases."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import halfsim as hs
from halfsim.policy import POLICIES, named
from halfsim.training import nn
from halfsim.training.machine import WIDE, Machine
from halfsim.training.nn.linear import totals_by_row
from halfsim.training.tape import Tape

RANDOM = np.random.default_rng(5)
BIASES: dict[str, Any] = {
    "binary32": hs.BINARY32,
    "to nearest": hs.Sequential(format=hs.BINARY16),
    "toward zero": hs.Sequential(format=hs.BINARY16, rounding="rtz"),
    "toward positive": hs.Sequential(format=hs.BINARY16, rounding="rup"),
    "stochastic": hs.Sequential(format=hs.BINARY16, rounding=hs.Stochastic(bits=2, seed=1)),
    "tree": hs.Pairwise(format=hs.BINARY16),
}


def summed(bias: Any, g: np.ndarray, indices: np.ndarray, rows: int) -> np.ndarray:
    tape = Tape(Machine(replace(named("mixed"), bias=bias)))
    table = tape.parameter(np.zeros((rows, g.shape[1]), np.float16))
    tape.backward(nn.embedding(tape, table, indices), g)
    assert table.gradient is not None
    return table.gradient


@pytest.mark.parametrize(
    # Compiling the loop of stochastic sums takes a minute.
    "name",
    [pytest.param(name, marks=[pytest.mark.nightly] if name == "stochastic" else []) for name in BIASES],
)
def test_one_row_gets_what_a_bias_gets(name: str) -> None:
    g = RANDOM.random((700, 3)).astype(np.float16)
    g[:200] *= np.float16(2.0**-14)
    want = Machine(replace(named("mixed"), bias=BIASES[name])).bias_gradient(g)
    assert summed(BIASES[name], g, np.ones(700, int), 3)[1].tobytes() == want.tobytes()


def test_the_roundings_differ() -> None:
    """What the test above would miss if all sums were alike."""
    g = np.random.default_rng(5).random((700, 1)).astype(np.float16)
    indices = np.zeros(700, int)
    found = {name: float(summed(BIASES[name], g, indices, 1)[0, 0]) for name in BIASES if name != "stochastic"}
    assert found["toward zero"] < found["to nearest"] < found["toward positive"]
    assert found["tree"] != found["to nearest"]


@pytest.mark.parametrize("policy", POLICIES)
def test_named_policies_add_one_row_after_another(policy: str) -> None:
    machine = Machine(named(policy))
    rows = (RANDOM.normal(size=(60, 4)) * 2.0 ** RANDOM.integers(-24, 4, (60, 4))).astype(np.float16)
    indices = RANDOM.integers(0, 9, 60) ** 2 // 9
    for a in (machine.bias, WIDE):
        want = np.zeros((9, 4), a.dtype)
        for index, row in zip(indices, rows, strict=True):
            want[index] = a.add(want[index], a.convert(row))
        assert totals_by_row(a, rows, indices, 9).tobytes() == want.tobytes()


def test_nothing_to_add_leaves_zeros() -> None:
    found = totals_by_row(WIDE, np.zeros((0, 2), np.float16), np.zeros(0, int), 3)
    assert found.dtype == np.float32 and found.tolist() == [[0, 0]] * 3
