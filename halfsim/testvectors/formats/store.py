"""The one way in and out: choose a format, write a file whole or not at all, read one with every line accounted for."""

from __future__ import annotations

import contextlib
import gzip
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from halfsim.testvectors.formats import arrays, memory
from halfsim.testvectors.formats.block import Block
from halfsim.testvectors.formats.files import VectorFileError, open_source, replacing, sink
from halfsim.testvectors.formats.header import Header
from halfsim.testvectors.formats.text import CSV, JSON_LINES, TESTFLOAT, TV, TextFormat, read_rows, split_header

__all__ = ["FORMATS", "Vectors", "format_of", "read", "write"]

_TEXT: dict[str, TextFormat] = {fmt.name: fmt for fmt in (TV, TESTFLOAT, CSV, JSON_LINES)}
_SUFFIXES = {
    ".tv": "tv",
    ".txt": "testfloat",
    ".mem": "mem",
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".npz": "npz",
    ".parquet": "parquet",
}
FORMATS = tuple(_SUFFIXES.values())
"""Names of the formats: tv, testfloat, mem, csv, jsonl, npz, parquet."""


def format_of(path: Path | None, name: str | None = None) -> str:
    """Return the format that `name` says, or else the suffix of `path` (that before ``.gz``).

    Raises
    ------
    ValueError
        If neither is a format.
    """
    if name is not None:
        if name not in FORMATS:
            raise ValueError(f"unknown format {name!r}; known are {', '.join(FORMATS)}")
        return name
    if path is None:
        raise ValueError(f"standard input and output have no suffix; name the format: {', '.join(FORMATS)}")
    plain = path.with_suffix("") if path.suffix == ".gz" else path
    if plain.suffix not in _SUFFIXES:
        known = ", ".join(f"{suffix} ({fmt})" for suffix, fmt in _SUFFIXES.items())
        raise ValueError(f"{path}: the suffix {plain.suffix!r} names no format; known are {known}, or name the format")
    return _SUFFIXES[plain.suffix]


def write(path: Path | None, header: Header, blocks: Iterable[Block], format: str | None = None) -> int:
    """Write test vectors; the file appears whole or not at all.

    Parameters
    ----------
    path : Path or None
        The file; gzip if its name ends in ``.gz``. None is standard output. Beside ``add.tv`` and ``add.mem`` appears
        ``add_params.vh`` with the number of rows, which simulators do not check.
    header : Header
        What the rows are; `rows` must be right.
    blocks : iterable of Block
        The rows.
    format : str, optional
        One of `FORMATS`; by default what the suffix says.

    Returns
    -------
    int
        Number of rows.

    Raises
    ------
    ValueError
        If the format is unknown or cannot hold what the header asks for, or the number of rows is another one.

    Examples
    --------
    >>> import tempfile, pathlib, numpy as np
    >>> from halfsim.testvectors.formats import Block, Header, read, write
    >>> header = Header(operation="add", operands=("f16", "f16"), result="f16", rounding="rne", rows=1)
    >>> one, two = np.array([0x3C00], np.uint16), np.array([0x4000], np.uint16)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "add.tv")
    ...     count = write(path, header, [Block((one, one), two, np.zeros(1, np.uint8))])
    ...     print(path.read_text().splitlines()[-1])
    3C00_3C00_4000_00
    """
    name = format_of(path, format)
    if name == "testfloat" and (header.masked or header.flag_order != "testfloat"):
        raise ValueError("TestFloat's text has neither masks nor another order of flags; choose tv, csv, jsonl or npz")
    if name in ("mem", "parquet") and (path is None or path.suffix == ".gz"):
        raise ValueError(f"the format {name} is written to files without .gz; give a path such as vectors.{name}")
    counted = _counted(blocks, header.rows)
    if name == "mem":
        assert path is not None
        count = memory.write_columns(path, header, counted)
    elif name == "parquet":
        assert path is not None
        with replacing(path) as temporary:
            count = arrays.write_parquet(temporary, header, counted)
    else:
        with sink(path) as stream:
            count = (
                arrays.write_npz(stream, header, counted)
                if name == "npz"
                else _TEXT[name].write(stream, header, counted)
            )
    if path is not None and name in ("tv", "mem"):
        _write_parameters(path, header, count)
    return count


