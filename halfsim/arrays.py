"""The front door's array handling: operands to contiguous patterns, broadcasting, `out`, `where`, and their errors."""

from __future__ import annotations

from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from halfsim.kernels.dlpack import GPU_DEVICES

__all__ = [
    "as_binary16",
    "as_elements",
    "as_patterns",
    "broadcast",
    "broadcast_shape",
    "check_out",
    "contiguous",
    "deliver",
    "from_bits",
    "native_if_small",
    "no_binary16",
    "on_gpu",
    "patterns_dtype",
    "plain_array",
    "to_bits",
    "writable_result",
]

_F16 = np.dtype(np.float16)
_U16 = np.dtype(np.uint16)
# Bytes up to which a copy of all is quicker than pieces, and no burden.
_FEW = 1 << 21
# How hard to look for memory in common; most strides take less.
_EFFORT = 1000


def on_gpu(value: Any) -> bool:
    """Whether an operand lies in a GPU's memory, by what it says of itself: DLPack or the CUDA array interface."""
    if isinstance(value, np.ndarray | np.generic):
        return False
    device = getattr(value, "__dlpack_device__", None)
    return (device is not None and int(device()[0]) in GPU_DEVICES) or hasattr(value, "__cuda_array_interface__")


def plain_array(function: str, argument: str, value: Any) -> NDArray[Any]:
    """Return any operand as a plain array, or raise a `TypeError` when it is none."""
    if on_gpu(value):
        raise TypeError(f"{function}: operand {argument} is on a GPU; pass device='cuda', or copy it to the host first")
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{function}: operand {argument} is a masked array; pass its filled() values and use where=")
    try:
        return np.asarray(value)
    except (TypeError, ValueError, RuntimeError):
        # Ragged lists, tensors that track gradients, dtypes unknown to NumPy.
        raise TypeError(
            f"{function}: operand {argument}, a {type(value).__name__}, cannot be read as an array; pass a numpy array"
        ) from None


def as_binary16(function: str, argument: str, value: Any) -> NDArray[np.float16]:
    """Return an operand as a float16 array in native byte order, or raise a `TypeError` that says what to do."""
    array = value if type(value) is np.ndarray else plain_array(function, argument, value)
    if array.dtype is _F16 or array.dtype == _F16:
        return array
    if array.dtype.kind == "f" and array.dtype.itemsize == 2:
        return array.astype(_F16)
    kind = f"Python {type(value).__name__}" if isinstance(value, float | int) else f"{array.dtype} array"
    raise no_binary16(function, argument, kind, array.dtype)


def as_elements(function: str, argument: str, value: Any) -> NDArray[np.uint16]:
    """Return an operand's patterns where they lie, in their order of bytes, or raise as `as_binary16` does."""
    array = value if type(value) is np.ndarray else plain_array(function, argument, value)
    if array.dtype.kind == "f" and array.dtype.itemsize == 2:
        return array.view(patterns_dtype(array.dtype, _U16))
    return as_binary16(function, argument, value).view(_U16)


def native_if_small(array: NDArray[Any]) -> NDArray[Any]:
    """Return an array in native byte order, but a large one in its own: loops convert that in pieces."""
    if array.dtype.isnative or array.nbytes > _FEW:
        return array
    return array.astype(array.dtype.newbyteorder("="))


def patterns_dtype(numbers: np.dtype[Any], patterns: np.dtype[Any]) -> np.dtype[Any]:
    """Return the native dtype of patterns in the order of bytes that numbers have."""
    return patterns if numbers.isnative else patterns.newbyteorder()


def no_binary16(function: str, argument: str, kind: str, dtype: np.dtype[Any]) -> TypeError:
    """Return the error of an operand that is not float16."""
    if dtype == _U16:
        way_out = "halfsim.from_bits(...) takes it as bit patterns, halfsim.convert(..., halfsim.BINARY16) as integers"
    else:
        way_out = "round it first with halfsim.convert(..., halfsim.BINARY16) or pass numpy.float16 values"
    return TypeError(f"{function}: operand {argument} is of type {kind}, not float16; {way_out}")


