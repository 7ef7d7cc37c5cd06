"""What every elementwise operation is: one callable object with a flagged twin."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from halfsim.arrays import (
    as_patterns,
    broadcast,
    broadcast_shape,
    check_out,
    deliver,
    plain_array,
    writable_result,
)
from halfsim.device import Gpu
from halfsim.environment import IEEE, Environment
from halfsim.flags import Flagged
from halfsim.kernels.select import fast_loops
from halfsim.kernels.threads import run_blocks
from halfsim.options import rounding_control
from halfsim.rounding import RoundingLike

__all__ = ["Operation"]

# Below twice this many elements a loop is too short to be worth another thread.
_BLOCK = 1 << 15

_OPERANDS = ("a", "b", "c")
_FLOAT16 = np.dtype(np.float16)

_COMMON = """
Parameters
----------
{operands}rounding : Rounding, Stochastic or str
    Rounding direction, by default ``"rne"``.{rounding}
environment : Environment
    NaN rule, tininess and flushing, by default `IEEE`.
{options}out : {dtype} array, optional
    Where the result is written; it must have the broadcast shape.
where : bool array, optional
    Elements to compute; elsewhere `out` is left alone (a new result is zero there, its flags 0).
device : str, optional
    ``"cuda"`` computes the same bits on the current CUDA device. Operands may then lie in its memory, and so does the
    result if one does; see `halfsim.device.Gpu`.

Returns
-------
{dtype} array or scalar
    The result; ``{name}.flagged(...)`` returns it with a uint8 array of `Flags` per element.

Raises
------
TypeError
    If an operand is not float16.
ValueError
    If shapes do not broadcast, or the rounding is unknown.
"""


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
        Where it is defined.
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
        if device is not None:
            return self._on_device(device, operands, rounding, environment, out, where, options).value
        value, _ = self._compute(operands, rounding, environment, out, where is True, options, flagged=False)
        return deliver(self.name, value, out, where)

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
        """Compute the operation and the exception flags of every element."""
        if device is not None:
            return self._on_device(device, operands, rounding, environment, out, where, options)
        value, flags = self._compute(operands, rounding, environment, out, where is True, options, flagged=True)
        return Flagged(deliver(self.name, value, out, where), deliver(self.name, flags, None, where))

    def _compute(
        self,
        operands: tuple[Any, ...],
        rounding: RoundingLike,
        environment: Environment,
        out: NDArray[Any] | None,
        everywhere: bool,
        options: dict[str, bool],
        *,
        flagged: bool,
    ) -> tuple[NDArray[Any], NDArray[np.uint8]]:
        name = self.name
        control, seed, index = self._control(operands, rounding, environment, options)
        shape, flat = broadcast(name, _OPERANDS[: self.arity], [self._operand(i, x) for i, x in enumerate(operands)])
        if out is not None:
            check_out(name, out, shape, self.dtype)
        size = flat[0].size
        result = writable_result(out if everywhere else None, shape, self.dtype, flat)
        z = result.reshape(-1)
        if self.dtype == _FLOAT16:
            z = z.view(np.uint16)
        fast = fast_loops(name, control)
        if fast is not None and not flagged:
            values = fast.values
            flags = np.empty(0, np.uint8)

            def block(start: int, stop: int) -> None:
                values(*[x[start:stop] for x in flat], z[start:stop], control)
        else:
            kernel = self.kernel if fast is None else fast.flagged
            flags = np.empty(size, np.uint8)

            def block(start: int, stop: int) -> None:
                part = [x[start:stop] for x in flat]
                kernel(*part, z[start:stop], flags[start:stop], control, seed, index + start, *self.extra)

        run_blocks(block, size, _BLOCK)
        return result, flags.reshape(shape) if flagged else flags

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
        control, seed, index = self._control(operands, rounding, environment, options)
        gpu = Gpu(name, device, *operands, out)
        arrays = [self._operand_on(gpu, i, x) for i, x in enumerate(operands)]
        shape = broadcast_shape(name, _OPERANDS[: self.arity], [tuple(x.shape) for x in arrays])
        if out is not None:
            (gpu.check_out if gpu.resident else partial(check_out, name))(out, shape, self.dtype)
        flat = tuple(gpu.flat(x, shape, np.int64 if i == self.integers else None) for i, x in enumerate(arrays))
        z = gpu.kernels.empty(flat[0].size, np.uint16 if self.dtype == _FLOAT16 else self.dtype)
        flags = gpu.kernels.empty(z.size, np.uint8)
        gpu.kernels.elementwise(self.kernel, flat, z, flags, control, seed, index, self.extra)
        value = gpu.deliver(z, shape, self.dtype, out, where)
        return Flagged(value, gpu.deliver(flags, shape, flags.dtype, None, where))

    def _control(
        self,
        operands: tuple[Any, ...],
        rounding: RoundingLike,
        environment: Environment,
        options: dict[str, bool],
    ) -> tuple[int, int, int]:
        """Check how the operation is called: return its (control word, seed, index)."""
        name = self.name
        if len(operands) != self.arity:
            raise TypeError(f"{name}: takes {self.arity} operand(s), got {len(operands)}; see help(halfsim.{name})")
        for option in options:
            if option not in self.options:
                known = ", ".join(("rounding", "environment", "out", "where", "device", *self.options))
                raise TypeError(f"{name}: unknown keyword {option!r}; known are {known}")
        return rounding_control(name, rounding, environment, **options)

    def _operand(self, position: int, value: Any) -> NDArray[Any]:
        if position != self.integers:
            return as_patterns(self.name, _OPERANDS[position], value)
        array = plain_array(self.name, _OPERANDS[position], value)
        self._check_integers(array.dtype)
        return np.ascontiguousarray(array, np.int64).reshape(array.shape)

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
        names = _OPERANDS[: self.arity]
        operands = "".join(
            f"{x} : {'integer' if i == self.integers else 'float16'} array or scalar\n    Operand, broadcast.\n"
            for i, x in enumerate(names)
        )
        head = (
            f"{self.name}({', '.join(names)}, *, rounding='rne', environment=IEEE, out=None, where=True, device=None)"
        )
        common = _COMMON.format(
            name=self.name,
            operands=operands,
            rounding="" if self.rounds else " It has no effect here.",
            options="".join(f"{option} : bool\n    {_OPTIONS[option]}\n" for option in self.options),
            dtype=self.dtype,
        )
        notes = f"Notes\n-----\n{self.ieee}, {self.clause}. {self.special}".rstrip()
        example = f"Examples\n--------\n>>> import numpy as np, halfsim as hs\n{self.example}\n"
        object.__setattr__(self, "__doc__", f"{head}\n\n{self.summary}\n{common}\n{notes}\n\n{example}")

    def __reduce__(self) -> tuple[Callable[[str], Any], tuple[str]]:
        # A copy, also in another process, is the operation itself.
        return _public, (self.name,)

    def __repr__(self) -> str:
        return f"<halfsim operation {self.name} ({self.ieee})>"


def _public(name: str) -> Any:
    """Return the public object of a name."""
    return getattr(importlib.import_module("halfsim"), name)


_OPTIONS = {"exact": "Whether a result that differs from the operand raises inexact, by default False."}
