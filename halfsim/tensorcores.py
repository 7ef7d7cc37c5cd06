"""The matrix units of NVIDIA GPUs, one row each: which block of products they sum, and how that is known.

Confidence marks in `TensorCore.confidence`: A, raw outputs captured on the hardware agree with the row; B, separate
projects with stated hardware tests agree, without raw captures; C, one project only. The sources: [@khattak2025],
[@mmasim2025], [@fasi2021] with the logs [@lookup1980], and [@mmascope].
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

from halfsim.accumulators import Accumulator, Compensated, Exact, FusedDotAdd, Pairwise, Sequential
from halfsim.formats import BINARY16, BINARY32
from halfsim.rounding import Rounding

__all__ = ["TABLE", "AccumulatorLike", "TensorCore", "as_accumulator", "row"]

AccumulatorLike: TypeAlias = "Accumulator | str"


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorCore:
    """One instruction of one GPU architecture with one accumulator format.

    Parameters
    ----------
    generation, architecture : str
        Key of the generation, and the compute capability ("sm_80").
    gpus : tuple of str
        Keys of the boards.
    instruction : str
        PTX shape (``mma.sync``) or instruction.
    output : str
        ``"f32"`` or ``"f16"``, the format of C and D.
    confidence : str
        ``"A"``, ``"B"`` or ``"C"``.
    accumulator : FusedDotAdd
        The arithmetic, with source and evidence.
    """

    generation: str
    architecture: str
    gpus: tuple[str, ...]
    instruction: str
    output: str
    confidence: str
    accumulator: FusedDotAdd


# Terms per block, fraction bits, and the zero exponents for binary32 and binary16 results: four rule sets.
_VOLTA = (4, 23, -131, -19)
_AMPERE = (8, 24, -132, -20)
_HOPPER = (16, 25, -133, -21)
_HOPPER_K8 = (8, 25, -133, -21)

_CAPTURES = "Khattak and Mikaitis, arXiv:2512.07004 (captures, WMMA m16n16k16)"
_PROBES = "mmascope fingerprints (WMMA m16n16k16)"
_DOT4 = "logs of Fasi et al.'s tests, PeerJ CS 7:e330"
_MODEL = "MMA-Sim, arXiv:2511.10909 (random comparison with the hardware)"
_F16_CHAIN = "one block per output captured; rounding between blocks from MMA-Sim alone"


def _captured(boards: str, outputs: int, more: str = "") -> str:
    return f"{outputs:,} of {outputs:,} captured outputs agree ({boards}){'; ' + more if more else ''}"


# generation, architecture, boards, instruction, rule set; then source, evidence, confidence for f32, and for f16.
_ROWS = (
    ("volta", "sm_70", ("v100",), "m8n8k4", _VOLTA,
     f"{_CAPTURES}; {_PROBES}", _captured("V100", 5089), "A",
     _CAPTURES, _captured("V100", 5000, _F16_CHAIN), "A"),
    ("turing", "sm_75", ("t4",), "m16n8k8", _AMPERE,
     f"{_MODEL}; PeerJ CS 7:e330 (list of properties)", "T4, no published raw output", "C",
     _MODEL, "T4, no published raw output", "C"),
    ("turing", "sm_75", ("t4",), "m8n8k4", _VOLTA,
     _MODEL, "T4, no published raw output", "C",
     _MODEL, "T4, no published raw output", "C"),
    ("ampere", "sm_80", ("a100",), "m16n8k16", _AMPERE,
     f"{_CAPTURES}; {_PROBES}", _captured("A100", 5089), "A",
     _CAPTURES, _captured("A100", 5000, _F16_CHAIN), "A"),
    ("ampere", "sm_80", ("a100",), "m16n8k8", _AMPERE,
     f"{_CAPTURES}; {_MODEL}", "the block of m16n8k16, captured there; this shape by MMA-Sim", "B",
     f"{_CAPTURES}; {_MODEL}", "the block of m16n8k16, captured there; this shape by MMA-Sim", "B"),
    ("ampere", "sm_86", ("a10",), "m16n8k16", _AMPERE,
     f"{_CAPTURES}; {_DOT4}", _captured("A2, A10, RTX 3080", 5026), "A",
     _CAPTURES, _captured("A2", 5000, _F16_CHAIN), "A"),
    ("ampere", "sm_86", ("a10",), "m16n8k8", _AMPERE,
     f"{_CAPTURES}; {_MODEL}", "the block of m16n8k16, captured there; this shape by MMA-Sim", "B",
     f"{_CAPTURES}; {_MODEL}", "the block of m16n8k16, captured there; this shape by MMA-Sim", "B"),
    ("ada", "sm_89", ("l40s",), "m16n8k16", _AMPERE,
     f"{_CAPTURES}; {_DOT4}", _captured("L40S and RTX 1000 Ada with identical files, RTX 4090", 10019), "A",
     _CAPTURES, _captured("L40S and RTX 1000 Ada with identical files", 10000, _F16_CHAIN), "A"),
    ("ada", "sm_89", ("l40s",), "m16n8k8", _AMPERE,
     f"{_CAPTURES}; {_MODEL}", "the block of m16n8k16, captured there; this shape by MMA-Sim", "B",
     f"{_CAPTURES}; {_MODEL}", "the block of m16n8k16, captured there; this shape by MMA-Sim", "B"),
    ("hopper", "sm_90", ("h100", "h200"), "m16n8k16", _HOPPER,
     f"{_CAPTURES}; {_PROBES}", _captured("H100, H200", 10089), "A",
     _CAPTURES, _captured("H100, H200", 10000, "one block per output captured"), "A"),
    ("hopper", "sm_90", ("h100", "h200"), "m16n8k8", _HOPPER_K8,
     _MODEL, "H100, no published raw output of this shape", "C",
     _MODEL, "H100, no published raw output of this shape", "C"),
    ("hopper", "sm_90a", ("h100", "h200"), "wgmma", _HOPPER,
     _MODEL, "H100, no published raw output", "C",
     _MODEL, "H100, no published raw output", "C"),
    ("blackwell", "sm_100", ("b200",), "m16n8k16", _HOPPER,
     _CAPTURES, _captured("B200", 5000), "A",
     _CAPTURES, _captured("B200", 5000, "one block per output captured"), "A"),
    ("blackwell", "sm_100", ("b200",), "m16n8k8", _HOPPER_K8,
     _MODEL, "B200, no published raw output of this shape", "C",
     _MODEL, "B200, no published raw output of this shape", "C"),
    ("blackwell", "sm_100a", ("b200",), "tcgen05", _HOPPER,
     _MODEL, "B200, no published raw output", "C",
     _MODEL, "B200, no published raw output", "C"),
    ("rtx_blackwell", "sm_120", ("rtx5090",), "m16n8k16", _HOPPER,
     f"{_DOT4}; {_MODEL}", _captured("RTX 5090", 19), "A",
     _MODEL, "RTX PRO 6000; a second numerical model of the RTX 5090 agrees", "B"),
    ("rtx_blackwell", "sm_120", ("rtx5090",), "m16n8k8", _HOPPER_K8,
     _MODEL, "RTX PRO 6000, no published raw output of this shape", "C",
     _MODEL, "RTX PRO 6000, no published raw output of this shape", "C"),
)  # fmt: skip


def _table() -> tuple[TensorCore, ...]:
    rows = []
    for generation, architecture, gpus, instruction, (terms, fraction_bits, zero32, zero16), *claims in _ROWS:
        for output, fmt, rounding, zero, (source, evidence, confidence) in (
            ("f32", BINARY32, Rounding.roundTowardZero, zero32, claims[:3]),
            ("f16", BINARY16, Rounding.roundTiesToEven, zero16, claims[3:]),
        ):
            accumulator = FusedDotAdd(
                terms=terms,
                fraction_bits=fraction_bits,
                zero_exponent=zero,
                output=fmt,
                rounding=rounding,
                source=source,
                evidence=evidence,
            )
            rows.append(
                TensorCore(
                    generation=generation,
                    architecture=architecture,
                    gpus=gpus,
                    instruction=instruction,
                    output=output,
                    confidence=confidence,
                    accumulator=accumulator,
                )
            )
    return tuple(rows)


TABLE: tuple[TensorCore, ...] = _table()
"""Every row; the first of a key and output is its default instruction."""


def _one_of(argument: str, arrived: object, rows: list[TensorCore], known: list[str], function: str) -> None:
    if not rows:
        names = ", ".join(repr(name) for name in dict.fromkeys(known))
        raise ValueError(f"{function}: unknown {argument} {arrived!r}; known are {names}")


def row(gpu: str, output: str = "f32", instruction: str | None = None) -> FusedDotAdd:
    """Return how a GPU's tensor core sums.

    Parameters
    ----------
    gpu : str
        A board (v100, t4, a100, a10, l40s, h100, h200, b200, rtx5090) or a generation (volta, turing, ampere, ada,
        hopper, blackwell, rtx_blackwell).
    output : str
        ``"f32"`` or ``"f16"``, the format of C and D.
    instruction : str, optional
        One of the instructions that the GPU has; by default its largest ``mma.sync`` shape.

    Raises
    ------
    ValueError
        For an unknown key, output or instruction; the message lists the known ones.

    Examples
    --------
    >>> import halfsim as hs
    >>> hopper = hs.tensorcores.row("h100", "f32")
    >>> hopper.terms, hopper.fraction_bits
    (16, 25)
    """
    return _find(gpu, output, instruction, "tensorcores.row")


def _find(gpu: str, output: str, instruction: str | None, function: str) -> FusedDotAdd:
    rows = [entry for entry in TABLE if gpu == entry.generation or gpu in entry.gpus]
    known = [name for entry in TABLE for name in entry.gpus] + [entry.generation for entry in TABLE]
    _one_of("GPU", gpu, rows, known, function)
    known = [entry.output for entry in rows]
    rows = [entry for entry in rows if entry.output == output]
    _one_of(f"output of {gpu}", output, rows, known, function)
    if instruction is not None:
        known = [entry.instruction for entry in rows]
        rows = [entry for entry in rows if entry.instruction == instruction]
        _one_of(f"instruction of {gpu}", instruction, rows, known, function)
    return rows[0].accumulator


@lru_cache(maxsize=256)
def _parse(text: str, function: str) -> FusedDotAdd:
    parts = text.split(":")
    if not 2 <= len(parts) <= 3:
        raise ValueError(
            f"{function}: accumulator={text!r} is not 'GPU:output' or 'GPU:output:instruction', as 'h100:f32' is"
        )
    return _find(parts[0], parts[1], parts[2] if len(parts) == 3 else None, function)


def as_accumulator(accumulator: AccumulatorLike, function: str = "as_accumulator") -> Accumulator:
    """Return the accumulator that a row or its short name stands for.

    Parameters
    ----------
    accumulator : Sequential, Pairwise, Compensated, Exact, FusedDotAdd or str
        A string names a tensor core: ``"h100:f32"`` or ``"h100:f32:wgmma"``.
    function : str, optional
        Name that errors begin with.

    Raises
    ------
    ValueError
        For a string that names no row.
    TypeError
        For anything else.
    """
    if isinstance(accumulator, str):
        return _parse(accumulator, function)
    if isinstance(accumulator, Sequential | Pairwise | Compensated | Exact | FusedDotAdd):
        return accumulator
    raise TypeError(
        f"{function}: accumulator={accumulator!r} is a {type(accumulator).__name__}; pass halfsim.FP32, another "
        "accumulator row, or the name of a tensor core such as 'h100:f32'"
    )
