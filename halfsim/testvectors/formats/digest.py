"""A digest of the rows of a file, computed as they pass: rows that were moved, repeated, exchanged or changed show."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from halfsim.testvectors.formats.files import VectorFileError
from halfsim.testvectors.formats.rows import Field, word_dtype

__all__ = ["HASHES", "JSON", "SLASHES", "DigestError", "RowDigest", "Seal", "digest_state", "stated", "unsealed"]

_STATED = re.compile(r'(//|#|{")? ?sha256"?:\s*"?([0-9a-fA-F]{64})"?\s*}?')


class DigestError(VectorFileError):
    """A vector file whose rows are not those that its digest was made of; everything else about it can be read."""


class RowDigest:
    """SHA-256 of rows, column by column, in constant memory.

    Each column is hashed under its name as little-endian words, and the whole is the hash of the columns' hashes: the
    spelling of numbers does not matter, the order of rows and which column is which does.

    Parameters
    ----------
    fields : sequence of Field
        The columns.
    version : str
        The version of halfsim that wrote the rows, which always writes their digest, too; empty for other writers.

    Attributes
    ----------
    version : str
        As given.
    stated : str
        What the file says that the digest is; empty if it does not say.
    line : int
        The line that says so, 0 where there are no lines.
    verified : bool
        Whether `verify` has found that the rows are those that `stated` was made of.

    Raises
    ------
    ValueError
        For a field of more than 64 bits.

    Examples
    --------
    >>> import numpy as np
    >>> from halfsim.testvectors.formats.digest import RowDigest
    >>> from halfsim.testvectors.formats.rows import Field
    >>> found = []
    >>> for rows in ([1, 2], [2, 1]):
    ...     digest = RowDigest([Field("A", 4)])
    ...     digest.update([np.array(rows, np.uint16)])
    ...     found.append(digest.whole()[:8])
    >>> found
    ['d8bc90c2', 'ebeab49e']
    """

    def __init__(self, fields: Sequence[Field], version: str = "") -> None:
        self.version = version
        self._dtypes = [word_dtype(field.digits).newbyteorder("<") for field in fields]
        self._names = [field.name for field in fields]
        self._hashes = [hashlib.sha256(f"{name}\n".encode()) for name in self._names]
        self.stated, self.line, self.verified = "", 0, False

    def update(self, columns: Sequence[NDArray[Any]]) -> None:
        """Add rows, one array a column.

        Parameters
        ----------
        columns : sequence of unsigned arrays
            As many as there are fields, of equal length.
        """
        for known, dtype, words in zip(self._hashes, self._dtypes, columns, strict=True):
            known.update(np.ascontiguousarray(words, dtype).tobytes())

    def whole(self) -> str:
        """Return the digest of all rows so far."""
        pairs = zip(self._names, self._hashes, strict=True)
        return hashlib.sha256("".join(f"{name} {known.hexdigest()}\n" for name, known in pairs).encode()).hexdigest()

    def verify(self, name: str) -> None:
        """Compare the rows that have passed with what the file states, if it states anything.

        Parameters
        ----------
        name : str
            Of the file, for messages.

        Raises
        ------
        VectorFileError
            If it states nothing, though halfsim wrote it.
        DigestError
            If they are others.
        """
        if self.version and not self.stated:
            problem = (
                f"has no SHA-256 of its rows, but its header says that halfsim {self.version} wrote it: its "
                f"end was lost; take it from its source again, or, if it was edited, delete "
                f"'halfsim {self.version}' from its header"
            )
            raise VectorFileError(name, 0, problem)
        if self.stated and self.stated != self.whole():
            problem = (
                "the rows are not those that the SHA-256 at the end was made of: some were changed, moved, repeated or "
                "exchanged; take the file from its source again, or, if the change was meant, delete the SHA-256 "
                "and the 'halfsim VERSION' of the header"
            )
            raise DigestError(name, self.line, problem)
        self.verified = bool(self.stated)


@dataclass(frozen=True, slots=True)
class Seal:
    """How a text file ends: a line with the digest of its rows.

    Parameters
    ----------
    template : str
        The line, with ``%s`` for the digest.
    mark : str
        How such a line begins, whoever wrote it.
    comment : str
        How other lines begin that are no rows; empty if there are none.
    """

    template: str
    mark: str
    comment: str = ""

    def spell(self, digest: RowDigest) -> bytes:
        """Return the line."""
        return (self.template % digest.whole() + "\n").encode()


SLASHES = Seal("// sha256: %s", "// sha256:", "//")
HASHES = Seal("# sha256: %s", "# sha256:", "#")
JSON = Seal('{"sha256": "%s"}', '{"sha256"')


def unsealed(
    lines: Iterable[tuple[bytes, int]], seal: Seal | None, digest: RowDigest, name: str
) -> Iterator[tuple[bytes, int]]:
    """Yield whole lines and the number of the first, without the line of the digest, which `digest` is told.

    Raises
    ------
    VectorFileError
        If that line is no digest, or anything but comments stands behind it.
    """
    for part, first in lines:
        start = -1 if seal is None or digest.line else _line_beginning(part, seal.mark.encode())
        if digest.line and seal is not None:
            _expect_nothing(part, first, seal, name)
            continue
        if seal is None or start < 0:
            yield part, first
            continue
        rows, (line, _, rest) = part[:start], part[start:].partition(b"\n")
        digest.line = first + rows.count(b"\n")
        digest.stated = stated(line.decode("utf-8", "replace").strip(), name, digest.line)
        if rows:
            yield rows, first
        _expect_nothing(rest, digest.line + 1, seal, name)


def stated(text: str, name: str, line: int = 0) -> str:
    """Return the digest of a text such as ``sha256: ...``, as any format has it."""
    found = _STATED.fullmatch(text)
    if found is None:
        raise VectorFileError(
            name, line, f"{text[:100]!r} does not hold a SHA-256 of 64 hexadecimal digits; it is damaged"
        )
    return found[2].lower()


def digest_state(verified: bool, damage: str) -> str:
    """Return what a report says of the digest of a file."""
    return "differs" if damage else "verified" if verified else "none"


def _line_beginning(part: bytes, mark: bytes) -> int:
    at = part.find(mark)
    while at > 0 and part[at - 1] != ord("\n"):
        at = part.find(mark, at + 1)
    return at


def _expect_nothing(part: bytes, first: int, seal: Seal, name: str) -> None:
    for number, line in enumerate(part.split(b"\n"), first):
        text = line.strip()
        if text.startswith(seal.mark.encode()):
            raise VectorFileError(name, number, "is a second SHA-256; files were joined: check each by itself")
        if text and not (seal.comment and text.startswith(seal.comment.encode())):
            raise VectorFileError(name, number, "stands behind the SHA-256 of the rows; rows were added or moved")
