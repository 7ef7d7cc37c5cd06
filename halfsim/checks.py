"""What fields of rows and options may be, and how errors tell it: they name the row and the field."""

from __future__ import annotations

from collections.abc import Iterable
from operator import index

from halfsim.formats import BINARY32, Format, Specials
from halfsim.rounding import Rounding, RoundingLike, Stochastic, as_rounding

__all__ = ["deterministic", "integer", "near", "pair_of_formats", "plain", "result_format"]


def integer(row: str, field: str, value: object, low: int, high: int) -> int:
    """Return an integer within bounds."""
    if isinstance(value, bool) or not hasattr(value, "__index__") or not low <= index(value) <= high:
        raise ValueError(f"{row}: {field}={value!r} must be an integer from {low} to {high}")
    return index(value)


def near(name: str, known: Iterable[str]) -> str:
    """Return what to say of an unknown name: those like it, or all."""
    from difflib import get_close_matches

    names = list(known)
    alike = [other for other in names if name and other.startswith(name)] or get_close_matches(name, names, n=4)
    return f"did you mean {' or '.join(alike)}?" if alike else f"known are {', '.join(names)}"


def plain(value: object) -> object:
    """Return Python's own number or truth value for a scalar of NumPy, and anything else as it is."""
    item = getattr(value, "item", None)
    return item() if getattr(value, "shape", None) == () and callable(item) else value


def result_format(row: str, field: str, value: object, precision: int = 64) -> Format:
    """Return a format that has infinities and NaNs and at most the given precision."""
    if not isinstance(value, Format):
        raise TypeError(f"{row}: {field}={value!r} is a {type(value).__name__}; pass a halfsim.Format such as BINARY32")
    if value.specials != Specials.ieee:
        raise ValueError(
            f"{row}: {field}={value.name} has no infinity; pass a format with IEEE specials such as BINARY16"
        )
    if value.precision > precision:
        raise ValueError(
            f"{row}: {field}={value.name} has precision {value.precision}; pass a format of at most {precision} bits "
            "such as BINARY32, or use Exact for a wider result"
        )
    return value


def deterministic(row: str, field: str, value: RoundingLike) -> Rounding:
    """Return a rounding that is not stochastic."""
    rounding = as_rounding(value, row)
    if isinstance(rounding, Stochastic):
        raise ValueError(f"{row}: {field}=Stochastic(...) is not defined; pass a deterministic Rounding")
    return rounding


def pair_of_formats(row: str, inputs: object) -> tuple[Format, Format]:
    """Return the formats of A and B that a field `inputs` stands for, one format or two."""
    match (inputs, inputs) if isinstance(inputs, Format) else inputs:
        case (Format() as left, Format() as right):
            pair = left, right
        case _:
            raise TypeError(
                f"{row}: inputs={inputs!r} is a {type(inputs).__name__}; pass a halfsim.Format such as BFLOAT16, "
                "or a pair of them for A and B"
            )
    for fmt in pair:
        # So operands can be held in float32 arrays, and products have 48 bits at most: aligned sums stay in int64.
        if not BINARY32.contains(fmt):
            raise ValueError(
                f"{row}: inputs={fmt.name} has numbers that binary32 has not; pass formats that binary32 contains, "
                "such as BFLOAT16, TF32 or E4M3"
            )
    return pair
