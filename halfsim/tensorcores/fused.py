"""Rows of NVIDIA's kind: one fused block of products, described by a rule for both formats of the result."""

from __future__ import annotations

from typing import NamedTuple

from halfsim.accumulators import FusedDotAdd
from halfsim.formats import BFLOAT16, BINARY16, BINARY32, E4M3, E5M2, TF32, Format
from halfsim.rounding import Rounding
from halfsim.tensorcores.evidence import Evidence, claims, sources
from halfsim.tensorcores.tensorcore import TensorCore

__all__ = ["INPUTS", "Rule", "fused_row"]

INPUTS = {"f16": BINARY16, "bf16": BFLOAT16, "tf32": TF32, "e4m3": E4M3, "e5m2": E5M2}
"""Formats of factors by their names in PTX."""


class Rule(NamedTuple):
    """The numbers of a block."""

    terms: int
    fraction_bits: int
    zero_f32: int
    """Least exponent of a block with a binary32 accumulator."""
    zero_f16: int
    wide: Format = BINARY32
    """Format of the results that an ``f32`` register holds."""


def fused_row(
    generation: str,
    architecture: str,
    gpus: tuple[str, ...],
    instruction: str,
    inputs: str,
    output: str,
    rule: Rule,
    evidence: tuple[Evidence, ...],
) -> TensorCore:
    """Return the row of an instruction: an ``f32`` result is cut, an ``f16`` result rounded to nearest."""
    narrow = output == "f16"
    accumulator = FusedDotAdd(
        terms=rule.terms,
        fraction_bits=rule.fraction_bits,
        zero_exponent=rule.zero_f16 if narrow else rule.zero_f32,
        inputs=INPUTS[inputs],
        output=BINARY16 if narrow else rule.wide,
        rounding=Rounding.roundTiesToEven if narrow else Rounding.roundTowardZero,
        source=sources(evidence),
        evidence=claims(evidence),
    )
    return TensorCore(
        generation=generation,
        architecture=architecture,
        gpus=gpus,
        instruction=instruction,
        inputs=inputs,
        output=output,
        accumulator=accumulator,
        evidence=evidence,
    )
