"""How a dot product is summed: frozen rows that name every order and every rounding.

All of them compute ``D = C + sum over k of A[k] * B[k]``, C being +0 when absent. The operands are binary16, but the
matrix units, `FusedDotAdd` and those of `halfsim.mfma`, name the formats of their factors. A sum without terms is C
itself. The arithmetic inside has the IEEE defaults (gradual underflow, tininess after rounding); every NaN result is
the canonical quiet NaN, 0x7E00 in binary16, or 0x7FFF for `FusedDotAdd`. The random word of a stochastic rounding is
Philox (seed, offset + C-order index of the output element, step), where steps count the roundings of one element from 0
in the order given for each row; when C itself must be rounded to the accumulator's format, that is step 0 and the
others follow.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from halfsim.arguments import names_its_arguments
from halfsim.checks import deterministic, integer, pair_of_formats, result_format
from halfsim.formats import BINARY16, BINARY32, Format
from halfsim.mfma import ExactDotAdd, PairwiseDotAdd, TwoStageDotAdd
from halfsim.rounding import Rounding, RoundingLike, as_rounding

__all__ = [
    "FP16",
    "FP32",
    "Accumulator",
    "Compensated",
    "Exact",
    "FusedDotAdd",
    "MatrixUnit",
    "Pairwise",
    "Sequential",
    "factor_formats",
]


def _normalise(accumulator: Sequential | Pairwise | Compensated | Exact) -> None:
    """Check the fields that these rows have, and replace the name of a rounding by the rounding."""
    name = type(accumulator).__name__
    result_format(name, "format", accumulator.format)
    object.__setattr__(accumulator, "rounding", as_rounding(accumulator.rounding, name))
    if isinstance(accumulator, Exact):
        return
    object.__setattr__(accumulator, "flush_to_zero", bool(accumulator.flush_to_zero))
    if accumulator.flush_to_zero and accumulator.format != BINARY16:
        raise ValueError(
            f"{name}: flush_to_zero=True flushes binary16 subnormals, but format is {accumulator.format.name}; pass "
            "format=BINARY16, or leave the flag out"
        )


@names_its_arguments
@dataclass(frozen=True, slots=True, kw_only=True)
class Sequential:
    """One term after the other in ascending k, each step rounded: recursive summation [@higham2002], section 4.1.

    ``acc = round(acc + round(a * b))``, two roundings per term (steps 2k and 2k + 1), or with `fused`
    ``acc = round(acc + a * b)``, one rounding per term (step k), as IEEE 754-2019 §5.4.1 has them. The start is C.

    Parameters
    ----------
    format : Format
        Format of the accumulator and of the result.
    rounding : Rounding, Stochastic or str
        How every step rounds.
    fused : bool
        Whether product and sum are rounded together.
    flush_to_zero : bool
        Whether every step takes binary16 subnormals as zeros and returns zeros for them.

    Raises
    ------
    TypeError
        If `format` is no format, or `rounding` no rounding.
    ValueError
        If `format` has no infinity, `rounding` is unknown, or `flush_to_zero` meets another format than `BINARY16`.

    Examples
    --------
    >>> import numpy as np, halfsim as hs
    >>> ones = np.ones(4096, np.float16)
    >>> float(hs.dot(ones, ones, accumulator=hs.Sequential(format=hs.BINARY16)))
    2048.0
    """

    format: Format = BINARY32
    rounding: RoundingLike = Rounding.roundTiesToEven
    fused: bool = False
    flush_to_zero: bool = False

    def __post_init__(self) -> None:
        _normalise(self)
        object.__setattr__(self, "fused", bool(self.fused))


@names_its_arguments
@dataclass(frozen=True, slots=True, kw_only=True)
class Pairwise:
    """A balanced tree of sums [@higham2002], section 4.1.

    The K products are rounded (steps 0 to K - 1). Then, level by level, neighbours 2i and 2i + 1 are added and
    rounded, an odd last one passing to the next level as it is; the steps count on in that order. Last, C is added to
    the total with one more rounding: ``D = round(total + C)``.

    Parameters
    ----------
    format : Format
        Format of products, partial sums and result.
    rounding : Rounding, Stochastic or str
        How every step rounds.
    flush_to_zero : bool
        As of `Sequential`.

    Raises
    ------
    TypeError, ValueError
        As of `Sequential`.

    Examples
    --------
    >>> import numpy as np, halfsim as hs
    >>> ones = np.ones(4096, np.float16)
    >>> float(hs.dot(ones, ones, accumulator=hs.Pairwise(format=hs.BINARY16)))
    4096.0
    """

    format: Format = BINARY32
    rounding: RoundingLike = Rounding.roundTiesToEven
    flush_to_zero: bool = False

    def __post_init__(self) -> None:
        _normalise(self)


@names_its_arguments
@dataclass(frozen=True, slots=True, kw_only=True)
class Compensated:
    """Kahan's compensated sum [@kahan1965] in ascending k.

    From ``s = C`` and ``e = +0``, for each k five roundings (steps 5k to 5k + 4): ``p = round(a * b)``,
    ``y = round(p - e)``, ``t = round(s + y)``, ``e = round(round(t - s) - y)``, then ``s = t``. The result is s; the
    last e is dropped. An infinite partial sum makes the next one NaN, as the plain recurrence does.

    Parameters
    ----------
    format : Format
        Format of every variable.
    rounding : Rounding, Stochastic or str
        How every step rounds.
    flush_to_zero : bool
        As of `Sequential`.

    Raises
    ------
    TypeError, ValueError
        As of `Sequential`.

    Examples
    --------
    >>> import numpy as np, halfsim as hs
    >>> ones = np.ones(4096, np.float16)
    >>> float(hs.dot(ones, ones, accumulator=hs.Compensated(format=hs.BINARY16)))
    4096.0
    """

    format: Format = BINARY32
    rounding: RoundingLike = Rounding.roundTiesToEven
    flush_to_zero: bool = False

    def __post_init__(self) -> None:
        _normalise(self)


@names_its_arguments
@dataclass(frozen=True, slots=True, kw_only=True)
class Exact:
    """The exact sum, rounded once at the end: Kulisch's long accumulator [@kulisch2013], chapter 8.

    C enters exactly, whatever its format. An exactly zero sum is +0 (-0 when rounding toward negative), except that it
    keeps the sign of its terms when C and all products are zeros of one sign. No term overflows.

    Parameters
    ----------
    format : Format
        Format of the result.
    rounding : Rounding, Stochastic or str
        How the exact sum is rounded, in step 0.

    Raises
    ------
    TypeError, ValueError
        As of `Sequential`, for `format` and `rounding`.

    Examples
    --------
    >>> import numpy as np, halfsim as hs
    >>> a = np.array([65504, 2**-24, -65504], np.float16)
    >>> float(hs.dot(a, np.array([65504, 1, 65504], np.float16), accumulator=hs.Exact())) == 2**-24
    True
    """

    format: Format = BINARY32
    rounding: RoundingLike = Rounding.roundTiesToEven

    def __post_init__(self) -> None:
        _normalise(self)


@names_its_arguments
@dataclass(frozen=True, slots=True, kw_only=True)
class FusedDotAdd:
    """The block of a matrix unit [@khattak2025]: products and C, aligned to the largest, cut, added, rounded once.

    k is split in ascending order into blocks of `terms` (the last may be shorter); the result of a block, in `output`
    format, is the C of the next. In a block:

    1. A NaN, an infinity times zero, or infinities of both signs among the terms give the canonical NaN, all ones but
       the sign; another infinity gives itself. Products never overflow.
    2. Products are exact and not normalised: the exponent of a term is that of its factors added, subnormals counting
       with the smallest normal exponent. E is the largest exponent of the nonzero terms and of `zero_exponent`.
    3. Every term is cut to a multiple of ``2**(E - fraction_bits)`` as `align` says, and the integers are added.
    4. The sum is rounded to `output` once, as `rounding` says (step: the number of the block). A zero is always +0, and
       what exceeds the largest finite number is infinite whatever the rounding.

    Parameters
    ----------
    inputs : Format or pair of Format
        Formats of the factors, of A and of B where they differ; their numbers must be numbers of binary32. Kept as a
        pair.
    terms : int
        Products per block, 1 to 1024.
    fraction_bits : int
        Bits kept below the largest exponent, 1 to 48.
    zero_exponent : int
        Smallest E, from -1000 to 100.
    align : Rounding or str
        How a term is cut.
    output : Format
        Format of C and D, of precision at most 24.
    rounding : Rounding, Stochastic or str
        How the sum is rounded.
    source, evidence : str
        Where the numbers come from and what supports them; not compared.

    Raises
    ------
    TypeError
        If what should be a format or a rounding is not.
    ValueError
        If a field is not as above, or a rounding is unknown.

    Examples
    --------
    >>> import numpy as np, halfsim as hs
    >>> a, b = np.array([[4096, 4096, 0.25]], np.float16), np.array([[2048], [-2048], [1]], np.float16)
    >>> for gpu in ("v100", "a100", "h100"):
    ...     print(hs.matmul(a, b, accumulator=hs.tensorcores.row(gpu, "f32"))[0, 0])
    0.0
    0.0
    0.25
    """

    terms: int
    fraction_bits: int
    zero_exponent: int
    inputs: Format | tuple[Format, Format] = BINARY16
    align: RoundingLike = Rounding.roundTowardZero
    output: Format = BINARY32
    rounding: RoundingLike = Rounding.roundTowardZero
    source: str = field(default="", compare=False)
    evidence: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        for name, low, high in (("terms", 1, 1024), ("fraction_bits", 1, 48), ("zero_exponent", -1000, 100)):
            object.__setattr__(self, name, integer("FusedDotAdd", name, getattr(self, name), low, high))
        object.__setattr__(self, "inputs", pair_of_formats("FusedDotAdd", self.inputs))
        result_format("FusedDotAdd", "output", self.output, 24)
        object.__setattr__(self, "align", deterministic("FusedDotAdd", "align", self.align))
        object.__setattr__(self, "rounding", as_rounding(self.rounding, "FusedDotAdd"))


MatrixUnit: TypeAlias = FusedDotAdd | ExactDotAdd | PairwiseDotAdd | TwoStageDotAdd
"""The blocks of matrix units: they name the formats of their factors and raise no flags."""

Accumulator: TypeAlias = Sequential | Pairwise | Compensated | Exact | MatrixUnit


def factor_formats(accumulator: Accumulator) -> tuple[Format, Format]:
    """Return the formats of A and of B: the `inputs` of a matrix unit, binary16 for the other accumulators."""
    if not isinstance(accumulator, MatrixUnit):
        return BINARY16, BINARY16
    inputs = accumulator.inputs  # a pair since the row was made
    return inputs if isinstance(inputs, tuple) else (inputs, inputs)


FP16 = Sequential(format=BINARY16, fused=True)
"""binary16 fused multiply-add (IEEE 754-2019 §5.4.1), one rounding per term: a chain of binary16 FMA instructions."""

FP32 = Sequential(format=BINARY32, fused=True)
"""binary32 fused multiply-add (IEEE 754-2019 §5.4.1); fused or not is the same, as products of binary16 are exact."""
