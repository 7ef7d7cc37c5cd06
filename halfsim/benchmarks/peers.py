"""The peers of elementwise operations: how each is called, and on how much of the operands, as some are slow.

Each function takes the float32 or float16 operands of a row and returns a contender, or None where the package is not
installed or does not know the rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from halfsim.benchmarks.rows import Contender

__all__ = ["apytypes", "chopped", "gfloat", "installed", "numpy_exact", "softfloat", "torch"]

Columns = Sequence[NDArray[Any]]
_SLOW, _SLOWEST = 10, 100
_GFLOAT = {
    "rne": "TiesToEven",
    "rna": "TiesToAway",
    "rtz": "TowardZero",
    "rup": "TowardPositive",
    "rdn": "TowardNegative",
}
_PYCHOP = {"rne": 1, "rup": 2, "rdn": 3, "rtz": 4, "rna": 8, "odd": 9}
_APYTYPES = {
    "rne": "TIES_EVEN",
    "rna": "TIES_AWAY",
    "rtz": "TO_ZERO",
    "rup": "TO_POS",
    "rdn": "TO_NEG",
    "odd": "JAM_UNBIASED",
}
_SOFTFLOAT = {"rne": "NEAR_EVEN", "rna": "NEAR_MAX_MAG", "rtz": "MIN_MAG", "rup": "MAX", "rdn": "MIN"}
_SYMBOLS = {"subtract": "sub", "multiply": "mul", "divide": "div", "fma": "mul_add"}


def installed(name: str) -> Any:
    """Return a module, or None."""
    try:
        return import_module(name)
    except ImportError:
        return None


def as_binary16(value: Any) -> NDArray[np.float16]:
    """Return values that binary16 has, in whatever they are held, as binary16."""
    return np.asarray(value).astype(np.float16)


def _cut(columns: Columns, share: int) -> tuple[list[NDArray[Any]], Any]:
    size = max(1, columns[0].size // share)
    return [np.ascontiguousarray(column[:size]) for column in columns], np.s_[:size]


def numpy_exact(name: str, columns: Columns, mode: str) -> NDArray[np.float64]:
    """Return what a library that rounds binary64 is given, so that rounding it once is right in every mode.

    Conversions, products and sums of two are exact in binary64; quotients and roots have bits enough that no second
    rounding differs. A product and an addend are summed to odd, and exact sums of zero are -0 downward (IEEE 754 6.3).
    """
    wide = [column.astype(np.float64) for column in columns]
    if name not in ("add", "subtract", "fma"):
        return wide[0] if name == "convert" else np.asarray(getattr(np, name)(*wide))
    x, y = (wide[0] * wide[1], wide[2]) if name == "fma" else wide
    y = -y if name == "subtract" else y
    total = _sum_to_odd(x, y) if name == "fma" else x + y
    if mode == "rdn":
        total[(total == 0) & (np.signbit(x) != np.signbit(y))] = -0.0
    return np.asarray(total)


def _sum_to_odd(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return sums of which the last bit is set where they are not exact, as the error of rounding to nearest tells."""
    total = x + y
    virtual = total - x
    error = (x - (total - virtual)) + (y - virtual)
    even = total.view(np.int64) & 1 == 0
    return np.where(even & (abs(error) > 0), np.nextafter(total, np.copysign(np.inf, error)), total)


def torch(name: str, columns: Columns) -> Contender | None:
    """Return torch's half precision, on one thread; its fused multiply-add rounds twice."""
    library = installed("torch")
    if library is None:
        return None
    library.set_num_threads(1)
    tensors = [library.from_numpy(column) for column in columns]
    out = library.empty(columns[0].size, dtype=library.float16)
    calls: dict[str, Callable[[], Any]] = {
        "convert": lambda: out.copy_(tensors[0]),
        "fma": lambda: library.addcmul(tensors[2], tensors[0], tensors[1], out=out),
    }
    call = calls.get(name) or (lambda: getattr(library, name)(*tensors, out=out))
    twice = name == "fma"
    answer = None if twice else lambda made: made.numpy()
    return Contender("torch half", call, out.numel(), answer=answer, note="rounds twice" if twice else "")


