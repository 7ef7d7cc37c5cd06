"""How a measure is called and written: its label in figures, its head in tables, its unit and its digits."""

from __future__ import annotations

from dataclasses import dataclass, replace

__all__ = ["Measure", "interval", "measure", "number", "spread"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """How the numbers of one name are shown.

    Parameters
    ----------
    label : str
        What it is, with its unit, for the axis of a figure.
    head : str
        The same for the column of a table.
    factor : float
        What a number is multiplied by: 100 for shares shown in per cent.
    digits : int or None
        After the point; None shows four significant digits.
    """

    label: str
    head: str
    factor: float = 1.0
    digits: int | None = None


_MOST = 9
"""Digits after the point, at most."""

_KNOWN = {
    "loss": Measure(label="test loss, nats", head="loss", digits=3),
    "accuracy": Measure(label="test accuracy, %", head="accuracy %", factor=100, digits=1),
    "false alarms": Measure(label="false alarms per test canvas", head="false alarms", digits=2),
    "updates_lost": Measure(label="updates lost, %", head="lost %", factor=100, digits=1),
    "gradients_flushed": Measure(label="gradients flushed, %", head="flushed %", factor=100, digits=1),
    "gradients_overflowed": Measure(label="gradients overflowed, %", head="overflowed %", factor=100, digits=1),
    "gradient_error": Measure(label="error of weight gradients, %", head="error %", factor=100, digits=2),
    "swallowed": Measure(label="partial sums swallowed, %", head="swallowed %", factor=100, digits=1),
    "steps_skipped": Measure(label="steps skipped", head="skipped", digits=1),
    "training_loss": Measure(label="training loss of the last batch, as reported", head="training loss"),
    "seconds": Measure(label="run time, s", head="seconds", digits=1),
}


def measure(name: str) -> Measure:
    """Return how a measure is shown; an unknown one goes by its name."""
    plain = name.replace("_", " ")
    return _KNOWN.get(name) or Measure(label=plain, head=plain)


def number(value: float, how: Measure, *, signed: bool = False) -> str:
    """Return a number as text, with a true minus sign.

    Examples
    --------
    >>> number(-0.5, measure("accuracy"), signed=True)
    '−50.0'
    """
    # What is rounded to zero has no sign of its own.
    sign = "+z" if signed else "z"
    form = f"{sign}.4g" if how.digits is None else f"{sign}.{how.digits}f"
    return f"{how.factor * value:{form}}".replace("-", "−")


def spread(mean: float, sd: float | None, how: Measure) -> str:
    """Return mean ± standard deviation as text; the mean alone when there is no deviation."""
    return number(mean, how) if sd is None else f"{number(mean, how)} ± {number(sd, how)}"


def interval(mean: float, ends: tuple[float, float] | None, how: Measure) -> str:
    """Return a difference with its confidence interval as text.

    An interval without zero is written with enough digits to be read as one.

    Examples
    --------
    >>> interval(-0.0007, (-0.0011, -0.0003), measure("accuracy"))
    '−0.07 [−0.11, −0.03]'
    """
    if ends is None:
        return number(mean, how, signed=True)
    if how.digits is not None and not ends[0] <= 0 <= ends[1]:
        while how.digits < _MOST and any(not round(how.factor * end, how.digits) for end in ends):
            how = replace(how, digits=how.digits + 1)
    low, high = (number(end, how, signed=True) for end in ends)
    return f"{number(mean, how, signed=True)} [{low}, {high}]"
