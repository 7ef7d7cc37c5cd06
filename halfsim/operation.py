"""What every elementwise operation is: one callable object with a flagged twin."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from halfsim.arrays import (
    as_elements,
    broadcast,
    broadcast_shape,
    check_out,
    deliver,
    native_if_small,
    patterns_dtype,
    plain_array,
    writable_result,
)
from halfsim.device import Gpu
from halfsim.environment import IEEE, Environment
from halfsim.flags import Flagged, Flags
from halfsim.kernels import host
from halfsim.kernels.loops import Loops
from halfsim.kernels.select import select_loops
from halfsim.kernels.tables import WORTH
from halfsim.operation_again import again
from halfsim.operation_text import operation_text
from halfsim.options import rounding_control
from halfsim.rounding import RoundingLike

__all__ = ["Operation"]

_OPERANDS = ("a", "b", "c")
_FLOAT16 = np.dtype(np.float16)
_UINT8, _UINT16 = np.dtype(np.uint8), np.dtype(np.uint16)
_ARRAY = np.ndarray
_NO_FLAGS = Flags(0)
_DESCRIBED = ("name", "ieee", "clause", "summary", "special", "example", "dtype", "rounds", "options", "flags")


@dataclass(frozen=True, eq=False, repr=False)
class Operation:
    """An elementwise operation on binary16: ``op(*operands, rounding=, environment=, out=, where=)``.

    Parameters
    ----------
    name : str
        Public name, NumPy's where NumPy has the operation.
    ieee : str
        Name in IEEE 754, or in the standard that defines it.
    arity : int
        Number of operands.
    kernel : callable
        General loop: ``kernel(*operands, z, flags, control, seed, index, *extra)``.
    summary, example : str
        First line of the docstring, and its example.
    special : str
        Special cases and flags, as prose.
    clause : str
        Where it is defined, such as ``"IEEE 754-2019 §5.4.1"``.
    testfloat : str
        Name in TestFloat, empty where it has none.
    dtype : numpy dtype
        Of the result.
    extra : tuple of int
        Trailing kernel arguments that choose among the operations of one loop.
    integers : int
        Index of the one operand that is integers (of `scaleb`), else -1.
    rounds : bool
        Whether rounding can matter.
    options : tuple of str
        Further keywords, each a bool.
    flags : Flags
        Exceptions that some operands raise, in the environments that flush nothing.

    Examples
    --------
    >>> import halfsim as hs
    >>> hs.fma
    <halfsim operation fma (fusedMultiplyAdd)>
    >>> hs.fma.testfloat, hs.fma.arity
    ('f16_mulAdd', 3)
    """

    name: str
    ieee: str
    arity: int
    kernel: Callable[..., None]
    summary: str
    example: str
    special: str = ""
    clause: str = ""
    testfloat: str = ""
    dtype: np.dtype[Any] = _FLOAT16
    extra: tuple[int, ...] = ()
    integers: int = -1
    rounds: bool = True
    options: tuple[str, ...] = ()
    flags: Flags = _NO_FLAGS
    _plans: dict[Any, tuple[tuple[int, int, int], Loops]] = field(default_factory=dict, init=False)
    """Control words and loops of calls that name a rounding alone; it is the key where elements are few."""

    def __call__(
        self,
        *operands: Any,
        rounding: RoundingLike = "rne",
        environment: Environment = IEEE,
        out: NDArray[Any] | None = None,
        where: ArrayLike | bool = True,
        device: str | None = None,
        **options: bool,
    ) -> Any:
        """Compute the operation; see the operation's own docstring."""
        if environment is IEEE and out is None and where is True and device is None and not options:
            few = again(self, self._plans, operands, rounding, False)
            if few is not None:
                return few
        if device is not None:
            return self._on_device(device, operands, rounding, environment, out, where, options).value
        value, _ = self._compute(operands, rounding, environment, out, where is True, options, False)
        return value if out is None and where is True and value.ndim else deliver(self.name, value, out, where)

    def flagged(
        self,
        *operands: Any,
        rounding: RoundingLike = "rne",
        environment: Environment = IEEE,
        out: NDArray[Any] | None = None,
        where: ArrayLike | bool = True,
        device: str | None = None,
        **options: bool,
    ) -> Flagged:
        """Compute the operation and the exception flags of every element.

        Parameters
        ----------
        *operands, rounding, environment, out, where, device, **options : as of a call
            `out` receives the values; flags are always a new array, 0 where `where` is false.

        Returns
        -------
        Flagged
            Value and flags (uint8, `Flags` bits), of the shape that the operands broadcast to. A GPU's arrays give both
            there.

        Raises
        ------
        TypeError, ValueError
            As of a call.

        Examples
        --------
        >>> import numpy as np, halfsim as hs
        >>> value, flags = hs.divide.flagged(np.float16([1, 1]), np.float16([0, 3]))
        >>> [hs.Flags(bits).name for bits in flags]
        ['divideByZero', 'inexact']
        """
        if environment is IEEE and out is None and where is True and device is None and not options:
            few: Flagged | None = again(self, self._plans, operands, rounding, True)
            if few is not None:
                return few
        if device is not None:
            return self._on_device(device, operands, rounding, environment, out, where, options)
        value, flags = self._compute(operands, rounding, environment, out, where is True, options, True)
        if out is None and where is True and value.ndim:
            return Flagged(value, flags)
        return Flagged(deliver(self.name, value, out, where), deliver(self.name, flags, None, where))

    def _compute(
        self,
        operands: tuple[Any, ...],
        rounding: RoundingLike,
        environment: Environment,
        out: NDArray[Any] | None,
        everywhere: bool,
        options: dict[str, bool],
        flagged: bool,
    ) -> tuple[NDArray[Any], Any]:
        # A call of few elements takes as long as this takes: nothing here is done twice, or before it is needed.
        name = self.name
        if options or len(operands) != self.arity:
            self._check_call(operands, options)
        arrays = [
            x.view(_UINT16) if type(x) is _ARRAY and x.dtype is _FLOAT16 and i != self.integers else self._operand(i, x)
            for i, x in enumerate(operands)
        ]
        shape, dtype = arrays[0].shape, self.dtype
        for x in arrays:
            if x.shape != shape:
                shape, arrays = broadcast(name, _OPERANDS, arrays)
                break
        pieces = False
        if out is None:
            result = np.empty(shape, dtype)
        else:
            result, arrays, pieces = writable_result(name, out, everywhere, shape, dtype, arrays)
        z = result if pieces or len(shape) == 1 else result.reshape(-1)
        if dtype is _FLOAT16:
            z = z.view(patterns_dtype(z.dtype, _UINT16) if pieces else _UINT16)
        size = z.size
        large, usual = size >= WORTH, None
        if type(rounding) is str and environment is IEEE and not options:
            usual = (rounding, WORTH) if large else rounding
        plan = None if usual is None else self._plans.get(usual)
        if plan is None:
            control = rounding_control(name, rounding, environment, **options)
            plan = control, select_loops(name, self.kernel, self.extra, control[0], large)
            if usual is not None:
                self._plans[usual] = plan
        flags = np.empty(size, _UINT8) if flagged else None
        host.compute(plan[1], arrays, z, flags, plan[0], self.extra, pieces)
        return result, flags if flags is None or len(shape) == 1 else flags.reshape(shape)

    def _on_device(
        self,
        device: str,
        operands: tuple[Any, ...],
        rounding: RoundingLike,
        environment: Environment,
        out: Any,
        where: Any,
        options: dict[str, bool],
    ) -> Flagged:
        name = self.name
        self._check_call(operands, options)
        control, seed, index = rounding_control(name, rounding, environment, **options)
        gpu = Gpu(name, device, *operands, out)
        arrays = [self._operand_on(gpu, i, x) for i, x in enumerate(operands)]
        shape = broadcast_shape(name, _OPERANDS[: self.arity], [tuple(x.shape) for x in arrays])
        if out is not None:
            (gpu.check_out if gpu.resident else partial(check_out, name))(out, shape, self.dtype)
        flat = tuple(gpu.flat(x, shape, np.int64 if i == self.integers else None) for i, x in enumerate(arrays))
        z = gpu.kernels.empty(flat[0].size, np.uint16 if self.dtype is _FLOAT16 else self.dtype)
        flags = gpu.kernels.empty(z.size, np.uint8)
        gpu.kernels.elementwise(self.kernel, flat, z, flags, control, seed, index, self.extra)
        value = gpu.deliver(z, shape, self.dtype, out, where)
        return Flagged(value, gpu.deliver(flags, shape, flags.dtype, None, where))

    def _check_call(self, operands: tuple[Any, ...], options: dict[str, bool]) -> None:
        """Check how the operation is called."""
        name = self.name
        if len(operands) != self.arity:
            raise TypeError(f"{name}: takes {self.arity} operand(s), got {len(operands)}; see help(halfsim.{name})")
        for option in options:
            if option not in self.options:
                known = ", ".join(("rounding", "environment", "out", "where", "device", *self.options))
                raise TypeError(f"{name}: unknown keyword {option!r}; known are {known}")

    def _operand(self, position: int, value: Any) -> NDArray[Any]:
        if position != self.integers:
            return native_if_small(as_elements(self.name, _OPERANDS[position], value))
        array = plain_array(self.name, _OPERANDS[position], value)
        self._check_integers(array.dtype)
        return array

    def _operand_on(self, gpu: Gpu, position: int, value: Any) -> Any:
        if position != self.integers:
            return gpu.patterns(_OPERANDS[position], value)
        array = gpu.array(_OPERANDS[position], value)
        self._check_integers(array.dtype)
        return array

    def _check_integers(self, dtype: np.dtype[Any]) -> None:
        if dtype.kind not in "iu" or (dtype.kind == "u" and dtype.itemsize == 8):
            raise TypeError(
                f"{self.name}: operand {_OPERANDS[self.integers]} has dtype {dtype}; pass signed integers (exponents)"
            )

    def __post_init__(self) -> None:
        kinds = {x: "integer" if i == self.integers else "float16" for i, x in enumerate(_OPERANDS[: self.arity])}
        object.__setattr__(self, "__doc__", operation_text(kinds, **{key: getattr(self, key) for key in _DESCRIBED}))

    def __reduce__(self) -> tuple[Callable[[str], Any], tuple[str]]:
        # A copy, also in another process, is the operation itself.
        return _public, (self.name,)

    def __repr__(self) -> str:
        return f"<halfsim operation {self.name} ({self.ieee})>"


def _public(name: str) -> Any:
    """Return the public object of a name."""
    return getattr(importlib.import_module("halfsim"), name)
