"""Why the simulator expects a captured result to be what it is: the explanation of one element, in a few lines."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from halfsim.capture.matrix import MATRIX_INSTRUCTIONS, MatrixInstruction
from halfsim.capture.model import matrix_operands, tensor_core
from halfsim.capture.reader import Record
from halfsim.environment import CUDA
from halfsim.explanation import explain, explain_dot
from halfsim.explanation.dot_steps import Block
from halfsim.explanation.elementwise import Explanation
from halfsim.explanation.values import hexadecimal
from halfsim.formats import BINARY16, BINARY32, BINARY64

__all__ = ["reasons"]

_SHOWN = 3  # blocks, and cut terms of a block
_OPERATIONS = {"add": "add", "sub": "subtract", "mul": "multiply", "fma": "fma"}
_FORMATS = {"f16": (BINARY16, np.float16), "f32": (BINARY32, np.float32), "f64": (BINARY64, np.float64)}
_ROUNDINGS = {"rn": "rne", "rz": "rtz", "rm": "rdn", "rp": "rup"}


def reasons(record: Record, index: tuple[int, ...]) -> tuple[str, ...]:
    """Explain one expected result, a line per block or rounding.

    Parameters
    ----------
    record : Record
        A captured instruction.
    index : tuple of int
        An element of its result.

    Returns
    -------
    tuple of str
        Empty where nothing is rounded: comparisons, minima, and what is only copied.
    """
    instruction = MATRIX_INSTRUCTIONS.get(record.instruction)
    return _element(record, index[0]) if instruction is None else _dot(instruction, record, index)


def _dot(instruction: MatrixInstruction, record: Record, index: tuple[int, ...]) -> tuple[str, ...]:
    row = tensor_core(instruction, record.capability)
    if row is None:
        return ()
    part, i, j = index[-3:]
    A, B, C = matrix_operands(instruction, record)
    length = int(record.operands["K"][index[0]]) if "K" in record.operands else A.shape[2]
    shown = explain_dot(A[part, i, :length], B[part, :length, j], C[part, i, j], accumulator=row)
    used = [block for block in shown.blocks if block.loses or any(term.units for term in block.terms)]
    lines = [f"{len(shown.blocks)} blocks, the last of those that matter:"] if len(used) > _SHOWN else []
    lines += [_block(block) for block in (used or shown.blocks)[-_SHOWN:]]
    if instruction.output == "f16" != instruction.addend:
        lines.append(f"then {shown.result.pattern} is rounded to binary16")
    return tuple(lines)


def _block(block: Block) -> str:
    lost = [f"{term.name} loses {hexadecimal(abs(term.lost))}" for term in block.terms if term.lost]
    if len(lost) > _SHOWN:
        lost[_SHOWN:] = [f"and {len(lost) - _SHOWN} terms more"]
    cut = "; ".join(lost) or "no term is cut"
    aligned = "" if block.largest_exponent is None else f"largest exponent {block.largest_exponent}, "
    rounding = block.case if block.decision is None else f"{block.case}, {block.decision.reason}"
    return (
        f"k = {block.first} to {block.last}: {aligned}unit 2^{block.unit}; {cut}; sum {block.total} units; "
        f"{rounding}: {block.result.pattern}"
    )


def _element(record: Record, element: int) -> tuple[str, ...]:
    parts = record.opcode.split(".")
    packed = record.result.shape[0] == 2 * record.operands["a"].shape[0]
    source = element // 2 if packed else element
    if parts[0] == "cvt":
        made = _conversion(parts, record, "ba"[element % 2] if packed else "a", source)
    elif parts[0] in _OPERATIONS:
        flush = "ftz" in parts
        environment = replace(CUDA, flush_inputs=flush, flush_results=flush)
        operands = [record.operands[name].view(np.float16)[source] for name in "abc" if name in record.operands]
        made = explain(_OPERATIONS[parts[0]], *operands, environment=environment)
    else:
        made = None
    return () if made is None else _rounding(made, parts)


def _conversion(parts: list[str], record: Record, name: str, element: int) -> Explanation | None:
    target, source = parts[-2], parts[-1]
    target = "f16" if target == "f16x2" else target
    if target not in _FORMATS or source not in _FORMATS or source == target:
        return None
    value = record.operands[name].view(_FORMATS[source][1])[element]
    environment = replace(CUDA, flush_inputs="ftz" in parts)
    rounding: Any = _ROUNDINGS.get(parts[1][:2], "rne")
    return explain("convert", value, _FORMATS[target][0], rounding=rounding, environment=environment)


def _rounding(made: Explanation, parts: list[str]) -> tuple[str, ...]:
    exact = "" if made.exact is None else f"exact {made.exact.hexadecimal}; "
    decided = made.outcome if made.decision is None else f"{made.outcome}, {made.decision.reason}"
    after = [f"then .{name} applies" for name in ("sat", "relu") if name in parts]
    return (f"{exact}{decided}: {made.result.pattern}", *after)