def gfloat(name: str, columns: Columns, mode: str) -> Contender | None:
    """Return gfloat, rounding the result of binary64."""
    library = installed("gfloat")
    if library is None or mode not in _GFLOAT:
        return None
    binary16 = import_module("gfloat.formats").format_info_binary16
    part, where = _cut(columns, _SLOW)
    rounding = library.RoundMode[_GFLOAT[mode]]
    call = lambda: library.round_ndarray(binary16, numpy_exact(name, part, mode), rounding)  # noqa: E731
    return Contender("gfloat", call, part[0].size, answer=as_binary16, part=where)


def chopped(name: str, columns: Columns, mode: str) -> Contender | None:
    """Return pychop, rounding the result of binary64."""
    library = installed("pychop")
    if library is None or mode not in _PYCHOP:
        return None
    part, where = _cut(columns, _SLOWEST)
    chop = library.Chop(5, 10, rmode=_PYCHOP[mode])
    return Contender(
        "pychop", lambda: chop(numpy_exact(name, part, mode)), part[0].size, answer=as_binary16, part=where
    )


def apytypes(name: str, columns: Columns, mode: str) -> Contender | None:
    """Return apytypes, on arrays of its own made beforehand."""
    library = installed("apytypes")
    operators: dict[str, Callable[..., Any]] = {
        "convert": lambda x: x.cast_to_half(),
        "add": lambda x, y: x + y,
        "subtract": lambda x, y: x - y,
        "multiply": lambda x, y: x * y,
        "divide": lambda x, y: x / y,
    }
    if library is None or name not in operators:
        return None
    part, where = _cut(columns, _SLOW)
    bits = (8, 23) if name == "convert" else (5, 10)
    arrays = [library.APyFloatArray.from_array(column.astype(np.float64), *bits) for column in part]
    quantization = getattr(library.QuantizationMode, _APYTYPES[mode])

    def call() -> Any:
        with library.APyFloatQuantizationContext(quantization):
            return operators[name](*arrays)

    def answer(made: Any) -> Any:
        return np.asarray(made.to_bits(numpy=True)).astype(np.uint16).view(np.float16)

    return Contender("apytypes", call, part[0].size, answer=answer, part=where)


def softfloat(name: str, columns: Columns, mode: str) -> Contender | None:
    """Return softfloatpy through ``map``, on objects made beforehand; its flags are not read."""
    library = installed("softfloatpy")
    if library is None or mode not in _SOFTFLOAT:
        return None
    part, where = _cut(columns, _SLOWEST)
    kind = library.Float32 if name == "convert" else library.Float16
    objects = [[kind.from_bytes(word) for word in _big_endian(column)] for column in part]
    function = library.f32_to_f16 if name == "convert" else getattr(library, f"f16_{_SYMBOLS.get(name, name)}")

    def call() -> Any:
        with _rounding(library, mode):
            return list(map(function, *objects))

    def answer(made: Any) -> Any:
        return np.frombuffer(b"".join(value.to_bytes() for value in made), ">f2").astype(np.float16)

    return Contender("softfloatpy", call, part[0].size, answer=answer, part=where)


def _big_endian(column: NDArray[Any]) -> list[bytes]:
    width, data = column.itemsize, column.astype(column.dtype.newbyteorder(">")).tobytes()
    return [data[i : i + width] for i in range(0, len(data), width)]


@contextmanager
def _rounding(library: Any, mode: str) -> Iterator[None]:
    """Set softfloatpy's global rounding mode for a while."""
    before = library.get_rounding_mode()
    library.set_rounding_mode(library.RoundingMode[_SOFTFLOAT[mode]])
    try:
        yield
    finally:
        library.set_rounding_mode(before)
