"""Read files of tiles back, every line of them accounted for."""

from __future__ import annotations

import contextlib
import zipfile
import zlib
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from halfsim.testvectors.formats import format_of
from halfsim.testvectors.formats.arrays import array_head, damaged, read_npz_lines, read_text
from halfsim.testvectors.formats.digest import RowDigest, stated, unsealed
from halfsim.testvectors.formats.files import VectorFileError, described, open_source, unpacking
from halfsim.testvectors.formats.memory import column_path, read_column, read_memory_lines
from halfsim.testvectors.formats.names import TYPES
from halfsim.testvectors.formats.rows import Codec
from halfsim.testvectors.formats.spellings import JSON_LINES, TV, json_header, split_word
from halfsim.testvectors.formats.text import decode_lines, split_header, whole_lines
from halfsim.testvectors.tileheader import TileHeader
from halfsim.testvectors.tiles import Part
from halfsim.testvectors.tilewriter import array_dtype, classes_of, row_fields

__all__ = ["Tiles", "is_tiles", "read_tiles", "tile_header_of"]

_WORDS = 1 << 20
_CLASS = "class"


@dataclass(frozen=True, slots=True, eq=False)
class Tiles:
    """An opened file of tiles.

    Parameters
    ----------
    name : str
        What errors call it.
    header : TileHeader
        What the tiles are.
    parts : iterator of Part
        The tiles, or of tv the dot products, read as they are asked for.
    digest : RowDigest
        After the last part, whether the tiles are those that the file's digest was made of; if it has one and they are
        not, reading ends with a `DigestError`.
    """

    name: str
    header: TileHeader
    parts: Iterator[Part]
    digest: RowDigest


def is_tiles(path: Path, format: str | None = None) -> bool:
    """Return whether the header of a vector file names an accumulator; False for a file that cannot be read."""
    try:
        lines = _lines(path, format_of(path, format))
    except (OSError, ValueError, EOFError, zlib.error):
        return False
    return any(line.startswith("accumulator:") for line in lines)


def _lines(path: Path, chosen: str) -> list[str]:
    """Return the lines of a file's header; none of a format that has no tiles."""
    if chosen == "npz":
        return read_npz_lines(path)
    text = {"mem": TV, "tv": TV, "jsonl": JSON_LINES}.get(chosen)
    if text is None:
        return []
    file = column_path(path, "A") if chosen == "mem" else path
    with open_source(file) as stream:
        lines, _ = split_header(text.is_head, stream, str(file))
    return json_header(lines) if chosen == "jsonl" and lines else _uncommented(lines)


def _uncommented(lines: list[str]) -> list[str]:
    return [line.removeprefix("//").strip() for line in lines]


@contextlib.contextmanager
def read_tiles(path: Path, format: str | None = None) -> Iterator[Tiles]:
    """Open a file of tiles.

    Parameters
    ----------
    path : Path
        The file; ``x.mem`` stands for ``x.a.mem`` to ``x.d.mem``.
    format : str, optional
        ``"npz"``, ``"mem"`` or ``"tv"``; by default what the suffix says.

    Raises
    ------
    VectorFileError
        If a file is cut, damaged or of another form; as it is read.
    OSError
        If a file cannot be read.
    """
    chosen, name = format_of(path, format), str(path)
    if chosen == "jsonl":
        raise VectorFileError(name, 0, "holds traces of steps, not tiles; compare them with check_traces")
    if chosen == "tv":
        with open_source(path) as stream:
            yield _rows(stream, name)
        return
    reader = {"npz": _read_npz, "mem": _read_memories}[chosen]
    header = tile_header_of(name, read_npz_lines(path), 0) if chosen == "npz" else _memory_header(path)
    digest = RowDigest(list(header.fields.values()), header.version)
    with contextlib.closing(reader(path, header, digest)) as parts:
        yield Tiles(name, header, parts, digest)


def tile_header_of(name: str, lines: list[str], at: int | None = None) -> TileHeader:
    """Return the header that lines make; they stand in line `at`, or are lines of the file."""
    with described(name, at):
        header = TileHeader.from_lines(lines)
    if header is None:
        raise VectorFileError(name, 1 if at is None else at, "the header names no accumulator; it may be cut")
    return header


def _memory_header(path: Path) -> TileHeader:
    """Return the header that the files of all matrices have."""
    files = {name: column_path(path, name) for name in "ABCD"}
    found = {name: tile_header_of(str(file), read_memory_lines(file, "matrix", name)) for name, file in files.items()}
    for name, header in found.items():
        if header != found["A"]:
            problem = f"its header is not that of {files['A'].name}; write them together"
            raise VectorFileError(str(files[name]), 1, problem)
    return found["A"]


