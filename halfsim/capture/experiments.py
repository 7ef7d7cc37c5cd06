"""Experiments that tell rival models of tensor cores apart, by name: one dot product each, K = 16."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["EXPERIMENTS", "experiments"]

_ONES = " ".join(["3fff"] * 16)
# Name, format of C and D, factors a and b from k = 0 (or as k:pattern), C.
_F32 = (
    ("cancel", "6c00 6c00 b800 b400", "6800 e800 3c00 3c00", "be000000"),
    ("unnormalised product exponent", "3e00 be00 0c00 0c00", "3e00 3e00 1000 0c00", "33000000"),
    ("truncation, not floor", "3c00 8e00", "3c00 0c00", "0"),
    ("subnormal factor has exponent -14", "0001 0001 0001 0001", "3c00 bc00 0400 0200", "0"),
    ("RZ result, positive", "3c00 0c00 0c00", "3c00 1000 0c00", "0"),
    ("RZ result, negative", "bc00 8c00 8c00", "3c00 1000 0c00", "0"),
    ("chain: 2^25, then a block with -2^25 and 1", "0:7000 8:f000 9:3c00 12:3c00 13:3c00",
     "0:6c00 8:6c00 9:3c00 12:3c00 13:3c00", "0"),
    ("terms per block: 8192*4096 at k0, 1 at k4, C = -2^25", "0:7000 4:3c00", "0:6c00 4:3c00", "cc000000"),
    ("terms per block: 8192*4096 at k0, 1 at k8, C = -2^25", "0:7000 8:3c00", "0:6c00 8:3c00", "cc000000"),
    ("largest carry", _ONES, _ONES, "3fffffff"),
    ("largest carry, negative", _ONES.replace("3", "b"), _ONES, "bfffffff"),
    ("C = FLT_MAX absorbs", "7bff", "7bff", "7f7fffff"),
    ("subnormal C passes", "0000", "0000", "80000001"),
    ("zero product does not raise E", "0001 0000", "0001 7bff", "0"),
    ("all -0", " ".join(["8000"] * 16), " ".join(["3c00"] * 16), "80000000"),
    ("Inf - Inf", "7c00 7c00", "3c00 bc00", "0"),
    ("0 * Inf", "7c00", "0000", "0"),
    ("Inf + C = -Inf", "7c00", "3c00", "ff800000"),
    ("quiet NaN with payload", "fe55", "3c00", "0"),
    ("signaling NaN C", "3c00", "3c00", "7f800001"),
)  # fmt: skip
_F16 = (
    ("tie to even", "3c00 1000", "3c00 3c00", "0"),
    ("tie broken by a sticky term", "3c00 1000 1000", "3c00 3c00 1000", "0"),
    ("sticky at 2^-23/2^-24/2^-25", "3c00 1000 0c00", "3c00 3c00 0c00", "0"),
    ("sticky term just below", "3c00 1000 0800", "3c00 3c00 0c00", "0"),
    ("chain rounds per block", "0:3c00 8:3c00", "0:3c00 8:3c00", "6800"),
    ("65504 + 16", "4c00", "3c00", "7bff"),
    ("65504 + 15.99", "4bff", "3c00", "7bff"),
    ("far overflow cancels inside a block", "7bff 7bff 5a40", "7bff fbff 3c00", "0"),
    ("overflow between blocks", "0:7bff 8:fbff", "0:4000 8:4000", "0"),
    ("subnormal result", "0001", "4200", "0"),
    ("2^-25 ties to 0", "0001", "3800", "0"),
    ("-2^-26 rounds to zero: which sign", "8001", "3400", "0"),
    ("floor: 2^-25 + 2^-42", "0800 0001", "0c00 0040", "0"),
    ("floor: 2^-25 + 2^-43", "0800 0001", "0c00 0020", "0"),
    ("floor: 2^-25 + 2^-44", "0800 0001", "0c00 0010", "0"),
    ("floor: 2^-25 + 2^-45", "0800 0001", "0c00 0008", "0"),
    ("floor: 2^-25 + 2^-46", "0800 0001", "0c00 0004", "0"),
    ("floor: 2^-25 + 2^-47", "0800 0001", "0c00 0002", "0"),
    ("subnormal C keeps e = -14", "8800 0001", "0c00 0100", "0001"),
    ("NaN C", "3c00", "3c00", "fe01"),
    ("all -0", " ".join(["8000"] * 16), " ".join(["3c00"] * 16), "8000"),
    ("largest carry", _ONES, _ONES, "3fff"),
)
EXPERIMENTS: dict[str, tuple[str, ...]] = {
    "f32": tuple(name for name, *_ in _F32),
    "f16": tuple(name for name, *_ in _F16),
}
"""Names, by format of C and D, in the order of their results."""


def _vector(text: str) -> NDArray[np.uint16]:
    values = np.zeros(16, np.uint16)
    for position, item in enumerate(text.split()):
        index, _, word = item.rpartition(":")
        values[int(index) if index else position] = int(word, 16)
    return values


def experiments(kind: str, shape: tuple[int, int, int]) -> dict[str, NDArray[Any]]:
    """Return A, B and C for one format, K = 16: one tile per experiment, its dot product at every (i, j).

    Rows of A are alike and so are columns of B, so every lane of the instruction answers the same question.
    """
    m, n, _ = shape
    rows = _F32 if kind == "f32" else _F16
    A = np.stack([np.broadcast_to(_vector(a), (m, 16)) for _, a, _, _ in rows])
    B = np.stack([np.broadcast_to(_vector(b)[:, None], (16, n)) for _, _, b, _ in rows])
    words = np.uint32 if kind == "f32" else np.uint16
    C = np.stack([np.full((m, n), int(c, 16), words) for *_, c in rows])
    return {"A": A, "B": B, f"C.{kind}": C, "K": np.array([16], np.int32)}
