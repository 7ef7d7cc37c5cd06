"""The one way in and out: choose a format, write a file whole or not at all, read one with every line accounted for."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from halfsim.testvectors.formats import arrays, memory
from halfsim.testvectors.formats.block import Block
from halfsim.testvectors.formats.digest import RowDigest
from halfsim.testvectors.formats.files import (
    VectorFileError,
    described,
    is_pipe,
    open_source,
    refuse_streams,
    replacing,
    sink,
    streams,
    unpacking,
)
from halfsim.testvectors.formats.header import Header
from halfsim.testvectors.formats.spellings import CSV, JSON_LINES, TESTFLOAT, TV
from halfsim.testvectors.formats.text import NO_TEXT, TextFormat, looks_like_text, read_rows, split_header, whole_lines

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
_FILES = ("mem", "npz", "parquet")
FORMATS = tuple(_SUFFIXES.values())
"""Names of the formats: tv, testfloat, mem, csv, jsonl, npz, parquet."""


def format_of(path: Path | None, name: str | None = None) -> str:
    """Return the format that `name` says, or else the suffix of `path` (that before ``.gz``).

    Parameters
    ----------
    path : Path or None
        The file, which need not exist; None for standard input and output.
    name : str, optional
        One of `FORMATS`.

    Raises
    ------
    ValueError
        If neither is a format.

    Examples
    --------
    >>> from pathlib import Path
    >>> from halfsim.testvectors.formats import format_of
    >>> format_of(Path("fma.jsonl.gz")), format_of(None, "tv")
    ('jsonl', 'tv')
    """
    if name is not None:
        if name not in FORMATS:
            raise ValueError(f"unknown format {name!r}; known are {', '.join(FORMATS)}")
        return name
    if path is None:
        raise ValueError(f"standard input and output have no suffix; name the format (--format): {', '.join(FORMATS)}")
    plain = path.with_suffix("") if path.suffix == ".gz" else path
    if plain.suffix not in _SUFFIXES:
        known = ", ".join(f"{suffix} ({fmt})" for suffix, fmt in _SUFFIXES.items())
        what = f"the suffix {plain.suffix!r} names no format" if plain.suffix else "no suffix tells the format"
        raise ValueError(f"{path}: {what}; known are {known}, or name the format (--format)")
    return _SUFFIXES[plain.suffix]


def write(path: Path | None, header: Header, blocks: Iterable[Block], format: str | None = None) -> int:
    """Write test vectors; the file appears whole or not at all, unless it is a device or a pipe.

    Parameters
    ----------
    path : Path or None
        The file; gzip if its name ends in ``.gz``. None is standard output. Beside ``add.tv`` and ``add.mem`` appears
        ``add_params.vh`` with the number of rows, which simulators do not check. A device or a pipe is written to as
        standard output is, with nothing beside it; of a symbolic link the file that it leads to is replaced.
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
    IsADirectoryError
        If the path is a folder.

    Examples
    --------
    >>> import tempfile, pathlib, numpy as np
    >>> from halfsim.testvectors.formats import Block, Header, read, write
    >>> header = Header(operation="add", operands=("f16", "f16"), result="f16", rounding="rne", rows=1)
    >>> one, two = np.array([0x3C00], np.uint16), np.array([0x4000], np.uint16)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "add.tv")
    ...     count = write(path, header, [Block((one, one), two, np.zeros(1, np.uint8))])
    ...     print(path.read_text().splitlines()[-2])
    3C00_3C00_4000_00
    """
    name = format_of(path, format)
    if name == "testfloat" and (header.masked or header.flag_order != "testfloat"):
        raise ValueError("TestFloat's text has neither masks nor another order of flags; choose tv, csv, jsonl or npz")
    if name in _FILES:
        refuse_streams(path, name, f"vectors.{name}")
    # To be asked before a file is written: a pipe may be gone by then.
    beside = path if path is not None and not streams(path) else None
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
    if beside is not None and name in ("tv", "mem"):
        _write_parameters(beside, header, count)
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
    widths = [(item.name, 4 * item.digits) for item in header.fields]
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
    digest : RowDigest
        After the last block, whether the rows are those, in that order, that the file's digest was made of. If it has
        one and they are not, reading ends with a `DigestError`.

    Examples
    --------
    >>> from halfsim.testvectors.formats import Header, Vectors
    >>> Vectors("sqrt.tv", Header(operation="sqrt", operands=("f16",), result="f16"), iter(())).header.names
    ('A', 'Z', 'FF')
    """

    name: str
    header: Header
    blocks: Iterator[Block]
    digest: RowDigest = field(default_factory=lambda: RowDigest(()))


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

    Examples
    --------
    >>> import tempfile, pathlib, numpy as np
    >>> from halfsim.testvectors.formats import Block, Header, read, write
    >>> header = Header(operation="add", operands=("f16", "f16"), result="f16", rounding="rne", rows=1)
    >>> one, two = np.array([0x3C00], np.uint16), np.array([0x4000], np.uint16)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "add.tv")
    ...     count = write(path, header, [Block((one, one), two, np.zeros(1, np.uint8))])
    ...     with read(path) as vectors:
    ...         vectors.header.operation, [len(block.result) for block in vectors.blocks]
    ('add', [1])
    """
    chosen, name = format_of(path, format), "standard input" if path is None else str(path)
    if chosen in _TEXT:
        with open_source(path) as stream:
            yield _text_vectors(_TEXT[chosen], stream, name, header)
        return
    if path is None:
        raise ValueError(f"the format {chosen} cannot be read from standard input; give a file")
    if is_pipe(path):
        raise VectorFileError(name, 0, f"is a pipe, and the format {chosen} cannot be read from one; save it to a file")
    if path.suffix == ".gz":
        # A column of memory words may be compressed, an archive is compressed already.
        raise VectorFileError(
            name, 0, f"the format {chosen} has no .gz; decompress the file, and name it vectors.{chosen}"
        )
    readers = {
        "mem": (memory.read_memory_header, memory.read_columns),
        "npz": (arrays.read_npz_header, arrays.read_npz),
        "parquet": (arrays.read_parquet_header, arrays.read_parquet),
    }
    head, rows = readers[chosen]
    found = head(path)
    known = _known(name, found, header)
    digest = RowDigest(known.fields, found.version if found else "")
    with contextlib.closing(rows(path, known, digest)) as blocks:
        yield Vectors(name, known, blocks, digest)


def _known(name: str, found: Header | None, given: Header | None) -> Header:
    header = found or given
    if header is None:
        said = "say which operation, rounding and environment its rows are of: --operation, --rounding, --environment"
        raise VectorFileError(name, 0, f"has no header; {said}")
    return header


def _text_vectors(fmt: TextFormat, stream: IO[bytes], name: str, header: Header | None) -> Vectors:
    with unpacking(name):
        lines, data = split_header(fmt.is_head, stream, name)
    with described(name, fmt.head_line):
        found = fmt.read_head(lines)
    if found is None and header is None and not looks_like_text(data):
        raise VectorFileError(name, len(lines) + 1, NO_TEXT)
    known = _known(name, found, header)
    digest = RowDigest(known.fields, found.version if found else "")
    every = whole_lines(stream, name, data, len(lines) + 1)
    return Vectors(name, known, _unpacked(name, read_rows(fmt, known, every, name, len(lines), digest)), digest)


def _unpacked(name: str, blocks: Iterator[Block]) -> Iterator[Block]:
    with unpacking(name):
        yield from blocks