def as_patterns(function: str, argument: str, value: Any) -> NDArray[np.uint16]:
    """Return an operand's patterns as a C-contiguous uint16 array of its shape."""
    return contiguous(as_binary16(function, argument, value)).view(_U16)


def contiguous(array: NDArray[Any]) -> NDArray[Any]:
    """Return an array as compiled loops know them: contiguous, aligned, writeable, native; else a copy that is."""
    if array.flags.carray and array.dtype.isnative:
        return array
    if not array.dtype.isnative:
        return array.astype(array.dtype.newbyteorder("="), order="C")
    # Imported where it is needed: it brings Numba, which bit patterns alone do not ask for.
    from halfsim.kernels.transposition import transposed

    turned = transposed(array)
    return array.copy() if turned is None else turned


def broadcast_shape(function: str, names: tuple[str, ...], shapes: list[tuple[int, ...]]) -> tuple[int, ...]:
    """Return the common shape of operands."""
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        listed = ", ".join(f"{name} {shape}" for name, shape in zip(names, shapes, strict=True))
        raise ValueError(
            f"{function}: operand shapes do not broadcast together: {listed}; trailing dimensions must be equal or 1"
        ) from None


def broadcast(
    function: str, names: tuple[str, ...], arrays: list[NDArray[Any]]
) -> tuple[tuple[int, ...], list[NDArray[Any]]]:
    """Return the common shape of operands and views of that shape."""
    shape = broadcast_shape(function, names[: len(arrays)], [array.shape for array in arrays])
    return shape, [np.broadcast_to(array, shape) for array in arrays]


