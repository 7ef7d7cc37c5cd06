"""What the simulator expects of a captured instruction: the model that a conformance check compares with."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from halfsim import conversion, linalg, operations, predicates, tensorcores
from halfsim.accumulators import MatrixUnit
from halfsim.capture.emulated import Step, emulation
from halfsim.capture.matrix import MATRIX_INSTRUCTIONS, MatrixInstruction
from halfsim.capture.reader import Record
from halfsim.capture.words import FORMATS, decode
from halfsim.environment import CUDA, Environment
from halfsim.formats import BINARY16, BINARY32, BINARY64

__all__ = ["expected", "matrix_operands", "multiplier", "tensor_core"]

Words = NDArray[Any]

_GENERATIONS = {
    (7, 0): "volta",
    (7, 5): "turing",
    (8, 0): "ampere",
    (8, 6): "a10",
    (8, 7): "a10",
    (8, 9): "ada",
    (9, 0): "hopper",
    (10, 0): "blackwell",
    (10, 3): "blackwell",
    (12, 0): "rtx_blackwell",
    (12, 1): "rtx_blackwell",
}
_ROUNDING = {"rn": "rne", "rz": "rtz", "rm": "rdn", "rp": "rup"}
_DTYPES = {"f16": np.float16, "f32": np.float32, "f64": np.float64}
_FORMATS = {"f16": BINARY16, "f32": BINARY32, "f64": BINARY64}
_PATTERNS: dict[int, type[np.unsignedinteger[Any]]] = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}
_COMPARISONS = {
    "eq": predicates.equal,
    "ne": None,
    "lt": predicates.less_quiet,
    "le": predicates.less_equal_quiet,
    "gt": predicates.greater_quiet,
    "ge": predicates.greater_equal_quiet,
    "equ": None,
    "neu": predicates.not_equal,
    "ltu": predicates.less_unordered_quiet,
    "leu": predicates.not_greater_quiet,
    "gtu": predicates.greater_unordered_quiet,
    "geu": predicates.not_less_quiet,
    "num": predicates.ordered,
    "nan": predicates.unordered,
}


def tensor_core(instruction: MatrixInstruction, capability: tuple[int, int]) -> MatrixUnit | None:
    """Return the row of a matrix instruction on GPUs of a compute capability, or None where nobody knows one.

    The row of an instruction with a binary32 C and a binary16 D gives binary32, which is then rounded to nearest even.
    """
    generation = _GENERATIONS.get(capability)
    output = instruction.output
    if instruction.addend == "f32" != output:
        if capability < (8, 0):
            return None
        output = "f32"  # the assembler makes a binary32 product and a conversion of it
    if generation is None:
        return None
    shape = f"m{instruction.m}n{instruction.n}k{instruction.k}"
    # wmma has no arithmetic of its own: it is made of the generation's instructions.
    key = {"mma": shape, "wgmma": "wgmma"}.get(instruction.family)
    left, right = instruction.inputs
    try:
        found = tensorcores.row(generation, output, key, left)
    except ValueError:
        return None
    # Rows have equal formats of A and B; only decoding tells mixed FP8 from it.
    return found if left == right else replace(found, inputs=(FORMATS[left], FORMATS[right]))


def _floats(words: Words) -> NDArray[Any]:
    return words.view({2: np.float16, 4: np.float32, 8: np.float64}[words.itemsize])


def _patterns(values: Any) -> Words:
    array = np.asarray(values)
    return array.view(_PATTERNS[array.itemsize])


def _factor(kind: str, words: Words) -> NDArray[Any]:
    """Numbers of a format; of a TF32 register the upper 19 bits, though the PTX ISA leaves open what the others do."""
    return _floats(words) if kind == "f16" else decode(kind, words)


def matrix_operands(instruction: MatrixInstruction, record: Record) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Return A, B and C of a matrix instruction's record as `halfsim.matmul` takes them."""
    A, B = (_factor(kind, record.operands[name]) for kind, name in zip(instruction.inputs, "AB", strict=True))
    return A, B, _floats(record.operands[f"C.{instruction.addend}"])


def multiplier(instruction: MatrixInstruction, capability: tuple[int, int]) -> Step | None:
    """Return the product of A, B and C, chained over K, as a GPU's instruction makes it; None where nobody knows it."""
    row = tensor_core(instruction, capability)
    if row is not None:  # no instruction splits a block, so a chain of instructions is one sum over the whole of K
        return lambda A, B, C: linalg.matmul(A, B, C, accumulator=row)
    step = emulation(instruction, capability)
    if step is None:
        return None

    def chained(A: NDArray[Any], B: NDArray[Any], C: NDArray[Any]) -> NDArray[Any]:
        for k in range(0, A.shape[-1], instruction.k):
            C = step(A[..., k : k + instruction.k], B[..., k : k + instruction.k, :], C)
        return C

    return chained


