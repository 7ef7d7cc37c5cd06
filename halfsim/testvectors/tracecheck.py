"""Compare the steps of dot products, as files of traces have them, with the simulator's, one by one."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from halfsim.testvectors.formats.digest import JSON, DigestError, RowDigest, unsealed
from halfsim.testvectors.formats.files import VectorFileError, described, open_source, unpacking
from halfsim.testvectors.formats.names import TYPES
from halfsim.testvectors.formats.rows import word_dtype
from halfsim.testvectors.formats.spellings import JSON_LINES, json_header, parse_json
from halfsim.testvectors.formats.text import split_header, whole_lines
from halfsim.testvectors.tilecheck import TileReport, WrongElement
from halfsim.testvectors.tileheader import TileHeader
from halfsim.testvectors.tilereader import tile_header_of
from halfsim.testvectors.tilewriter import TRACE, trace

__all__ = ["TraceReport", "WrongStep", "check_traces", "first_difference"]

# A line has every step of a sum of up to 1024 products.
_LONGEST = 1 << 26
_KEYS = {"tile", "row", "column", "class", "D", "trace"}
_TRACED = re.compile(r"traces: (\d{1,18}) \(of \d+ dot products\)")
# In the order in which they come about: the first that differs is where a design goes wrong.
_ORDER = ("a", "b", "c", "exact", "blocks", "steps", "result", "error", "ulps", "flags")
# Of an accumulator, what is said of it, and not what it computes.
_REMARKS = ("source", "evidence")


@dataclass(frozen=True, slots=True)
class WrongStep(WrongElement):
    """One dot product with a step that is not the simulator's.

    Parameters
    ----------
    line : int
        Line of the file.
    step : str
        The first step that differs.
    found, right : str
        What the file and the simulator say there.
    """

    line: int = 0
    step: str = ""
    found: str = ""
    right: str = ""

    def __str__(self) -> str:
        where = f"line {self.line}: tile {self.tile} row {self.row} column {self.column} ({self.mistake})"
        return f"{where}: first differs in {self.step}: file {self.found}, halfsim {self.right}"


@dataclass(slots=True)
class TraceReport(TileReport):
    """How a file of traces compares; `rows` are dot products, and `first` has a `WrongStep` for each that differs."""

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON can hold it."""
        # Not super(): a class with slots is made anew.
        report = TileReport.to_dict(self)
        return {"traces" if key == "elements" else key: value for key, value in report.items()}


def check_traces(path: Path, *, limit: int = 5, progress: Callable[[int], None] | None = None) -> TraceReport:
    """Compute every step of every dot product of a file again, and name the first step that differs.

    Parameters
    ----------
    path : Path
        The file, as ``halfsim vectors tiles ... -o steps.jsonl`` writes it.
    limit : int
        How many disagreements are explained.
    progress : callable, optional
        Called with 1 after each dot product.

    Returns
    -------
    TraceReport
        Dot products, those with a wrong step, and the first of these.

    Raises
    ------
    VectorFileError
        If the file is damaged in any way but that its lines are not those of its digest: the report then says so.
    """
    name = str(path)
    with open_source(path) as stream, unpacking(name):
        heads, data = split_header(JSON_LINES.is_head, stream, name)
        with described(name, 1):
            lines = json_header(heads) if heads else []
        header = tile_header_of(name, lines, 1)
        report, digest = TraceReport(name, header), RowDigest([TRACE], header.version)
        every = unsealed(whole_lines(stream, name, data, 2, _LONGEST), JSON, digest, name)
        try:
            _compare(report, _records(every, header, name, digest, _announced(lines, name)), limit, progress)
            digest.verify(name)
        except DigestError as error:
            report.damage = str(error)
        report.verified = digest.verified
    return report


def _announced(lines: list[str], name: str) -> int:
    """Return how many traces the header says there are."""
    found = [_TRACED.fullmatch(line) for line in lines if line.startswith("traces:")]
    if len(found) != 1 or found[0] is None:
        raise VectorFileError(name, 1, "the header does not say of how many dot products the traces are")
    return int(found[0][1])