def check_out(function: str, out: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return `out` as a plain array if a result of this shape and dtype can be written to it."""
    if isinstance(out, np.ma.MaskedArray):
        raise TypeError(f"{function}: out is a masked array; pass its data and use where=")
    if not isinstance(out, np.ndarray):
        raise TypeError(f"{function}: out is of type {type(out).__name__}; pass a numpy array of dtype {dtype}")
    if out.dtype is not dtype and out.dtype.newbyteorder("=") != dtype:
        raise TypeError(
            f"{function}: out has dtype {out.dtype}, but the result is {dtype}; pass an array of that dtype"
        )
    if out.shape != shape:
        raise ValueError(
            f"{function}: out has shape {out.shape}, but the operands broadcast to {shape}; pass that shape"
        )
    if not out.flags.writeable:
        raise ValueError(f"{function}: out is read-only; pass a writeable array")
    # A matrix would stay one when it is made flat.
    return out if type(out) is np.ndarray else out.view(np.ndarray)


def writable_result(
    function: str,
    out: Any,
    everywhere: bool,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    operands: list[NDArray[Any]],
) -> tuple[NDArray[Any], list[NDArray[Any]], bool]:
    """Return where loops write a result meant for `out`, their operands, and whether that must be done in pieces.

    Pieces are for an `out` that no loop takes as it is, or that is an operand, element for element: loops may read
    operands again when they have written. An operand that lies in `out` otherwise is copied, if that is less than a
    new result, which is written to `out` at the end.
    """
    out = check_out(function, out, shape, dtype)
    known = out.flags.carray and out.dtype.isnative
    beside = [i for i, x in enumerate(operands) if np.may_share_memory(out, x)]
    if known and everywhere and not beside:
        return out, operands, False
    if not everywhere or out.nbytes <= _FEW or not _apart(out):
        return np.empty(shape, dtype), operands, False
    same = [i for i in beside if _same_elements(out, operands[i])]
    copied: dict[int, NDArray[Any]] = {}
    for i in beside:
        if i not in same and np.may_share_memory(out, operands[i], _EFFORT):  # type: ignore[arg-type]
            x = operands[i]
            copied[i] = x[tuple(slice(None if step else 1) for step in x.strides)]
    if sum(x.nbytes for x in copied.values()) >= out.nbytes:
        return np.empty(shape, dtype), operands, False
    arrays = [np.broadcast_to(copied[i].copy(), shape) if i in copied else x for i, x in enumerate(operands)]
    return out, arrays, bool(same) or not known


def _same_elements(out: NDArray[Any], x: NDArray[Any]) -> bool:
    """Whether two arrays of one shape have every element in the same place."""
    if out.ctypes.data != x.ctypes.data or out.dtype.itemsize != x.dtype.itemsize:
        return False
    steps = zip(out.strides, x.strides, out.shape, strict=True)
    return out.strides == x.strides or all(mine == theirs for mine, theirs, length in steps if length > 1)


def _apart(out: NDArray[Any]) -> bool:
    """Whether the strides of an array show that no two elements of it share memory."""
    room = out.dtype.itemsize
    for step, length in sorted((abs(step), length) for step, length in zip(out.strides, out.shape, strict=True)):
        if length > 1:
            if step < room:
                return False
            room = step * length
    return True


def deliver(function: str, result: NDArray[Any], out: NDArray[Any] | None, where: ArrayLike | bool) -> Any:
    """Write a result to `out` where `where` holds, or return it, zero-filled elsewhere; 0-d results become scalars."""
    if where is not True:
        mask = np.asarray(where)
        if mask.dtype != np.bool_:
            raise TypeError(f"{function}: where has dtype {mask.dtype}; pass a boolean mask")
        try:
            mask = np.broadcast_to(mask, result.shape)
        except ValueError:
            raise ValueError(
                f"{function}: where has shape {mask.shape}, which does not broadcast to the result's {result.shape}; "
                "pass a mask of that shape"
            ) from None
        target = np.zeros_like(result) if out is None else out
        np.copyto(target, result, where=mask)
        return target[()] if out is None else target
    if out is None:
        return result if result.ndim else result[()]
    if result is not out:
        np.copyto(out, result)
    return out


@overload
def from_bits(bits: int | np.integer[Any]) -> np.float16: ...
@overload
def from_bits(bits: ArrayLike) -> NDArray[np.float16]: ...
def from_bits(bits: ArrayLike) -> Any:
    """Read 16-bit patterns as binary16 numbers, in the encoding of IEEE 754-2019 §3.4.

    Parameters
    ----------
    bits : array_like of integers
        Patterns, 0 to 65535, of any integer dtype and shape.

    Returns
    -------
    float16 array or scalar
        The same patterns; NaN payloads and signaling NaNs are kept.

    Raises
    ------
    TypeError, ValueError
        For anything but integers, and for integers outside 0 to 65535.

    Examples
    --------
    >>> import halfsim as hs
    >>> float(hs.from_bits(0x3555))
    0.333251953125
    """
    array = plain_array("from_bits", "bits", bits)
    if array.dtype.kind not in "iu" and array.size:
        raise TypeError(f"from_bits: bits has dtype {array.dtype}; pass integers from 0 to 65535")
    if array.dtype != _U16 and array.size and (int(array.min()) < 0 or int(array.max()) > 0xFFFF):
        raise ValueError(
            f"from_bits: bits spans {int(array.min())} to {int(array.max())}; binary16 patterns are 0 to 65535"
        )
    return array.astype(_U16).view(_F16)[()]


@overload
def to_bits(x: np.float16) -> np.uint16: ...
@overload
def to_bits(x: ArrayLike) -> NDArray[np.uint16]: ...
def to_bits(x: Any) -> Any:
    """Return the 16-bit patterns of binary16 numbers, in the encoding of IEEE 754-2019 §3.4.

    Parameters
    ----------
    x : float16 array or scalar
        Numbers of any shape.

    Returns
    -------
    uint16 array or scalar
        A copy of the patterns, in native byte order.

    Raises
    ------
    TypeError
        If `x` is not float16.

    Examples
    --------
    >>> import numpy as np, halfsim as hs
    >>> hex(hs.to_bits(np.float16(-2)))
    '0xc000'
    """
    return as_patterns("to_bits", "x", x).copy()[()]
