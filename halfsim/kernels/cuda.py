"""The loops of this package on an NVIDIA GPU, through Numba's CUDA target; no other file names it.

A thread calls the very loop of the CPU, compiled for the GPU, on one element at a time: neither arithmetic nor the
order of a sum is written twice. Integers only, hence the same bits.

Work goes to the default stream of the current device, in order; `download` and `synchronize` wait for it.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numba import config, cuda
from numpy.typing import NDArray

from halfsim.kernels.dlpack import GPU_DEVICES, array_interface

__all__ = [
    "adopt",
    "assign",
    "cast",
    "current_device",
    "download",
    "elementwise",
    "empty",
    "filled",
    "indices",
    "spans",
    "synchronize",
    "unavailable",
    "upload",
    "view",
]

# Threads of a block, and most blocks of a launch; a thread takes every so-many-th element.
_THREADS = 128
_BLOCKS = 1 << 13
# Most int64 of scratch memory, 256 MiB.
_SCRATCH = 1 << 25


def unavailable() -> str:
    """Return why no GPU can be used, or an empty string."""
    if config.ENABLE_CUDASIM:
        return "Numba simulates CUDA (NUMBA_ENABLE_CUDASIM is set), and its arrays have no CUDA array interface"
    if not cuda.is_available():
        return "no NVIDIA GPU with a working driver and CUDA compiler was found"
    try:  # what the first compilation loads: numba-cuda 0.30 asks NumPy for a function that 2.5 has no more
        importlib.import_module("numba.cuda.cudaimpl")
    except (AttributeError, ImportError) as error:
        return f"Numba's CUDA target does not load with NumPy {np.__version__} ({error})"
    return ""


def current_device() -> tuple[str, tuple[int, int]]:
    """Return the (name, compute capability) of the current device."""
    device = cuda.get_current_device()
    name = device.name.decode() if isinstance(device.name, bytes) else str(device.name)
    major, minor = device.compute_capability
    return name, (int(major), int(minor))


# --- Arrays -----------------------------------------------------------------------------------------------------------


def adopt(value: Any) -> Any:
    """Return a GPU array of any library as Numba's, over the same memory, which it keeps alive.

    By DLPack where the array speaks it, as its producer then waits for work of other streams; else by the CUDA array
    interface, whose stream is waited for if it names one.
    """
    device = getattr(value, "__dlpack_device__", None)
    if device is None or device()[0] not in GPU_DEVICES:
        return cuda.from_cuda_array_interface(value.__cuda_array_interface__, owner=value)
    here, there = cuda.get_current_device().id, int(device()[1])
    if here != there:
        raise ValueError(f"it lies on device {there}, and the current one is {here}")
    interface, owner = array_interface(value)
    return cuda.from_cuda_array_interface(interface, owner=owner)


def view(array: Any, dtype: Any = None, shape: tuple[int, ...] | None = None, strides: Any = None) -> Any:
    """Return the memory of an array under another dtype, shape or strides (in bytes; none for C order)."""
    interface = {
        "shape": array.shape if shape is None else shape,
        "strides": array.strides if shape is None and strides is None else strides,
        "typestr": np.dtype(array.dtype if dtype is None else dtype).str,
        "data": array.__cuda_array_interface__["data"],
        "version": 3,
    }
    return cuda.from_cuda_array_interface(interface, owner=array)


def empty(shape: Any, dtype: Any) -> Any:
    """Return a new array in C order."""
    return cuda.device_array(shape, np.dtype(dtype))


def filled(size: int, value: int, dtype: Any) -> Any:
    """Return a new flat array of one value."""
    one = upload(np.full(1, value, dtype))
    array = empty(size, dtype)
    assign(array, view(one, shape=(size,), strides=(0,)))
    return array


def upload(array: NDArray[Any]) -> Any:
    """Copy an array to the GPU."""
    return cuda.to_device(np.ascontiguousarray(array).reshape(array.shape))


def download(array: Any) -> NDArray[Any]:
    """Copy a contiguous array to the host."""
    host: NDArray[Any] = array.copy_to_host()
    return host


def synchronize() -> None:
    """Wait until everything asked for is done."""
    cuda.synchronize()


def cast(array: Any, dtype: Any) -> Any:
    """Return integers in another dtype, in a new array."""
    result = empty(array.shape, dtype)
    assign(result, array)
    return result


def indices(size: int) -> Any:
    """Return the integers from 0 to size - 1."""
    array = empty(size, np.int64)
    _launch(_count, size, array)
    return array


# --- Kernels ----------------------------------------------------------------------------------------------------------


def _launch(kernel: Any, size: int, *arguments: Any, most: int = 1 << 31) -> None:
    """Start a thread per element, but `most` in all; whose number is less takes several elements."""
    if size:
        blocks, threads = _grid(size, most)
        with warnings.catch_warnings():
            # Numba's advice that a small grid leaves most of a GPU idle, which begins with an escape for bold letters.
            warnings.filterwarnings("ignore", message=r"(\x1b\[1m)?Grid size")
            kernel[blocks, threads](*arguments)


def _grid(size: int, most: int) -> tuple[int, int]:
    """Return (blocks, threads of a block)."""
    threads = min(_THREADS, size, most)
    return min(_BLOCKS, -(-size // threads), most // threads), threads


@cuda.jit
def _count(target):
    for i in range(cuda.grid(1), target.size, cuda.gridsize(1)):
        target[i] = i


@cuda.jit
def _assign(target, source, mask):
    for i in range(cuda.grid(1), target.size, cuda.gridsize(1)):
        if mask.flat[i]:
            target.flat[i] = source.flat[i]


def assign(target: Any, source: Any, mask: Any = None) -> None:
    """Copy elements, whatever the strides, to an array of the same shape and maybe another integer dtype."""
    shape = target.shape or (1,)
    if mask is None:
        mask = view(upload(np.ones(1, np.bool_)), shape=shape, strides=(0,) * len(shape))
    arrays = [x if x.shape else view(x, shape=(1,)) for x in (target, source, mask)]
    _launch(_assign, target.size, *arrays)


@cache
def _unary(loop: Callable[..., None]) -> Any:
    @cuda.jit
    def kernel(operands, z, flags, control, seed, index, extra):
        a = operands[0]
        for i in range(cuda.grid(1), z.size, cuda.gridsize(1)):
            s = slice(i, i + 1)
            loop(a[s], z[s], flags[s], control, seed, index + i, *extra)

    return kernel


@cache
def _binary(loop: Callable[..., None]) -> Any:
    @cuda.jit
    def kernel(operands, z, flags, control, seed, index, extra):
        a, b = operands
        for i in range(cuda.grid(1), z.size, cuda.gridsize(1)):
            s = slice(i, i + 1)
            loop(a[s], b[s], z[s], flags[s], control, seed, index + i, *extra)

    return kernel


@cache
def _ternary(loop: Callable[..., None]) -> Any:
    @cuda.jit
    def kernel(operands, z, flags, control, seed, index, extra):
        a, b, c = operands
        for i in range(cuda.grid(1), z.size, cuda.gridsize(1)):
            s = slice(i, i + 1)
            loop(a[s], b[s], c[s], z[s], flags[s], control, seed, index + i, *extra)

    return kernel


_KERNELS = {1: _unary, 2: _binary, 3: _ternary}


def elementwise(
    loop: Callable[..., None],
    operands: tuple[Any, ...],
    z: Any,
    flags: Any,
    control: int,
    seed: int,
    index: int,
    extra: tuple[Any, ...] = (),
) -> None:
    """Run a loop of `halfsim.kernels.elementwise` over flat arrays; every argument is as it has it."""
    _launch(_KERNELS[len(operands)](loop), z.size, operands, z, flags, control, seed, index, extra)


@cache
def _spans(loop: Callable[..., None]) -> Any:
    @cuda.jit
    def kernel(before, size, after):
        for i in range(cuda.grid(1), size, cuda.gridsize(1)):
            loop(*before, i, i + 1, *after)

    return kernel


@cache
def _spans_with_scratch(loop: Callable[..., None]) -> Any:
    @cuda.jit
    def kernel(before, size, scratch, after):
        # A column each, so that neighbouring threads touch neighbouring words.
        own = scratch[:, cuda.grid(1)]
        for i in range(cuda.grid(1), size, cuda.gridsize(1)):
            loop(*before, i, i + 1, own, *after)

    return kernel


def spans(
    loop: Callable[..., None],
    before: tuple[Any, ...],
    size: int,
    minimum: int,
    scratch: int = 0,
    after: tuple[Any, ...] = (),
) -> None:
    """Run ``loop(*before, i, i + 1, *after)`` for every i of ``range(size)``, as `halfsim.kernels.host.spans` does.

    Threads are so many that their scratch memory stays below `_SCRATCH` integers; `minimum` has no meaning here.
    """
    if not scratch:
        _launch(_spans(loop), size, before, size, after)
    elif size:
        most = max(1, _SCRATCH // scratch)
        blocks, threads = _grid(size, most)
        memory = empty((scratch, blocks * threads), np.int64)
        _launch(_spans_with_scratch(loop), size, before, size, memory, after, most=most)
