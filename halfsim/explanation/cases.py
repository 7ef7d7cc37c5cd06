"""Dot products that tell models of tensor cores apart, by name: what each is, and what it shows."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CASES", "Case"]

TERMS = 16
_ONES = " ".join(["3fff"] * TERMS)


@dataclass(frozen=True, slots=True)
class Case:
    """One dot product of binary16 factors, K = 16.

    Parameters
    ----------
    name : str
        What it is called on the command line.
    title : str
        What it is called in captures; unique per output.
    output : str
        ``"f32"`` or ``"f16"``, the format of C and D that it is meant for.
    a, b : tuple of int
        Patterns of the factors.
    c : int
        Pattern of C, in the format of `output`.
    shows : str
        What it tells, in one sentence.
    """

    name: str
    title: str
    output: str
    a: tuple[int, ...]
    b: tuple[int, ...]
    c: int
    shows: str


def _vector(text: str) -> tuple[int, ...]:
    """Read patterns from k = 0, or each as k:pattern; the others are +0."""
    values = [0] * TERMS
    for position, item in enumerate(text.split()):
        index, _, word = item.rpartition(":")
        values[int(index) if index else position] = int(word, 16)
    return tuple(values)


# Name, title, factors a and b, C, what it shows; those of binary32 first.
_F32 = (
    ("cancel", "cancel", "6c00 6c00 b800 b400", "6800 e800 3c00 3c00", "be000000",
     "Two large products cancel, and what was cut off beside them is missing from the sum."),
    ("unnormalised-exponent", "unnormalised product exponent", "3e00 be00 0c00 0c00", "3e00 3e00 1000 0c00", "33000000",
     "1.5 * 1.5 = 2.25 is aligned by the sum of its factors' exponents, 0, not by its own, 1."),
    ("truncation", "truncation, not floor", "3c00 8e00", "3c00 0c00", "0",
     "A negative term is cut toward zero, not toward minus infinity."),
    ("subnormal-factor", "subnormal factor has exponent -14", "0001 0001 0001 0001", "3c00 bc00 0400 0200", "0",
     "A subnormal factor counts with the smallest normal exponent, so products beside it lose more."),
    ("rz-positive", "RZ result, positive", "3c00 0c00 0c00", "3c00 1000 0c00", "0",
     "The sum of a block is cut to binary32, not rounded to nearest."),
    ("rz-negative", "RZ result, negative", "bc00 8c00 8c00", "3c00 1000 0c00", "0",
     "A negative sum is cut toward zero as well."),
    ("chain", "chain: 2^25, then a block with -2^25 and 1", "0:7000 8:f000 9:3c00 12:3c00 13:3c00",
     "0:6c00 8:6c00 9:3c00 12:3c00 13:3c00", "0",
     "Where a block ends decides which small terms meet the large ones."),
    ("block-of-4", "terms per block: 8192*4096 at k0, 1 at k4, C = -2^25", "0:7000 4:3c00", "0:6c00 4:3c00", "cc000000",
     "1 survives beside 2^25 and -2^25 when k = 4 begins another block than k = 0, or the block keeps 25 bits."),
    ("block-of-8", "terms per block: 8192*4096 at k0, 1 at k8, C = -2^25", "0:7000 8:3c00", "0:6c00 8:3c00", "cc000000",
     "1 survives beside 2^25 and -2^25 when k = 8 begins another block than k = 0, or the block keeps 25 bits."),
    ("largest-carry", "largest carry", _ONES, _ONES, "3fffffff",
     "The largest sum that a block can carry; the models assume that no bit of it wraps around."),
    ("largest-carry-negative", "largest carry, negative", _ONES.replace("3", "b"), _ONES, "bfffffff",
     "The largest negative sum that a block can carry."),
    ("absorbing-c", "C = FLT_MAX absorbs", "7bff", "7bff", "7f7fffff",
     "The largest product of binary16 vanishes beside the largest binary32 C."),
    ("subnormal-c", "subnormal C passes", "0000", "0000", "80000001",
     "A subnormal C is neither flushed nor lost."),
    ("zero-product", "zero product does not raise E", "0001 0000", "0001 7bff", "0",
     "0 * 65504 does not raise the largest exponent, so the smallest product survives."),
    ("minus-zero", "all -0", " ".join(["8000"] * 16), " ".join(["3c00"] * 16), "80000000",
     "A sum of -0 alone is +0 on tensor cores, and -0 in IEEE 754 arithmetic."),
    ("inf-minus-inf", "Inf - Inf", "7c00 7c00", "3c00 bc00", "0",
     "Infinities of both signs give the NaN of all ones, not IEEE 754's default."),
    ("zero-times-inf", "0 * Inf", "7c00", "0000", "0",
     "Zero times infinity gives the NaN of all ones."),
    ("inf-plus-c", "Inf + C = -Inf", "7c00", "3c00", "ff800000",
     "An infinite C counts among the terms: against an infinite product it gives a NaN."),
    ("quiet-nan", "quiet NaN with payload", "fe55", "3c00", "0",
     "The sign and the payload of a NaN are lost."),
    ("signaling-nan-c", "signaling NaN C", "3c00", "3c00", "7f800001",
     "A signaling NaN in C is a NaN like any other."),
    ("rz-above-2", "RZ result above 2", "3c00 3c00 0002 0004", "3c00 3c00 3c00 3c00", "0",
     "1 + 1 + 3 * 2^-23 has 25 bits, all kept by every block, and its last bit is cut."),
    ("block-of-16", "terms per block: 8192*8192 at k0, 1 at k8, C = -2^26", "0:7000 8:3c00", "0:7000 8:3c00",
     "cc800000",
     "1 is lost beside 2^26 and -2^26 when k = 8 is in one block with k = 0, even if that keeps 25 bits."),
    ("block-above-4", "terms per block: 8192*8192 at k0, 1 at k4, C = -2^26", "0:7000 4:3c00", "0:7000 4:3c00",
     "cc800000",
     "1 is lost beside 2^26 and -2^26 when k = 4 is in one block with k = 0, even if that keeps 25 bits."),
    ("truncation-half", "more than half a unit is cut", "3c00 bc00 0e00 0e00", "3c00 3c00 0c00 0400", "0",
     "3/4 of a unit is cut to nothing, not rounded up, before it is summed."),
)  # fmt: skip
_F16 = (
    ("tie", "tie to even", "3c00 1000", "3c00 3c00", "0",
     "The sum of a block is rounded to binary16 with ties to even."),
    ("sticky", "tie broken by a sticky term", "3c00 1000 1000", "3c00 3c00 1000", "0",
     "A term far below the last place breaks a tie, so the sum is rounded once, and late."),
    ("sticky-boundary", "sticky at 2^-23/2^-24/2^-25", "3c00 1000 0c00", "3c00 3c00 0c00", "0",
     "A term of 2^-24 breaks a tie at 1 only where 24 bits are kept below it."),
    ("sticky-below", "sticky term just below", "3c00 1000 0800", "3c00 3c00 0c00", "0",
     "A term of 2^-25 breaks a tie at 1 only where 25 bits are kept below it."),
    ("round-per-block", "chain rounds per block", "0:3c00 8:3c00", "0:3c00 8:3c00", "6800",
     "2048 + 1 + 1: rounded to binary16 after every block, both ones are lost."),
    ("overflow", "65504 + 16", "4c00", "3c00", "7bff",
     "65504 + 16 is the first sum that rounds to infinity."),
    ("below-overflow", "65504 + 15.99", "4bff", "3c00", "7bff",
     "65504 + 15.99 rounds back to 65504."),
    ("far-overflow", "far overflow cancels inside a block", "7bff 7bff 5a40", "7bff fbff 3c00", "0",
     "Products beyond binary16 cancel inside a block, and take the low digits of 200 with them."),
    ("overflow-between-blocks", "overflow between blocks", "0:7bff 8:fbff", "0:4000 8:4000", "0",
     "A block that overflows hands infinity to the next one."),
    ("subnormal-result", "subnormal result", "0001", "4200", "0",
     "A subnormal result is kept."),
    ("tie-at-zero", "2^-25 ties to 0", "0001", "3800", "0",
     "Half of the smallest subnormal is a tie, and zero is even."),
    ("negative-to-zero", "-2^-26 rounds to zero: which sign", "8001", "3400", "0",
     "A negative sum that rounds to zero gives +0, where IEEE 754 gives -0."),
    ("floor-42", "floor: 2^-25 + 2^-42", "0800 0001", "0c00 0040", "0",
     "A tie at 2^-25 and a term of 2^-42: every zero exponent in use keeps the term."),
    ("floor-43", "floor: 2^-25 + 2^-43", "0800 0001", "0c00 0020", "0",
     "A tie at 2^-25 and a term of 2^-43, which a zero exponent of -19 with 23 bits cuts off."),
    ("floor-44", "floor: 2^-25 + 2^-44", "0800 0001", "0c00 0010", "0",
     "A tie at 2^-25 and a term of 2^-44: the last that a zero exponent of -20 with 24 bits keeps."),
    ("floor-45", "floor: 2^-25 + 2^-45", "0800 0001", "0c00 0008", "0",
     "A tie at 2^-25 and a term of 2^-45, which a zero exponent of -20 with 24 bits cuts off."),
    ("floor-46", "floor: 2^-25 + 2^-46", "0800 0001", "0c00 0004", "0",
     "A tie at 2^-25 and a term of 2^-46: the last that a zero exponent of -21 with 25 bits keeps."),
    ("floor-47", "floor: 2^-25 + 2^-47", "0800 0001", "0c00 0002", "0",
     "A tie at 2^-25 and a term of 2^-47, which every zero exponent in use cuts off."),
    ("subnormal-c-exponent", "subnormal C keeps e = -14", "8800 0001", "0c00 0100", "0001",
     "A subnormal C counts with exponent -14, so a small term beside it is cut off."),
    ("nan-c", "NaN C", "3c00", "3c00", "fe01",
     "The sign and the payload of a NaN in C are lost."),
    ("minus-zero-f16", "all -0", " ".join(["8000"] * 16), " ".join(["3c00"] * 16), "8000",
     "A sum of -0 alone is +0 with binary16 results too."),
    ("largest-carry-f16", "largest carry", _ONES, _ONES, "3fff",
     "The largest sum that a block can carry, rounded to binary16."),
    ("truncation-f16", "truncation at a tie, not floor", "3c01 1000 8001", "3c00 3c00 0001", "0",
     "A term of -2^-48 is cut to nothing beside a tie, which stays a tie."),
    ("overflow-after-4", "overflow between blocks of four", "0:7bff 4:fbff", "0:4000 4:4000", "0",
     "A block of four that overflows hands infinity to the next one; in a block of eight the sum is 0."),
    ("sticky-above-2", "product above 2, sticky at 2^-25", "3e00 1400 0800", "3e00 3c00 0c00", "0",
     "2.25 is aligned by exponent 0, its factors', so 25 bits keep a term of 2^-25, which breaks a tie."),
    ("truncation-half-f16", "more than half a unit is cut", "4400 c400 0e00 0e00", "4400 4400 1c00 1400", "0",
     "3/4 of a unit is cut to nothing, not rounded up, before it is summed."),
)  # fmt: skip

CASES: dict[str, Case] = {
    name: Case(name, title, output, _vector(a), _vector(b), int(c, 16), shows)
    for output, rows in (("f32", _F32), ("f16", _F16))
    for name, title, a, b, c, shows in rows
}
"""All cases, by name."""
