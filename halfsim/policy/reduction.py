"""What a policy says of products and of reductions, and which arithmetic there is for them."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeAlias

from halfsim.accumulators import Pairwise, Sequential
from halfsim.formats import BINARY16, BINARY32, Format
from halfsim.tensorcores import AccumulatorLike, as_accumulator

__all__ = ["PRODUCTS", "REDUCTIONS", "SUM16", "SUM32", "Reduction", "as_reduction", "check_format"]

Reduction: TypeAlias = Sequential | Pairwise
"""How sums of a reduction are made."""

PRODUCTS: dict[str, tuple[str, str]] = {
    "forward": ("activations", "weights"),
    "data_gradient": ("gradients", "weights"),
    "weight_gradient": ("activations", "gradients"),
}
"""The three kinds of product, and where the formats of their operands stand."""

REDUCTIONS = ("batch_norm", "softmax", "bias", "loss")
"""The reductions that have an arithmetic of their own."""

SUM16, SUM32 = Sequential(format=BINARY16), Sequential(format=BINARY32)


def check_format(field: str, value: object) -> None:
    """Refuse what is not `BINARY16` or `BINARY32`."""
    if not isinstance(value, Format):
        raise TypeError(
            f"Policy: {field}={value!r} is a {type(value).__name__}; pass halfsim.BINARY16 or halfsim.BINARY32"
        )
    if value not in (BINARY16, BINARY32):
        raise ValueError(f"Policy: {field}={value.name} must be halfsim.BINARY16 or halfsim.BINARY32")


def as_reduction(field: str, value: AccumulatorLike | Format) -> Reduction:
    """Return how a reduction is summed, if there is such an arithmetic."""
    row = Sequential(format=value) if isinstance(value, Format) else as_accumulator(value, f"Policy: {field}")
    if isinstance(row, Sequential):
        row = replace(row, fused=False)
    if isinstance(row, Sequential | Pairwise) and (row.format == BINARY16 or row == SUM32):
        return row
    raise ValueError(
        f"Policy: {field}={value!r} is no arithmetic of a reduction; pass BINARY32, BINARY16, "
        "or Sequential or Pairwise with format=BINARY16"
    )
