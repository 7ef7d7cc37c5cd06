"""What vectors are about: an operation with the types of its operands and its result, computed on bit patterns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

import halfsim as hs
from halfsim.checks import near
from halfsim.environment import IEEE, Environment
from halfsim.operation import Operation
from halfsim.rounding import RoundingLike, Stochastic, as_rounding
from halfsim.testvectors.patterns import FORMATS, patterns, values, word_of

__all__ = ["SUBJECTS", "Subject", "subject"]

_CONVERSION = "convert"
_FROM = (
    "f32",
    "f64",
    "bf16",
    "tf32",
    "e5m2",
    "e4m3",
    *(f"{sign}{width}" for sign in ("i", "ui") for width in (32, 64)),
)
_TO = (*_FROM, "i8", "ui8", "i16", "ui16")
_TESTFLOAT_TYPES = ("f16", "f32", "f64", "i32", "ui32", "i64", "ui64")


@dataclass(frozen=True, slots=True)
class Subject:
    """An operation as vectors know it.

    Parameters
    ----------
    name : str
        halfsim's name of an operation, or ``"convert_f32_f16"`` and the like.
    operation : str
        halfsim's name, ``"convert"`` for conversions.
    operands : tuple of str
        Types of the operands.
    result : str
        Type of the result.
    testfloat : str
        TestFloat's name, empty where it has none.
    rounds : bool
        Whether the rounding direction can matter.
    options : tuple of str
        Keywords that may be set: ``"exact"``, ``"saturate"``.

    Examples
    --------
    >>> import numpy as np, halfsim as hs
    >>> from halfsim.testvectors import subject
    >>> third = subject("divide").evaluate([np.array([0x3C00]), np.array([0x4200])], environment=hs.RISCV)
    >>> [(hex(z), int(f)) for z, f in zip(*third)]
    [('0x3555', 1)]
    >>> subject("f16_to_i32").name
    'convert_f16_i32'
    """

    name: str
    operation: str
    operands: tuple[str, ...]
    result: str
    testfloat: str = ""
    rounds: bool = True
    options: tuple[str, ...] = field(default=())

    def evaluate(
        self,
        operands: Any,
        *,
        rounding: RoundingLike = "rne",
        environment: Environment = IEEE,
        options: tuple[str, ...] = (),
        first: int = 0,
    ) -> tuple[NDArray[Any], NDArray[np.uint8]]:
        """Return patterns and flags of the results.

        Parameters
        ----------
        operands : sequence of integer arrays
            Bit patterns, one array per operand; integers in two's complement.
        rounding : Rounding, Stochastic or str
            Rounding direction.
        environment : Environment
            NaN rule, tininess and flushing.
        options : tuple of str
            Keywords that are set.
        first : int
            Number of the first row: a stochastic rounding draws the word of that element for it.

        Returns
        -------
        tuple of (unsigned array, uint8 array)
            Patterns in the smallest unsigned dtype that holds the type, and `Flags` bits.

        Raises
        ------
        TypeError
            If a rounding or an option is none, or operands are no integers.
        ValueError
            If the rounding is unknown, a pattern is wider than its format, or operands are too few, too many or of
            unequal length.
        """
        mode = as_rounding(rounding, self.name)
        if isinstance(mode, Stochastic) and first:
            mode = Stochastic(bits=mode.bits, seed=mode.seed, offset=mode.offset + first)
        columns = [np.asarray(words) for words in operands]
        if len(columns) != len(self.operands) or len({column.shape for column in columns}) != 1:
            shapes = ", ".join(str(column.shape) for column in columns)
            raise ValueError(
                f"{self.name}: operands of shape {shapes or 'none'} are not {len(self.operands)} of equal shape; "
                "pass one array for each operand, all with as many patterns"
            )
        for number, (words, kind) in enumerate(zip(columns, self.operands, strict=True), 1):
            _check_words(self.name, number, words, kind)
        given = [values(words, kind) for words, kind in zip(columns, self.operands, strict=True)]
        keywords: dict[str, Any] = {"rounding": mode, "environment": environment, **dict.fromkeys(options, True)}
        if self.operation == _CONVERSION:
            result, flags = hs.convert.flagged(given[0], FORMATS.get(self.result) or word_of(self.result), **keywords)
        else:
            result, flags = getattr(hs, self.operation).flagged(*given, **keywords)
        return patterns(np.asarray(result), self.result), np.asarray(flags)


def _check_words(name: str, number: int, words: NDArray[Any], kind: str) -> None:
    """Refuse what are no patterns of a format; integers are as wide as they are."""
    if words.dtype.kind not in "iu":
        raise TypeError(f"{name}: operand {number} has dtype {words.dtype}; pass bit patterns as integers")
    if kind in FORMATS and words.size and not 0 <= int(words.min()) <= int(words.max()) < 1 << FORMATS[kind].width:
        raise ValueError(
            f"{name}: operand {number} has patterns from {words.min()} to {words.max()}; those of {kind} have "
            f"{FORMATS[kind].width} bits"
        )


def _operations() -> Iterator[Subject]:
    for name in vars(hs)["__all__"]:
        operation = getattr(hs, name)
        if isinstance(operation, Operation):
            operands = tuple("i16" if i == operation.integers else "f16" for i in range(operation.arity))
            result = {"bool": "bool", "uint8": "ui8"}.get(operation.dtype.name, "f16")
            yield Subject(name, name, operands, result, operation.testfloat, operation.rounds, operation.options)


def _conversions() -> Iterator[Subject]:
    pairs = [*((kind, "f16") for kind in _FROM), *(("f16", kind) for kind in _TO)]
    for source, target in pairs:
        known = source in _TESTFLOAT_TYPES and target in _TESTFLOAT_TYPES
        options = ("exact",) if target not in FORMATS else ("saturate",) if target == "e4m3" else ()
        yield Subject(
            f"{_CONVERSION}_{source}_{target}",
            _CONVERSION,
            (source,),
            target,
            f"{source}_to_{target}" if known else "",
            target not in ("f32", "f64", "tf32"),
            options,
        )


SUBJECTS: tuple[Subject, ...] = (*_operations(), *_conversions())
"""Every operation of the package, and every conversion from and to binary16."""


def subject(name: str, function: str = "subject") -> Subject:
    """Return a subject by its name or TestFloat's.

    Parameters
    ----------
    name : str
        Such as ``"fma"`` or ``"f16_mulAdd"``.
    function : str
        What messages begin with.

    Raises
    ------
    ValueError
        For an unknown name; the message lists near ones.

    Examples
    --------
    >>> from halfsim.testvectors import subject
    >>> subject("fma").testfloat, subject("f16_sqrt").name
    ('f16_mulAdd', 'sqrt')
    """
    for known in SUBJECTS:
        if name == known.name or (name and name == known.testfloat):
            return known
    names = [known.name for known in SUBJECTS] + [known.testfloat for known in SUBJECTS if known.testfloat]
    raise ValueError(f"{function}: unknown operation {name!r}; {near(name, names)}")
