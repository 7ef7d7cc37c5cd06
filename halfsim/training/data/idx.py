"""The IDX format of the MNIST family: a magic number, sizes, then unsigned bytes.

The format came with MNIST: Y. LeCun et al., "Gradient-based learning applied to document recognition" [@lecun1998].
"""

from __future__ import annotations

import gzip
import math
import zlib

import numpy as np

from halfsim.training.arithmetic import Array

__all__ = ["parse_idx"]

_UNSIGNED_BYTE = 8
_GZIP = b"\x1f\x8b"


def parse_idx(content: bytes, source: str, dimensions: int) -> Array:
    """Return the array of unsigned bytes that an IDX file holds.

    The file is two zero bytes, the type (8: unsigned byte), the number of dimensions, every size as a big-endian
    32-bit integer, then the bytes in C order, and nothing after them.

    Parameters
    ----------
    content : bytes
        The file, as it is or compressed by gzip.
    source : str
        Its name, for messages.
    dimensions : int
        How many there must be: 1 for labels, 3 for images.

    Raises
    ------
    ValueError
        When the file is damaged, is no IDX file, or holds something else.

    Examples
    --------
    >>> parse_idx(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 2, 1]), "labels", dimensions=1)
    array([7, 2, 1], dtype=uint8)
    """
    if content.startswith(_GZIP):
        try:
            content = gzip.decompress(content)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise ValueError(f"parse_idx: {source} is damaged: {_sentence(error)}; copy it again") from None
    header = 4 + 4 * dimensions
    magic = bytes([0, 0, _UNSIGNED_BYTE, dimensions])
    if content[:4] != magic:
        raise ValueError(
            f"parse_idx: {source} begins with {content[:4].hex() or 'nothing'}, not {magic.hex()}, "
            f"as an IDX file of unsigned bytes with {dimensions} dimension(s) does; pass such a file"
        )
    if len(content) < header:
        raise ValueError(f"parse_idx: {source} ends within its header of {header} bytes; copy it again")
    shape = [int(size) for size in np.frombuffer(content, ">u4", dimensions, 4)]
    if len(content) - header != math.prod(shape):
        raise ValueError(
            f"parse_idx: {source} holds {len(content) - header} bytes of data where its header says "
            f"{' × '.join(map(str, shape))}; copy it again"
        )
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)


def _sentence(error: Exception) -> str:
    text = str(error)
    return text[:1].lower() + text[1:]
