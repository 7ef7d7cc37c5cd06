"""Floating-point formats as rows: how wide, how precise, how far, and what the top encodings mean."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from math import ldexp
from operator import index

from halfsim.arguments import names_its_arguments

__all__ = [
    "BFLOAT16",
    "BINARY16",
    "BINARY32",
    "BINARY64",
    "E4M3",
    "E5M2",
    "TF32",
    "Format",
    "Specials",
]


class Specials(IntEnum):
    """What the largest exponent field encodes: IEEE 754-2019 §3.4, OFP8 [@ocp-fp8], or numbers alone.

    Examples
    --------
    >>> import halfsim as hs
    >>> hs.E4M3.specials.name, hs.E4M3.largest
    ('nan_only', 448.0)
    """

    ieee = 0
    """Infinity (fraction 0) and NaNs, as IEEE 754-2019 §3.4."""
    nan_only = 1
    """One NaN per sign, all ones; no infinity (OCP 8-bit E4M3)."""
    none = 2
    """Numbers only, no infinity and no NaN (Arm's alternative half precision, OCP E2M1)."""


@names_its_arguments
@dataclass(frozen=True, slots=True)
class Format:
    """A binary floating-point format.

    Parameters
    ----------
    name : str
        Name used in messages and files.
    width : int
        Storage width in bits, at most 64.
    precision : int
        Significand bits including the implicit one (p of IEEE 754-2019 §3.3), 2 to 53.
    emin, emax : int
        Exponents of the smallest and the largest normal number, -1022 <= emin, emax <= 1023.
    specials : Specials
        How infinity and NaN are encoded.

    Raises
    ------
    TypeError
        If a field is not of its type.
    ValueError
        If the exponent field that `width` and `precision` leave does not span `emin` to `emax` exactly.

    Examples
    --------
    >>> from halfsim import Format
    >>> minifloat = Format("E3M4", width=8, precision=5, emin=-2, emax=3)
    >>> minifloat.largest, minifloat.smallest_subnormal
    (15.5, 0.015625)
    """

    name: str
    width: int
    precision: int
    emin: int
    emax: int
    specials: Specials = Specials.ieee

    def __post_init__(self) -> None:
        label: object = self.name
        if not isinstance(label, str):
            raise TypeError(f"Format: name={label!r} is of type {type(label).__name__}; pass a text")
        for name in ("width", "precision", "emin", "emax"):
            value = getattr(self, name)
            if isinstance(value, bool) or not hasattr(value, "__index__"):
                raise TypeError(f"Format: {name}={value!r} is of type {type(value).__name__}; pass an integer")
            object.__setattr__(self, name, index(value))
        specials: object = self.specials
        if not isinstance(specials, Specials):
            known = ", ".join(f"Specials.{member.name}" for member in Specials)
            raise TypeError(f"Format: specials={specials!r} is of type {type(specials).__name__}; pass one of {known}")
        exponent_bits = self.width - self.precision
        if not (2 <= self.precision <= 53 and self.width <= 64 and exponent_bits >= 1):
            raise ValueError(
                f"Format: {self.name!r} has width={self.width} and precision={self.precision}; "
                "precision must be 2 to 53 and leave at least one exponent bit in a width of at most 64"
            )
        reserved = 1 if self.specials == Specials.ieee else 0
        span = (1 << exponent_bits) - 1 - reserved
        if span < 1 or self.emax - self.emin + 1 != span or self.emin < -1022 or self.emax > 1023:
            raise ValueError(
                f"Format: {self.name!r} spans emin={self.emin} to emax={self.emax}, but its {exponent_bits} exponent "
                f"bits encode exactly {span} normal exponents (within -1022 to 1023); "
                + (f"choose emax = emin + {span - 1}" if span else "leave it two bits at least")
            )

    def __hash__(self) -> int:
        # Formats are looked up in every conversion; a string keeps its hash.
        return hash(self.name)

    def contains(self, other: Format) -> bool:
        """Whether every finite number of another format is a number of this one.

        Parameters
        ----------
        other : Format
            The format whose numbers are looked for.

        Returns
        -------
        bool
            Infinities, NaNs and the encodings play no part.

        Examples
        --------
        >>> import halfsim as hs
        >>> hs.BINARY16.contains(hs.E4M3), hs.BINARY16.contains(hs.BFLOAT16)
        (True, False)
        """
        bottom = self.emin - self.precision
        fits = self.precision >= other.precision and bottom <= other.emin - other.precision
        return fits and self.largest >= other.largest

    @property
    def bias(self) -> int:
        """Exponent bias: the encoded exponent of 1.0."""
        return 1 - self.emin

    @property
    def largest(self) -> float:
        """Largest finite value."""
        significand = 2**self.precision - (2 if self.specials == Specials.nan_only else 1)
        return ldexp(significand, self.emax - self.precision + 1)

    @property
    def smallest_normal(self) -> float:
        """Smallest positive normal value, 2**emin."""
        return ldexp(1.0, self.emin)

    @property
    def smallest_subnormal(self) -> float:
        """Smallest positive value, one ulp of the subnormal range."""
        return ldexp(1.0, self.emin - self.precision + 1)


BINARY16 = Format("binary16", 16, 11, -14, 15)
"""binary16 of IEEE 754-2019 §3.6: largest 65504, smallest normal 2**-14, smallest subnormal 2**-24."""

BINARY32 = Format("binary32", 32, 24, -126, 127)
"""binary32 of IEEE 754-2019 §3.6."""

BINARY64 = Format("binary64", 64, 53, -1022, 1023)
"""binary64 of IEEE 754-2019 §3.6."""

BFLOAT16 = Format("bfloat16", 16, 8, -126, 127)
"""bfloat16 [@ptx-isa]: the exponents of binary32, 8 bits of precision."""

TF32 = Format("TF32", 19, 11, -126, 127)
"""TensorFloat-32 [@ptx-isa]: the exponents of binary32, the precision of binary16; held in float32 arrays."""

E5M2 = Format("E5M2", 8, 3, -14, 15)
"""OCP 8-bit E5M2 [@ocp-fp8]: the exponents of binary16, 3 bits of precision; it has infinities."""

E4M3 = Format("E4M3", 8, 4, -6, 8, Specials.nan_only)
"""OCP 8-bit E4M3 [@ocp-fp8]: 4 bits of precision, largest 448; it has no infinities, and one NaN of either sign."""