def _matrix(instruction: MatrixInstruction, record: Record) -> Words | None:
    multiply = multiplier(instruction, record.capability)
    if multiply is None:
        return None
    A, B, C = matrix_operands(instruction, record)
    lengths = record.operands.get("K", np.array([A.shape[2]]))
    products = [multiply(A[:, :, :k], B[:, :k], C) for k in lengths]
    if products[0].dtype != _DTYPES[instruction.output]:
        products = [conversion.convert(product, BINARY16, environment=CUDA) for product in products]
    return _patterns(np.stack(products) if "K" in record.operands else products[0])


def _clamp(words: Words, modifiers: list[str]) -> Words:
    """Saturate to [0, 1] with NaN to +0, or drop what is negative; the PTX ISA does not say that -0 becomes +0."""
    values = _floats(words)
    if "sat" in modifiers:
        with np.errstate(invalid="ignore"):
            clamped = np.where(values > 0, np.minimum(values, 1), 0).astype(values.dtype)
        return _patterns(np.where(np.isnan(values), np.zeros_like(values), clamped))
    if "relu" in modifiers:
        return np.where(np.signbit(values) & ~np.isnan(values), words.dtype.type(0), words)
    return words


def _conversion(parts: list[str], record: Record) -> Words | None:
    mode, source, target = parts[1], parts[-1], parts[-2]
    if mode == "rs":
        return None
    a = record.operands["a"]
    # The PTX ISA lets .ftz flush binary32 operands and results. It does not: the machine code is that without .ftz.
    environment = CUDA
    rounding = _ROUNDING.get(mode[:2], "rne")
    values: Any
    if target == "f16x2":
        upper, lower = (
            conversion.convert(_floats(record.operands[name]), BINARY16, rounding=rounding, environment=environment)
            for name in "ab"
        )
        values = np.stack([lower, upper], axis=-1).reshape(-1)
    elif source in _FORMATS and target in _FORMATS:
        if source == target:
            values = operations.round_to_integral(_floats(a), rounding=rounding, environment=environment)
        else:
            values = conversion.convert(_floats(a), _FORMATS[target], rounding=rounding, environment=environment)
    elif target in _FORMATS:
        integers = a.view(np.dtype(f"{'i' if source[0] == 's' else 'u'}{a.itemsize}"))
        values = conversion.convert(integers, _FORMATS[target], rounding=rounding, environment=environment)
    else:
        dtype = np.dtype(f"{'i' if target[0] == 's' else 'u'}{int(target[1:]) // 8}")
        values = conversion.convert(_floats(a), dtype, rounding=rounding, environment=environment)
    words = _patterns(values)
    return _clamp(words, parts) if target.startswith("f") else words


def _comparison(name: str, a: NDArray[Any], b: NDArray[Any], environment: Environment) -> Words:
    if name == "ne":  # PTX's ne is false for NaN, unlike IEEE 754's
        return _patterns(
            predicates.not_equal(a, b, environment=environment) & predicates.ordered(a, b, environment=environment)
        )
    if name == "equ":
        return _patterns(
            predicates.equal(a, b, environment=environment) | predicates.unordered(a, b, environment=environment)
        )
    operation = _COMPARISONS[name]
    assert operation is not None
    return _patterns(operation(a, b, environment=environment))


def _arithmetic(parts: list[str], record: Record) -> Words | None:
    flush = "ftz" in parts
    environment = replace(CUDA, flush_inputs=flush, flush_results=flush)
    operands = [_floats(record.operands[name]) for name in "abc" if name in record.operands]
    base = parts[0]
    if base == "setp":
        return _comparison(parts[1], operands[0], operands[1], environment)
    number = "NaN" not in parts
    table: dict[str, Any] = {
        "add": operations.add,
        "sub": operations.subtract,
        "mul": operations.multiply,
        "fma": operations.fma,
        "min": operations.minimum_number if number else operations.minimum,
        "max": operations.maximum_number if number else operations.maximum,
    }
    if base in table:
        return _clamp(_patterns(table[base](*operands, environment=environment)), parts)
    if base not in ("neg", "abs"):
        return None
    words = _patterns((predicates.negative if base == "neg" else predicates.absolute)(operands[0]))
    if flush:
        words = np.where(predicates.issubnormal(operands[0]), words & np.uint16(0x8000), words)
    # Not the sign-bit operations of IEEE 754, which keep a NaN's payload.
    return np.where(np.isnan(operands[0]), np.uint16(0x7FFF), words)


def expected(record: Record) -> Words | None:
    """Return what the simulator expects of a record, or None where it promises nothing.

    Nothing is promised of library calls, CUDA C functions, approximations (``ex2``, ``tanh``), ``cvt.rs``, and matrix
    instructions without a row for the GPU.

    Parameters
    ----------
    record : Record
        One instruction's operands and results.
    """
    instruction = MATRIX_INSTRUCTIONS.get(record.instruction)
    if instruction is not None:
        return _matrix(instruction, record)
    parts = record.opcode.split(".")
    if parts[0] == "cvt":
        return _conversion(parts, record)
    return _arithmetic(parts, record)
