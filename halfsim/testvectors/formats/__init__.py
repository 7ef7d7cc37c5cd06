"""Readers and writers of test-vector files.

A file is a `Header` and `Block` after `Block` of rows; `write` and `read` choose the format by its name or by the
file's suffix. Nothing here knows arithmetic.
"""

from halfsim.testvectors.formats.block import Block
from halfsim.testvectors.formats.files import VectorFileError
from halfsim.testvectors.formats.flags import FLAG_ORDERS, FlagOrder, flag_order
from halfsim.testvectors.formats.header import Header
from halfsim.testvectors.formats.names import environment_name, environment_of, rounding_name, rounding_of
from halfsim.testvectors.formats.store import FORMATS, Vectors, format_of, read, write

__all__ = [
    "FLAG_ORDERS",
    "FORMATS",
    "Block",
    "FlagOrder",
    "Header",
    "VectorFileError",
    "Vectors",
    "environment_name",
    "environment_of",
    "flag_order",
    "format_of",
    "read",
    "rounding_name",
    "rounding_of",
    "write",
]
