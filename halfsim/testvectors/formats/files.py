"""Files that appear whole or not at all, compressed or not; ``-`` is standard input and output."""

from __future__ import annotations

import contextlib
import errno
import gzip
import io
import os
import stat
import sys
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING

from halfsim.testvectors.formats.headerlines import HeaderError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer as Buffer

__all__ = [
    "VectorFileError",
    "described",
    "is_pipe",
    "open_source",
    "refuse_streams",
    "replacing",
    "sink",
    "streams",
    "unpacking",
]


class VectorFileError(ValueError):
    """A vector file that is damaged, cut or of another form: file, line and what is wrong there.

    Parameters
    ----------
    name : str
        The file.
    line : int
        Line number from 1, or row number where the file has no lines; 0 for the file as a whole.
    problem : str
        What is wrong, and the way out.
    unit : str
        What `line` counts: ``"line"`` or ``"row"``.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from halfsim.testvectors.formats import Header, VectorFileError, read, write
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "sqrt.tv")
    ...     _ = write(path, Header(operation="sqrt", operands=("f16",), result="f16", rounding="rne", rows=0), [])
    ...     _ = path.write_text(path.read_text().replace("rows: 0", "rows: 1"))
    ...     try:
    ...         with read(path) as vectors:
    ...             list(vectors.blocks)
    ...     except VectorFileError as error:
    ...         print(error.problem)
    the file ends after 0 rows but its header says 1; it may be cut
    """

    def __init__(self, name: str, line: int, problem: str, unit: str = "line") -> None:
        super().__init__(f"{name}: {f'{unit} {line}: ' if line else ''}{problem}")
        self.name, self.line, self.problem = name, line, problem


@contextlib.contextmanager
def described(name: str, at: int | None = None) -> Iterator[None]:
    """Turn errors of a header into errors of its file.

    Parameters
    ----------
    name : str
        The file.
    at : int, optional
        The line that holds the header, 0 where a file has no lines. By default its lines are the file's.
    """
    try:
        yield
    except VectorFileError:
        raise
    except HeaderError as error:
        where = "" if at is None or not error.line else f" (line {error.line} of the header)"
        problem = f"the header cannot be read: {error}{where}"
        raise VectorFileError(name, error.line if at is None else at, problem) from None
    except ValueError as error:
        raise VectorFileError(name, 1 if at is None else at, f"the header cannot be read: {error}") from None


@contextlib.contextmanager
def unpacking(name: str) -> Iterator[None]:
    """Turn errors of a compressed stream into errors of its file."""
    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise VectorFileError(name, 0, f"cannot be decompressed: {error}; the file is cut or damaged") from None


def streams(path: Path) -> bool:
    """Return whether a path is a device or a pipe: it can be written to, but not replaced.

    Raises
    ------
    OSError
        If it is a folder, or a symbolic link that leads in a circle.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return False
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    return not stat.S_ISREG(mode)


def refuse_streams(path: Path | None, format: str, example: str) -> None:
    """Refuse what a format that needs a plain file cannot be written to.

    Raises
    ------
    ValueError
        If `path` is standard output, a device, a pipe, or ends in ``.gz``.
    """
    special = path is not None and streams(path)
    if path is None or special or path.suffix == ".gz":
        why = f"{path} is a device or a pipe, and " if special else ""
        raise ValueError(f"{why}the format {format} is written to files without .gz; give a path such as {example}")


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`, moved there at the end and removed on any error.

    Of a symbolic link the file that it leads to is replaced.

    Raises
    ------
    ValueError
        If `path` is a device or a pipe.
    """
    if streams(path):
        raise ValueError(f"{path} is a device or a pipe, which cannot be replaced by a file; give another name")
    path = Path(os.path.realpath(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}")
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def sink(path: Path | None) -> Iterator[IO[bytes]]:
    """Open a file for writing, through gzip if its name ends in ``.gz``; None is standard output.

    A device or a pipe is written to as it is; any other file appears whole or not at all.

    The bytes inside do not depend on the time or the name; how they are compressed depends on the version of zlib.
    """
    if path is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    with contextlib.ExitStack() as stack:
        target = path if streams(path) else stack.enter_context(replacing(path))
        raw = stack.enter_context(target.open("wb"))
        if path.suffix != ".gz":
            yield raw
            return
        with gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=raw, mtime=0) as packed:
            yield packed  # type: ignore[misc] # it has all of IO that is used


@contextlib.contextmanager
def open_source(path: Path | None) -> Iterator[IO[bytes]]:
    """Open a file or a pipe for reading, through gzip if it begins as such a file does; None is standard input."""
    if path is not None:
        with path.open("rb") as raw, _plain(raw) as stream:
            yield stream
        return
    if sys.stdin is None:
        raise VectorFileError("standard input", 0, "is closed; pipe vectors to it, or give a file")
    with _plain(sys.stdin.buffer) as stream:
        yield stream


@contextlib.contextmanager
def _plain(raw: IO[bytes]) -> Iterator[IO[bytes]]:
    start = raw.read(2)
    if raw.seekable():
        raw.seek(-len(start), os.SEEK_CUR)
    else:
        raw = io.BufferedReader(_Resumed(start, raw))
    if start != b"\x1f\x8b":
        yield raw
        return
    with gzip.GzipFile(fileobj=raw) as packed:
        yield packed  # type: ignore[misc] # it has all of IO that is used


class _Resumed(io.RawIOBase):
    """A pipe whose first bytes have been read already."""

    def __init__(self, start: bytes, rest: IO[bytes]) -> None:
        self._start, self._rest = start, rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer) -> int:
        with memoryview(buffer) as view:
            found = self._start[: len(view)] or self._rest.read(len(view))
            view[: len(found)] = found
        self._start = self._start[len(found) :]
        return len(found)


def is_pipe(path: Path) -> bool:
    """Return whether a path is that of a pipe or a device, which can be read once."""
    return path.exists() and not path.is_file() and not path.is_dir()
