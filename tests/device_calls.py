"""Calls of the public functions whose bits must not depend on where they are computed.

``python -m tests.device_calls simulator|gpu FOLDER`` makes all of them with ``device="cuda"``, from arrays of the host
and from arrays of the device, and writes what they return; a test makes them on the CPU. In Numba's simulator a kernel
is plain Python, and so is the core: few elements, and threads that take several each. It also writes the types of every
launch, for which ``python -m tests.device_calls code FOLDER every MAJOR MINOR`` compiles PTX without a GPU or a driver;
for one launch of each loop, with ``"each loop"`` in place of ``every``.
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
OPERATIONS = [value for name in hs.__all__ if isinstance(value := getattr(hs, name), hs.Operation)]
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


def turned(array: Any) -> Any:
    """Return the transpose of an array in its own memory, which Numba's own arrays do not give."""
    if isinstance(array, np.ndarray):
        return array.T
    from halfsim.kernels import cuda as kernels

    return kernels.view(array, shape=tuple(array.shape)[::-1], strides=tuple(array.strides)[::-1])


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
    yield "transposed", lambda put, how: hs.subtract(turned(put(cube)), put(b.reshape(4, 3, 2)), **how)
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
        result = hs.add.flagged(put(square), put(row), out=turned(target), where=put(mask), **how)
        return target, result.flags

    def in_place(put: Put, how: dict[str, Any]) -> Any:
        both = put(a.copy())
        hs.add(both[:-1], both[1:], out=both[1:], **how)
        return both

    yield "out", out
    yield "out and where", out_where
    yield "overlapping out", in_place


def conversions(size: int) -> Iterator[tuple[str, Call]]:
    """Every kind of source and target."""
    rng = np.random.default_rng(8)
    half = operands(size)[0]
    with np.errstate(invalid="ignore"):  # signaling NaNs
        wide = half.astype(np.float64) * (1 + rng.random(size) / 2**11)
    sources = {
        "binary16": half,
        "binary32": rng.integers(0, 2**32, size, np.uint32).view(np.float32),
        "binary64": wide,
        "int8": rng.integers(-128, 128, size).astype(np.int8),
        "uint64": rng.integers(0, 2**64, size, np.uint64),
        "int64": rng.integers(-(2**63), 2**63, size),
    }
    formats = (hs.BINARY16, hs.BINARY32, hs.BINARY64, hs.BFLOAT16, hs.E4M3)
    for name, x in sources.items():
        for mode, rounding in ("rne", "rne"), ("stochastic", STOCHASTIC):
            control = {"rounding": rounding, "environment": hs.ARM, "saturate": True}
            for to in formats:
                yield (
                    f"{name} to {to.name} {mode}",
                    lambda put, how, x=x, to=to, c=control: hs.convert.flagged(put(x), to, **c, **how),
                )
            for to in (np.int8, np.uint16, np.int64, np.uint64) if x.dtype.kind == "f" else ():
                yield (
                    f"{name} to {to.__name__} {mode}",
                    lambda put, how, x=x, to=to, c=control: hs.convert.flagged(put(x), to, exact=True, **c, **how),
                )
    yield "every other number", lambda put, how: hs.convert(put(sources["binary64"])[::2], hs.BINARY16, **how)
    mask = np.arange(size) % 2 > 0
    yield "converted where", lambda put, how: hs.convert(put(half), np.int16, where=put(mask), **how)


def random(seed: int, *shape: int, scale: int = 6) -> np.ndarray:
    """Numbers of many magnitudes, some zeros, and here and there an infinity or NaN."""
    rng = np.random.default_rng(seed)
    numbers = (rng.standard_normal(shape) * 2.0 ** rng.integers(-scale, scale, shape)).astype(np.float16)
    numbers[rng.random(shape) < 0.05] = 0
    special = rng.random(shape) < 0.01
    numbers[special] = rng.choice(np.float16([np.inf, -np.inf, np.nan]), int(special.sum()))
    return numbers


def accumulators() -> dict[str, Any]:
    """Every kind of accumulator, in every rounding that its loop treats apart."""
    sums = {"sequential": hs.Sequential, "pairwise": hs.Pairwise, "compensated": hs.Compensated, "exact": hs.Exact}
    rows = {name: kind() for name, kind in sums.items()}
    rows |= {
        f"{name} binary16 stochastic": kind(format=hs.BINARY16, rounding=STOCHASTIC) for name, kind in sums.items()
    }
    rows |= {f"{name} E5M2 down": kind(format=hs.E5M2, rounding="rdn") for name, kind in sums.items()}
    rows["fused binary16"] = hs.FP16
    rows["fused binary32 stochastic"] = hs.Sequential(fused=True, rounding=STOCHASTIC)
    rows["binary64"] = hs.Sequential(format=hs.BINARY64)
    for name in ("v100:f32", "v100:f16", "a100:f32", "a100:f16", "h100:f32", "mi100:f32", "mi210:f32", "mi300x:f32"):
        rows[name] = name
    rows["a block up"] = hs.FusedDotAdd(terms=5, fraction_bits=20, zero_exponent=-60, align="rup", rounding="rne")
    return rows


