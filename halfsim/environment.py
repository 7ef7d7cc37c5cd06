"""What IEEE 754 leaves open, as rows: tininess, NaN results, flushing, integer results of invalid conversions.

The rows follow [@riscv-unprivileged], [@arm-arm], [@intel-sdm] and [@ptx-isa].
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from enum import IntEnum

from halfsim.arguments import names_its_arguments

__all__ = [
    "ARM",
    "ARM_DEFAULT_NAN",
    "CUDA",
    "FLUSHING",
    "IEEE",
    "RISCV",
    "X86",
    "DefaultNaN",
    "Environment",
    "InvalidInteger",
    "NaNOperand",
    "NaNRule",
    "Tininess",
]


def _check(row: NaNRule | Environment) -> None:
    """Refuse a field of another type: in a control word it would spill into its neighbours."""
    for field in fields(row):
        value, kind = getattr(row, field.name), type(field.default)
        if not isinstance(value, kind):
            known = ", ".join(f"{kind.__name__}.{member.name}" for member in kind) if issubclass(kind, IntEnum) else ""
            raise TypeError(
                f"{type(row).__name__}: {field.name}={value!r} is of type {type(value).__name__}; "
                f"pass a {kind.__name__}{': ' if known else ''}{known}"
            )


class Tininess(IntEnum):
    """When a result counts as tiny (IEEE 754-2019 §7.5).

    Examples
    --------
    >>> import numpy as np, halfsim as hs
    >>> x, y = hs.from_bits(0x03FF), hs.from_bits(0x3C01)
    >>> [hs.Flags(hs.multiply.flagged(x, y, environment=env).flags).name for env in (hs.RISCV, hs.ARM)]
    ['inexact', 'inexact|underflow']
    """

    afterRounding = 0
    """Rounded to the format's precision with unbounded exponent, it lies below the smallest normal number."""
    beforeRounding = 1
    """The exact result lies below the smallest normal number."""


class DefaultNaN(IntEnum):
    """The NaN an operation makes when it has none to pass on (IEEE 754-2019 §6.2).

    Examples
    --------
    >>> import numpy as np, halfsim as hs
    >>> hex(hs.to_bits(hs.sqrt(np.float16(-1), environment=hs.X86)))
    '0xfe00'
    """

    positive = 0
    """Quiet bit alone: 0x7E00."""
    negative = 1
    """Quiet bit alone and the sign: 0xFE00."""
    allOnes = 2
    """Every bit but the sign: 0x7FFF."""


class NaNOperand(IntEnum):
    """Which NaN operand becomes the result, quieted (IEEE 754-2019 §6.2.3).

    Examples
    --------
    >>> import halfsim as hs
    >>> quiet, signaling = hs.from_bits([0x7E01, 0x7C02])
    >>> [hex(hs.to_bits(hs.add(quiet, signaling, environment=env))) for env in (hs.X86, hs.ARM, hs.RISCV)]
    ['0x7e01', '0x7e02', '0x7e00']
    """

    none = 0
    """None: the result is always the default NaN."""
    first = 1
    """The first NaN in operand order."""
    signalingFirst = 2
    """The first signaling NaN, else the first NaN."""


class InvalidInteger(IntEnum):
    """Integer results of invalid conversions (IEEE 754-2019 §5.8).

    Examples
    --------
    >>> import numpy as np, halfsim as hs
    >>> [int(hs.convert(np.float16(np.nan), np.int16, environment=env)) for env in (hs.ARM, hs.RISCV, hs.X86)]
    [0, 32767, -32768]
    >>> int(hs.convert(np.float16(np.nan), np.uint64, environment=hs.CUDA)) == 1 << 63
    True
    """

    saturateNaNZero = 0
    """Too large or too small saturates; NaN gives 0."""
    saturateNaNMax = 1
    """Too large or too small saturates; NaN gives the largest integer."""
    indefinite = 2
    """The x86 integer indefinite value for all: the smallest signed integer, the largest unsigned one."""
    saturateNaNByWidth = 3
    """Too large or too small saturates; NaN gives 0, but to 64 bits, signed or not, the top bit alone."""


