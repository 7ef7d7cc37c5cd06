"""What the fields of a policy may be."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from halfsim.accumulators import FP32, Accumulator, Pairwise, Sequential, factor_formats
from halfsim.checks import plain
from halfsim.formats import BINARY16, BINARY32, Format
from halfsim.policy.loss_scale import DynamicScale, LayerScale, NoScale, StaticScale
from halfsim.policy.reduction import SUM16, SUM32, Reduction
from halfsim.tensorcores import AccumulatorLike, as_accumulator

__all__ = ["as_product", "as_reduction", "as_switch", "check_format", "check_scale", "one_of"]


def check_format(field: str, value: object) -> None:
    """Refuse what is not `BINARY16` or `BINARY32`."""
    if not isinstance(value, Format):
        raise TypeError(
            f"Policy: {field}={value!r} is a {type(value).__name__}; pass halfsim.BINARY16 or halfsim.BINARY32"
        )
    if value not in (BINARY16, BINARY32):
        raise ValueError(f"Policy: {field}={value.name} must be halfsim.BINARY16 or halfsim.BINARY32")


def _ascending(fmt: Format) -> Sequential:
    """Return ascending order in a format: policies ask again and again for that of two."""
    return SUM16 if fmt is BINARY16 else SUM32 if fmt is BINARY32 else Sequential(format=fmt)


def as_reduction(field: str, value: AccumulatorLike | Format) -> Reduction:
    """Return how a reduction is summed, if there is such an arithmetic."""
    row = _ascending(value) if isinstance(value, Format) else as_accumulator(value, f"Policy: {field}")
    if isinstance(row, Sequential) and row.fused:
        row = replace(row, fused=False)
    if isinstance(row, Sequential | Pairwise) and (row.format == BINARY16 or row == SUM32):
        return row
    raise ValueError(
        f"Policy: {field}={value!r} is no arithmetic of a reduction; pass BINARY32, BINARY16, "
        "or Sequential or Pairwise with format=BINARY16"
    )


def as_product(field: str, value: AccumulatorLike, wide: Sequence[str]) -> Accumulator:
    """Return the accumulator of a kind of product, if it fits the operands; those in `wide` are binary32."""
    chosen = as_accumulator(value, "Policy")
    if wide:
        if chosen not in (FP32, SUM32):
            raise ValueError(
                f"Policy: {field}={chosen!r} takes binary16 operands, but {wide[0]} are binary32; "
                f"pass Sequential(format=BINARY32) or store {wide[0]} in binary16"
            )
    elif factor_formats(chosen) != (BINARY16, BINARY16):
        raise ValueError(
            f"Policy: {field}={value!r} takes other factors than binary16, in which networks "
            "are stored; pass an accumulator with binary16 inputs such as 'h100:f32'"
        )
    return chosen


def one_of(method: str, argument: str, value: str, known: Iterable[str]) -> str:
    """Return a text that is one of the known ones."""
    if value not in known:
        raise ValueError(f"Policy.{method}: {argument}={value!r} is not one of {', '.join(known)}; pass one of them")
    return value


def as_switch(field: str, value: object) -> bool:
    """Return True or False, of Python or of NumPy."""
    value = plain(value)
    if not isinstance(value, bool):
        raise TypeError(f"Policy: {field}={value!r} is a {type(value).__name__}; pass True or False")
    return value


def check_scale(value: object) -> None:
    """Refuse what is no rule of a loss scale."""
    if not isinstance(value, NoScale | StaticScale | DynamicScale | LayerScale):
        raise TypeError(
            f"Policy: loss_scale={value!r} is a {type(value).__name__}; "
            "pass NoScale(), StaticScale(scale=...), DynamicScale(...) or LayerScale(...)"
        )
