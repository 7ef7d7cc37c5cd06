"""One file of words per column, for VHDL and for benches that read one memory per operand."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from halfsim.testvectors.formats.block import Block, columns_of, from_columns
from halfsim.testvectors.formats.files import VectorFileError, open_source, replacing
from halfsim.testvectors.formats.header import Header
from halfsim.testvectors.formats.rows import Codec, Field, word_dtype
from halfsim.testvectors.formats.text import decode_lines, whole_lines

__all__ = ["column_path", "read_column", "read_columns", "read_memory_header", "read_memory_lines", "write_columns"]

_ROWS = 1 << 16


def column_path(path: Path, field: str) -> Path:
    """Return the file of a column: ``add.mem`` has its operand A in ``add.a.mem``."""
    return path.with_name(f"{path.stem}.{field.lower()}{path.suffix}")


def write_columns(path: Path, header: Header, blocks: Iterable[Block]) -> int:
    """Write one file per column; none of them appears before all are complete. Return the number of rows."""
    codecs = [Codec([field, "\n"]) for field in header.fields]
    count = 0
    with contextlib.ExitStack() as stack:
        # Leaving the stack moves the files in place; an error before that removes them all.
        temporaries = [stack.enter_context(replacing(column_path(path, name))) for name in header.names]
        with contextlib.ExitStack() as opened:
            files = [opened.enter_context(temporary.open("wb")) for temporary in temporaries]
            for name, file in zip(header.names, files, strict=True):
                lines = [*header.lines(), f"column: {name}"]
                file.write("".join(f"// {line}\n" for line in lines).encode())
            for block in blocks:
                for codec, file, words in zip(codecs, files, columns_of(header, block), strict=True):
                    file.write(codec.encode([words]))
                count += len(block.result)
    return count


def read_memory_header(path: Path) -> Header | None:
    """Return the header of the first column's file."""
    return Header.from_lines(read_memory_lines(column_path(path, "A")))


def read_memory_lines(file: Path) -> list[str]:
    """Return the lines of the header of a column's file."""
    with open_source(file) as stream:
        lines = []
        for line in stream:
            if not line.startswith(b"//"):
                break
            lines.append(line.decode("utf-8", "replace").removeprefix("//").strip())
    return lines


def read_columns(path: Path, header: Header) -> Generator[Block]:
    """Yield the rows of the files of all columns."""
    rows = 0
    with contextlib.ExitStack() as stack:
        files = [(column_path(path, field.name), field) for field in header.fields]
        columns = [stack.enter_context(contextlib.closing(read_column(file, field))) for file, field in files]
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


def read_column(file: Path, field: Field, rows: int = _ROWS) -> Generator[tuple[NDArray[Any], NDArray[np.int64]]]:
    """Yield the words of a column's file and their lines, a fixed number at a time."""
    codecs = [Codec([field, end]) for end in ("\n", "\r\n")]
    words, lines = np.empty(0, word_dtype(field.digits)), np.empty(0, np.int64)
    with open_source(file) as stream:
        for part, first in whole_lines(stream, str(file)):
            head = 0
            while part.startswith(b"//"):
                part, head = part[part.index(b"\n") + 1 :], head + 1
            (more,), numbers = decode_lines(codecs, [field], _split, part, str(file), first + head)
            words, lines = np.concatenate([words, more]), np.concatenate([lines, numbers])
            while len(words) >= rows:
                yield words[:rows], lines[:rows]
                words, lines = words[rows:], lines[rows:]
    if len(words):
        yield words, lines


def _split(line: str) -> list[str] | None:
    word = line.split("//")[0].strip()
    return [word] if word else None
