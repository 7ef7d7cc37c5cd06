"""How AMD's matrix units sum: three kinds of accumulator beside the `FusedDotAdd` of NVIDIA's.

All split k in ascending order into blocks of `terms` products; the result of a block, in `output` format, is the C of
the next. NaN results are the canonical quiet NaN, a convention of this package: nobody compares them with the hardware.
Which GPU has which kind is in `halfsim.tensorcores`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from halfsim.arguments import names_its_arguments
from halfsim.checks import deterministic, integer, pair_of_formats, result_format
from halfsim.environment import Environment
from halfsim.formats import BINARY16, BINARY32, Format
from halfsim.rounding import Rounding, RoundingLike, as_rounding

__all__ = ["ExactDotAdd", "PairwiseDotAdd", "TwoStageDotAdd"]

# What a long accumulator's limbs take of one product.
_LIMB = 24
_GRADUAL = Environment()


def _normalise(row: ExactDotAdd | PairwiseDotAdd | TwoStageDotAdd) -> None:
    """Check the fields that all kinds have."""
    name = type(row).__name__
    object.__setattr__(row, "terms", integer(name, "terms", row.terms, 1, 1024))
    object.__setattr__(row, "inputs", pair_of_formats(name, row.inputs))
    object.__setattr__(row, "output", result_format(name, "output", row.output, 24))


@names_its_arguments
@dataclass(frozen=True, slots=True, kw_only=True)
class ExactDotAdd:
    """A block of products and C summed exactly and rounded once, as CDNA1 does [@mmasim2025].

    Subnormals count in full. An exactly zero sum is +0 whatever the signs of its terms, or -0 when rounding toward
    negative; a negative sum that rounds to zero is -0. Rounding steps are the numbers of the blocks.

    Parameters
    ----------
    terms : int
        Products per block, 1 to 1024.
    inputs : Format or pair of Format
        Formats of A and B; their precisions add up to 24 at most. Kept as a pair.
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
        If `terms` is out of its range, the precisions of `inputs` add up to more than 24, `output` has no infinity
        or too many bits, or the rounding is unknown.

    Examples
    --------
    >>> import numpy as np, halfsim as hs
    >>> a, b = np.float16([4096, 4096, 2**-10]), np.float16([2048, -2048, 2**-10])
    >>> [float(hs.dot(a, b, accumulator=hs.ExactDotAdd(terms=n))) for n in (4, 2, 1)]
    [9.5367431640625e-07, 9.5367431640625e-07, 9.5367431640625e-07]
    >>> float(hs.dot(a[[0, 2, 1]], b[[0, 2, 1]], accumulator=hs.ExactDotAdd(terms=2)))
    0.0
    """

    terms: int
    inputs: Format | tuple[Format, Format] = BINARY16
    output: Format = BINARY32
    rounding: RoundingLike = Rounding.roundTiesToEven
    source: str = field(default="", compare=False)
    evidence: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        _normalise(self)
        left, right = pair_of_formats("ExactDotAdd", self.inputs)
        if left.precision + right.precision > _LIMB:
            raise ValueError(
                f"ExactDotAdd: inputs={left.name}, {right.name} have products of {left.precision + right.precision} "
                f"bits; pass formats whose precisions add up to at most {_LIMB}, such as BFLOAT16"
            )
        object.__setattr__(self, "rounding", as_rounding(self.rounding, "ExactDotAdd"))


@names_its_arguments
@dataclass(frozen=True, slots=True, kw_only=True)
class PairwiseDotAdd:
    """A block of rounded products, summed as a tree of rounded sums and added to C, as CDNA2 does [@mmasim2025].

    Products are rounded to `output`. Level by level neighbours 2i and 2i + 1 are added and rounded, an odd last one
    passing on; what a last block lacks are products +0. Last, C is added to the total with one more rounding.

    Parameters
    ----------
    terms : int
        Products per block, 1 to 1024.
    depth : int
        Products per instruction, a multiple of `terms` up to 1048576.
    environment : Environment
        Whether subnormals are flushed. With `flush_inputs`, subnormals and zeros of A, B and the C of an instruction
        count as +0, whatever their sign; with `flush_results`, tiny products and sums become zeros of their own sign.
        Its NaN rule plays no part but for the default NaN.
    inputs : Format or pair of Format
        Formats of A and B. Kept as a pair.
    output : Format
        Format of C and D and of all partial results, of precision at most 24.
    rounding : Rounding or str
        How every step rounds.
    source, evidence : str
        Where the numbers come from and what supports them; not compared.

    Raises
    ------
    TypeError
        If what should be a format, a rounding or an environment is not.
    ValueError
        If a number is out of its range, `depth` is no multiple of `terms`, `inputs` are not within binary32,
        `output` has no infinity or too many bits, or the rounding is unknown or stochastic.

    Examples
    --------
    >>> import numpy as np, halfsim as hs
    >>> tiny, one = np.float16([2**-15, 1]), np.float16([1, 2**-15])
    >>> flushing = hs.Environment(flush_inputs=True, flush_results=True)
    >>> for environment in (hs.Environment(), flushing):
    ...     row = hs.PairwiseDotAdd(terms=4, depth=16, environment=environment)
    ...     print(hs.dot(tiny, one, accumulator=row))
    6.1035156e-05
    0.0
    """

    terms: int
    depth: int
    environment: Environment = _GRADUAL
    inputs: Format | tuple[Format, Format] = BINARY16
    output: Format = BINARY32
    rounding: RoundingLike = Rounding.roundTiesToEven
    source: str = field(default="", compare=False)
    evidence: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        _normalise(self)
        object.__setattr__(self, "depth", integer("PairwiseDotAdd", "depth", self.depth, 1, 1 << 20))
        if self.depth % self.terms:
            raise ValueError(f"PairwiseDotAdd: depth={self.depth} is not a multiple of terms={self.terms}; make it one")
        if not isinstance(self.environment, Environment):
            raise TypeError(
                f"PairwiseDotAdd: environment={self.environment!r} is a {type(self.environment).__name__}; pass a "
                "halfsim.Environment"
            )
        object.__setattr__(self, "rounding", deterministic("PairwiseDotAdd", "rounding", self.rounding))


@names_its_arguments
@dataclass(frozen=True, slots=True, kw_only=True)
class TwoStageDotAdd:
    """A block of products cut and summed first, C cut and added after, as CDNA3 does [@mmasim2025].

    1. A NaN, an infinity times zero, or infinities of both signs among the terms give the canonical NaN; another
       infinity gives itself. A product beyond the exponents of `output` counts as an infinity.
    2. Products are exact and not normalised: their exponent is that of the factors added, subnormals counting with the
       smallest normal exponent. E is the largest of the nonzero products; each is cut to a multiple of
       ``2**(E - term_bits)`` as `align` says, and the integers are added.
    3. G is the largest of E, C's exponent and the smallest normal exponent of `output`. The sum is cut to a multiple of
       ``2**(G - product_bits)`` and C to one of ``2**(G - addend_bits)``, as `join` says, and the two are added.
    4. That sum is cut to `total_bits` fraction bits below its own leading digit, no lower than below the smallest
       normal number, as `join` says; then it is rounded once (step: the number of the block). An exactly zero sum is
       +0, or -0 when rounding toward negative; a negative one that rounds to zero is -0.

    Parameters
    ----------
    terms : int
        Products per block, 1 to 1024.
    term_bits, product_bits, addend_bits, total_bits : int
        Fraction bits kept of each product, of their sum, of C and of the total, 1 to 40; `total_bits` up to 62.
    align, join : Rounding or str
        How products are cut, and how their sum, C and the total are.
    inputs : Format or pair of Format
        Formats of A and B. Kept as a pair.
    output : Format
        Format of C and D, of precision at most 24.
    rounding : Rounding, Stochastic or str
        How the total is rounded.
    source, evidence : str
        Where the numbers come from and what supports them; not compared.

    Raises
    ------
    TypeError
        If what should be a format or a rounding is not.
    ValueError
        If a number is out of its range, `inputs` are not within binary32, `output` has no infinity or too many
        bits, a rounding is unknown, or `align` or `join` is stochastic.

    Examples
    --------
    What the cut takes off is lost in one direction only:

    >>> import numpy as np, halfsim as hs
    >>> row = hs.TwoStageDotAdd(terms=8, term_bits=24, product_bits=32, addend_bits=24, total_bits=31)
    >>> a = b = np.float16([2**-12, 2**-24])
    >>> [float(hs.dot(sign * a, b, np.float32(sign), accumulator=row)) for sign in (1, -1)]
    [1.0, -1.0000001192092896]
    """

    terms: int
    term_bits: int
    product_bits: int
    addend_bits: int
    total_bits: int
    align: RoundingLike = Rounding.roundTowardZero
    join: RoundingLike = Rounding.roundTowardNegative
    inputs: Format | tuple[Format, Format] = BINARY16
    output: Format = BINARY32
    rounding: RoundingLike = Rounding.roundTiesToEven
    source: str = field(default="", compare=False)
    evidence: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        _normalise(self)
        for name, high in (("term_bits", 40), ("product_bits", 40), ("addend_bits", 40), ("total_bits", 62)):
            object.__setattr__(self, name, integer("TwoStageDotAdd", name, getattr(self, name), 1, high))
        for name in ("align", "join"):
            object.__setattr__(self, name, deterministic("TwoStageDotAdd", name, getattr(self, name)))
        object.__setattr__(self, "rounding", as_rounding(self.rounding, "TwoStageDotAdd"))
