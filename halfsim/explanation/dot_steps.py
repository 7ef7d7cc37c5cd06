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
    """One term of a block: exact, then cut to whole units."""

    name: str
    k: int | None
    """Which product; None for the addend."""
    significand: int
    """Of the exact product, not normalised; 0 for infinities and NaNs."""
    exponent: int
    """Power of two that the last digit of the significand weighs."""
    value: Fraction | None
    """Exact value; None for infinities and NaNs."""
    alignment: int | None
    """Exponent that counts for the alignment; None for a zero."""
    shift: int | None
    """Places by which the term is moved right: the largest exponent minus its own; None for a zero."""
    units: int
    """The term in units of the block, cut."""
    bits_lost: int
    """Digits of the significand, from its first to its last 1, that lie below the unit."""
    lost: Fraction | None
    """Exact value minus what the units are worth."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage(Record):
    """A sum, or C, that is cut on the way from the sum of the products to the result."""

    name: str
    value: Fraction | None
    """Exact value before the cut; None for infinities and NaNs."""
    unit: int
    """Power of two that a unit weighs."""
    units: int
    """The value in such units, cut."""
    lost: Fraction | None
    """Exact value minus what the units are worth."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block(Record):
    """One block of a matrix unit."""

    number: int
    first: int
    last: int
    """The block sums the products `first` to `last`, inclusive."""
    addend: Datum
    """What the block begins with: C, or the result of the block before."""
    terms: tuple[Term, ...]
    """The addend and the products; the products alone of a `TwoStageDotAdd`, which adds C in its stages."""
    largest_exponent: int | None
    """Largest alignment exponent of the terms, and of the row's `zero_exponent`; None where nothing is aligned."""
    unit: int
    """Power of two that a unit weighs; of an `ExactDotAdd`, the last digit of all terms."""
    total: int
    """Sum of the terms, in units."""
    stages: tuple[Stage, ...]
    """Of a `TwoStageDotAdd`, what becomes of that sum: it and C, cut; and their sum, cut."""
    cut: Fraction | None
    """What all terms and stages together lost; None beside infinities and NaNs."""
    normalisation: int | None
    """Places from the largest exponent up to the leading digit of the sum, negative downward; None for a zero sum, and
    where nothing is aligned."""
    case: str
    exact: Exact | None
    """What the final rounding gets."""
    decision: Decision | None
    rounding_error: Fraction | None
    """Result minus sum; None where the result is not finite."""
    result: Datum
    """What the next block begins with."""

    @property
    def loses(self) -> bool:
        """Whether a term or a stage is cut or the sum is rounded."""
        # Beside infinities and NaNs finite terms do not count; a finite sum without a finite result overflowed.
        lost = [*(term.lost for term in self.terms), *(stage.lost for stage in self.stages)]
        return self.cut is not None and (self.rounding_error != 0 or any(lost))


@dataclass(frozen=True, slots=True, kw_only=True)
class Step(Record):
    """One rounded operation of a chain."""

    number: int
    operation: str
    operands: tuple[Datum, ...]
    exact: Exact | None
    decision: Decision | None
    rounding_error: Fraction | None
    """Result minus exact value; None where either is not finite."""
    result: Datum
    flags: Flags | None
    """None for those of a matrix unit."""

    @property
    def loses(self) -> bool:
        """Whether the result differs from the exact value."""
        return bool(self.rounding_error) or self.overflowed

    @property
    def overflowed(self) -> bool:
        """Whether a finite value became an infinity."""
        return self.exact is not None and self.result.kind.endswith("Infinity")