def products(rows: int) -> Iterator[tuple[str, Call]]:
    """Products and sums of every accumulator, and of every shape."""
    a, b, c = random(1, rows, 19), random(2, 19, 3), random(3, rows, 3).astype(np.float32)
    for name, row in accumulators().items():
        flagged = not isinstance(row, str | hs.FusedDotAdd)

        def product(put: Put, how: dict[str, Any], row: Any = row, flagged: bool = flagged) -> Any:
            call = hs.matmul.flagged if flagged else hs.matmul
            return call(put(a), put(b), put(c), accumulator=row, **how)

        yield f"matmul {name}", product
        yield f"sum {name}", lambda put, how, row=row: hs.sum(put(b), axis=0, accumulator=row, **how)
    x, y, z = random(4, 2, 1, 3, 7), random(5, 3, 7, 2), random(6, 2, 2, 5, 3)
    f16 = {"accumulator": hs.Pairwise(format=hs.BINARY16, rounding=STOCHASTIC)}
    yield "batches", lambda put, how: hs.matmul.flagged(put(x), put(y), **f16, **how)
    yield "one B", lambda put, how: hs.matmul(put(x), put(y)[1], np.float16(1), **f16, **how)
    yield "strides", lambda put, how: hs.matmul(turned(put(y)[0, ::2]), put(z)[1, 0, 1:], **how)
    yield "row", lambda put, how: hs.matmul(put(x)[0, 0, 0], put(y)[0], **how)
    yield "column", lambda put, how: hs.matmul(put(x), put(y)[0, :, 0], **how)
    yield "inner", lambda put, how: hs.matmul(put(x)[0, 0, 0], put(y)[0, :, 0], **how)
    yield "no terms", lambda put, how: hs.matmul(put(x[..., :0]), put(y[:, :0]), put(c[0, :2]), **how)
    yield "no rows", lambda put, how: hs.matmul.flagged(put(x[..., :0, :]), put(y), **how)
    yield "a row of addends", lambda put, how: hs.matmul(put(x), put(y), put(c[0, :2]), accumulator=hs.FP16, **how)
    yield "dot", lambda put, how: hs.dot.flagged(put(x)[0], put(x)[1, :, :1], put(c[0]), **f16, **how)
    yield "sum of all", lambda put, how: hs.sum.flagged(put(z), accumulator=hs.Exact(), **how)
    yield "sum over axes", lambda put, how: hs.sum(put(z), axis=(2, 0), keepdims=True, accumulator=hs.FP16, **how)
    yield "sum of none", lambda put, how: hs.sum(put(z[:, :0]), axis=1, accumulator=hs.Pairwise(), **how)
    tf32 = hs.convert(random(7, 4, 9).astype(np.float32), hs.TF32)
    row = hs.FusedDotAdd(terms=4, fraction_bits=24, zero_exponent=-132, inputs=hs.TF32)
    yield "TF32", lambda put, how: hs.matmul(put(tf32), turned(put(tf32)), accumulator=row, **how)
    single = hs.FusedDotAdd(terms=4, fraction_bits=10, zero_exponent=-132, inputs=hs.BINARY32)
    yield "binary32", lambda put, how: hs.matmul(put(tf32), turned(put(tf32)), accumulator=single, **how)

    def out(put: Put, how: dict[str, Any]) -> Any:
        target = put(np.zeros((3, rows), np.float32))
        hs.matmul(put(a), put(b), out=turned(target), **how)
        return target

    yield "out of a product", out


def calls(size: int) -> Iterator[tuple[str, Call]]:
    """Every call by its name."""
    yield from elementwise(size)
    yield from shapes()
    yield from conversions(size)
    yield from products(3 if size < 1000 else 129)


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
    cuda.get_current_device = lambda: SimpleNamespace(id=0, name="simulator", compute_capability=(5, 0))
    kernels.unavailable = lambda: ""
    kernels._THREADS, kernels._BLOCKS, kernels._SCRATCH = 2, 2, 50
    launch, launches = kernels._launch, {}

    def type_of(argument: Any) -> Any:
        if isinstance(argument, FakeCUDAArray):
            array = typeof(argument._ary)
            return types.Array(array.dtype, array.ndim, "A" if 0 in argument.strides else array.layout)
        if isinstance(argument, tuple) and any(isinstance(x, FakeCUDAArray) for x in argument):
            return types.Tuple([type_of(x) for x in argument])
        return typeof(argument)

    def recorded(kernel: Any, size: int, *arguments: Any, **limits: int) -> None:
        function = kernel.py_func if hasattr(kernel, "py_func") else kernel.fn
        loop = function.__closure__[0].cell_contents if function.__closure__ else None
        name = function.__qualname__.split(".")[0]
        launches[name, loop and (loop.__module__, loop.__name__), tuple(map(type_of, arguments))] = None
        launch(kernel, size, *arguments, **limits)

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


def main(what: str, folder: Path, which: str = "every", *capability: str) -> None:
    from numba import cuda

    if what == "code":
        recorded: list[Launch] = pickle.loads((folder / "launches").read_bytes())
        chosen = recorded if which == "every" else list({launch[:2]: launch for launch in recorded}.values())
        (folder / "ptx.json").write_text(json.dumps(code(chosen, (int(capability[0]), int(capability[1])))))
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
