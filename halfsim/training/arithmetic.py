"""Arithmetic on whole arrays in binary32 or in binary16, one row each.

Every operation rounds once per element. Sums are sequential in ascending index, or a balanced tree. exp and log are
evaluated in binary64 by `halfsim.kernels.elementary`, which has the same bits on every machine, and rounded once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Any, TypeAlias

import numpy as np

from halfsim.accumulators import Pairwise, Sequential
from halfsim.conversion import convert
from halfsim.environment import FLUSHING, IEEE
from halfsim.formats import BINARY16, BINARY32, Format
from halfsim.kernels import binary32, conversion
from halfsim.linalg import matmul
from halfsim.operations import add, divide, multiply, sqrt, subtract
from halfsim.options import rounding_control
from halfsim.rounding import Rounding, Stochastic, as_rounding
from halfsim.training import functions
from halfsim.training.binary32 import product32, widen
from halfsim.training.functions import Array
from halfsim.training.selection import positive_part

__all__ = ["Arithmetic", "Array", "Draw", "arithmetic", "round16"]

Draw: TypeAlias = Callable[[Stochastic, int], Stochastic]
"""Gives the rounding of so many elements words that nobody has drawn before."""
_Binary: TypeAlias = Callable[[Any, Any], Any]

_PART = 1 << 15  # elements


@dataclass(frozen=True, slots=True, kw_only=True)
class Arithmetic:
    """What a primitive of a network may compute; arrays in and arrays out, all of one dtype.

    Parameters
    ----------
    dtype : numpy dtype
        Of operands and results.
    wide : bool
        Whether it is binary32, with which losses are counted, and no narrower format held in float32.
    convert : callable
        Rounds to the format, once.
    add, subtract, multiply, divide, sqrt : callable
        Correctly rounded elementwise operations.
    positive_part : callable
        The larger of an element and +0: +0 for -0, NaN for NaN.
    total : callable
        Sums of a matrix along axis 0 or 1.

    Examples
    --------
    >>> import numpy as np
    >>> from halfsim.formats import BINARY16
    >>> from halfsim.training.arithmetic import arithmetic
    >>> arithmetic(BINARY16).add(np.float16([1]), np.float16([2**-11])), arithmetic(BINARY16).exp(np.float16([1]))
    (array([1.], dtype=float16), array([2.719], dtype=float16))
    """

    dtype: np.dtype[Any]
    wide: bool
    convert: Callable[[Any], Array]
    add: _Binary
    subtract: _Binary
    multiply: _Binary
    divide: _Binary
    sqrt: Callable[[Any], Any]
    positive_part: Callable[[Array], Array]
    total: Callable[[Array, int], Array]

    def exp(self, x: Array) -> Array:
        """Return the exponentials.

        Parameters
        ----------
        x : array
            Numbers of the format.
        """
        return self.apply(functions.exp, x)

    def log(self, x: Array) -> Array:
        """Return the natural logarithms.

        Parameters
        ----------
        x : array
            Numbers of the format.
        """
        return self.apply(functions.log, x)

    def tanh(self, x: Array) -> Array:
        """Return the hyperbolic tangents: with ``e = exp(-2|x|)``, (1 - e) / (1 + e) in binary64, rounded once.

        Where ``|x| < 2**-10``, x - x³ / 3: the quotient cancels there.

        Parameters
        ----------
        x : array
            Numbers of the format.
        """
        return self.apply(functions.tanh, x)

    def sigmoid(self, x: Array) -> Array:
        """Return 1 / (1 + exp(-x)), in binary64 from ``exp(-|x|)``, which cannot overflow, rounded once.

        Parameters
        ----------
        x : array
            Numbers of the format.
        """
        return self.apply(functions.sigmoid, x)

    def apply(self, function: Callable[[Array], Array], x: Array) -> Array:
        """Return a function of binary64 numbers, rounded once; part after part, so that temporaries stay in a cache.

        Parameters
        ----------
        function : callable
            Of float64 arrays.
        x : array
            Numbers of the format.
        """
        x = np.asarray(x)
        result = np.empty(x.shape, self.dtype)
        source, target = np.ascontiguousarray(x).reshape(-1), result.reshape(-1)
        for start in range(0, source.size, _PART):
            part = slice(start, start + _PART)
            target[part] = self.convert(function(source[part].astype(np.float64)))
        return result

    def sum(self, x: Array, axis: int) -> Array:
        """Return the sums of a matrix along axis 0 or 1, which stays with length 1.

        Parameters
        ----------
        x : array, shape (n, m)
            The terms.
        axis : int
            0 or 1.
        """
        return self.total(x, axis)

    def number(self, x: float) -> Array:
        """Return a number rounded to the format once, to nearest, ties to even, whatever the arithmetic's rounding.

        Parameters
        ----------
        x : float
            Of binary64.
        """
        return round16(np.float64(x)) if self.dtype == np.float16 else _round32(x)


def arithmetic(
    sums: Format | Sequential | Pairwise,
    rounding: Rounding | Stochastic = Rounding.roundTiesToEven,
    flush_to_zero: bool = False,
    draw: Draw | None = None,
) -> Arithmetic:
    """Return the arithmetic of `BINARY16` or `BINARY32`.

    Parameters
    ----------
    sums : Format, Sequential or Pairwise
        The format, or how sums are made in it: a format alone stands for ascending order.
    rounding : Rounding or Stochastic
        How elementwise operations in binary16 and conversions to it round; binary32 is always to nearest, ties to even.
    flush_to_zero : bool
        Whether elementwise binary16 operations take subnormals as zeros and return zeros for them.
    draw : callable, optional
        Gives a stochastic rounding new words for every operation; without it every operation draws the same ones.

    Examples
    --------
    >>> import numpy as np
    >>> from halfsim.formats import BINARY16
    >>> r = arithmetic(BINARY16)
    >>> r.sum(np.ones((2, 3000), np.float16), 1).tolist()
    [[2048.0], [2048.0]]
    """
    how = Sequential(format=sums) if isinstance(sums, Format) else sums
    if how.format == BINARY16:
        how = replace(how, flush_to_zero=True) if flush_to_zero else how
        if isinstance(rounding, Stochastic) or isinstance(how.rounding, Stochastic):
            return _binary16(how, rounding, flush_to_zero, draw or _same)
        return _kept(how, rounding, flush_to_zero, _same)
    if how.format == BINARY32:
        return _BINARY32_TREE if isinstance(how, Pairwise) else _BINARY32
    raise ValueError(f"arithmetic: format={how.format!r} must be halfsim.BINARY16 or halfsim.BINARY32")


def round16(x: Any) -> Array:
    """Return x rounded to binary16, as an array."""
    x = np.asarray(x)
    return x if x.dtype == np.float16 else np.asarray(convert(x, BINARY16))


def _same(rounding: Stochastic, elements: int) -> Stochastic:
    return rounding


def _binary16(
    sums: Sequential | Pairwise, rounding: Rounding | Stochastic, flush_to_zero: bool, draw: Draw
) -> Arithmetic:
    environment = FLUSHING if flush_to_zero else IEEE

    def bound(operation: Callable[..., Any], rounding: Rounding | Stochastic = rounding) -> Callable[..., Any]:
        if isinstance(rounding, Rounding):
            return partial(operation, rounding=rounding, environment=environment)

        def fresh(*operands: Any) -> Any:
            elements = int(np.prod(np.broadcast_shapes(*(np.shape(x) for x in operands))))
            return operation(*operands, rounding=draw(rounding, elements), environment=environment)

        return fresh

    narrow = bound(lambda x, **how: convert(x, BINARY16, **how))
    loops = rounding_control("convert", rounding, environment) if isinstance(rounding, Rounding) else None
    one = np.ones((), np.float16)

    def to16(x: Any) -> Array:
        x = np.asarray(x)
        if x.dtype == np.float32 and loops is not None and x.flags.c_contiguous:
            # The front door's checks would take longer than the rounding of a small array.
            found = conversion.fast(x.reshape(-1).view(np.uint32), BINARY32, BINARY16, loops)
            if found is not None:
                return found.view(np.float16).reshape(x.shape)
        if x.dtype != np.float16:
            return np.asarray(narrow(x))
        # Times one: exact but for what is flushed.
        return np.asarray(multiply(x, one, environment=environment)) if flush_to_zero else x

    def total(x: Array, axis: int) -> Array:
        row = sums
        if isinstance(row.rounding, Stochastic):
            row = replace(row, rounding=draw(row.rounding, x.shape[1 - axis]))
        elif isinstance(row, Pairwise):
            return to16(_tree(bound(add, as_rounding(row.rounding)), x, axis))
        # Products with one are exact, so this is the plain sum.
        ones = np.ones((1, x.shape[0]) if axis == 0 else (x.shape[1], 1), np.float16)
        return to16(matmul(ones, x, accumulator=row) if axis == 0 else matmul(x, ones, accumulator=row))

    return Arithmetic(
        dtype=np.dtype(np.float16),
        wide=False,
        convert=to16,
        add=bound(add),
        subtract=bound(subtract),
        multiply=bound(multiply),
        divide=bound(divide),
        sqrt=bound(sqrt),
        positive_part=positive_part,
        total=total,
    )


def _tree(plus: _Binary, x: Array, axis: int) -> Array:
    """Return the sums by `halfsim.accumulators.Pairwise`'s tree: neighbours level by level, an odd last one passing."""
    x = x if axis == 0 else x.T
    while len(x) > 1:
        level = np.asarray(plus(x[0 : len(x) - 1 : 2], x[1::2]))
        x = np.concatenate([level, x[-1:]]) if len(x) % 2 else level
    x = x if len(x) else np.zeros((1, x.shape[1]), x.dtype)
    return x if axis == 0 else x.T


def _round32(x: Any) -> Array:
    x = np.asarray(x)
    # Of the others every number is one of binary32.
    return binary32.narrow(x) if x.dtype == np.float64 else widen(x)


def _total32(x: Array, axis: int) -> Array:
    ones = np.ones((1, x.shape[0]) if axis == 0 else (x.shape[1], 1), np.float32)
    return product32(ones, x) if axis == 0 else product32(x, ones)


_BINARY32 = Arithmetic(
    dtype=np.dtype(np.float32),
    wide=True,
    convert=_round32,
    add=binary32.add,
    subtract=binary32.subtract,
    multiply=binary32.multiply,
    divide=binary32.divide,
    sqrt=binary32.sqrt,
    positive_part=positive_part,
    total=_total32,
)
_kept = lru_cache(maxsize=64)(_binary16)  # for what draws nothing
_BINARY32_TREE = replace(_BINARY32, total=partial(_tree, binary32.add))
