"""Random questions for the explorer, and what the Python API answers: compiled loops, not the explanations."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

import halfsim as hs
from halfsim.explore.operation import ENVIRONMENTS
from halfsim.explore.server import Server
from tests.oracles import corners

__all__ = ["MODES", "dot_products", "expected", "operations", "serving", "sums"]

MODES = ("rne", "rna", "rtz", "rup", "rdn", "odd", "stochastic")
_ARITY = {
    "add": 2, "subtract": 2, "multiply": 2, "divide": 2, "sqrt": 1, "fma": 3, "remainder": 2, "round_to_integral": 1,
    "minimum": 2, "nextup": 1, "less": 2,
}  # fmt: skip
_ROWS = ("v100:f32", "a100:f32", "h100:f32", "mi300x:f32", "mi210:f32", "fp32", "exact", "compensated:f16", "fp16")


@contextmanager
def serving() -> Iterator[Server]:
    """Serve on a free port, in a thread.

    Yields
    ------
    Server
        The server.
    """
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def operations(count: int, seed: int) -> list[dict[str, Any]]:
    """Requests of random operations on corners and random patterns, typed in every form."""
    rng = np.random.default_rng(seed)
    pools = {1: (np.arange(65536),), 2: corners.pairs(4000), 3: corners.triples(4000)}
    asked = []
    for _ in range(count):
        name = str(rng.choice(list(_ARITY)))
        pool = pools[_ARITY[name]]
        chosen = int(rng.integers(len(pool[0])))
        asked.append(
            {
                "operation": name,
                "operands": [_typed(int(column[chosen]), rng) for column in pool],
                "environment": str(rng.choice(list(ENVIRONMENTS))),
                "bits": str(rng.integers(1, 33)),
                "seed": str(rng.integers(0, 1 << 62)),
            }
        )
    return asked


def _typed(bits: int, rng: np.random.Generator) -> str:
    value = float(np.uint16(bits).view(np.float16))
    forms = [f"{bits:#06x}"]
    if np.isfinite(value):
        forms += [float.hex(value), repr(value)]
    return str(rng.choice(forms))


def _patterns(asked: dict[str, Any]) -> list[Any]:
    """Operands of a request, read by NumPy and Python."""
    words = []
    for text in asked["operands"]:
        if "p" in text or not text.startswith("0x"):
            words.append(np.float16(float.fromhex(text) if "p" in text else float(text)))
        else:
            words.append(np.uint16(int(text, 16)).view(np.float16))
    return words


def expected(asked: dict[str, Any]) -> list[tuple[str, list[str]]]:
    """Result and flags of every rounding, by the public functions."""
    answers = []
    for mode in MODES:
        rounding = mode if mode != "stochastic" else hs.Stochastic(bits=int(asked["bits"]), seed=int(asked["seed"]))
        value, flags = getattr(hs, asked["operation"]).flagged(
            *_patterns(asked), rounding=rounding, environment=ENVIRONMENTS[asked["environment"]]
        )
        value = np.asarray(value)
        shown = f"{int(value.view(np.uint16)):#06x}" if value.dtype == np.float16 else f"{int(value):#x}"
        answers.append((shown, [str(flag.name) for flag in hs.Flags(int(flags))]))
    return answers


def dot_products(count: int, seed: int) -> list[dict[str, Any]]:
    """Requests of random dot products over the whole range, for several accumulators."""
    rng = np.random.default_rng(seed)
    asked = []
    for _ in range(count):
        terms = int(rng.integers(1, 21))
        factors = rng.integers(0, 1 << 16, (2, terms)).astype(np.uint16)
        if rng.random() < 0.8:
            factors &= np.uint16(0xBFFF)  # no infinities and NaNs
        a, b = ([f"{bits:#06x}" for bits in vector] for vector in factors)
        c = "" if rng.random() < 0.3 else f"{np.float32(rng.normal()).view(np.uint32):#010x}"
        rows = [str(name) for name in rng.choice(_ROWS, 3, replace=False)]
        # Beside these alone the addend is binary16.
        if c and set(rows) <= {"fp16", "compensated:f16"}:
            rows.append("fp32")
        asked.append({"a": ", ".join(a), "b": " ".join(b), "c": c, "rows": rows})
    return asked


def sums(asked: dict[str, Any]) -> list[str]:
    """Patterns of the results, by `halfsim.dot`."""
    a, b = (
        np.array([int(word, 16) for word in asked[key].replace(",", "").split()], np.uint16).view(np.float16)
        for key in ("a", "b")
    )
    c = np.array(int(asked["c"], 16), np.uint32).view(np.float32) if asked["c"] else None
    shown = []
    for name in asked["rows"]:
        value = np.asarray(hs.dot(a, b, c, accumulator=name))
        word, digits = (np.uint16, 6) if value.dtype == np.float16 else (np.uint32, 10)
        shown.append(f"{int(value.view(word)):#0{digits}x}")
    return shown
