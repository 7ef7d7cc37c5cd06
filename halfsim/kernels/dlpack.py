"""Arrays of a GPU that another library hands over by DLPack, as their description in the CUDA array interface."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

__all__ = ["GPU_DEVICES", "array_interface"]

GPU_DEVICES = (2, 13)
"""DLPack's numbers of CUDA memory and of managed CUDA memory."""

_KINDS = "iuf"
# The default stream, on which everything here runs: the producer makes its own work come first.
_DEFAULT_STREAM = 1


class _Tensor(ctypes.Structure):
    """DLTensor of DLPack's C header."""

    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    )


_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_pointer.restype, _pointer.argtypes = ctypes.c_void_p, (ctypes.py_object, ctypes.c_char_p)


def array_interface(value: Any) -> tuple[dict[str, Any], Any]:
    """Return (CUDA array interface, owner) of an array that speaks DLPack.

    The owner is the capsule, left unconsumed: the producer's memory lives as long as it does, and it frees itself.
    """
    capsule = value.__dlpack__(stream=_DEFAULT_STREAM)
    tensor = _Tensor.from_address(_pointer(capsule, b"dltensor"))
    dtype = _dtype(tensor)
    shape = tuple(tensor.shape[: tensor.ndim])
    strides = tuple(n * dtype.itemsize for n in tensor.strides[: tensor.ndim]) if tensor.strides else None
    interface = {
        "shape": shape,
        "strides": strides,
        "typestr": dtype.str,
        "data": ((tensor.data or 0) + tensor.byte_offset, False),
        "version": 3,
    }
    return interface, capsule


def _dtype(tensor: _Tensor) -> np.dtype[Any]:
    """Return the NumPy dtype of a tensor's elements, void of the same size where NumPy has none."""
    size = tensor.bits * tensor.lanes // 8
    if tensor.code == 6:
        return np.dtype(np.bool_)
    known = tensor.code < len(_KINDS) and tensor.lanes == 1
    return np.dtype(f"{_KINDS[tensor.code]}{size}" if known else f"V{size}")
