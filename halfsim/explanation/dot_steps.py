"""The steps of dot products as records: terms and stages of blocks, and rounded operations."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from halfsim.explanation.steps import Decision, Exact
from halfsim.explanation.values import Datum, Record
from halfsim.flags import Flags

__all__ = ["Block", "Stage", "Step", "Term"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Term(Record):
    """One term of a block: exact, then cut to whole units.

    Parameters
    ----------
    name : str
        Such as ``"a[2]*b[2]"``; ``"c"`` or, from the second block on, ``"d"`` for the addend.
    k : int or None
        Which product; None for the addend.
    significand : int
        Of the exact product, not normalised; 0 for infinities and NaNs.
    exponent : int
        Power of two that the last digit of the significand weighs.
    value : Fraction or None
        Exact value; None for infinities and NaNs.
    alignment : int or None
        Exponent that counts for the alignment; None for a zero, and where nothing is aligned.
    shift : int or None
        Places by which the term is moved right: the largest exponent minus its own; None where `alignment` is.
    units : int
        The term in units of the block, cut.
    bits_lost : int
        Digits of the significand, from its first to its last 1, that lie below the unit.
    lost : Fraction or None
        Exact value minus what the units are worth; None for infinities and NaNs.

    Examples
    --------
    >>> import numpy as np, halfsim as hs
    >>> a, b = np.float16([4096, 4096, 0.25]), np.float16([2048, -2048, 1])
    >>> term = hs.explain_dot(a, b, accumulator="a100:f32").blocks[0].terms[3]
    >>> term.name, term.shift, term.units, term.lost
    ('a[2]*b[2]', 25, 0, Fraction(1, 4))
    """

    name: str
    k: int | None
    significand: int
    exponent: int
    value: Fraction | None
    alignment: int | None
    shift: int | None
    units: int
    bits_lost: int
    lost: Fraction | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage(Record):
    """A sum, or C, that is cut on the way from the sum of the products to the result.

    Parameters
    ----------
    name : str
        ``"sum of products"``, ``"c"`` (``"d"`` from the second block on) or ``"total"``.
    value : Fraction or None
        Exact value before the cut; None for infinities and NaNs.
    unit : int
        Power of two that a unit weighs.
    units : int
        The value in such units, cut.
    lost : Fraction or None
        Exact value minus what the units are worth; None for infinities and NaNs.

    Examples
    --------
    >>> import numpy as np, halfsim as hs
    >>> a, b, c = np.float16([1, 1]), np.float16([1, 2**-10]), np.float32(2**-30)
    >>> (block,) = hs.explain_dot(a, b, c, accumulator="mi300x:f32").blocks
    >>> [(stage.name, stage.unit, float(stage.lost)) for stage in block.stages]
    [('sum of products', -32, 0.0), ('c', -24, 9.313225746154785e-10), ('total', -31, 0.0)]
    """

    name: str
    value: Fraction | None
    unit: int
    units: int
    lost: Fraction | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Block(Record):
    """One block of a matrix unit.

    Parameters
    ----------
    number : int
        Which block, from 0.
    first, last : int
        The block sums the products `first` to `last`, inclusive.
    addend : Datum
        What the block begins with: C, or the result of the block before.
    terms : tuple of Term
        The addend and the products; the products alone of a `TwoStageDotAdd`, which adds C in its stages.
    largest_exponent : int or None
        Largest alignment exponent of the terms, and of the row's `zero_exponent`; None where nothing is aligned.
    unit : int
        Power of two that a unit weighs; of an `ExactDotAdd`, the last digit of all terms.
    total : int
        Sum of the terms, in units.
    stages : tuple of Stage
        Of a `TwoStageDotAdd`, what becomes of that sum: it and C, cut; and their sum, cut.
    cut : Fraction or None
        What all terms and stages together lost; None beside infinities and NaNs.
    normalisation : int or None
        Places from the largest exponent up to the leading digit of the sum, negative downward; None for a zero sum, and
        where nothing is aligned.
    case : str
        How the block ends, in words.
    exact : Exact or None
        What the final rounding gets; None where nothing is rounded.
    decision : Decision or None
        How that rounding went.
    rounding_error : Fraction or None
        Result minus sum; None where the result is not finite.
    result : Datum
        What the next block begins with.

    Examples
    --------
    >>> import numpy as np, halfsim as hs
    >>> a, b = np.float16([4096, 4096, 0.25]), np.float16([2048, -2048, 1])
    >>> (block,) = hs.explain_dot(a, b, accumulator="a100:f32").blocks
    >>> block.unit, block.total, block.cut, block.case
    (-1, 0, Fraction(1, 4), 'the sum is zero: +0')
    """

    number: int
    first: int
    last: int
    addend: Datum
    terms: tuple[Term, ...]
    largest_exponent: int | None
    unit: int
    total: int
    stages: tuple[Stage, ...]
    cut: Fraction | None
    normalisation: int | None
    case: str
    exact: Exact | None
    decision: Decision | None
    rounding_error: Fraction | None
    result: Datum

    @property
    def loses(self) -> bool:
        """Whether a term or a stage is cut or the sum is rounded."""
        # Beside infinities and NaNs finite terms do not count; a finite sum without a finite result overflowed.
        lost = [*(term.lost for term in self.terms), *(stage.lost for stage in self.stages)]
        return self.cut is not None and (self.rounding_error != 0 or any(lost))


@dataclass(frozen=True, slots=True, kw_only=True)
class Step(Record):
    """One rounded operation of a chain.

    Parameters
    ----------
    number : int
        Which step, from 0.
    operation : str
        Its name, such as ``"fma"``.
    operands : tuple of Datum
        Its operands.
    exact : Exact or None
        The value before rounding; None where nothing is rounded.
    decision : Decision or None
        How it was rounded; None where nothing was, and where the exponent is beyond the largest.
    rounding_error : Fraction or None
        Result minus exact value; None where either is not finite.
    result : Datum
        Its result, which the next step takes.
    flags : Flags or None
        Exceptions raised; None for a step of a matrix unit.

    Examples
    --------
    >>> import numpy as np, halfsim as hs
    >>> steps = hs.explain_dot(np.float16([2048, 1]), np.float16([1, 1]), accumulator=hs.FP16).steps
    >>> [(step.operation, step.result.decimal, step.loses) for step in steps]
    [('fma', '2048', False), ('fma', '2048', True)]
    """

    number: int
    operation: str
    operands: tuple[Datum, ...]
    exact: Exact | None
    decision: Decision | None
    rounding_error: Fraction | None
    result: Datum
    flags: Flags | None

    @property
    def loses(self) -> bool:
        """Whether the result differs from the exact value."""
        return bool(self.rounding_error) or self.overflowed

    @property
    def overflowed(self) -> bool:
        """Whether a finite value became an infinity."""
        return self.exact is not None and self.result.kind.endswith("Infinity")
