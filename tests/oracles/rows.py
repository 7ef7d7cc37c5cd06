"""Whole rows by name: every operation of the package, by the exact references of this folder alone."""

from __future__ import annotations

from halfsim.formats import BFLOAT16, BINARY16, BINARY32, BINARY64, E4M3, E5M2, TF32
from tests.oracles import ordering, rational
from tests.oracles.rational import Context

__all__ = ["row"]

FORMATS = {
    "f16": BINARY16,
    "f32": BINARY32,
    "f64": BINARY64,
    "bf16": BFLOAT16,
    "tf32": TF32,
    "e5m2": E5M2,
    "e4m3": E4M3,
}
_TWO = {"add", "subtract", "multiply", "divide", "remainder"}
# The order of Class: IEEE 754-2019 §5.7.2.
_CLASSES = [
    "signalingNaN",
    "quietNaN",
    "negativeInfinity",
    "negativeNormal",
    "negativeSubnormal",
    "negativeZero",
    "positiveZero",
    "positiveSubnormal",
    "positiveNormal",
    "positiveInfinity",
]
_PREDICATES = {
    "isnan": lambda name: "NaN" in name,
    "isinf": lambda name: "Infinity" in name,
    "isfinite": lambda name: "NaN" not in name and "Infinity" not in name,
    "isnormal": lambda name: "Normal" in name,
    "issubnormal": lambda name: "Subnormal" in name,
    "iszero": lambda name: "Zero" in name,
    "issignaling": lambda name: name == "signalingNaN",
    "iscanonical": lambda name: True,
}


def row(name: str, operands: list[int], ctx: Context = rational.PLAIN, exact: bool = False) -> tuple[int, int]:
    """Pattern and flags of one row; `name` is that of a subject of the vectors."""
    a, *rest = operands
    if name in _TWO:
        return getattr(rational, name)(a, rest[0], ctx)
    if name in ("fma", "sqrt"):
        return getattr(rational, name)(*operands, ctx)
    if name == "round_to_integral":
        return rational.round_to_integral(a, ctx, exact=exact)
    if name.startswith("convert_"):
        return _conversion(*name.split("_")[1:], a, ctx, exact)
    if name in ordering.COMPARISONS:
        return ordering.compare(a, rest[0], name, ctx)
    if name in ordering.EXTREMA:
        return ordering.extremum(a, rest[0], name, ctx)
    return _other(name, a, rest, ctx)


def _conversion(source: str, target: str, a: int, ctx: Context, exact: bool) -> tuple[int, int]:
    if source not in FORMATS:
        width = int(source.lstrip("ui"))
        signed = source.startswith("i") and a >> (width - 1)
        return rational.from_integer(a - (1 << width) if signed else a, ctx)
    if target in FORMATS:
        return rational.convert(a, FORMATS[source], FORMATS[target], ctx)
    width = int(target.lstrip("ui"))
    low, high = (-(1 << (width - 1)), (1 << (width - 1)) - 1) if target.startswith("i") else (0, (1 << width) - 1)
    value, flags = rational.to_integer(a, low, high, ctx, exact=exact)
    return value % (1 << width), flags


def _other(name: str, a: int, rest: list[int], ctx: Context) -> tuple[int, int]:
    kind = ordering.class_name(a)
    match name:
        case "nextup" | "nextdown":
            return ordering.next_toward(a, name == "nextup", ctx)
        case "scaleb":
            return ordering.scaleb(a, rest[0] - (1 << 16) if rest[0] >> 15 else rest[0], ctx)
        case "logb":
            return ordering.logb(a, ctx)
        case "total_order":
            return ordering.total_order(a, rest[0]), 0
        case "total_order_mag":
            return ordering.total_order(a & 0x7FFF, rest[0] & 0x7FFF), 0
        case "absolute":
            return a & 0x7FFF, 0
        case "negative":
            return a ^ 0x8000, 0
        case "copysign":
            return (a & 0x7FFF) | (rest[0] & 0x8000), 0
        case "signbit":
            return a >> 15, 0
        case "classify":
            return _CLASSES.index(kind), 0
        case _:
            return int(_PREDICATES[name](kind)), 0
