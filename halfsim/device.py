"""The front door of calls with ``device="cuda"``: arrays in a GPU's memory, or copied there and back."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from halfsim.arrays import as_patterns, deliver, no_binary16, on_gpu, plain_array

__all__ = ["Gpu"]

_F16 = np.dtype(np.float16)
_HANDING: dict[str, tuple[str, dict[str, Any]]] = {"cupy": ("asarray", {}), "torch": ("as_tensor", {"device": "cuda"})}
"""Functions of libraries that take an array of the CUDA array interface over, without a copy."""


class Gpu:
    """One call of a function on the current CUDA device.

    Operands in the device's memory, of any library that speaks DLPack or the CUDA array interface, are read in place
    where they are contiguous, else gathered there; others are copied to it. The result stays on the device if an
    operand or `out` lies there, as an array of CuPy or a tensor of PyTorch where the first of these is one, else as an
    array of Numba that speaks the CUDA array interface; without any there it is copied back. The work is done on the
    device's default stream, after that of the operands' streams, and is complete when the call returns.

    Parameters
    ----------
    function : str
        Name in error messages.
    device : str
        What the caller passed.
    *values : object
        Operands and `out`.

    Raises
    ------
    ValueError
        For another device than ``"cuda"``.
    RuntimeError
        Where no GPU can be used.

    Examples
    --------
    >>> from halfsim.device import Gpu
    >>> Gpu("add", "gpu")
    Traceback (most recent call last):
    ValueError: add: device='gpu' is not known; pass 'cuda', or None for the CPU
    """

    def __init__(self, function: str, device: str, *values: Any) -> None:
        if device != "cuda":
            raise ValueError(f"{function}: device={device!r} is not known; pass 'cuda', or None for the CPU")
        self.function = function
        self.kernels = _kernels(function)
        here = [value for value in values if on_gpu(value)]
        self.resident = bool(here)
        self._handed = _handing(here[0]) if here else None

    def patterns(self, argument: str, value: Any) -> Any:
        """Return binary16 patterns on the device, of the operand's shape and any strides.

        Parameters
        ----------
        argument : str
            Name of the argument, for messages.
        value : array or scalar
            float16: on the device, read where it lies; or on the CPU, copied.

        Raises
        ------
        TypeError
            For another dtype, or an array that cannot be read on the device.
        """
        if not on_gpu(value):
            return self.kernels.upload(as_patterns(self.function, argument, value))
        array = self._adopt(argument, value)
        if array.dtype != _F16:
            raise no_binary16(self.function, argument, f"{array.dtype} array on the GPU", array.dtype)
        return self.kernels.view(array, np.uint16)

    def array(self, argument: str, value: Any) -> Any:
        """Return an array of any dtype on the device.

        Parameters
        ----------
        argument : str
            Name of the argument, for messages.
        value : array or scalar
            Read where it lies if that is the device, else copied there.

        Raises
        ------
        TypeError
            If it is not an array, or one that cannot be read on the device.
        """
        if on_gpu(value):
            return self._adopt(argument, value)
        return self.kernels.upload(plain_array(self.function, argument, value))

    def flat(self, array: Any, shape: tuple[int, ...], dtype: Any = None) -> Any:
        """Return an array broadcast to a shape, flat and contiguous: itself where it is so already.

        Parameters
        ----------
        array : device array
            Of any strides.
        shape : tuple of int
            What it is broadcast to.
        dtype : dtype, optional
            What it is converted to; by default its own.

        Returns
        -------
        device array
            (elements,).
        """
        dtype = np.dtype(array.dtype if dtype is None else dtype)
        strides = standin(array, shape).strides
        size = int(np.prod(shape, dtype=np.int64))
        if array.dtype == dtype and (array.size == size or size == 0) and array.is_c_contiguous():
            return self.kernels.view(array, shape=(size,))
        target = self.kernels.empty(shape, dtype)
        self.kernels.assign(target, self.kernels.view(array, shape=shape, strides=strides))
        return self.kernels.view(target, shape=(size,))

    def deliver(self, flat: Any, shape: tuple[int, ...], dtype: np.dtype[Any], out: Any, where: Any) -> Any:
        """Hand a flat result over, in `out` if given, as `halfsim.arrays.deliver` does on the CPU.

        Parameters
        ----------
        flat : device array
            (elements,), bit patterns of the result.
        shape, dtype : tuple of int, dtype
            Of the result.
        out : array or None
            Where to write, checked before by `check_out`.
        where : True or array of bool
            Elements to write, broadcast to the shape; others keep what `out` holds, zero without it.

        Returns
        -------
        array
            On the device if an operand was there, else on the CPU.

        Raises
        ------
        TypeError
            If `where` is not of bool.
        ValueError
            If it does not broadcast to the shape.
        """
        kernels = self.kernels
        if not self.resident:
            return deliver(self.function, kernels.download(flat).view(dtype).reshape(shape), out, where)
        words = kernels.view(flat, shape=shape)
        if out is None and where is True:
            kernels.synchronize()
            return self._own(kernels.view(words, dtype))
        own = out is None
        if own:
            held = kernels.view(kernels.filled(flat.size, 0, flat.dtype), shape=shape)
        else:
            held = kernels.view(self._adopt("out", out), flat.dtype)
        kernels.assign(held, words, None if where is True else self._mask(where, shape))
        kernels.synchronize()
        return self._own(kernels.view(held, dtype)) if own else out

    def _own(self, array: Any) -> Any:
        """Return a result as an array of the operands' library, in the same memory."""
        return array if self._handed is None else self._handed(array)

    def check_out(self, out: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        """Raise an error unless a result of this shape and dtype can be written to `out`, which lies on the device.

        Parameters
        ----------
        out : array
            What the caller gave.
        shape, dtype : tuple of int, dtype
            Of the result.

        Raises
        ------
        TypeError
            If it does not lie on the device, or has another dtype.
        ValueError
            If it has another shape.
        """
        name = self.function
        if not on_gpu(out):
            raise TypeError(
                f"{name}: out is of type {type(out).__name__}, but an operand is on the GPU and so is the result; "
                "pass an array on the GPU"
            )
        array = self._adopt("out", out)
        if array.dtype != dtype:
            raise TypeError(
                f"{name}: out has dtype {array.dtype}, but the result is {dtype}; pass an array of that dtype"
            )
        if tuple(array.shape) != shape:
            raise ValueError(
                f"{name}: out has shape {tuple(array.shape)}, but the operands broadcast to {shape}; pass that shape"
            )

    def _adopt(self, argument: str, value: Any) -> Any:
        try:
            return self.kernels.adopt(value)
        except (TypeError, ValueError, RuntimeError, BufferError, NotImplementedError) as error:
            # Tensors that track gradients, masked arrays, memory of another device.
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise TypeError(
                f"{self.function}: {argument}, a {type(value).__name__}, cannot be read on the GPU ({reason}); pass a "
                "plain array in the memory of the current CUDA device"
            ) from None

    def _mask(self, where: Any, shape: tuple[int, ...]) -> Any:
        array = self.array("where", where)
        if array.dtype != np.bool_:
            raise TypeError(f"{self.function}: where has dtype {array.dtype}; pass a boolean mask")
        try:
            strides = standin(array, shape).strides
        except ValueError:
            raise ValueError(
                f"{self.function}: where has shape {tuple(array.shape)}, which does not broadcast to the result's "
                f"{shape}; pass a mask of that shape"
            ) from None
        return self.kernels.view(array, shape=shape, strides=strides)


def _handing(value: Any) -> Callable[[Any], Any] | None:
    """Return what makes an array of an operand's library out of one that speaks the CUDA array interface, or None."""
    for base in type(value).__mro__:
        library = base.__module__.partition(".")[0]
        if library in _HANDING:
            name, options = _HANDING[library]
            return partial(getattr(sys.modules[library], name), **options)
    return None


def standin(array: Any, shape: tuple[int, ...]) -> NDArray[Any]:
    """Return an array of the shape and strides that another has when broadcast; its elements must not be read."""
    here = np.lib.stride_tricks.as_strided(np.empty(1, array.dtype), tuple(array.shape), tuple(array.strides))
    return np.broadcast_to(here, shape)


def _kernels(function: str) -> Any:
    """Return the module of kernels, loaded on first use, or raise an error that says what is missing."""
    try:
        kernels = importlib.import_module("halfsim.kernels.cuda")
        reason = kernels.unavailable()
    except ImportError as error:
        reason = f"Numba's CUDA target cannot be loaded ({error})"
    if reason:
        raise RuntimeError(
            f"{function}: device='cuda' cannot be used, as {reason}; install halfsim[cuda] on a machine with an NVIDIA "
            "GPU and its driver, or drop the keyword"
        )
    return kernels
