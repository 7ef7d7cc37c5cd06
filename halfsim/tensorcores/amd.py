"""The matrix cores of AMD's CDNA GPUs, by instruction.

The rules are those of MMA-Sim 2.1.1 [@mmasim2025], whose authors compare random patterns with the hardware, NaN bits
excepted. Its release 1.x summed CDNA1's blocks pairwise and cut CDNA3's totals once less. The models of
[@cdnamodels2026] have the same blocks; for CDNA3 they differ in last bits. No raw output is published. Instructions are
spelled as AMD's assembler spells them for the architecture: ``v_mfma_f32_32x32x8f16`` up to gfx90a,
``v_mfma_f32_32x32x8_f16`` on gfx942.
"""

from __future__ import annotations

from typing import NamedTuple

from halfsim.environment import Environment
from halfsim.mfma import ExactDotAdd, PairwiseDotAdd, TwoStageDotAdd
from halfsim.tensorcores.evidence import Evidence, EvidenceKind, claims, inferred, sources
from halfsim.tensorcores.fused import INPUTS
from halfsim.tensorcores.tensorcore import TensorCore

__all__ = ["ROWS"]

_FLUSHING = Environment(flush_inputs=True, flush_results=True)


class _Architecture(NamedTuple):
    generation: str
    name: str
    gpus: tuple[str, ...]
    modelled: str
    """The board that the second model names."""
    limits: str
    """What that model does not show."""


_UNTESTED = "any comparison with the hardware, as none is stated"
_CDNA1 = _Architecture("cdna1", "gfx908", ("mi100",), "MI100", _UNTESTED)
_CDNA2 = _Architecture("cdna2", "gfx90a", ("mi210", "mi250x"), "MI210", _UNTESTED)
_CDNA3 = _Architecture("cdna3", "gfx942", ("mi300a", "mi300x"), "MI300X", f"{_UNTESTED}; last bits, which differ")

# Architecture, format of A and B, products per block, and (instruction, its products): the deepest first, the default.
_ROWS: tuple[tuple[_Architecture, str, int, tuple[tuple[str, int], ...]], ...] = (
    (_CDNA1, "f16", 4, (("16x16x16f16", 16), ("32x32x8f16", 8), ("32x32x4f16", 4), ("16x16x4f16", 4), ("4x4x4f16", 4))),
    (_CDNA1, "bf16", 2,
     (("16x16x8bf16", 8), ("32x32x4bf16", 4), ("32x32x2bf16", 2), ("16x16x2bf16", 2), ("4x4x2bf16", 2))),
    (_CDNA2, "f16", 4, (("16x16x16f16", 16), ("32x32x8f16", 8), ("32x32x4f16", 4), ("16x16x4f16", 4), ("4x4x4f16", 4))),
    (_CDNA2, "bf16", 4,
     (("16x16x16bf16_1k", 16), ("32x32x8bf16_1k", 8), ("32x32x4bf16_1k", 4), ("16x16x4bf16_1k", 4),
      ("4x4x4bf16_1k", 4))),
    (_CDNA2, "bf16", 2,
     (("16x16x8bf16", 8), ("32x32x4bf16", 4), ("32x32x2bf16", 2), ("16x16x2bf16", 2), ("4x4x2bf16", 2))),
    *((_CDNA3, inputs, 8,
       ((f"16x16x16_{inputs}", 16), (f"32x32x8_{inputs}", 8), (f"32x32x4_2b_{inputs}", 4), (f"16x16x4_4b_{inputs}", 4),
        (f"4x4x4_16b_{inputs}", 4)))
      for inputs in ("f16", "bf16")),
)  # fmt: skip


def _accumulator(
    architecture: _Architecture, inputs: str, terms: int, depth: int, evidence: tuple[Evidence, ...]
) -> ExactDotAdd | PairwiseDotAdd | TwoStageDotAdd:
    factors, source, text = INPUTS[inputs], sources(evidence), claims(evidence)
    if architecture is _CDNA1:
        return ExactDotAdd(terms=terms, inputs=factors, source=source, evidence=text)
    if architecture is _CDNA2:
        return PairwiseDotAdd(
            terms=terms, depth=depth, environment=_FLUSHING, inputs=factors, source=source, evidence=text
        )
    return TwoStageDotAdd(
        terms=min(terms, depth),
        term_bits=24,
        product_bits=32,
        addend_bits=24,
        total_bits=31,
        inputs=factors,
        source=source,
        evidence=text,
    )


def _rows() -> tuple[TensorCore, ...]:
    rows = []
    for architecture, inputs, terms, instructions in _ROWS:
        evidence = (
            Evidence(
                kind=EvidenceKind.simulator,
                source="mmasim2025",
                gpus=(f"{architecture.generation.upper()}, board not named",),
                coverage=("random-bits",),
                limits="the outputs, which are not published; NaN bits, which are not compared",
            ),
            inferred("cdnamodels2026", architecture.modelled, architecture.limits),
        )
        rows += [
            TensorCore(
                generation=architecture.generation,
                architecture=architecture.name,
                gpus=architecture.gpus,
                instruction=f"v_mfma_f32_{shape}",
                inputs=inputs,
                output="f32",
                accumulator=_accumulator(architecture, inputs, terms, depth, evidence),
                evidence=evidence,
            )
            for shape, depth in instructions
        ]
    return tuple(rows)


ROWS: tuple[TensorCore, ...] = _rows()
"""Every row of an AMD GPU; the first of a key and its factors is its default instruction."""
