"""The table of tensor cores, and the ways to name one of its rows."""

from __future__ import annotations

from functools import lru_cache, partial
from typing import TypeAlias, overload

from halfsim.accumulators import FP16, FP32, Accumulator, Compensated, Exact, FusedDotAdd, MatrixUnit, Pairwise
from halfsim.arguments import tells_its_arguments
from halfsim.formats import BINARY16
from halfsim.mfma import ExactDotAdd, PairwiseDotAdd, TwoStageDotAdd
from halfsim.tensorcores import amd, nvidia, nvidia_formats
from halfsim.tensorcores.fused import INPUTS
from halfsim.tensorcores.gpus import Cdna1, Cdna2, Cdna3, Nvidia
from halfsim.tensorcores.tensorcore import TensorCore

__all__ = ["SUMS", "TABLE", "AccumulatorLike", "as_accumulator", "names", "row"]

AccumulatorLike: TypeAlias = "Accumulator | str"
"""An accumulator, or a name that `as_accumulator` knows."""

TABLE: tuple[TensorCore, ...] = (*nvidia.ROWS, *nvidia_formats.ROWS, *amd.ROWS)
"""Every row, of NVIDIA [@khattak2025] and AMD [@mmasim2025]; the first of a key, its factors and output is its default
instruction."""

SUMS: dict[str, Accumulator] = {
    "fp16": FP16,
    "fp32": FP32,
    "exact": Exact(),
    "exact:f16": Exact(format=BINARY16),
    "pairwise": Pairwise(),
    "pairwise:f16": Pairwise(format=BINARY16),
    "compensated": Compensated(),
    "compensated:f16": Compensated(format=BINARY16),
}
"""Names of the accumulators that are no tensor cores; of those with a format, binary32 is the default."""


def names() -> tuple[str, ...]:
    """Return the names of all boards and generations, and of the accumulators that are no tensor cores.

    Examples
    --------
    >>> import halfsim as hs
    >>> hs.tensorcores.names()[:3], hs.tensorcores.names()[-2:]
    (('v100', 't4', 'a100'), ('compensated', 'compensated:f16'))
    """
    boards = [name for entry in TABLE for name in entry.gpus]
    return tuple(dict.fromkeys([*boards, *(entry.generation for entry in TABLE), *SUMS]))


def _one_of(
    argument: str, arrived: object, rows: list[TensorCore], known: list[str], function: str, also: str = ""
) -> None:
    if not rows:
        names = ", ".join(repr(name) for name in dict.fromkeys(known))
        raise ValueError(f"{function}: unknown {argument} {arrived!r}; known are {names}{also}")


@overload
def row(gpu: Nvidia, output: str = ..., instruction: str | None = ..., inputs: str | None = ...) -> FusedDotAdd: ...
@overload
def row(gpu: Cdna1, output: str = ..., instruction: str | None = ..., inputs: str | None = ...) -> ExactDotAdd: ...
@overload
def row(gpu: Cdna2, output: str = ..., instruction: str | None = ..., inputs: str | None = ...) -> PairwiseDotAdd: ...
@overload
def row(gpu: Cdna3, output: str = ..., instruction: str | None = ..., inputs: str | None = ...) -> TwoStageDotAdd: ...
@overload
def row(gpu: str, output: str = ..., instruction: str | None = ..., inputs: str | None = ...) -> MatrixUnit: ...
@partial(tells_its_arguments, name="tensorcores.row")
def row(gpu: str, output: str = "f32", instruction: str | None = None, inputs: str | None = None) -> MatrixUnit:
    """Return how a GPU's matrix unit sums.

    NVIDIA's have `halfsim.FusedDotAdd` [@khattak2025]; AMD's `halfsim.ExactDotAdd` (CDNA 1), `halfsim.PairwiseDotAdd`
    (2) and `halfsim.TwoStageDotAdd` (3) [@mmasim2025]. Type checkers know which where the name stands in the call, in
    lower case.

    Parameters
    ----------
    gpu : str
        A board (v100, t4, a100, a10, l40s, h100, h200, b200, rtx5090, mi100, mi210, mi250x, mi300a, mi300x) or a
        generation (volta, turing, ampere, ada, hopper, blackwell, rtx_blackwell, cdna1, cdna2, cdna3).
    output : str
        ``"f32"`` or ``"f16"``, the format of C and D. A binary16 C beside a binary32 D, on m8n8k4, counts as widened;
        sources conflict where it is subnormal.
    instruction : str, optional
        One of the instructions that the GPU has; by default its largest ``mma.sync`` shape, if it has one, or the
        ``v_mfma`` with the most products.
    inputs : str, optional
        Format of the factors: ``"f16"``, or ``"bf16"``, ``"tf32"``, ``"e4m3"``, ``"e5m2"`` where the GPU has it; by
        default the one that the instruction has, ``"f16"`` where it has several or none is named. FP8 factors may
        differ: ``dataclasses.replace(row, inputs=(halfsim.E4M3, halfsim.E5M2))``. Upper and lower case are the same in
        all four.

    Raises
    ------
    ValueError
        For an unknown key, output, instruction or format; the message lists the known ones.

    Examples
    --------
    >>> import halfsim as hs
    >>> hopper = hs.tensorcores.row("h100", "f32")
    >>> hopper.terms, hopper.fraction_bits
    (16, 25)
    >>> hs.tensorcores.row("h100", inputs="e4m3").fraction_bits
    13
    """
    gpu, output = str(gpu).lower(), str(output).lower()
    instruction, inputs = (None if name is None else str(name).lower() for name in (instruction, inputs))
    return _find(gpu, output, instruction, inputs, "tensorcores.row")


