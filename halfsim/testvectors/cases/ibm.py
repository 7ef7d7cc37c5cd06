"""The models of IBM's floating-point test suite [@ibm-fpgen], and the families that have their rows for binary16."""

from __future__ import annotations

__all__ = ["MODELS"]

MODELS: dict[str, tuple[str, tuple[str, ...]]] = {
    "B1": ("basic types of operands in every place", ("corners", "signed-zeros", "nan-payloads", "subnormal")),
    "B2": ("operands a few bits away from the corners", ("corners",)),
    "B3": ("rounding: sign, last bit, guard bit and sticky bits", ("halfway", "log-uniform")),
    "B4": ("overflow: about the largest number", ("overflow",)),
    "B5": ("underflow: about the smallest normal number and below", ("tininess", "subnormal")),
    "B6": ("underflow to nothing: below half the smallest number", ("subnormal", "corners")),
    "B7": ("sticky bit of sums: one bit far below", ("halfway", "corners")),
    "B8": ("sticky bit of products: one bit anywhere", ("halfway", "log-uniform")),
    "B9": ("runs of zeros and ones in the operands", ("corners", "log-uniform")),
    "B10": ("alignment: every distance between the exponents of a sum", ("halfway", "uniform")),
    "B11": ("runs of zeros and ones at every distance of exponents", ("corners", "log-uniform")),
    "B12": ("cancellation: every number of leading bits", ("cancellation",)),
    "B13": ("cancellation into the subnormal range", ("cancellation", "subnormal")),
    "B14": ("fma: every distance between product and addend", ("halfway", "uniform")),
    "B15": ("fma: runs of zeros and ones at every distance", ("corners", "log-uniform")),
    "B16": ("fma: cancellation", ("cancellation",)),
    "B17": ("fma: cancellation into the subnormal range", ("cancellation", "subnormal")),
    "B18": ("fma: product underflows or is cut, the sum decides", ("tininess", "subnormal")),
    "B19": ("comparisons: operands of every distance", ("corners", "cancellation", "uniform")),
    "B20": ("quotients and roots with few bits", ("corners", "exhaustive")),
    "B21": ("division by zero of every type of operand", ("corners", "signed-zeros", "nan-payloads")),
    "B22": ("conversion between formats: exponents about those of the target", ("log-uniform", "overflow", "tininess")),
    "B23": ("to integers: about the largest", ("integer-limits", "exhaustive")),
    "B24": ("to integers: about zero", ("integer-limits", "exhaustive")),
    "B25": ("from integers: corners", ("corners", "midpoints")),
    "B26": ("from integers: every magnitude", ("corners", "uniform")),
    "B27": ("to integral values: corners", ("exhaustive",)),
    "B28": ("to integral values: every magnitude", ("exhaustive",)),
    "B29": ("to integral values: last bit, guard bit and sticky bits", ("exhaustive",)),
}
"""What each binary model is about, and where its rows are."""
