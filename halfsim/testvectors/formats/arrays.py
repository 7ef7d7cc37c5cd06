"""Binary formats: npz with one structured array, and Parquet."""

from __future__ import annotations

import contextlib
import io
import json
import warnings
import zipfile
from collections.abc import Callable, Generator, Iterable, Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from halfsim.testvectors.formats.block import Block, columns_of, from_columns
from halfsim.testvectors.formats.digest import RowDigest, stated
from halfsim.testvectors.formats.files import VectorFileError, described
from halfsim.testvectors.formats.header import Header
from halfsim.testvectors.formats.rows import word_dtype
from halfsim.testvectors.formats.spellings import header_lines, parse_json

__all__ = [
    "array_head",
    "damaged",
    "member",
    "read_npz",
    "read_npz_header",
    "read_npz_lines",
    "read_parquet",
    "read_parquet_header",
    "read_text",
    "text_array",
    "write_npz",
    "write_parquet",
]

_ROWS = 1 << 16
_DATE = (1980, 1, 1, 0, 0, 0)
# Bytes of the longest text in an npz file, four a character.
_TEXT = 1 << 20
# Keys of a Parquet file's metadata.
_HEADER, _DIGEST = "halfsim", "sha256"


def _dtype(header: Header) -> np.dtype[Any]:
    return np.dtype([(field.name, word_dtype(field.digits).newbyteorder("<")) for field in header.fields])


def _table(header: Header, block: Block) -> NDArray[Any]:
    rows = np.empty(len(block.result), _dtype(header))
    for name, column in zip(header.names, columns_of(header, block), strict=True):
        rows[name] = column
    return rows


def _block(header: Header, rows: NDArray[Any], first: int, name: str) -> Block:
    columns = [np.ascontiguousarray(rows[field]).astype(rows[field].dtype.newbyteorder("=")) for field in header.names]
    numbers = np.arange(first + 1, first + 1 + len(rows), dtype=np.int64)
    block, problem = from_columns(header, columns, numbers)
    if problem is not None:
        raise VectorFileError(name, int(numbers[problem[0]]), problem[1], "row")
    return block


def member(name: str) -> zipfile.ZipInfo:
    """Return what describes a compressed member of an npz file."""
    # A fixed date: the same rows give the same bytes on any day.
    info = zipfile.ZipInfo(name, _DATE)
    info.compress_type = zipfile.ZIP_DEFLATED
    return info


@contextlib.contextmanager
def damaged(name: str, where: Callable[[], int] = lambda: 0, unit: str = "row") -> Iterator[None]:
    """Turn whatever the parser of an archive makes of damage into an error of its file.

    Parameters
    ----------
    name : str
        The file.
    where : callable
        Returns the row that was to be read.
    unit : str
        What is counted: rows or tiles.
    """
    try:
        yield
    except (VectorFileError, FileNotFoundError, PermissionError, IsADirectoryError):
        raise
    except Exception as error:
        # Damage makes these parsers raise errors of a dozen types, MemoryError and NotImplementedError among them.
        text = " ".join(str(error).split()) or type(error).__name__
        raise VectorFileError(name, where(), f"cannot be read: {text[:300]}; the file is damaged", unit) from None


def text_array(text: str) -> bytes:
    """Return a text as a member of an npz file."""
    held = io.BytesIO()
    np.lib.format.write_array(held, np.array(text))
    return held.getvalue()