@names_its_arguments
@dataclass(frozen=True, slots=True, kw_only=True)
class NaNRule:
    """How an operation chooses its NaN result (IEEE 754-2019 §6.2.3).

    Parameters
    ----------
    default : DefaultNaN
        The NaN made by invalid operations.
    operand : NaNOperand
        Which NaN operand is passed on.
    addend_first : bool
        Whether ``fma(a, b, c)`` looks at its operands in the order c, a, b instead of a, b, c.
    inf_times_zero_invalid : bool
        Whether ``fma`` of infinity, zero and a quiet NaN is invalid and gives the default NaN (IEEE 754-2019 §7.2 c
        leaves it open); otherwise the NaN operand decides and no flag is raised.
    pass_binary64 : bool
        Whether conversions from and to binary64 pass their NaN on, quieted, although `operand` is ``none``.

    Raises
    ------
    TypeError
        If a field is not of its type.

    Examples
    --------
    >>> import numpy as np, halfsim as hs
    >>> hs.NaNRule(default=hs.DefaultNaN.allOnes, pass_binary64=True) == hs.CUDA.nan
    True
    >>> [hex(hs.to_bits(hs.convert(x(-np.nan), hs.BINARY16, environment=hs.CUDA))) for x in (np.float32, np.float64)]
    ['0x7fff', '0xfe00']
    """

    default: DefaultNaN = DefaultNaN.positive
    operand: NaNOperand = NaNOperand.none
    addend_first: bool = False
    inf_times_zero_invalid: bool = True
    pass_binary64: bool = False

    def __post_init__(self) -> None:
        _check(self)


@names_its_arguments
@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """The implementation-defined part of the arithmetic.

    IEEE 754-2019 leaves tininess (§7.5), NaN results (§6.2.3) and those of invalid conversions (§5.8) open;
    flushing is no part of it. Flushing an input raises no flag. Flushing concerns arithmetic,
    remainder, round_to_integral, scaleb, logb, conversions (in the source's format and in the target's), and the
    operands of comparisons, minimum and maximum. Sign-bit operations, class predicates, total order, nextup and
    nextdown see operands as they are.

    Parameters
    ----------
    tininess : Tininess
        Which results count as tiny: decides the underflow flag and `flush_results`.
    nan : NaNRule
        The rule for NaN results.
    flush_inputs : bool
        Subnormal operands are read as zeros of the same sign (denormals-are-zero).
    flush_results : bool
        Tiny results, exact ones too, are replaced by zeros of the same sign (flush-to-zero) and raise underflow.
    flush_inexact : bool
        Whether a flushed result raises inexact as well: x86's masked response does, Arm's FPRound does not.
    invalid_integer : InvalidInteger
        What an invalid conversion to an integer returns.

    Raises
    ------
    TypeError
        If a field is not of its type.

    Examples
    --------
    >>> import dataclasses, halfsim as hs
    >>> dataclasses.replace(hs.RISCV, tininess=hs.Tininess.beforeRounding).tininess.name
    'beforeRounding'
    """

    tininess: Tininess = Tininess.afterRounding
    nan: NaNRule = NaNRule()
    flush_inputs: bool = False
    flush_results: bool = False
    flush_inexact: bool = True
    invalid_integer: InvalidInteger = InvalidInteger.saturateNaNZero

    def __post_init__(self) -> None:
        _check(self)


_PASS_FIRST = NaNRule(operand=NaNOperand.first, inf_times_zero_invalid=False)

IEEE = Environment(nan=_PASS_FIRST)
"""The default, a choice that IEEE 754-2019 §6.2.3 and §7.5 allow: tininess after rounding;
a NaN result is the first NaN operand, quieted."""

FLUSHING = replace(IEEE, flush_inputs=True, flush_results=True)
"""`IEEE` with subnormal operands and tiny results replaced by zeros."""

RISCV = Environment(nan=NaNRule(), invalid_integer=InvalidInteger.saturateNaNMax)
"""RISC-V: tininess after rounding, the canonical NaN 0x7E00, the largest integer for a NaN [@riscv-unprivileged]."""

ARM = Environment(
    tininess=Tininess.beforeRounding,
    nan=NaNRule(operand=NaNOperand.signalingFirst, addend_first=True),
    flush_inexact=False,
)
"""Arm [@arm-arm]: tininess before rounding; a NaN result is the first signaling NaN operand, or else the first NaN,
quieted."""

ARM_DEFAULT_NAN = replace(ARM, nan=NaNRule())
"""`ARM` with FPCR.DN set [@arm-arm]: every NaN result is 0x7E00."""

X86 = Environment(
    nan=NaNRule(default=DefaultNaN.negative, operand=NaNOperand.first, inf_times_zero_invalid=False),
    invalid_integer=InvalidInteger.indefinite,
)
"""x86 [@intel-sdm]: tininess after rounding, the default NaN 0xFE00, operands' NaNs pass on, the integer indefinite."""

CUDA = Environment(
    nan=NaNRule(default=DefaultNaN.allOnes, pass_binary64=True), invalid_integer=InvalidInteger.saturateNaNByWidth
)
"""NVIDIA GPUs [@ptx-isa]: a NaN result is 0x7FFF, but conversions from and to binary64 keep sign and payload, and a
NaN becomes the integer 0, or in 64 bits the pattern 0x8000000000000000: as an H200 answered (vectors/cuda)."""
