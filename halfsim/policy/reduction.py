"""What a policy says of products and of reductions."""

from __future__ import annotations

from typing import TypeAlias

from halfsim.accumulators import Pairwise, Sequential
from halfsim.formats import BINARY16, BINARY32

__all__ = ["PRODUCTS", "REDUCTIONS", "SUM16", "SUM32", "Reduction"]

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