def _counted(blocks: Iterable[Block], rows: int) -> Iterator[Block]:
    count = 0
    for block in blocks:
        count += len(block.result)
        yield block
    if rows >= 0 and count != rows:
        raise ValueError(f"write: the header says {rows} rows, but {count} came; nothing was written")


def _write_parameters(path: Path, header: Header, count: int) -> None:
    """Write what a bench must know to size its memory and to notice a file cut short."""
    stem = path.name.removesuffix(".gz").rsplit(".", 1)[0]
    widths = [(field.name, 4 * field.digits) for field in header.fields]
    lines = [
        f"// {stem}: sizes for a test bench; include inside a module",
        f"localparam VECTOR_ROWS = {count};",
        f"localparam VECTOR_BITS = {sum(width for _, width in widths)};",
        *(f"localparam VECTOR_{name}_BITS = {width};" for name, width in widths),
    ]
    with replacing(path.with_name(f"{stem}_params.vh")) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


@dataclass(frozen=True, slots=True, eq=False)
class Vectors:
    """An opened file of test vectors.

    Parameters
    ----------
    name : str
        What errors call it.
    header : Header
        What the rows are.
    blocks : iterator of Block
        The rows, read as they are asked for.
    """

    name: str
    header: Header
    blocks: Iterator[Block]


@contextlib.contextmanager
def read(path: Path | None, header: Header | None = None, format: str | None = None) -> Iterator[Vectors]:
    """Open test vectors of any format.

    Parameters
    ----------
    path : Path or None
        The file, compressed or not; for ``mem`` the name without the column (``add.mem`` for ``add.a.mem``). None is
        standard input.
    header : Header, optional
        What the rows are, for files that do not say.
    format : str, optional
        One of `FORMATS`; by default what the suffix says.

    Raises
    ------
    VectorFileError
        If a line is of another form, a file is cut or damaged, or nothing says what the rows are; as the rows are read.
    ValueError
        For an unknown format.
    OSError
        If the file cannot be read.
    """
    chosen, name = format_of(path, format), "standard input" if path is None else str(path)
    if chosen in _TEXT:
        with open_source(path) as stream:
            yield _text_vectors(_TEXT[chosen], stream, name, header)
        return
    if path is None:
        raise ValueError(f"the format {chosen} cannot be read from standard input; give a file")
    readers = {
        "mem": (memory.read_memory_header, memory.read_columns),
        "npz": (arrays.read_npz_header, arrays.read_npz),
        "parquet": (arrays.read_parquet_header, arrays.read_parquet),
    }
    head, rows = readers[chosen]
    known = _known(name, _head(name, lambda: head(path)), header)
    with contextlib.closing(rows(path, known)) as blocks:
        yield Vectors(name, known, blocks)


def _head(name: str, read_head: Callable[[], Header | None]) -> Header | None:
    """Return the header of a file; what is wrong with it is the file's fault."""
    try:
        return read_head()
    except VectorFileError:
        raise
    except (ValueError, KeyError) as error:
        raise VectorFileError(name, 1, f"the header cannot be read: {error}") from None


def _known(name: str, found: Header | None, given: Header | None) -> Header:
    header = found or given
    if header is None:
        raise VectorFileError(name, 0, "has no header; say which operation, rounding and environment its rows are of")
    return header


def _text_vectors(fmt: TextFormat, stream: IO[bytes], name: str, header: Header | None) -> Vectors:
    with _unpacking(name):
        lines, data = split_header(fmt, stream, name)
    known = _known(name, _head(name, lambda: fmt.read_head(lines)), header)
    return Vectors(name, known, _unpacked(name, read_rows(fmt, known, stream, name, data, len(lines) + 1)))


def _unpacked(name: str, blocks: Iterator[Block]) -> Iterator[Block]:
    with _unpacking(name):
        yield from blocks


@contextlib.contextmanager
def _unpacking(name: str) -> Iterator[None]:
    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise VectorFileError(name, 0, f"cannot be decompressed: {error}; the file is cut or damaged") from None
