"""Formats of one row a line: what they have in common, read many lines at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from halfsim.testvectors.formats.block import Block, columns_of, from_columns
from halfsim.testvectors.formats.digest import RowDigest, Seal, unsealed
from halfsim.testvectors.formats.files import VectorFileError
from halfsim.testvectors.formats.header import Header
from halfsim.testvectors.formats.rows import Codec, Field, word_dtype

__all__ = ["NO_TEXT", "TextFormat", "decode_lines", "looks_like_text", "read_rows", "split_header", "whole_lines"]

_CHUNK = 1 << 20
_HEADER_LINES = 1000
_LOOK = 1000
NO_TEXT = "is not text, as files of this format are; check the path, or name another format"
"""What is said of a file of bytes."""
_HEX = frozenset("0123456789abcdefABCDEF")
_BOM, _UTF_16 = b"\xef\xbb\xbf", (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True, slots=True)
class TextFormat:
    """How a row is spelled on a line.

    Parameters
    ----------
    name : str
        Name on the command line.
    pieces : callable
        Literal text and fields of a line, without its end, for a header.
    head : callable
        Lines before the first row.
    is_head : callable
        Whether a line at the top is one of those.
    read_head : callable
        The header that such lines hold, or None.
    split : callable
        Texts of the fields of a line that another program wrote; None for a line without a row.
    seal : Seal or None
        The last line, with the digest of the rows; None where the format has no room for it.
    head_line : int or None
        The line that holds the whole header; None where each of its lines is one of the file.
    is_names : callable or None
        Whether a line names the columns, which the first one may do; None where none does.
    """

    name: str
    pieces: Callable[[Header], list[str | Field]]
    head: Callable[[Header], list[str]]
    is_head: Callable[[str], bool]
    read_head: Callable[[list[str]], Header | None]
    split: Callable[[str, Header], list[str] | None]
    seal: Seal | None
    head_line: int | None = None
    is_names: Callable[[str, Header], bool] | None = None

    def write(self, stream: IO[bytes], header: Header, blocks: Iterable[Block]) -> int:
        """Write the header, all rows and their digest; return how many."""
        stream.write("".join(f"{line}\n" for line in self.head(header)).encode())
        codec, digest, count = Codec([*self.pieces(header), "\n"]), RowDigest(header.fields), 0
        for block in blocks:
            columns = columns_of(header, block)
            digest.update(columns)
            stream.write(codec.encode(columns))
            count += len(block.result)
        if self.seal is not None:
            stream.write(self.seal.spell(digest))
        return count


def split_header(is_head: Callable[[str], bool], stream: IO[bytes], name: str) -> tuple[list[str], bytes]:
    """Read the lines at the top: return them and what was read beyond them; a byte order mark is dropped."""
    data = stream.read(_CHUNK)
    if not data:
        raise VectorFileError(name, 0, "is empty")
    if data.startswith(_UTF_16):
        raise VectorFileError(name, 1, "is text in UTF-16; save it as UTF-8")
    data = data.removeprefix(_BOM)
    lines: list[str] = []
    start = 0
    while True:
        end = data.find(b"\n", start)
        if end < 0:
            more = stream.read(_CHUNK) if len(data) - start <= _CHUNK else b""
            if more:
                data, start = data[start:] + more, 0
                continue
            return lines, _unfinished(data[start:], name, len(lines) + 1)
        try:
            line = data[start:end].decode("utf-8").rstrip("\r")
        except UnicodeDecodeError:
            raise VectorFileError(name, len(lines) + 1, NO_TEXT) from None
        if "\0" in line:
            raise VectorFileError(name, len(lines) + 1, NO_TEXT)
        if not is_head(line):
            return lines, data[start:]
        if len(lines) == _HEADER_LINES:
            raise VectorFileError(name, len(lines), "is still the header; no file of vectors has one so long")
        lines.append(line)
        start = end + 1


def _unfinished(data: bytes, name: str, line: int) -> bytes:
    """Return the beginning of a line whose end has not come, if it may be one of a row."""
    if b"\r" in data.rstrip(b"\r"):
        raise VectorFileError(name, line, "has lines that end with CR alone; end them with LF or CR LF")
    if not looks_like_text(data):
        raise VectorFileError(name, line, NO_TEXT)
    return data


def looks_like_text(data: bytes) -> bool:
    """Return whether the beginning of some rows can be that: rows are ASCII."""
    return data[:_LOOK].isascii() and b"\0" not in data[:_LOOK]


def read_rows(
    fmt: TextFormat, header: Header, lines: Iterator[tuple[bytes, int]], name: str, last: int, digest: RowDigest
) -> Iterator[Block]:
    """Yield the rows of whole lines.

    Parameters
    ----------
    fmt : TextFormat
        How rows are spelled.
    header : Header
        Which fields a row has.
    lines : iterator of (bytes, int)
        Whole lines, many at a time, and the number of the first.
    name : str
        What errors call the file.
    last : int
        Number of the last line of the header.
    digest : RowDigest
        Told of the rows and of what the file states, and verified at the end.
    """
    rows = 0
    codecs = [Codec([*fmt.pieces(header), end]) for end in ("\n", "\r\n")]
    for part, first in unsealed(_below_names(lines, fmt, header), fmt.seal, digest, name):
        block = _block(fmt, header, codecs, part, name, first, digest)
        if block is not None:
            rows += len(block.result)
            yield block
        last = first + part.count(b"\n") - 1
    if header.rows >= 0 and rows != header.rows:
        way_out = "it may be cut" if rows < header.rows else "rows were added"
        problem = f"the file ends after {rows} rows but its header says {header.rows}; {way_out}"
        raise VectorFileError(name, last, problem)
    digest.verify(name)


def _below_names(lines: Iterator[tuple[bytes, int]], fmt: TextFormat, header: Header) -> Iterator[tuple[bytes, int]]:
    """Leave out the line that names the columns, if it comes before all rows."""
    for part, first in lines:
        blank = len(part) - len(part.lstrip())
        line, _, rest = part[blank:].partition(b"\n")
        if fmt.is_names is not None and fmt.is_names(line.decode("utf-8", "replace"), header):
            part, first = rest, first + part[:blank].count(b"\n") + 1
        if part:
            yield part, first
        break
    yield from lines


def whole_lines(
    stream: IO[bytes], name: str, data: bytes = b"", line: int = 1, longest: int = _CHUNK
) -> Iterator[tuple[bytes, int]]:
    """Yield whole lines of a stream, many at a time, and the number of the first; `data` has been read already."""
    ended = False
    while not ended:
        more = stream.read(_CHUNK)
        ended = not more
        data += more
        cut = data.rfind(b"\n") + 1
        part, data = data[:cut], data[cut:]
        if part:
            yield part, line
            line += part.count(b"\n")
        if ended and data.strip():
            problem = "has no line end: the file may be cut; if it is complete, end its last line"
            raise VectorFileError(name, line, problem)
        if len(data) > longest:
            raise VectorFileError(name, line, "is longer than any row; the file is damaged or of another format")


def _block(
    fmt: TextFormat, header: Header, codecs: list[Codec], part: bytes, name: str, line: int, digest: RowDigest
) -> Block | None:
    columns, numbers = decode_lines(codecs, header.fields, lambda text: fmt.split(text, header), part, name, line)
    if not len(numbers):
        return None
    block, problem = from_columns(header, columns, numbers)
    if problem is not None:
        raise VectorFileError(name, int(numbers[problem[0]]), problem[1])
    digest.update(columns)
    return block


def decode_lines(
    codecs: Sequence[Codec],
    fields: Sequence[Field],
    split: Callable[[str], list[str] | None],
    part: bytes,
    name: str,
    line: int,
) -> tuple[list[NDArray[Any]], NDArray[np.int64]]:
    """Return the columns of whole lines and the line of each row: by a codec if one fits, else line by line."""
    for codec in codecs:
        decoded = codec.decode(part)
        if decoded is not None:
            return decoded, line + np.arange(len(decoded[0]), dtype=np.int64)
    numbers: list[int] = []
    rows: list[list[int]] = []
    for number, raw in enumerate(part.split(b"\n")[:-1], line):
        words = _parse(fields, split, raw, name, number)
        if words is not None:
            numbers.append(number)
            rows.append(words)
    table = np.array(rows, np.uint64).reshape(len(rows), len(fields))
    columns = [table[:, i].astype(word_dtype(field.digits)) for i, field in enumerate(fields)]
    return columns, np.array(numbers, np.int64)


def _parse(
    fields: Sequence[Field], split: Callable[[str], list[str] | None], raw: bytes, name: str, line: int
) -> list[int] | None:
    try:
        texts = split(raw.decode("utf-8").rstrip("\r"))
    except UnicodeDecodeError:
        raise VectorFileError(name, line, "holds bytes that are not text; the file is damaged") from None
    except ValueError as error:
        raise VectorFileError(name, line, str(error)) from None
    if texts is None:
        return None
    if len(texts) != len(fields):
        wanted = " ".join(field.name for field in fields)
        raise VectorFileError(name, line, f"has {len(texts)} fields; a row has {len(fields)}: {wanted}")
    for field, word in zip(fields, texts, strict=True):
        if len(word) != field.digits or not _HEX.issuperset(word):
            raise VectorFileError(name, line, f"{field.name} = {word!r} is not {field.digits} hexadecimal digits")
    return [int(word, 16) for word in texts]