def _records(
    parts: Iterator[tuple[bytes, int]], header: TileHeader, name: str, digest: RowDigest, wanted: int
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the line and the record of every trace."""
    count, line, before = 0, 1, -1
    for part, first in parts:
        digest.update([np.frombuffer(part.replace(b"\r\n", b"\n"), np.uint8)])
        for line, text in enumerate(part.split(b"\n")[:-1], first):
            if not text.strip():
                continue
            try:
                record = parse_json(text.decode("utf-8"))
                place = _place(record, header)
            except ValueError as error:
                raise VectorFileError(name, line, str(error)) from None
            if place <= before:
                raise VectorFileError(name, line, "is of a dot product that comes before that of the line above")
            count, before = count + 1, place
            yield line, record
    if count != wanted:
        way_out = "it may be cut" if count < wanted else "traces were added"
        raise VectorFileError(name, line, f"the file ends after {count} traces but its header says {wanted}; {way_out}")


def _place(record: Any, header: TileHeader) -> int:
    """Return the number of a trace's dot product."""
    if not isinstance(record, dict) or set(record) != _KEYS:
        raise ValueError(f"is not an object with the keys {', '.join(sorted(_KEYS))}")
    m, n, _ = header.shape
    for key, size in (("tile", header.tiles), ("row", m), ("column", n)):
        if type(record[key]) is not int or not 0 <= record[key] < size:
            raise ValueError(f"{key} is {json.dumps(record[key])[:40]}, not a number from 0 to {size - 1}")
    number: int = (record["tile"] * m + record["row"]) * n + record["column"]
    if record["class"] != header.place(number)[3]:
        raise ValueError(f"class is {json.dumps(record['class'])[:40]}; that of the tile is {header.place(number)[3]}")
    return number


def _compare(
    report: TraceReport,
    records: Iterator[tuple[int, dict[str, Any]]],
    limit: int,
    progress: Callable[[int], None] | None,
) -> None:
    header = report.header
    for line, record in records:
        try:
            a, b, c = (_operands(record["trace"], key, header) for key in "abc")
        except ValueError as error:
            raise VectorFileError(report.name, line, str(error)) from None
        explanation = trace(header, a, b, c)
        wanted = json.loads(json.dumps(explanation.to_dict()))
        report.rows += 1
        found = _difference(record, wanted, header)
        if found is not None:
            report.wrong += 1
            report.mistakes[record["class"]] += 1
            place = record["tile"], record["row"], record["column"], record["class"]
            item = WrongStep(*place, 0, wanted["result"]["bits"], str(explanation), line, *found)
            report.examples.setdefault(item.mistake, item)
            if len(report.first) < limit:
                report.first.append(item)
        if progress is not None:
            progress(1)


def _operands(steps: Any, key: str, header: TileHeader) -> NDArray[Any]:
    """Return the patterns of an operand of a trace."""
    kind, length = header.kinds[key.upper()], header.shape[2]
    given = steps.get(key) if isinstance(steps, dict) else None
    lanes = [given] if key == "c" else given
    if not isinstance(lanes, list) or (key != "c" and len(lanes) != length):
        raise ValueError(f"trace has not the {length} lanes of {key}" if key != "c" else "trace has no c")
    words = [lane.get("bits") if isinstance(lane, dict) else None for lane in lanes]
    for word in words:
        if type(word) is not int or not 0 <= word < 1 << TYPES[kind]:
            raise ValueError(f"trace has {key} with bits {json.dumps(word)[:40]}, which are none of {kind}")
    return np.array(words, word_dtype((TYPES[kind] + 3) // 4))


def _difference(record: dict[str, Any], wanted: dict[str, Any], header: TileHeader) -> tuple[str, str, str] | None:
    """Return the first step that differs, and what the file and the simulator say there."""
    steps = record["trace"]
    if set(steps) != set(wanted):
        return "the keys of the trace", ", ".join(sorted(steps)), ", ".join(sorted(wanted))
    found = first_difference(_without_remarks(steps), _without_remarks(wanted), "the accumulator")
    for key in _ORDER:
        found = found or first_difference(steps[key], wanted[key], key)
    right = f"0x{wanted['result']['bits']:0{header.fields['D'].digits}X}"
    return found or first_difference(record["D"], right, "D")


def _without_remarks(steps: dict[str, Any]) -> Any:
    row = steps["accumulator"]
    return {key: value for key, value in row.items() if key not in _REMARKS} if isinstance(row, dict) else row


def first_difference(found: Any, right: Any, where: str) -> tuple[str, str, str] | None:
    """Return where two values of JSON first differ, in words, and both values there; None if they are equal.

    Parameters
    ----------
    found, right : value of JSON
        What is compared.
    where : str
        What they are.
    """
    if isinstance(found, dict) and isinstance(right, dict):
        if set(found) != set(right):
            return f"the keys of {where}", ", ".join(sorted(found)), ", ".join(sorted(right))
        pairs = [(found[key], right[key], f"{where}, {key}") for key in right]
    elif isinstance(found, list) and isinstance(right, list):
        if len(found) != len(right):
            return f"the number of {where}", str(len(found)), str(len(right))
        pairs = [
            (one, other, f"{where} {_name(other, i)}") for i, (one, other) in enumerate(zip(found, right, strict=True))
        ]
    else:
        same = type(found) is type(right) and found == right
        return None if same else (where, json.dumps(found)[:80], json.dumps(right)[:80])
    return next((difference for pair in pairs if (difference := first_difference(*pair)) is not None), None)


def _name(item: Any, number: int) -> str:
    name = item.get("name", item.get("number", number)) if isinstance(item, dict) else number
    return str(name)
