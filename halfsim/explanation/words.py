"""Why a result is what it is, in one sentence, read off a watched call of the core."""

from __future__ import annotations

from halfsim.explanation.values import Datum
from halfsim.explanation.watch import Call
from halfsim.flags import Flags

__all__ = ["flag_reasons", "outcome"]

# What makes an operation invalid when no operand is a signaling NaN.
_INVALID = {
    "add": "infinities of opposite signs are added",
    "subtract": "infinities of equal signs are subtracted",
    "multiply": "zero times infinity",
    "divide": "zero divided by zero, or infinity by infinity",
    "fma": "zero times infinity, or infinities of opposite signs added",
    "sqrt": "square root of a negative number",
    "remainder": "remainder of an infinity, or by zero",
    "convert": "the target has no such value",
}


def outcome(name: str, call: Call, site: Call | None, operands: tuple[Datum, ...], flags: Flags) -> str:
    """Say which case of the operation applies."""
    if site is not None:
        return _rounded(site, flags)
    nan = _nan(call, operands)
    if nan:
        return nan
    if call.find("invalid"):
        return f"invalid operation ({_INVALID.get(name, 'undefined')}): the default NaN"
    if Flags.divideByZero in flags:
        return "an exact infinity from finite operands: a pole"
    if any(packed.arguments["significand"] == 0 for packed in call.find("round_pack")):
        cancelled = call.find("zero_sum_sign")
        return "exactly zero" + (f"; {_zero_sign(cancelled[0])}" if cancelled else "")
    return "nothing to round"


def _rounded(site: Call, flags: Flags) -> str:
    if Flags.invalid in flags:
        return "the rounded value is none of the target's: the environment says what an invalid conversion gives"
    if site.direct("overflow_result"):
        if not site.direct("increment"):
            return "overflow: the exponent alone is beyond the largest, whatever the rounding"
        return "rounded with unbounded exponent, it is larger than the largest finite number: overflow"
    if site.name == "round_pack" and site.direct("zero"):
        return "tiny, and the environment flushes tiny results: zero of the same sign"
    if site.name == "round_pack" and Flags.underflow in flags:
        return "tiny and inexact: rounded in the subnormal range, where fewer bits are left"
    if any(any(cut.result[1:]) for cut in site.direct("discard")):
        return "rounded once" if Flags.inexact in flags else "rounded once; the operation raises no inexact flag for it"
    return "exact: nothing is lost"


def _zero_sign(call: Call) -> str:
    if call.arguments["sign1"] == call.arguments["sign2"]:
        return "zeros of one sign add up to a zero of that sign"
    return "terms of opposite signs cancel to +0, or to -0 when rounding toward negative"


def _nan(call: Call, operands: tuple[Datum, ...]) -> str:
    """Say what became of a NaN operand; empty when there is none."""
    present = [operand for operand in operands if operand.kind.endswith("NaN")]
    chosen = call.find("choose_nan")
    if not present or not (chosen or call.find("pass_nan")):
        return ""
    names = " and ".join(operand.name for operand in present)
    which = "is a NaN" if len(present) == 1 else "are NaNs"
    if call.find("default_nan"):
        return f"{names} {which}: the environment gives the default NaN"
    return f"{names} {which}: passed on, quieted, as the environment's rule says"


def flag_reasons(name: str, flags: Flags, operands: tuple[Datum, ...]) -> tuple[str, ...]:
    """Say for each flag why it is raised."""
    signaling = [operand.name for operand in operands if operand.kind == "signalingNaN"]
    who = " and ".join(signaling)
    undefined = _INVALID.get(name, "a NaN is unordered, and this comparison signals it")
    reasons = {
        Flags.inexact: "the result differs from the exact value",
        Flags.underflow: "the result is tiny and inexact",
        Flags.overflow: "the rounded magnitude exceeds the largest finite number",
        Flags.divideByZero: "an infinity that is the exact result for finite operands",
        Flags.invalid: f"{who} {'are' if len(signaling) > 1 else 'is'} signaling" if signaling else undefined,
    }
    return tuple(f"{flag.name}: {reasons[flag]}" for flag in flags)
