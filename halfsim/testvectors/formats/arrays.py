"""Binary formats: npz with one structured array, and Parquet."""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from halfsim.testvectors.formats.block import Block, columns_of, from_columns
from halfsim.testvectors.formats.files import VectorFileError
from halfsim.testvectors.formats.header import Header
from halfsim.testvectors.formats.rows import word_dtype

__all__ = [
    "member",
    "read_npz",
    "read_npz_header",
    "read_npz_lines",
    "read_parquet",
    "read_parquet_header",
    "write_npz",
    "write_parquet",
]

_ROWS = 1 << 16
_DATE = (1980, 1, 1, 0, 0, 0)


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


def write_npz(stream: IO[bytes], header: Header, blocks: Iterable[Block]) -> int:
    """Write ``header.npy`` (text) and ``rows.npy`` (one structured array); the header must know the number of rows."""
    count = 0
    with zipfile.ZipFile(stream, "w") as archive:
        text = io.BytesIO()
        np.lib.format.write_array(text, np.array("\n".join(header.lines())))
        archive.writestr(member("header.npy"), text.getvalue())
        with archive.open(member("rows.npy"), "w", force_zip64=True) as file:
            shape = {"descr": np.lib.format.dtype_to_descr(_dtype(header)), "fortran_order": False}
            np.lib.format.write_array_header_1_0(file, {**shape, "shape": (header.rows,)})
            for block in blocks:
                file.write(_table(header, block).tobytes())
                count += len(block.result)
    return count


def read_npz_header(path: Path) -> Header | None:
    """Return the header of an npz file."""
    return Header.from_lines(read_npz_lines(path))


def read_npz_lines(path: Path) -> list[str]:
    """Return the lines of the header of an npz file."""
    try:
        with zipfile.ZipFile(path) as archive, archive.open("header.npy") as file:
            return str(np.lib.format.read_array(file, allow_pickle=False)).splitlines()
    except (KeyError, ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise VectorFileError(str(path), 0, f"is no readable npz file of test vectors: {error}") from None


def read_npz(path: Path, header: Header) -> Generator[Block]:
    """Yield the rows of an npz file."""
    dtype, first, name = _dtype(header), 0, str(path)
    try:
        with zipfile.ZipFile(path) as archive, archive.open("rows.npy") as file:
            version = np.lib.format.read_magic(file)
            if version != (1, 0):
                raise ValueError(f"rows.npy has version {version}")
            (count,), _, found = np.lib.format.read_array_header_1_0(file)
            if found != dtype:
                raise ValueError(f"rows.npy has fields {found.descr}; a row of {header.operation} is {dtype.descr}")
            while first < count:
                data = file.read(dtype.itemsize * min(_ROWS, count - first))
                rows = np.frombuffer(data[: len(data) // dtype.itemsize * dtype.itemsize], dtype)
                if not len(rows):
                    break
                yield _block(header, rows, first, name)
                first += len(rows)
    except VectorFileError:
        raise
    except (KeyError, ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise VectorFileError(name, first + 1, f"cannot be read: {error}; the file is damaged", "row") from None
    if first != count or (header.rows >= 0 and header.rows != count):
        problem = f"the file ends after {first} rows, but its header says {max(header.rows, count)}; it may be cut"
        raise VectorFileError(name, 0, problem)


def _pyarrow() -> Any:
    try:
        import pyarrow.parquet as parquet
    except ModuleNotFoundError:
        raise ValueError("Parquet needs pyarrow: pip install pyarrow, or choose npz") from None
    return parquet


def write_parquet(path: Path, header: Header, blocks: Iterable[Block]) -> int:
    """Write a Parquet file, one row group a block."""
    parquet = _pyarrow()
    import pyarrow

    columns = [(field.name, pyarrow.from_numpy_dtype(word_dtype(field.digits))) for field in header.fields]
    schema = pyarrow.schema(columns, metadata={"halfsim": json.dumps(header.lines())})
    count = 0
    with parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        for block in blocks:
            writer.write_table(pyarrow.table(columns_of(header, block), schema=schema))
            count += len(block.result)
    return count


def read_parquet_header(path: Path) -> Header | None:
    """Return the header of a Parquet file."""
    parquet = _pyarrow()
    import pyarrow

    try:
        metadata = parquet.read_schema(path).metadata or {}
    except (pyarrow.ArrowException, OSError) as error:
        raise VectorFileError(str(path), 0, f"is no readable Parquet file: {error}") from None
    return Header.from_lines(json.loads(metadata[b"halfsim"])) if b"halfsim" in metadata else None


def read_parquet(path: Path, header: Header) -> Generator[Block]:
    """Yield the rows of a Parquet file."""
    parquet = _pyarrow()
    import pyarrow

    first, dtype = 0, _dtype(header)
    try:
        with parquet.ParquetFile(path) as file:
            for name in header.names:
                wanted, found = pyarrow.from_numpy_dtype(dtype[name]), file.schema_arrow.field(name).type
                if found != wanted:
                    # A cast would change values without a word.
                    raise VectorFileError(str(path), 0, f"column {name} is of type {found}; its words are {wanted}")
            for batch in file.iter_batches(_ROWS, columns=list(header.names)):
                rows = np.empty(batch.num_rows, dtype)
                for name in header.names:
                    if batch.column(name).null_count:
                        row = first + 1 + batch.column(name).is_null().to_pylist().index(True)
                        raise VectorFileError(str(path), row, f"{name} has no value", "row")
                    rows[name] = batch.column(name).to_numpy(zero_copy_only=False)
                yield _block(header, rows, first, str(path))
                first += len(rows)
    except (KeyError, pyarrow.ArrowException, OSError) as error:
        raise VectorFileError(str(path), first + 1, f"cannot be read: {error}; the file is damaged", "row") from None
    if header.rows >= 0 and header.rows != first:
        problem = f"the file ends after {first} rows, but its header says {header.rows}; it may be cut"
        raise VectorFileError(str(path), 0, problem)
