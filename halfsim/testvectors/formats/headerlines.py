"""``key: value`` lines of a header, each key known and there once; errors say which line is wrong."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TypeVar

__all__ = ["HeaderError", "HeaderLines", "whole_number"]

_Value = TypeVar("_Value")
_NOTE = "note"
# No file has so many rows, and all that counts them can hold as many.
_DIGITS = 18


class HeaderError(ValueError):
    """A header that cannot be read.

    Parameters
    ----------
    problem : str
        What is wrong, and the way out.
    line : int
        Line of the header, from 1; 0 for the header as a whole.
    """

    def __init__(self, problem: str, line: int = 0) -> None:
        super().__init__(problem)
        self.line = line


class HeaderLines:
    """The keys and values of a header.

    Parameters
    ----------
    lines : sequence of str
        The lines. Those without a colon, and those that begin with more than one word before it, are remarks; so are
        those with the key ``note``.
    known : collection of str
        Keys that there may be.
    main : str
        The key that every header has. Without it and all other known keys, the lines are remarks of another program.

    Raises
    ------
    HeaderError
        If a key is unknown, or stands twice, or `main` is missing.
    """

    def __init__(self, lines: Sequence[str], known: Collection[str], main: str) -> None:
        self._values: dict[str, tuple[int, str]] = {}
        strange: list[tuple[int, str]] = []
        for number, line in enumerate(lines, 1):
            key, colon, value = (part.strip() for part in line.partition(":"))
            if not colon or not key or len(key.split()) > 1 or key == _NOTE:
                continue
            if key not in known:
                strange.append((number, key))
            elif key in self._values:
                raise HeaderError(
                    f"the header has {key} twice, first in line {self._values[key][0]}; delete one", number
                )
            else:
                self._values[key] = number, value
        if self._values and strange:
            number, key = strange[0]
            problem = f"the header has the unknown key {key!r}; known are {', '.join(known)}, and {_NOTE} for remarks"
            raise HeaderError(problem, number)
        if self._values and main not in self._values:
            raise HeaderError(f"the header names no {main}; it may be cut")

    def __bool__(self) -> bool:
        return bool(self._values)

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def need(self, *keys: str) -> None:
        """Refuse a header without these keys."""
        missing = [key for key in keys if key not in self._values]
        if missing:
            raise HeaderError(f"the header names no {' and no '.join(missing)}; it may be cut")

    def read(self, key: str, convert: Callable[[str], _Value], default: _Value | None = None) -> _Value:
        """Return what `convert` makes of a value; its errors get the line.

        Raises
        ------
        HeaderError
            If the value is empty or not what it must be.
        """
        if key not in self._values and default is not None:
            return default
        number, value = self._values[key]
        if not value:
            raise HeaderError(f"the header's {key} is empty; it may be damaged", number)
        try:
            return convert(value)
        except (ValueError, TypeError) as error:
            raise HeaderError(str(error), number) from None

    def line(self, key: str) -> int:
        """Return the line of a key."""
        return self._values[key][0]


def whole_number(name: str, most: int = _DIGITS, least: int | None = None) -> Callable[[str], int]:
    """Return what reads an integer of so many digits at most, no less than `least`; errors say that it is `name`."""

    def convert(text: str) -> int:
        digits = text.removeprefix("-")
        if not (digits.isascii() and digits.isdigit() and len(digits) <= most):
            raise ValueError(f"the header's {name} is {text[:40]!r}, not an integer of at most {most} digits")
        if least is not None and int(text) < least:
            raise ValueError(f"the header's {name} is {text[:40]}; it is {least} at least")
        return int(text)

    return convert