def _of(gpu: str) -> list[TensorCore]:
    return [entry for entry in TABLE if gpu == entry.generation or gpu in entry.gpus]


def _find(gpu: str, output: str, instruction: str | None, inputs: str | None, function: str) -> MatrixUnit:
    rows = _of(gpu)
    known = [name for entry in TABLE for name in entry.gpus] + [entry.generation for entry in TABLE]
    sums = ", ".join(name for name in SUMS if ":" not in name)
    _one_of("GPU", gpu, rows, known, function, f"; accumulators of no GPU are {sums}")
    known = [entry.output for entry in rows]
    rows = [entry for entry in rows if entry.output == output]
    _one_of(f"output of {gpu}", output, rows, known, function)
    if inputs is None:
        own = {entry.inputs for entry in rows if entry.instruction == instruction}
        inputs = own.pop() if len(own) == 1 else "f16"
    known = [entry.inputs for entry in rows]
    rows = [entry for entry in rows if entry.inputs == inputs]
    _one_of(f"inputs of {gpu}:{output}", inputs, rows, known, function)
    if instruction is not None:
        elsewhere = any(entry.instruction == instruction for entry in _of(gpu))
        known = [entry.instruction for entry in rows]
        rows = [entry for entry in rows if entry.instruction == instruction]
        of = f"{gpu} with {inputs} inputs" if elsewhere or inputs != "f16" else gpu
        _one_of(f"instruction of {of}", instruction, rows, known, function)
    return rows[0].accumulator


@lru_cache(maxsize=256)
def _parse(text: str, function: str) -> Accumulator:
    if text.lower() in SUMS:
        return SUMS[text.lower()]
    parts = text.lower().split(":")
    if parts[1:] == ["f32"] and f"{parts[0]}:f16" in SUMS:
        return SUMS[parts[0]]
    formats = [part for part in parts[2:] if part in INPUTS]
    instructions = [part for part in parts[2:] if part not in INPUTS]
    if len(parts) < 2 or len(formats) > 1 or len(instructions) > 1:
        raise ValueError(
            f"{function}: accumulator={text!r} is not 'GPU:output', as 'h100:f32' is, with an instruction, inputs or "
            f"both after it, as in 'h100:f32:wgmma:e4m3', and not one of {', '.join(SUMS)}"
        )
    if instructions and instructions[0] not in {entry.instruction for entry in TABLE}:
        shapes = dict.fromkeys(entry.instruction for entry in _of(parts[0]) or TABLE)
        raise ValueError(
            f"{function}: {instructions[0]!r} in accumulator={text!r} is no instruction ({', '.join(shapes)}) and no "
            f"inputs ({', '.join(INPUTS)})"
        )
    return _find(parts[0], parts[1], next(iter(instructions), None), next(iter(formats), None), function)


def as_accumulator(accumulator: AccumulatorLike, function: str = "as_accumulator") -> Accumulator:
    """Return the accumulator that a row or its short name stands for.

    Parameters
    ----------
    accumulator : Sequential, Pairwise, Compensated, Exact, a matrix unit or str
        A string names a tensor core, ``"h100:f32"``, ``"h100:f32:wgmma"``, ``"h100:f32:bf16"`` or
        ``"h100:f32:wgmma:e4m3"``, a matrix core of AMD, as ``"mi300x:f32"``, or another accumulator: ``"fp16"``,
        ``"fp32"``, ``"exact"``, ``"pairwise"``, ``"compensated"``, the last three also with ``":f16"`` or ``":f32"``,
        their default. Upper and lower case are the same.
    function : str, optional
        Name that errors begin with.

    Raises
    ------
    ValueError
        For a string that names no row.
    TypeError
        For anything else.

    Examples
    --------
    >>> import halfsim as hs
    >>> hs.tensorcores.as_accumulator("h100:f32") == hs.tensorcores.row("h100", "f32")
    True
    >>> hs.tensorcores.as_accumulator("fp16") == hs.FP16
    True
    """
    if isinstance(accumulator, str):
        return _parse(accumulator, function)
    if isinstance(accumulator, Accumulator):
        return accumulator
    raise TypeError(
        f"{function}: accumulator={accumulator!r} is a {type(accumulator).__name__}; pass halfsim.FP32, another "
        "accumulator row, or the name of a tensor core such as 'h100:f32'"
    )
