"""What the tests of explanations share: operands, and operations by their definition."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

import halfsim as hs
from tests.oracles import corners, rational

__all__ = ["DEFINITIONS", "MODES", "ROOT", "fraction", "operands", "rounding"]


MODES = ("rne", "rtz", "rdn", "rup", "rna", "odd", "stochastic")


ROOT = Path(__file__).resolve().parent.parent.parent


def rounding(mode: str, seed: int = 11, offset: int = 0) -> Any:
    return hs.Stochastic(bits=9, seed=seed, offset=offset) if mode == "stochastic" else mode


def operands(arity: int, count: int, seed: int) -> list[np.ndarray]:
    """Corners, NaNs and random patterns, drawn from the lists of the oracles."""
    rng = np.random.default_rng(seed)
    source = {1: (np.arange(65536, dtype=np.uint64),), 2: corners.pairs(4000), 3: corners.triples(4000)}[arity]
    chosen = rng.choice(source[0].size, count, replace=False)
    return [column[chosen].astype(np.uint16) for column in source]


def fraction(bits: int) -> Fraction | None:
    value = rational.decode(int(bits))
    return value.value if value.kind == "finite" else None


DEFINITIONS = {
    "add": lambda a, b: a + b,
    "subtract": lambda a, b: a - b,
    "multiply": lambda a, b: a * b,
    "divide": lambda a, b: a / b,
    "fma": lambda a, b, c: a * b + c,
    "remainder": lambda a, b: a - b * round(a / b),
    "round_to_integral": lambda a: a,
}
