"""How formats of one row a line spell it: ``$readmemh`` files, TestFloat's text, CSV, JSON Lines."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from halfsim.testvectors.formats.digest import HASHES, JSON, SLASHES
from halfsim.testvectors.formats.header import Header
from halfsim.testvectors.formats.rows import Field
from halfsim.testvectors.formats.text import TextFormat

__all__ = ["CSV", "JSON_LINES", "TESTFLOAT", "TV", "header_lines", "json_header", "parse_json", "split_word"]


_QUOTED = re.compile('"([^"]*)"')


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


def _cells(line: str) -> list[str]:
    """Return the cells of a line, without the quotes around them."""
    return [_QUOTED.sub(r"\1", cell.strip()) for cell in line.split(",")]


def _is_names(line: str, header: Header) -> bool:
    return [cell.upper() for cell in _cells(line)] == list(header.names)


def _split_csv(line: str, header: Header) -> list[str] | None:
    if line.startswith("#") or not line.strip():
        return None
    cells = _cells(line)
    if [cell.upper() for cell in cells] == list(header.names):
        raise ValueError("names the columns again; were files joined? Check each by itself")
    if sorted(cell.upper() for cell in cells) == sorted(header.names):
        raise ValueError(f"the columns are {','.join(cells)}; give them as {','.join(header.names)}")
    return [cell.removeprefix("0x").removeprefix("0X") for cell in cells]


def _split_json(line: str, header: Header) -> list[str] | None:
    if not line.strip():
        return None
    record = parse_json(line)
    if not isinstance(record, dict) or set(record) != set(header.names):
        raise ValueError(f"is not an object with the keys {', '.join(header.names)}")
    for key, word in record.items():
        if not isinstance(word, str):
            raise ValueError(f'{key} is {json.dumps(word)[:40]}, not a string of hexadecimal digits such as "0x3C00"')
    return [record[key].removeprefix("0x").removeprefix("0X") for key in header.names]


def parse_json(text: str) -> Any:
    """Return the value of a JSON text, in which no key may stand twice in an object.

    Raises
    ------
    ValueError
        If it is no JSON.
    """
    try:
        return json.loads(text, object_pairs_hook=_once)
    except json.JSONDecodeError as error:
        raise ValueError(f"is not JSON: {error.msg}") from None
    except RecursionError:
        raise ValueError("is not JSON that can be read: it is nested too deeply") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"has the key {twice!r} twice")
    return found


def header_lines(value: Any) -> list[str]:
    """Return the lines of a header that stands in JSON.

    Raises
    ------
    ValueError
        If the value is not a list of lines.
    """
    if not isinstance(value, list) or not all(isinstance(line, str) and line.isprintable() for line in value):
        raise ValueError("the header is not a list of lines of text")
    return list(value)


def _json_head(lines: list[str]) -> Header | None:
    return Header.from_lines(json_header(lines)) if lines else None


def json_header(lines: list[str]) -> list[str]:
    """Return the lines of the header in the first object of a JSON Lines file.

    Raises
    ------
    ValueError
        If the object holds anything else.
    """
    if len(lines) > 1:
        raise ValueError("a second one follows; files were joined: check each by itself")
    record = parse_json(lines[0])
    if not isinstance(record, dict) or set(record) != {"header"}:
        raise ValueError("the first object does not hold the header alone")
    return header_lines(record["header"])


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
    lambda line: line.startswith("//") and not line.startswith(SLASHES.mark),
    _uncommented("//"),
    lambda line, header: split_word(line),
    SLASHES,
)
"""``A_B_Z_FF``, which ``$readmemh`` reads as one wide word a row."""

TESTFLOAT = TextFormat(
    "testfloat",
    lambda header: _joined(header, " "),
    lambda header: [],
    lambda line: False,
    lambda lines: None,
    _split_testfloat,
    None,
)
"""``A B Z FF``, without a header: the columns of Berkeley TestFloat."""

CSV = TextFormat(
    "csv",
    lambda header: _joined(header, ",", "0x"),
    lambda header: [*(f"# {line}" for line in header.lines()), ",".join(header.names)],
    lambda line: line.startswith("#") and not line.startswith(HASHES.mark),
    _uncommented("#"),
    _split_csv,
    HASHES,
    is_names=_is_names,
)
"""Comma-separated ``0x`` words under their names; the header is in lines that begin with ``#``."""

JSON_LINES = TextFormat(
    "jsonl",
    _json_pieces,
    lambda header: [json.dumps({"header": header.lines()}, ensure_ascii=False)],
    lambda line: line.startswith('{"header"'),
    _json_head,
    _split_json,
    JSON,
    1,
)
"""One JSON object a line; the first one is the header, the last one the digest of the rows."""
