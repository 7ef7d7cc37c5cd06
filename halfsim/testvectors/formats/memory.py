"""One file of words per column, for VHDL and for benches that read one memory per operand."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterable, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from halfsim.testvectors.formats.block import Block, columns_of, from_columns
from halfsim.testvectors.formats.digest import SLASHES, RowDigest, unsealed
from halfsim.testvectors.formats.files import VectorFileError, described, open_source, replacing, unpacking
from halfsim.testvectors.formats.header import Header
from halfsim.testvectors.formats.rows import Codec, Field, word_dtype
from halfsim.testvectors.formats.spellings import TV
from halfsim.testvectors.formats.text import decode_lines, split_header, whole_lines

__all__ = [
    "Column",
    "column_path",
    "read_column",
    "read_columns",
    "read_memory_header",
    "read_memory_lines",
    "write_columns",
]

_ROWS = 1 << 16


def column_path(path: Path, field: str) -> Path:
    """Return the file of a column: ``add.mem`` has its operand A in ``add.a.mem``."""
    return path.with_name(f"{path.stem}.{field.lower()}{path.suffix}")


def write_columns(path: Path, header: Header, blocks: Iterable[Block]) -> int:
    """Write one file per column; none of them appears before all are complete. Return the number of rows."""
    count = 0
    with contextlib.ExitStack() as stack:
        # Leaving the stack moves the files in place; an error before that removes them all.
        temporaries = [stack.enter_context(replacing(column_path(path, name))) for name in header.names]
        with contextlib.ExitStack() as opened:
            columns = [
                Column(opened.enter_context(temporary.open("wb")), field, [*header.lines(), f"column: {field.name}"])
                for temporary, field in zip(temporaries, header.fields, strict=True)
            ]
            for block in blocks:
                for column, words in zip(columns, columns_of(header, block), strict=True):
                    column.write(words)
                count += len(block.result)
            for column in columns:
                column.end()
    return count


class Column:
    """The file of one column while it is written: its header, a word a line, and their digest.

    Parameters
    ----------
    file : binary stream
        Where it goes.
    field : Field
        The column.
    lines : sequence of str
        Its header.
    """

    def __init__(self, file: IO[bytes], field: Field, lines: Sequence[str]) -> None:
        self._file, self._codec, self._digest = file, Codec([field, "\n"]), RowDigest([field])
        file.write("".join(f"// {line}\n" for line in lines).encode())

    def write(self, words: NDArray[Any]) -> None:
        """Write words."""
        self._digest.update([words])
        self._file.write(self._codec.encode([words]))

    def end(self) -> None:
        """Write the digest of all words."""
        self._file.write(SLASHES.spell(self._digest))


def read_memory_header(path: Path) -> Header | None:
    """Return the header that the files of all columns have.

    Raises
    ------
    VectorFileError
        If a file says that it is another column, or is of other vectors.
    """
    first = column_path(path, "A")
    header = _header(first, "A")
    if header is not None:
        for name in header.names[1:]:
            file = column_path(path, name)
            if _header(file, name) != header:
                raise VectorFileError(str(file), 1, f"its header is not that of {first.name}; write them together")
    return header


def _header(file: Path, name: str) -> Header | None:
    lines = read_memory_lines(file, "column", name)
    with described(str(file)):
        return Header.from_lines(lines)


def read_memory_lines(file: Path, key: str, name: str) -> list[str]:
    """Return the lines of the header of a column's file, an empty one for that which says which column it is.

    Parameters
    ----------
    file : Path
        The file.
    key : str
        The key of that line, ``"column"`` or ``"matrix"``.
    name : str
        Which column it must be.

    Raises
    ------
    VectorFileError
        If it says that it is another one.
    """
    with open_source(file) as stream, unpacking(str(file)):
        lines = [line.removeprefix("//").strip() for line in split_header(TV.is_head, stream, str(file))[0]]
    own = [number for number, line in enumerate(lines) if line.startswith(f"{key}:")]
    for number in own:
        said = lines[number].partition(":")[2].split(" (")[0].strip()
        if said != name:
            problem = f"says that it is {key} {said}, but stands in the place of {name}; were files exchanged?"
            raise VectorFileError(str(file), number + 1, problem)
        lines[number] = ""
    if len(own) > 1:
        raise VectorFileError(str(file), own[1] + 1, f"the header has {key} twice; delete one")
    return lines


def read_columns(path: Path, header: Header, digest: RowDigest) -> Generator[Block]:
    """Yield the rows of the files of all columns; `digest` is verified if those of all files are."""
    rows = 0
    with contextlib.ExitStack() as stack:
        files = [(column_path(path, field.name), field) for field in header.fields]
        digests = [RowDigest([field], digest.version) for field in header.fields]
        columns = [
            stack.enter_context(contextlib.closing(read_column(file, field, own)))
            for (file, field), own in zip(files, digests, strict=True)
        ]
        while True:
            parts = [next(column, None) for column in columns]
            sizes = [0 if part is None else len(part[0]) for part in parts]
            if len(set(sizes)) > 1:
                short = column_path(path, header.names[int(np.argmin(sizes))])
                problem = f"ends after {rows + min(sizes)} rows, other columns go on; it may be cut"
                raise VectorFileError(str(short), 0, problem)
            found = [part for part in parts if part is not None]
            if not found:
                break
            lines = found[0][1]
            block, problem_at = from_columns(header, [words for words, _ in found], lines)
            if problem_at is not None:
                raise VectorFileError(str(path), int(lines[problem_at[0]]), problem_at[1])
            rows += sizes[0]
            yield block
    if header.rows >= 0 and rows != header.rows:
        problem = f"the files end after {rows} rows but their header says {header.rows}; they may be cut"
        raise VectorFileError(str(path), 0, problem)
    for (file, _), own in zip(files, digests, strict=True):
        own.verify(str(file))
    digest.verified = all(own.verified for own in digests)


def read_column(
    file: Path, field: Field, digest: RowDigest, rows: int = _ROWS
) -> Generator[tuple[NDArray[Any], NDArray[np.int64]]]:
    """Yield the words of a column's file and their lines, a fixed number at a time; `digest` is told of them."""
    codecs = [Codec([field, end]) for end in ("\n", "\r\n")]
    words, numbers = np.empty(0, word_dtype(field.digits)), np.empty(0, np.int64)
    name = str(file)
    with open_source(file) as stream, unpacking(name):
        lines, data = split_header(TV.is_head, stream, name)
        for part, first in unsealed(whole_lines(stream, name, data, len(lines) + 1), SLASHES, digest, name):
            (more,), more_numbers = decode_lines(codecs, [field], _split, part, name, first)
            digest.update([more])
            words, numbers = np.concatenate([words, more]), np.concatenate([numbers, more_numbers])
            while len(words) >= rows:
                yield words[:rows], numbers[:rows]
                words, numbers = words[rows:], numbers[rows:]
    if len(words):
        yield words, numbers


def _split(line: str) -> list[str] | None:
    word = line.split("//")[0].strip()
    return [word] if word else None