def _lot(header: TileHeader) -> int:
    """Return how many tiles are read at a time."""
    return max(1, _WORDS // sum(rows * columns for rows, columns in header.shapes.values()))


def _read_npz(path: Path, header: TileHeader, digest: RowDigest) -> Generator[Part]:
    lot, (m, n, _), first = _lot(header), header.shape, 0
    with (
        damaged(str(path), lambda: first + 1, "tile"),
        zipfile.ZipFile(path) as archive,
        contextlib.ExitStack() as stack,
    ):
        if "sha256.npy" in archive.namelist():
            digest.stated = stated(f"sha256: {read_text(archive, 'sha256')}", str(path))
        files = {name: stack.enter_context(archive.open(f"{name}.npy")) for name in (_CLASS, *"ABCD")}
        for name, file in files.items():
            _expect(header, name, file)
        while first < header.tiles:
            count = min(lot, header.tiles - first)
            found = {name: _array(header, name, file, count) for name, file in files.items()}
            if not np.array_equal(found.pop(_CLASS), classes_of(header, first, first + count)):
                raise ValueError("class.npy is not what the header says of the classes")
            for name, array in found.items():
                _in_width(header, name, array, str(path), None)
            digest.update(list(found.values()))
            yield Part(first * m * n, **found)
            first += count
        for name, file in files.items():
            if file.read(1):
                raise ValueError(f"{name}.npy goes on after {header.tiles} tiles")
    digest.verify(str(path))


def _form(header: TileHeader, name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Return shape and dtype of an array for one tile."""
    if name == _CLASS:
        return (), np.dtype(np.uint8)
    return header.shapes[name], array_dtype(header, name)


def _expect(header: TileHeader, name: str, file: IO[bytes]) -> None:
    """Read what an array says of itself."""
    shape, dtype = array_head(file, name)
    tile, word = _form(header, name)
    wanted = (header.tiles, *tile), word
    if (shape, dtype) != wanted:
        raise ValueError(f"{name}.npy is {shape} of {dtype}; the header says {wanted[0]} of {wanted[1]}")


def _array(header: TileHeader, name: str, file: IO[bytes], tiles: int) -> NDArray[Any]:
    tile, dtype = _form(header, name)
    shape = (tiles, *tile)
    size = int(np.prod(shape)) * dtype.itemsize
    data = file.read(size)
    if len(data) != size:
        raise ValueError(f"{name}.npy ends early")
    return np.frombuffer(data, dtype).astype(dtype.newbyteorder("=")).reshape(shape)


def _in_width(header: TileHeader, name: str, words: NDArray[Any], file: str, lines: NDArray[np.int64] | None) -> None:
    """Refuse a word with bits beyond its format; `lines` are those of the words, if they have any."""
    kind = header.kinds[name]
    if TYPES[kind] == 8 * words.itemsize:
        return
    over = np.flatnonzero(words >> words.dtype.type(TYPES[kind]))
    if over.size:
        word = int(words.reshape(-1)[over[0]])
        line = 0 if lines is None else int(lines[over[0]])
        problem = f"{name} = {word:X} has more than the {TYPES[kind]} bits of {kind}"
        raise VectorFileError(file, line, problem)


def _read_memories(path: Path, header: TileHeader, digest: RowDigest) -> Generator[Part]:
    lot, first, (m, n, _) = _lot(header), 0, header.shape
    sizes = {name: rows * columns for name, (rows, columns) in header.shapes.items()}
    digests = {name: RowDigest([field], header.version) for name, field in header.fields.items()}
    with contextlib.ExitStack() as stack:
        files = {name: column_path(path, name) for name in sizes}
        columns = {
            name: stack.enter_context(
                contextlib.closing(read_column(files[name], field, digests[name], lot * sizes[name]))
            )
            for name, field in header.fields.items()
        }
        while first < header.tiles:
            count, found = min(lot, header.tiles - first), {}
            for name, column in columns.items():
                words, lines = next(column, (np.empty(0, np.uint8), np.empty(0, np.int64)))
                if len(words) != count * sizes[name]:
                    elements = first * sizes[name] + len(words)
                    problem = f"has {elements} elements so far, not {header.tiles * sizes[name]}; it may be cut"
                    over = "has more elements than its header says; elements were added"
                    cut = len(words) < count * sizes[name]
                    raise VectorFileError(str(files[name]), 0, problem if cut else over)
                _in_width(header, name, words, str(files[name]), lines)
                found[name] = words.reshape(count, *header.shapes[name])
            yield Part(first * m * n, **found)
            first += count
        for name, column in columns.items():
            if next(column, None) is not None:
                problem = f"has more than {header.tiles * sizes[name]} elements; elements were added"
                raise VectorFileError(str(files[name]), 0, problem)
    for name, own in digests.items():
        own.verify(str(files[name]))
    digest.verified = all(own.verified for own in digests.values())


def _rows(stream: IO[bytes], name: str) -> Tiles:
    with unpacking(name):
        lines, data = split_header(TV.is_head, stream, name)
    header = tile_header_of(name, _uncommented(lines))
    digest = RowDigest(row_fields(header), header.version)
    every = whole_lines(stream, name, data, len(lines) + 1)
    return Tiles(name, header, _read_rows(every, name, header, len(lines), digest), digest)


def _read_rows(
    lines: Iterator[tuple[bytes, int]], name: str, header: TileHeader, last: int, digest: RowDigest
) -> Iterator[Part]:
    fields, k, first = row_fields(header), header.shape[2], 0
    pieces = [piece for field in fields for piece in (field, "_")][:-1]
    codecs = [Codec([*pieces, end]) for end in ("\n", "\r\n")]
    with unpacking(name):
        for part, start in unsealed(lines, TV.seal, digest, name):
            columns, numbers = decode_lines(codecs, fields, split_word, part, name, start)
            for field, words in zip(fields, columns, strict=True):
                _in_width(header, field.name[0], words, name, numbers)
            digest.update(columns)
            count = len(numbers)
            A, B = (np.stack(lanes, axis=1) for lanes in (columns[:k], columns[k : 2 * k]))
            C, D = (words.reshape(count, 1, 1) for words in columns[2 * k :])
            if count:
                yield Part(first, A.reshape(count, 1, k), B.reshape(count, k, 1), C, D)
            first, last = first + count, start + part.count(b"\n") - 1
    if first != header.elements:
        way_out = "it may be cut" if first < header.elements else "rows were added"
        problem = f"the file ends after {first} rows but its header says {header.elements}; {way_out}"
        raise VectorFileError(name, last, problem)
    digest.verify(name)
