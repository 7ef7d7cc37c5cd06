from __future__ import annotations

import gzip
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from halfsim.training.data.idx import parse_idx


def idx(array: np.ndarray) -> bytes:
    """An IDX file of unsigned bytes, as its description says."""
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.astype(np.uint8).tobytes()


IMAGES = np.arange(2 * 3 * 5, dtype=np.uint8).reshape(2, 3, 5)


@given(st.lists(st.integers(0, 4), min_size=1, max_size=4), st.booleans())
def test_what_was_written_is_read(shape: list[int], packed: bool) -> None:
    array = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    content = idx(array)
    found = parse_idx(gzip.compress(content, mtime=0) if packed else content, "file", len(shape))
    assert found.dtype == np.uint8
    assert found.shape == tuple(shape)
    assert np.array_equal(found, array)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "file begins with nothing, not 00000803"),
        (b"\x00\x00\x08", "file begins with 000008, not 00000803"),
        (idx(IMAGES[0]), "file begins with 00000802, not 00000803"),
        (b"\x00\x00\x0d\x03" + idx(IMAGES)[4:], "file begins with 00000d03"),
        (b"P5 28 28", "file begins with 50352032"),
        (idx(IMAGES)[:15], "file ends within its header of 16 bytes"),
        (idx(IMAGES)[:-1], r"file holds 29 bytes of data where its header says 2 × 3 × 5"),
        (idx(IMAGES) + b"\x00", "file holds 31 bytes of data"),
        (gzip.compress(idx(IMAGES), mtime=0)[:-9], "file is damaged: compressed file ended before"),
        (gzip.compress(idx(IMAGES), mtime=0)[:-8] + bytes(8), "file is damaged: CRC check failed"),
        (b"\x1f\x8b" + bytes(30), "file is damaged"),
    ],
)
def test_damaged_files_are_refused(content: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=f"(?i)parse_idx: {message}"):
        parse_idx(content, "file", 3)


def test_a_flipped_byte_of_a_compressed_file_is_noticed() -> None:
    packed = bytearray(gzip.compress(idx(np.arange(256, dtype=np.uint8).reshape(1, 16, 16)), compresslevel=0))
    packed[100] ^= 1
    with pytest.raises(ValueError, match="damaged"):
        parse_idx(bytes(packed), "file", 3)
