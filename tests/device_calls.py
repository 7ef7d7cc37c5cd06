"""Calls of the public functions whose bits must not depend on where they are computed.

``python -m tests.device_calls simulator|gpu FOLDER`` makes all of them with ``device="cuda"``, from arrays of the host
and from arrays of the device, and writes what they return; a test makes them on the CPU. In Numba's simulator a kernel
is plain Python, and so is the core: few elements, and threads that take several each. It also writes the types of every
launch, for which ``python -m tests.device_calls code FOLDER MAJOR MINOR`` compiles PTX without a GPU or a driver.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import pickle
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from numba import types

import halfsim as hs
from tests.oracles import corners

FLUSHING = dataclasses.replace(hs.X86, flush_inputs=True, flush_results=True)
ENVIRONMENTS = {"ieee": hs.IEEE, "arm": hs.ARM, "riscv": hs.RISCV, "cuda": hs.CUDA, "flushing": FLUSHING}
STOCHASTIC = hs.Stochastic(bits=7, seed=2**64 - 5, offset=2**33 - 9)
ROUNDINGS = {**{rounding.name: rounding for rounding in hs.Rounding}, "stochastic": STOCHASTIC}
OPERATIONS = [value for value in vars(hs).values() if isinstance(value, hs.Operation)]
# One of each loop in every rounding and environment; the others differ from one of them in a number.
EVERYWHERE = ("add", "subtract", "multiply", "divide", "fma", "sqrt", "round_to_integral", "scaleb", "maximum_number")

Put = Callable[[Any], Any]
Call = Callable[[Put, dict[str, Any]], Any]
Launch = tuple[str, tuple[str, str] | None, tuple[Any, ...]]


def operands(size: int) -> list[np.ndarray]:
    """Three columns of corners, as float16."""
    return [hs.from_bits(np.resize(column, size)) for column in corners.triples(max(size, 600), seed=17)]


def arguments(operation: hs.Operation, size: int) -> list[np.ndarray]:
    columns = operands(size)[: operation.arity]
    if operation.integers >= 0:
        columns[operation.integers] = np.arange(size, dtype=np.int32) % 83 - 41
    return columns


def elementwise(size: int) -> Iterator[tuple[str, Call]]:
    """Every operation, and some in every rounding and environment."""
    for operation in OPERATIONS:
        columns = arguments(operation, size)
        yield operation.name, lambda put, how, f=operation, x=columns: f.flagged(*map(put, x), **how)
        if operation.name not in EVERYWHERE:
            continue
        for r, rounding in ROUNDINGS.items():
            for e, environment in ENVIRONMENTS.items():
                control = {"rounding": rounding, "environment": environment}
                if "exact" in operation.options:
                    control["exact"] = True
                yield (
                    f"{operation.name} {r} {e}",
                    lambda put, how, f=operation, x=columns, c=control: f.flagged(*map(put, x), **c, **how),
                )


def shapes() -> Iterator[tuple[str, Call]]:
    """Broadcasting, strides, `out` and `where`."""
    a, b, _ = operands(24)
    square, row, column, cube = a.reshape(4, 6), b[:6], b[:4, None], a.reshape(2, 3, 4)
    yield "broadcast", lambda put, how: hs.add(put(square), put(row), **how)
    yield "outer", lambda put, how: hs.multiply.flagged(put(row), put(column), rounding=STOCHASTIC, **how)
    yield "scalars", lambda put, how: hs.fma.flagged(put(square), np.float16(3), put(row), **how)
    yield "no dimension", lambda put, how: hs.sqrt.flagged(put(np.array(2, np.float16)), **how)
    yield "empty", lambda put, how: hs.add.flagged(put(np.zeros((0, 3), np.float16)), np.zeros(3, np.float16), **how)
    yield "transposed", lambda put, how: hs.subtract(put(cube).T, put(b.reshape(4, 3, 2)), **how)
    yield "every other", lambda put, how: hs.add(put(a)[::2], put(b)[1::2], rounding=STOCHASTIC, **how)
    yield "a column", lambda put, how: hs.add(put(square)[:, 1], put(column)[:, 0], **how)
    mask = np.arange(24).reshape(4, 6) % 3 > 0
    yield "where", lambda put, how: hs.add.flagged(put(square), put(row), where=put(mask), **how)
    yield "where a row", lambda put, how: hs.less(put(square), put(row), where=mask[0], **how)

    def out(put: Put, how: dict[str, Any]) -> Any:
        target = put(np.full((4, 6), 7, np.float16))
        assert hs.add(put(square), put(row), out=target, **how) is target
        return target

    def out_where(put: Put, how: dict[str, Any]) -> Any:
        target = put(np.full((6, 4), 7, np.float16))
        result = hs.add.flagged(put(square), put(row), out=target.T, where=put(mask), **how)
        return target, result.flags

    def in_place(put: Put, how: dict[str, Any]) -> Any:
        both = put(a.copy())
        hs.add(both[:-1], both[1:], out=both[1:], **how)
        return both

    yield "out", out
    yield "out and where", out_where
    yield "overlapping out", in_place


def calls(size: int) -> Iterator[tuple[str, Call]]:
    """Every call by its name."""
    yield from elementwise(size)
    yield from shapes()


def words(result: Any) -> list[np.ndarray]:
    """Return the bits of a result, or of a tuple of them, on the host."""
    parts = result if isinstance(result, tuple) else (result,)
    found = []
    for part in parts:
        array = np.asarray(part.copy_to_host() if hasattr(part, "copy_to_host") else part)
        found.append(array.view(f"u{array.dtype.itemsize}") if array.dtype.kind in "fb" else array)
    return found


def collect(size: int, put: Put, **how: Any) -> dict[str, np.ndarray]:
    """Make every call: bits by name of the call and number of the result."""
    found = {}
    for name, call in calls(size):
        for i, array in enumerate(words(call(put, how))):
            found[f"{name}, result {i}"] = array
    return found


def simulate() -> dict[Launch, None]:
    """Give Numba's simulator the array interface of a GPU's arrays, and small blocks; return the launches to come."""
    from numba import cuda, typeof
    from numba.cuda.cudadrv.devicearray import FakeCUDAArray

    from halfsim.kernels import cuda as kernels

    def interface(array: Any) -> dict[str, Any]:
        return {**array._ary.__array_interface__, "strides": array._ary.strides, "stream": None}

    def adopt(description: dict[str, Any], owner: Any = None, sync: bool = True) -> Any:
        return FakeCUDAArray(np.asarray(SimpleNamespace(__array_interface__=description, owner=owner)))

    FakeCUDAArray.__cuda_array_interface__ = property(interface)
    cuda.from_cuda_array_interface = adopt
    kernels._THREADS, kernels._BLOCKS = 2, 2
    launch, launches = kernels._launch, {}

    def type_of(argument: Any) -> Any:
        if isinstance(argument, FakeCUDAArray):
            array = typeof(argument._ary)
            return types.Array(array.dtype, array.ndim, "A" if 0 in argument.strides else array.layout)
        if isinstance(argument, tuple) and any(isinstance(x, FakeCUDAArray) for x in argument):
            return types.Tuple([type_of(x) for x in argument])
        return typeof(argument)

    def recorded(kernel: Any, size: int, *arguments: Any) -> None:
        function = kernel.py_func if hasattr(kernel, "py_func") else kernel.fn
        loop = function.__closure__[0].cell_contents if function.__closure__ else None
        name = function.__qualname__.split(".")[0]
        launches[name, loop and (loop.__module__, loop.__name__), tuple(map(type_of, arguments))] = None
        launch(kernel, size, *arguments)

    kernels._launch = recorded
    return launches


def code(launches: list[Launch], capability: tuple[int, int]) -> dict[str, str]:
    """Return the PTX of kernels by their names."""
    from numba import cuda
    from numba.cuda import dispatcher

    from halfsim.kernels import cuda as kernels

    # Device functions ask which GPU they are for; there may be none to ask.
    dispatcher.get_current_device = lambda: SimpleNamespace(compute_capability=capability)
    found = {}
    for name, loop, signature in launches:
        kernel = getattr(kernels, name)
        if loop:
            module, function = loop
            kernel = kernel(getattr(importlib.import_module(module), function))
        found[f"{name} {loop} {signature}"], _ = cuda.compile_ptx(kernel.py_func, signature, cc=capability)
    found["floating"], _ = cuda.compile_ptx(floating, (types.int64[::1], types.float64), cc=capability)
    return found


def floating(result, number):
    """No kernel of the package: what the search for floating-point instructions must find."""
    result[0] = np.int64(number * number)


def main(what: str, folder: Path, *capability: str) -> None:
    from numba import cuda

    if what == "code":
        launches = pickle.loads((folder / "launches").read_bytes())
        (folder / "ptx.json").write_text(json.dumps(code(launches, (int(capability[0]), int(capability[1])))))
        return
    launches = simulate() if what == "simulator" else {}
    size = 20 if what == "simulator" else 1 << 16
    host = collect(size, lambda x: x, device="cuda")
    device = collect(size, cuda.to_device, device="cuda")
    (folder / "launches").write_bytes(pickle.dumps(list(launches)))
    np.savez(
        folder / "results.npz",
        **{f"host: {name}": bits for name, bits in host.items()},
        **{f"device: {name}": bits for name, bits in device.items()},
    )


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:])
