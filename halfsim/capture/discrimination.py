"""Which neighbours of a row a set of outputs can tell from it: outputs that agree prove as much as they exclude."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from halfsim import linalg
from halfsim.accumulators import FusedDotAdd, factor_formats
from halfsim.capture.matrix import MATRIX_INSTRUCTIONS
from halfsim.capture.model import matrix_operands, tensor_core
from halfsim.capture.reader import Record
from halfsim.capture.variants import AFTERWARDS, NORMALISED, WIDE, Variant
from halfsim.formats import BINARY16, BINARY32
from halfsim.rounding import Rounding

__all__ = ["NEIGHBOURS", "Discrimination", "discriminate", "joined", "neighbours", "of_record"]

Arrays: TypeAlias = NDArray[Any]
Model: TypeAlias = Callable[[Arrays, Arrays, Arrays], Arrays]

_ONE_BLOCK = "every sum is one block"
_WORDS: dict[int, Any] = {2: np.uint16, 4: np.uint32}


@dataclass(frozen=True, slots=True)
class Discrimination:
    """How a set of outputs tells one neighbour from the row.

    Parameters
    ----------
    neighbour : str
        Key in `NEIGHBOURS`.
    told : int
        Outputs that the row gets right and the neighbour wrong; 0 if the set cannot tell it.
    outputs : int
        Outputs in the set that the row gets right.
    reason : str
        Why none differs; empty if some do.

    Examples
    --------
    >>> import numpy as np, halfsim as hs
    >>> from halfsim.capture.discrimination import discriminate
    >>> row = hs.tensorcores.row("a100", "f32")
    >>> A, B, C = np.float16([[1, 2]]), np.float16([[3], [4]]), np.float32([[0]])
    >>> D = hs.matmul(A, B, C, accumulator=row).view(np.uint32)
    >>> discriminate(row, A, B, C, D)[0]
    Discrimination(neighbour='F - 1', told=0, outputs=1, reason='no operands decide it')
    """

    neighbour: str
    told: int
    outputs: int
    reason: str


def _stepped(field: str, step: int) -> Callable[[FusedDotAdd], Model]:
    return lambda row: _row(replace(row, **{field: getattr(row, field) + step}))


def _row(row: FusedDotAdd) -> Model:
    return lambda A, B, C: _patterns(linalg.matmul(A, B, C, accumulator=row))


def _terms(scale: Callable[[int], int]) -> Callable[[FusedDotAdd], Model | None]:
    return lambda row: _row(replace(row, terms=scale(row.terms))) if scale(row.terms) else None


def _reversed(row: FusedDotAdd) -> Model:
    model = _row(row)
    return lambda A, B, C: model(A[..., ::-1], B[..., ::-1, :], C)


def _other_rounding(row: FusedDotAdd) -> Model:
    nearest = row.rounding is Rounding.roundTiesToEven
    return _row(replace(row, rounding=Rounding.roundTowardZero if nearest else Rounding.roundTiesToEven))


def _varied(variant: Variant) -> Callable[[FusedDotAdd], Model]:
    def make(row: FusedDotAdd) -> Model:
        dtype: Any = np.float16 if row.output == BINARY16 else np.float32

        def model(A: Arrays, B: Arrays, C: Arrays) -> Arrays:
            with np.errstate(invalid="ignore"):  # a signaling NaN is a NaN like any other
                values = variant.matmul(row, *(np.asarray(x).astype(np.float64) for x in (A, B, C)))
            words: Arrays = values.astype(dtype).view(_WORDS[np.dtype(dtype).itemsize])
            words[np.isnan(values)] = np.iinfo(words.dtype).max >> 1
            return words

        return model

    return make


def _wide(row: FusedDotAdd) -> Model | None:
    return _varied(WIDE)(row) if row.output == BINARY16 else None


NEIGHBOURS: dict[str, Callable[[FusedDotAdd], Model | None]] = {
    "F - 1": _stepped("fraction_bits", -1),
    "F + 1": _stepped("fraction_bits", 1),
    "L * 2": _terms(lambda terms: 2 * terms),
    "L / 2": _terms(lambda terms: terms // 2),
    "order reversed": _reversed,
    "normalised products": _varied(NORMALISED),
    "C afterwards": _varied(AFTERWARDS),
    "floored terms": lambda row: _row(replace(row, align=Rounding.roundTowardNegative)),
    "rounded terms": lambda row: _row(replace(row, align=Rounding.roundTiesToEven)),
    "other rounding": _other_rounding,
    "wide between blocks": _wide,
    "z - 1": _stepped("zero_exponent", -1),
    "z + 1": _stepped("zero_exponent", 1),
}
"""By name: fraction bits F one off; terms per block L doubled or halved; blocks taken from the end; products normalised
before they are aligned; C added to the cut sum of the products; terms cut toward minus infinity, or rounded to nearest;
truncation and rounding to nearest exchanged in the result; binary32 kept between binary16 blocks; the zero exponent z
one off."""


def neighbours(row: FusedDotAdd) -> dict[str, Model]:
    """Return the neighbours that a row has, as functions of A, B and C that return patterns of D.

    Parameters
    ----------
    row : FusedDotAdd
        A row that truncates its terms.
    """
    made = {name: make(row) for name, make in NEIGHBOURS.items()}
    return {name: model for name, model in made.items() if model is not None}


def discriminate(row: FusedDotAdd, A: Arrays, B: Arrays, C: Arrays, D: Arrays) -> tuple[Discrimination, ...]:
    """Return, for each neighbour of a row, how many outputs of a set it gets wrong.

    Parameters
    ----------
    row : FusedDotAdd
        The row.
    A, B : arrays, shapes (..., M, K) and (..., K, N)
        Factors.
    C : array, shape (..., M, N)
        Addends.
    D : uint16 or uint32 array, shape (..., M, N)
        Patterns of the outputs.

    Examples
    --------
    >>> import numpy as np, halfsim as hs
    >>> from halfsim.capture.discrimination import discriminate
    >>> row = hs.tensorcores.row("a100", "f32")
    >>> A, B, C = np.float16([[4096, 4096, 0.5]]), np.float16([[2048], [-2048], [1]]), np.float32([[0]])
    >>> D = hs.matmul(A, B, C, accumulator=row).view(np.uint32)
    >>> [item.neighbour for item in discriminate(row, A, B, C, D) if item.told]
    ['F - 1']
    """
    found = []
    agreeing = _row(row)(A, B, C) == D
    outputs = int(agreeing.sum())
    for name, model in neighbours(row).items():
        told = int(((model(A, B, C) != D) & agreeing).sum())
        found.append(Discrimination(name, told, outputs, "" if told else _reason(name, row, A.shape[-1])))
    return tuple(found)


def _kind(row: FusedDotAdd) -> str:
    """Format of D, which a narrower one such as E8M13 fills in part."""
    return "f16" if row.output == BINARY16 else "f32"


def of_record(record: Record) -> tuple[Discrimination, ...]:
    """Return what the outputs of one instruction can tell; nothing where no row of its kind is known.

    Parameters
    ----------
    record : Record
        A captured instruction.
    """
    instruction = MATRIX_INSTRUCTIONS.get(record.instruction)
    row = None if instruction is None else tensor_core(instruction, record.capability)
    # An instruction that converts its result has no neighbours among rows.
    if instruction is None or not isinstance(row, FusedDotAdd) or _kind(row) != instruction.output:
        return ()
    A, B, C = matrix_operands(instruction, record)
    if "K" not in record.operands:
        return discriminate(row, A, B, C, record.result)
    lengths = [int(k) for k in record.operands["K"]]
    return joined(
        discriminate(row, A[..., :k], B[..., :k, :], C, d) for k, d in zip(lengths, record.result, strict=True)
    )


def joined(sets: Iterable[Iterable[Discrimination]]) -> tuple[Discrimination, ...]:
    """Add up what several sets of one row can tell, neighbour by neighbour."""
    named: dict[str, list[Discrimination]] = {}
    for item in (item for each in sets for item in each):
        named.setdefault(item.neighbour, []).append(item)
    found = []
    for name, items in named.items():
        told, outputs = sum(item.told for item in items), sum(item.outputs for item in items)
        reasons = dict.fromkeys(item.reason for item in items)
        found.append(Discrimination(name, told, outputs, "" if told else "; ".join(reasons)))
    return tuple(found)


def _reason(name: str, row: FusedDotAdd, length: int) -> str:
    if name in ("L * 2", "order reversed", "wide between blocks") and length <= row.terms:
        return _ONE_BLOCK
    if name.startswith("z") and row.output == BINARY32 and factor_formats(row) == (BINARY16, BINARY16):
        return "no product of binary16 factors is as small as z"
    return "no operands decide it"


def _patterns(values: Any) -> Arrays:
    array = np.asarray(values)
    return array.view(_WORDS[array.itemsize])
