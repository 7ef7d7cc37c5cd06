"""Formats of one row a line: ``$readmemh`` files, TestFloat's text, CSV, JSON Lines."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from halfsim.testvectors.formats.block import Block, columns_of, from_columns
from halfsim.testvectors.formats.files import VectorFileError
from halfsim.testvectors.formats.header import Header
from halfsim.testvectors.formats.rows import Codec, Field, word_dtype

__all__ = [
    "CSV",
    "JSON_LINES",
    "TESTFLOAT",
    "TV",
    "TextFormat",
    "decode_lines",
    "read_rows",
    "split_header",
    "split_word",
    "whole_lines",
]

_CHUNK = 1 << 20
_HEX = frozenset("0123456789abcdefABCDEF")


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
    """

    name: str
    pieces: Callable[[Header], list[str | Field]]
    head: Callable[[Header], list[str]]
    is_head: Callable[[str], bool]
    read_head: Callable[[list[str]], Header | None]
    split: Callable[[str, Header], list[str] | None]

    def write(self, stream: IO[bytes], header: Header, blocks: Iterable[Block]) -> int:
        """Write the header and all rows; return how many."""
        stream.write("".join(f"{line}\n" for line in self.head(header)).encode())
        codec, count = Codec([*self.pieces(header), "\n"]), 0
        for block in blocks:
            stream.write(codec.encode(columns_of(header, block)))
            count += len(block.result)
        return count


def split_header(fmt: TextFormat, stream: IO[bytes], name: str) -> tuple[list[str], bytes]:
    """Read the lines at the top: return them and what was read beyond them."""
    data = b""
    lines: list[str] = []
    while True:
        end = data.find(b"\n")
        if end < 0:
            more = stream.read(_CHUNK)
            data += more
            if more and len(data) <= 2 * _CHUNK:
                continue
            return lines, data
        try:
            line = data[:end].decode("utf-8").rstrip("\r")
        except UnicodeDecodeError:
            raise VectorFileError(name, len(lines) + 1, "is not text; name the file's format") from None
        if not fmt.is_head(line):
            return lines, data
        lines.append(line)
        data = data[end + 1 :]


def read_rows(fmt: TextFormat, header: Header, stream: IO[bytes], name: str, data: bytes, line: int) -> Iterator[Block]:
    """Yield the rows of a stream.

    Parameters
    ----------
    fmt : TextFormat
        How rows are spelled.
    header : Header
        Which fields a row has.
    stream, name : binary stream, str
        What is read, and what errors call it.
    data : bytes
        What has been read already.
    line : int
        Number of the first line.
    """
    rows, last = 0, line - 1
    codecs = [Codec([*fmt.pieces(header), end]) for end in ("\n", "\r\n")]
    for part, first in whole_lines(stream, name, data, line):
        for block in _blocks(fmt, header, codecs, part, name, first):
            rows += len(block.result)
            yield block
        last = first + part.count(b"\n") - 1
    if header.rows >= 0 and rows != header.rows:
        way_out = "it may be cut" if rows < header.rows else "rows were added"
        problem = f"the file ends after {rows} rows but its header says {header.rows}; {way_out}"
        raise VectorFileError(name, last, problem)


def whole_lines(stream: IO[bytes], name: str, data: bytes = b"", line: int = 1) -> Iterator[tuple[bytes, int]]:
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
        if len(data) > _CHUNK:
            raise VectorFileError(name, line, "is longer than any row; the file is damaged or of another format")


def _blocks(fmt: TextFormat, header: Header, codecs: list[Codec], part: bytes, name: str, line: int) -> Iterator[Block]:
    # A line of column names may come first; what follows has the usual form all the same.
    start = 0 if any(_fits(codec, part) for codec in codecs) else part.index(b"\n") + 1
    for piece, first in ((part[:start], line), (part[start:], line + (start > 0))):
        columns, numbers = decode_lines(codecs, header.fields, lambda text: fmt.split(text, header), piece, name, first)
        if not len(numbers):
            continue
        block, problem = from_columns(header, columns, numbers)
        if problem is not None:
            raise VectorFileError(name, int(numbers[problem[0]]), problem[1])
        yield block


def _fits(codec: Codec, part: bytes) -> bool:
    return len(part) % codec.width == 0 and part[: codec.width].endswith(b"\n")


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


def _joined(header: Header, separator: str, prefix: str = "") -> list[str | Field]:
    pieces: list[str | Field] = []
    for field in header.fields:
        pieces += [separator if pieces else "", prefix, field]
    return [piece for piece in pieces if piece]


def split_word(line: str) -> list[str] | None:
    """Return the texts that underscores join to one word of `$readmemh`, or None of a line without a word."""
    row = line.split("//")[0].strip()
    if row.startswith("@"):
        raise ValueError("addresses (@) are not read; give the rows in order without them")
    return row.split("_") if row else None


def _split_testfloat(line: str, header: Header) -> list[str] | None:
    return line.split()


def _split_csv(line: str, header: Header) -> list[str] | None:
    if line.startswith("#") or not line.strip():
        return None
    cells = [cell.strip().strip('"') for cell in line.split(",")]
    if [cell.upper() for cell in cells] == list(header.names):
        return None
    if sorted(cell.upper() for cell in cells) == sorted(header.names):
        raise ValueError(f"the columns are {','.join(cells)}; give them as {','.join(header.names)}")
    return [cell.removeprefix("0x").removeprefix("0X") for cell in cells]


def _split_json(line: str, header: Header) -> list[str] | None:
    if not line.strip():
        return None
    try:
        record = json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"is not JSON: {error.msg}") from None
    if not isinstance(record, dict) or set(record) != set(header.names):
        raise ValueError(f"is not an object with the keys {', '.join(header.names)}")
    return [str(record[key]).removeprefix("0x").removeprefix("0X") for key in header.names]


def _json_head(lines: list[str]) -> Header | None:
    return Header.from_lines(json.loads(lines[0])["header"]) if lines else None


def _json_pieces(header: Header) -> list[str | Field]:
    pieces: list[str | Field] = []
    for field in header.fields:
        pieces += [f'{", " if pieces else "{"}"{field.name}": "0x', field, '"']
    return [*pieces, "}"]


def _uncommented(marker: str) -> Callable[[list[str]], Header | None]:
    return lambda lines: Header.from_lines([line.removeprefix(marker).strip() for line in lines])


TV = TextFormat(
    "tv",
    lambda header: _joined(header, "_"),
    lambda header: [f"// {line}" for line in header.lines()],
    lambda line: line.startswith("//"),
    _uncommented("//"),
    lambda line, header: split_word(line),
)
"""``A_B_Z_FF``, which ``$readmemh`` reads as one wide word a row."""

TESTFLOAT = TextFormat(
    "testfloat",
    lambda header: _joined(header, " "),
    lambda header: [],
    lambda line: False,
    lambda lines: None,
    _split_testfloat,
)
"""``A B Z FF``, without a header: the columns of Berkeley TestFloat."""

CSV = TextFormat(
    "csv",
    lambda header: _joined(header, ",", "0x"),
    lambda header: [*(f"# {line}" for line in header.lines()), ",".join(header.names)],
    lambda line: line.startswith("#"),
    _uncommented("#"),
    _split_csv,
)
"""Comma-separated ``0x`` words under their names; the header is in lines that begin with ``#``."""

JSON_LINES = TextFormat(
    "jsonl",
    _json_pieces,
    lambda header: [json.dumps({"header": header.lines()}, ensure_ascii=False)],
    lambda line: line.startswith('{"header"'),
    _json_head,
    _split_json,
)
"""One JSON object a line; the first one is the header."""