def array_head(file: IO[bytes], name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Return the shape and the dtype that a member of an npz file announces.

    Raises
    ------
    ValueError
        If it is of another version of the format, or in the order of columns.
    """
    version = np.lib.format.read_magic(file)
    if version != (1, 0):
        raise ValueError(f"{name}.npy has version {version}")
    with warnings.catch_warnings():
        # NumPy tries whether damage is Python 2.
        warnings.simplefilter("error")
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
    if fortran and len(shape) > 1:
        raise ValueError(f"{name}.npy is in the order of columns")
    return shape, dtype


def read_text(archive: zipfile.ZipFile, name: str) -> str:
    """Return the text of a member of an npz file.

    Raises
    ------
    ValueError
        If it is not one text, or too long.
    """
    with archive.open(f"{name}.npy") as file:
        shape, dtype = array_head(file, name)
        # Before any memory is taken for it.
        if shape != () or dtype.kind != "U" or not 0 < dtype.itemsize <= _TEXT:
            raise ValueError(f"{name}.npy is no text of up to {_TEXT // 4} characters")
        return str(np.frombuffer(file.read(dtype.itemsize), dtype)[0])


def write_npz(stream: IO[bytes], header: Header, blocks: Iterable[Block]) -> int:
    """Write ``header.npy`` (text), ``rows.npy`` (one structured array) and ``sha256.npy`` (text).

    The header must know the number of rows.
    """
    count, digest = 0, RowDigest(header.fields)
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(member("header.npy"), text_array("\n".join(header.lines())))
        with archive.open(member("rows.npy"), "w", force_zip64=True) as file:
            shape = {"descr": np.lib.format.dtype_to_descr(_dtype(header)), "fortran_order": False}
            np.lib.format.write_array_header_1_0(file, {**shape, "shape": (header.rows,)})
            for block in blocks:
                table = _table(header, block)
                digest.update([table[name] for name in header.names])
                file.write(table.tobytes())
                count += len(block.result)
        archive.writestr(member("sha256.npy"), text_array(digest.whole()))
    return count


def read_npz_header(path: Path) -> Header | None:
    """Return the header of an npz file."""
    with described(str(path), at=0):
        return Header.from_lines(read_npz_lines(path))


def read_npz_lines(path: Path) -> list[str]:
    """Return the lines of the header of an npz file."""
    with path.open("rb") as file, damaged(str(path)):
        if not zipfile.is_zipfile(file):
            raise VectorFileError(
                str(path), 0, "is no readable npz file of test vectors: it may be cut, or another format"
            )
        with zipfile.ZipFile(file) as archive:
            if "header.npy" not in archive.namelist():
                raise VectorFileError(str(path), 0, "is no npz file of test vectors: it has no header.npy")
            return read_text(archive, "header").splitlines()


def read_npz(path: Path, header: Header, digest: RowDigest) -> Generator[Block]:
    """Yield the rows of an npz file."""
    dtype, first, count, name = _dtype(header), 0, 0, str(path)
    with damaged(name, lambda: first + 1), zipfile.ZipFile(path) as archive:
        if "sha256.npy" in archive.namelist():
            digest.stated = stated(f"sha256: {read_text(archive, 'sha256')}", name)
        with archive.open("rows.npy") as file:
            (count,), found = array_head(file, "rows")
            if found != dtype:
                raise ValueError(f"rows.npy has fields {found.descr}; a row of {header.operation} is {dtype.descr}")
            while first < count:
                data = file.read(dtype.itemsize * min(_ROWS, count - first))
                rows = np.frombuffer(data[: len(data) // dtype.itemsize * dtype.itemsize], dtype)
                if not len(rows):
                    break
                block = _block(header, rows, first, name)
                digest.update([rows[field] for field in header.names])
                yield block
                first += len(rows)
            if first == count and file.read(1):
                raise ValueError(f"rows.npy goes on after its {count} rows")
    if first != count or (header.rows >= 0 and header.rows != count):
        problem = f"the file ends after {first} rows, but its header says {max(header.rows, count)}; it may be cut"
        raise VectorFileError(name, 0, problem)
    digest.verify(name)


def _pyarrow() -> Any:
    try:
        import pyarrow.parquet as parquet
    except ModuleNotFoundError:
        raise ValueError("Parquet needs pyarrow: pip install 'halfsim[parquet]', or choose npz") from None
    return parquet


def write_parquet(path: Path, header: Header, blocks: Iterable[Block]) -> int:
    """Write a Parquet file, one row group a block; its metadata hold the header and the digest of the rows."""
    parquet = _pyarrow()
    import pyarrow

    columns = [(field.name, pyarrow.from_numpy_dtype(word_dtype(field.digits))) for field in header.fields]
    schema = pyarrow.schema(columns, metadata={_HEADER: json.dumps(header.lines())})
    count, digest = 0, RowDigest(header.fields)
    with parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        for block in blocks:
            words = columns_of(header, block)
            digest.update(words)
            writer.write_table(pyarrow.table(words, schema=schema))
            count += len(block.result)
        writer.add_key_value_metadata({_DIGEST: digest.whole()})
    return count


def read_parquet_header(path: Path) -> Header | None:
    """Return the header of a Parquet file."""
    lines = parquet_text(path, _HEADER)
    with described(str(path), at=0):
        return None if lines is None else Header.from_lines(header_lines(parse_json(lines)))


def parquet_text(path: Path, key: str) -> str | None:
    """Return a text of the metadata of a Parquet file, None if there is none."""
    parquet = _pyarrow()
    with path.open("rb") as file, damaged(str(path)):
        text = (parquet.ParquetFile(file).metadata.metadata or {}).get(key.encode())
        return None if text is None else text.decode("utf-8")


def read_parquet(path: Path, header: Header, digest: RowDigest) -> Generator[Block]:
    """Yield the rows of a Parquet file."""
    parquet = _pyarrow()
    first, dtype, name = 0, _dtype(header), str(path)
    text = parquet_text(path, _DIGEST)
    digest.stated = "" if text is None else stated(f"sha256: {text}", name)
    with damaged(name, lambda: first + 1), parquet.ParquetFile(path) as file:
        _check_schema(file.schema_arrow, header, name)
        for batch in _batches(file, list(header.names)):
            rows = np.empty(batch.num_rows, dtype)
            for field in header.names:
                if batch.column(field).null_count:
                    row = first + 1 + batch.column(field).is_null().to_pylist().index(True)
                    raise VectorFileError(name, row, f"{field} has no value", "row")
                rows[field] = batch.column(field).to_numpy(zero_copy_only=False)
            block = _block(header, rows, first, name)
            digest.update([rows[field] for field in header.names])
            yield block
            first += len(rows)
    if header.rows >= 0 and header.rows != first:
        problem = f"the file ends after {first} rows, but its header says {header.rows}; it may be cut"
        raise VectorFileError(name, 0, problem)
    digest.verify(name)


def _batches(file: Any, columns: list[str]) -> Iterator[Any]:
    """Yield the rows of a Parquet file, one row group after another: pyarrow keeps all that one call reads."""
    for group in range(file.num_row_groups):
        yield from file.iter_batches(_ROWS, row_groups=[group], columns=columns)


def _check_schema(schema: Any, header: Header, name: str) -> None:
    """Refuse columns of other names or types: a cast would change values without a word."""
    import pyarrow

    if sorted(schema.names) != sorted(header.names):
        problem = f"has the columns {', '.join(schema.names)}; a row has {', '.join(header.names)}"
        raise VectorFileError(name, 0, problem)
    dtype = _dtype(header)
    for field in header.names:
        wanted, found = pyarrow.from_numpy_dtype(dtype[field]), schema.field(field).type
        if found != wanted:
            raise VectorFileError(name, 0, f"column {field} is of type {found}; its words are {wanted}")
