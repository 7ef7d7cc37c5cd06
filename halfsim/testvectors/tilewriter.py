"""Files of tiles: arrays (npz), a memory per matrix (mem), a word per dot product (tv), traces of steps (jsonl)."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from halfsim.explanation.dot import explain_dot
from halfsim.testvectors.formats import format_of
from halfsim.testvectors.formats.arrays import member, text_array
from halfsim.testvectors.formats.digest import JSON, SLASHES, RowDigest
from halfsim.testvectors.formats.files import refuse_streams, replacing, sink, streams
from halfsim.testvectors.formats.memory import Column, column_path
from halfsim.testvectors.formats.names import TYPES
from halfsim.testvectors.formats.rows import Codec, Field, word_dtype
from halfsim.testvectors.tileheader import TileHeader
from halfsim.testvectors.tiles import Part, numbers

__all__ = [
    "FORMATS",
    "TRACE",
    "array_dtype",
    "classes_of",
    "element",
    "row_fields",
    "tile_format",
    "trace",
    "write_tiles",
]

FORMATS = ("npz", "mem", "tv", "jsonl")
"""Names of the formats of tiles."""
TRACE = Field("trace", 2)
"""The only column of a file of traces: the bytes of its lines."""
_WORDS = 1 << 20


def tile_format(path: Path | None, name: str | None = None) -> str:
    """Return the format of a file of tiles: that which `name` says, or else the suffix.

    Raises
    ------
    ValueError
        If it is none of `FORMATS`, or one that needs a plain file and has none.
    """
    chosen = format_of(path, name)
    if chosen not in FORMATS:
        raise ValueError(f"the format {chosen} does not hold tiles; choose {', '.join(FORMATS)}")
    if chosen in ("npz", "mem"):
        refuse_streams(path, chosen, f"tiles.{chosen}")
    return chosen


def write_tiles(
    path: Path | None,
    header: TileHeader,
    parts: Iterable[Part],
    format: str | None = None,
    *,
    traces: int = 100,
    progress: Callable[[int], None] = lambda count: None,
) -> int:
    """Write tiles; every file appears whole or not at all, unless it is a device or a pipe.

    Parameters
    ----------
    path : Path or None
        The file; ``x.mem`` stands for ``x.a.mem`` to ``x.d.mem``. None is standard output. Beside tv and mem appears
        ``x_params.vh`` with the sizes.
    header : TileHeader
        What the tiles are.
    parts : iterable of Part
        The tiles.
    format : str, optional
        One of `FORMATS`; by default what the suffix says.
    traces : int
        Of jsonl: for how many dot products, spread evenly over all, the steps are written.
    progress : callable
        Called with the number of dot products of each step.

    Returns
    -------
    int
        Number of dot products written.

    Raises
    ------
    ValueError
        If the format is unknown, or there are not as many dot products as the header says.
    """
    chosen = tile_format(path, format)
    beside = path if path is not None and not streams(path) else None
    counted = _counted(header, parts, progress if chosen != "jsonl" else lambda count: None)
    if chosen == "npz":
        assert path is not None
        with replacing(path) as temporary:
            _write_npz(temporary, header, counted)
    elif chosen == "mem":
        assert path is not None
        _write_memories(path, header, counted)
    else:
        with sink(path) as stream:
            if chosen == "jsonl":
                return _write_traces(stream, header, counted, traces, progress)
            _write_rows(stream, header, counted)
    if beside is not None and chosen in ("tv", "mem"):
        _write_parameters(beside, header)
    return header.elements


def _counted(header: TileHeader, parts: Iterable[Part], progress: Callable[[int], None]) -> Iterator[Part]:
    count = 0
    for part in parts:
        count += part.D.size
        yield part
        progress(part.D.size)
    if count != header.elements:
        problem = f"the header says {header.elements} dot products, but {count} came; nothing was written"
        raise ValueError(f"write_tiles: {problem}")


def array_dtype(header: TileHeader, name: str) -> np.dtype[Any]:
    """Return the dtype of a matrix in an npz file."""
    return word_dtype(header.fields[name].digits).newbyteorder("<")


def classes_of(header: TileHeader, first: int, stop: int) -> NDArray[np.uint8]:
    """Return the class of some tiles, an index into those of the header."""
    return (np.arange(first, stop) % len(header.classes)).astype(np.uint8)


def _write_npz(path: Path, header: TileHeader, parts: Iterable[Part]) -> None:
    with contextlib.ExitStack() as stack:
        # An archive takes one member after the other, so the matrices wait beside it.
        waiting = {name: stack.enter_context(tempfile.TemporaryFile(dir=path.parent)) for name in "ABCD"}
        digest = RowDigest(list(header.fields.values()))
        for part in parts:
            digest.update([getattr(part, name) for name in waiting])
            for name, file in waiting.items():
                file.write(getattr(part, name).astype(array_dtype(header, name)).tobytes())
        archive = stack.enter_context(zipfile.ZipFile(path, "w"))
        archive.writestr(member("header.npy"), text_array("\n".join(header.lines())))
        classes = io.BytesIO()
        np.lib.format.write_array(classes, classes_of(header, 0, header.tiles))
        archive.writestr(member("class.npy"), classes.getvalue())
        for name, file in waiting.items():
            descr = np.lib.format.dtype_to_descr(array_dtype(header, name))
            shape = (header.tiles, *header.shapes[name])
            file.seek(0)
            with archive.open(member(f"{name}.npy"), "w", force_zip64=True) as packed:
                described = {"descr": descr, "fortran_order": False, "shape": shape}
                np.lib.format.write_array_header_1_0(packed, described)
                shutil.copyfileobj(file, packed, 1 << 20)
        archive.writestr(member("sha256.npy"), text_array(digest.whole()))


def _write_memories(path: Path, header: TileHeader, parts: Iterable[Part]) -> None:
    with contextlib.ExitStack() as stack:
        # Leaving the stack moves the files in place; an error before that removes them all.
        temporaries = {name: stack.enter_context(replacing(column_path(path, name))) for name in header.fields}
        with contextlib.ExitStack() as opened:
            columns = {}
            for name, temporary in temporaries.items():
                rows, lanes = header.shapes[name]
                own = f"matrix: {name} ({rows} rows of {lanes} for each tile, an element a line)"
                file = opened.enter_context(temporary.open("wb"))
                columns[name] = Column(file, header.fields[name], [*header.lines(), own])
            for part in parts:
                for name, column in columns.items():
                    column.write(getattr(part, name).reshape(-1))
            for column in columns.values():
                column.end()


def row_fields(header: TileHeader) -> list[Field]:
    """Return the fields of a row of tv: the lanes of A, lane 0 first, those of B, C and D."""
    fields, k = header.fields, header.shape[2]
    lanes = [Field(f"{name}[{lane}]", fields[name].digits) for name in "AB" for lane in range(k)]
    return [*lanes, fields["C"], fields["D"]]


def _write_rows(stream: IO[bytes], header: TileHeader, parts: Iterable[Part]) -> None:
    fields = row_fields(header)
    codec = Codec([*[piece for field in fields for piece in (field, "_")][:-1], "\n"])
    stream.write(_comments([*header.lines(), "fields: lanes of A, lane 0 first, lanes of B, C, D"]))
    lot, digest = max(1, _WORDS // len(fields)), RowDigest(fields)
    for part in parts:
        for first in range(0, part.D.size, lot):
            columns = _columns(part, np.arange(first, min(first + lot, part.D.size)))
            digest.update(columns)
            stream.write(codec.encode(columns))
    stream.write(SLASHES.spell(digest))


def _columns(part: Part, elements: NDArray[np.int64]) -> list[NDArray[Any]]:
    """Return the lanes of A and B, C and D of elements of D."""
    tile, row, column = np.unravel_index(elements, part.D.shape)
    a, b = part.A[tile, row, :], part.B[tile, :, column]
    return [*a.T, *b.T, part.C[tile, row, column], part.D[tile, row, column]]


def element(part: Part, number: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], int]:
    """Return the lanes of A and of B, C and D of one dot product, counted from the first of the part."""
    *lanes, c, d = _columns(part, np.array([number]))
    half = len(lanes) // 2
    return np.concatenate(lanes[:half]), np.concatenate(lanes[half:]), c, int(d[0])


def trace(header: TileHeader, a: NDArray[Any], b: NDArray[Any], c: NDArray[Any]) -> Any:
    """Return every step of one dot product of patterns, a `DotExplanation`."""
    kinds = header.kinds
    held = [numbers(words, kinds[name]) for name, words in (("A", a), ("B", b), ("C", c))]
    return explain_dot(held[0], held[1], held[2][0], accumulator=header.accumulator)


def _write_traces(
    stream: IO[bytes], header: TileHeader, parts: Iterable[Part], traces: int, progress: Callable[[int], None]
) -> int:
    chosen = _spread(header, traces)
    lines = [*header.lines(), f"traces: {len(chosen)} (of {header.elements} dot products)"]
    stream.write(f"{json.dumps({'header': lines}, ensure_ascii=False)}\n".encode())
    digest = RowDigest([TRACE])
    for part in parts:
        low, high = np.searchsorted(chosen, [part.first, part.first + part.D.size])
        for number in chosen[low:high]:
            a, b, c, d = element(part, int(number) - part.first)
            tile, row, column, name = header.place(int(number))
            place = {"tile": tile, "row": row, "column": column, "class": name}
            record = {**place, "D": f"0x{d:0{header.fields['D'].digits}X}", "trace": trace(header, a, b, c).to_dict()}
            line = f"{json.dumps(record, ensure_ascii=False)}\n".encode()
            digest.update([np.frombuffer(line, np.uint8)])
            stream.write(line)
            progress(1)
    stream.write(JSON.spell(digest))
    return len(chosen)


def _spread(header: TileHeader, traces: int) -> NDArray[np.int64]:
    """Return the numbers of so many dot products: one at random of each of as many equal ranges."""
    count = min(traces, header.elements)
    edges = np.arange(count + 1) * header.elements // max(count, 1)
    rng = np.random.default_rng([header.seed or 0, count])
    chosen: NDArray[np.int64] = rng.integers(edges[:-1], edges[1:])
    return chosen


def _comments(lines: Iterable[str]) -> bytes:
    return "".join(f"// {line}\n" for line in lines).encode()


def _write_parameters(path: Path, header: TileHeader) -> None:
    """Write the sizes that a bench needs."""
    stem = path.name.removesuffix(".gz").rsplit(".", 1)[0]
    sizes = {"TILES": header.tiles, **dict(zip(("M", "N", "K"), header.shape, strict=True))}
    lines = [
        f"// {stem}: sizes for a test bench; include inside a module",
        *(f"localparam {name} = {size};" for name, size in sizes.items()),
        f"localparam ROWS = {header.elements};",
        *(f"localparam {name}_BITS = {TYPES[kind]};" for name, kind in header.kinds.items()),
        f"localparam ROW_BITS = {sum(4 * field.digits for field in row_fields(header))};",
    ]
    with replacing(path.with_name(f"{stem}_params.vh")) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")
