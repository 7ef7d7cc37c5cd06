"""Experiments that tell rival models of tensor cores apart, by name: one dot product each, K = 16."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from halfsim.explanation.cases import CASES

__all__ = ["EXPERIMENTS", "experiments"]

_OF = {output: [case for case in CASES.values() if case.output == output] for output in ("f32", "f16")}
EXPERIMENTS: dict[str, tuple[str, ...]] = {output: tuple(case.title for case in rows) for output, rows in _OF.items()}
"""Names, by format of C and D, in the order of their results."""


def experiments(kind: str, shape: tuple[int, int, int]) -> dict[str, NDArray[Any]]:
    """Return A, B and C for one format, K = 16: one tile per experiment, its dot product at every (i, j).

    Rows of A are alike and so are columns of B, so every lane of the instruction answers the same question.
    """
    m, n, _ = shape
    rows = _OF[kind]
    A = np.stack([np.broadcast_to(np.array(case.a, np.uint16), (m, 16)) for case in rows])
    B = np.stack([np.broadcast_to(np.array(case.b, np.uint16)[:, None], (16, n)) for case in rows])
    words = np.uint32 if kind == "f32" else np.uint16
    C = np.stack([np.full((m, n), case.c, words) for case in rows])
    return {"A": A, "B": B, f"C.{kind}": C, "K": np.array([16], np.int32)}
