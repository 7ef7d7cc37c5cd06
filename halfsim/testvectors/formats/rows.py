"""Lines of hexadecimal fields of fixed width, encoded and decoded a block at a time."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Codec", "Field", "word_dtype"]

_DIGITS = np.frombuffer(b"0123456789ABCDEF", np.uint8)
_BAD = 0xFF


class Field(NamedTuple):
    """A hexadecimal field: its name and number of digits.

    Parameters
    ----------
    name : str
        Its name in the header of a file.
    digits : int
        Hexadecimal digits; a word of 64 bits has 16.

    Examples
    --------
    >>> import numpy as np
    >>> from halfsim.testvectors.formats.rows import Codec, Field
    >>> Codec([Field("A", 4), "_", Field("FF", 2)]).encode([np.uint16([0x3C00]), np.uint8([1])])
    b'3C00_01'
    """

    name: str
    digits: int


def word_dtype(digits: int) -> np.dtype[Any]:
    """Return the smallest unsigned dtype that holds so many hexadecimal digits."""
    for size in (1, 2, 4, 8):
        if digits <= 2 * size:
            return np.dtype(f"u{size}")
    raise ValueError(f"word_dtype: {digits} hexadecimal digits do not fit 64 bits; split the field")


@lru_cache(maxsize=1)
def _quads() -> NDArray[np.uint32]:
    """Return the four digits of every 16-bit word, as one word each."""
    words = np.arange(1 << 16)
    digits = np.stack([_DIGITS[(words >> shift) & 15] for shift in (12, 8, 4, 0)], axis=1)
    return np.ascontiguousarray(digits).view(np.uint32)[:, 0]


@lru_cache(maxsize=1)
def _values() -> NDArray[np.uint8]:
    """Return the value of every character, `_BAD` where it is no hexadecimal digit."""
    table = np.full(256, _BAD, np.uint8)
    for value, digit in enumerate(b"0123456789ABCDEF"):
        table[digit] = value
    for value, digit in enumerate(b"abcdef", 10):
        table[digit] = value
    return table


class Codec:
    """The layout of a line: literal text and hexadecimal fields, in order.

    Parameters
    ----------
    pieces : sequence of str or Field
        Literal ASCII text and fields; the line end is the last piece.
    """

    def __init__(self, pieces: Sequence[str | Field]) -> None:
        self.fields = tuple(piece for piece in pieces if isinstance(piece, Field))
        template = bytearray()
        self._starts: list[int] = []
        for piece in pieces:
            if isinstance(piece, Field):
                self._starts.append(len(template))
                template += b"0" * piece.digits
            else:
                template += piece.encode("ascii")
        self._template = np.frombuffer(bytes(template), np.uint8)
        self.width = len(template)
        literal = np.ones(self.width, np.bool_)
        for start, field in zip(self._starts, self.fields, strict=True):
            literal[start : start + field.digits] = False
        self._literal = np.flatnonzero(literal)

    def encode(self, columns: Sequence[NDArray[Any]]) -> bytes:
        """Return the lines of columns of unsigned words, one per field."""
        count = len(columns[0])
        text = np.empty((count, self.width), np.uint8)
        text[:] = self._template
        for start, field, words in zip(self._starts, self.fields, columns, strict=True):
            for last in range(field.digits, 0, -4):
                first = max(last - 4, 0)
                shift = 4 * (field.digits - last)
                part = (words >> words.dtype.type(shift)).astype(np.uint16) if shift else words.astype(np.uint16)
                quad = _quads()[part].view(np.uint8).reshape(count, 4)
                text[:, start + first : start + last] = quad[:, 4 - (last - first) :]
        return text.tobytes()

    def decode(self, data: bytes) -> list[NDArray[Any]] | None:
        """Return the columns of lines, or None if any line has another form."""
        if len(data) % self.width:
            return None
        text = np.frombuffer(data, np.uint8).reshape(-1, self.width)
        if (text[:, self._literal] != self._template[self._literal]).any():
            return None
        columns = []
        for start, field in zip(self._starts, self.fields, strict=True):
            dtype = word_dtype(field.digits)
            words = np.zeros(len(text), dtype)
            bad = np.zeros(len(text), np.uint8)
            for position in range(start, start + field.digits):
                digit = _values()[text[:, position]]
                bad |= digit
                words = (words << dtype.type(4)) | digit.astype(dtype)
            if (bad > 15).any():
                return None
            columns.append(words)
        return columns
