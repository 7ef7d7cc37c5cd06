"""Functions of one number: evaluated in binary64 and rounded once, and derivatives rounded once and then multiplied."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import torch

from halfsim.interop.torch.call import Call
from halfsim.interop.torch.operators.table import operator
from halfsim.training import functions
from halfsim.training.arithmetic import Arithmetic, Array

__all__ = [
    "celu",
    "elu",
    "gelu",
    "gelu_backward",
    "glu",
    "leaky_relu",
    "power",
    "sigmoid_backward",
    "silu_backward",
    "softplus",
    "tanh_backward",
]

_Function: TypeAlias = Callable[[Array], Array]

_ROOT2, _ROOT_TAU = math.sqrt(2.0), math.sqrt(2.0 * math.pi)
_TANH_SCALE, _TANH_CUBE = math.sqrt(2.0 / math.pi), 0.044715


def _once(call: Call, function: _Function, x: torch.Tensor) -> Any:
    return call.pointwise(lambda r, x: r.apply(function, x), x)


def _chain(call: Call, derivative: _Function, gradient: torch.Tensor, x: torch.Tensor) -> Any:
    return call.pointwise(lambda r, g, x: r.multiply(g, r.apply(derivative, x)), gradient, x)


def _log2(x: Array) -> Array:
    return functions.log(x) / math.log(2.0)


def _exp2(x: Array) -> Array:
    return functions.exp(x * math.log(2.0))


def _log1p(x: Array) -> Array:
    """Return log(1 + x), corrected for what the sum rounds off."""
    y = 1.0 + x
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(np.isfinite(y) & (y > 0), functions.log(y) - ((y - 1.0) - x) / y, functions.log(y))


def _expm1(x: Array) -> Array:
    """Return exp(x) - 1: 2 t / (1 - t) with t = tanh(x / 2) where x is small."""
    t = functions.tanh(np.clip(0.5 * x, -0.5, 0.5))
    return np.where(np.abs(x) < 1.0, 2.0 * t / (1.0 - t), functions.exp(x) - 1.0)


_FUNCTIONS: dict[str, _Function] = {
    "exp": functions.exp,
    "exp2": _exp2,
    "expm1": _expm1,
    "log": functions.log,
    "log2": _log2,
    "log10": lambda x: functions.log(x) / math.log(10.0),
    "log1p": _log1p,
    "tanh": functions.tanh,
    "sigmoid": functions.sigmoid,
    "erf": functions.erf,
    "erfc": functions.erfc,
    "sin": functions.sin,
    "cos": functions.cos,
    "tan": lambda x: functions.sin(x) / functions.cos(x),
    "silu": lambda x: _times(x, functions.sigmoid(x)),
    "mish": lambda x: _times(x, functions.tanh(np.maximum(x, 0.0) + _log1p(functions.exp(-np.abs(x))))),
}


def _times(x: Array, share: Array) -> Array:
    """Return x times a share, which is zero for minus infinity."""
    with np.errstate(invalid="ignore"):
        return np.where(x == -np.inf, -0.0, x * share)


def _enter(name: str, function: _Function) -> None:
    @operator(name)
    def handler(call: Call, x: torch.Tensor) -> Any:
        return _once(call, function, x)


for _name, _one in _FUNCTIONS.items():
    _enter(_name, _one)


def _gelu(x: Array) -> Array:
    return _times(x, 0.5 * functions.erfc(-x / _ROOT2))


def _gelu_slope(x: Array) -> Array:
    return (
        0.5 * functions.erfc(-x / _ROOT2) + np.where(np.abs(x) < 40, x, 0.0) * functions.exp(-0.5 * x * x) / _ROOT_TAU
    )


def _gelu_tanh(x: Array) -> Array:
    return _times(x, 0.5 * (1.0 + functions.tanh(_TANH_SCALE * (x + _TANH_CUBE * x * x * x))))


def _gelu_tanh_slope(x: Array) -> Array:
    t = functions.tanh(_TANH_SCALE * (x + _TANH_CUBE * x * x * x))
    inner = _TANH_SCALE * (1.0 + 3.0 * _TANH_CUBE * x * x)
    return 0.5 * (1.0 + t) + 0.5 * np.where(np.abs(x) < 1e9, x, 0.0) * (1.0 - t * t) * inner


@operator("gelu")
def gelu(call: Call, x: torch.Tensor, *, approximate: str = "none") -> Any:
    """Return x times the normal distribution function of x, or its approximation by tanh."""
    return _once(call, _gelu if approximate == "none" else _gelu_tanh, x)


@operator("gelu_backward")
def gelu_backward(call: Call, gradient: torch.Tensor, x: torch.Tensor, *, approximate: str = "none") -> Any:
    """Return g times the derivative of gelu at x."""
    return _chain(call, _gelu_slope if approximate == "none" else _gelu_tanh_slope, gradient, x)


def _silu_slope(x: Array) -> Array:
    s = functions.sigmoid(x)
    return s + _times(x, s) * (1.0 - s)


@operator("silu_backward")
def silu_backward(call: Call, gradient: torch.Tensor, x: torch.Tensor) -> Any:
    """Return g times the derivative of x sigmoid(x)."""
    return _chain(call, _silu_slope, gradient, x)


@operator("tanh_backward")
def tanh_backward(call: Call, gradient: torch.Tensor, y: torch.Tensor) -> Any:
    """Return g (1 - y y), three operations."""
    return call.pointwise(lambda r, g, y, one: r.multiply(g, r.subtract(one, r.multiply(y, y))), gradient, y, 1.0)


@operator("sigmoid_backward")
def sigmoid_backward(call: Call, gradient: torch.Tensor, y: torch.Tensor) -> Any:
    """Return g (y (1 - y)), three operations."""
    return call.pointwise(lambda r, g, y, one: r.multiply(g, r.multiply(y, r.subtract(one, y))), gradient, y, 1.0)


@operator("softplus")
def softplus(call: Call, x: torch.Tensor, beta: float = 1, threshold: float = 20) -> Any:
    """Return log(1 + exp(beta x)) / beta, x itself above the threshold."""

    def value(x: Array) -> Array:
        z = beta * x
        return np.where(z > threshold, x, (np.maximum(z, 0.0) + _log1p(functions.exp(-np.abs(z)))) / beta)

    return _once(call, value, x)


@operator("elu")
def elu(call: Call, x: torch.Tensor, alpha: float = 1, scale: float = 1, input_scale: float = 1) -> Any:
    """Return scale x, or scale alpha (exp(input_scale x) - 1) where x is negative."""
    return _once(call, lambda x: scale * np.where(x > 0, x, alpha * _expm1(np.minimum(input_scale * x, 0.0))), x)


@operator("celu")
def celu(call: Call, x: torch.Tensor, alpha: float = 1.0) -> Any:
    """Return x, or alpha (exp(x / alpha) - 1) where x is negative."""
    if not alpha:
        raise RuntimeError("ZeroDivisionError: alpha cannot be 0 for CELU")
    return elu(call, x, alpha, 1.0, 1.0 / alpha)


@operator("glu")
def glu(call: Call, x: torch.Tensor, dim: int = -1) -> Any:
    """Return the first half times the sigmoid of the second, two operations."""
    first, second = x.chunk(2, dim)
    return call.pointwise(lambda r, a, b: r.multiply(a, r.apply(functions.sigmoid, b)), first, second)


@operator("leaky_relu")
def leaky_relu(call: Call, x: torch.Tensor, slope: float = 0.01) -> Any:
    """Return x, or slope x where x is not positive: one operation, and a selection."""
    return call.pointwise(lambda r, x, s: np.where(x > 0, x, r.multiply(x, s)), x, slope)


@operator("pow")
def power(call: Call, x: torch.Tensor | float, y: torch.Tensor | float) -> Any:
    """Return x to the power of y: products and roots for 0.5, 1, 2, 3 and their negatives, else exp(y log x)."""
    if not isinstance(y, torch.Tensor) and isinstance(x, torch.Tensor) and abs(float(y)) in _POWERS:
        return call.pointwise(lambda r, x, one: _inverted(r, _POWERS[abs(float(y))](r, x), one, float(y)), x, 1.0)
    operands = [v for v in (x, y) if isinstance(v, torch.Tensor)]
    if len(operands) == 2:
        return call.pointwise(lambda r, x, y: r.convert(_general(x.astype(np.float64), y.astype(np.float64))), x, y)
    if isinstance(x, torch.Tensor):
        return _once(call, lambda x: _general(x, np.float64(y)), x)
    # A power of a number is contiguous, whatever the order of exponents.
    return _once(call, lambda y: _general(np.float64(x), y), operands[0].contiguous())


_POWERS: dict[float, Callable[[Arithmetic, Array], Array]] = {
    0.5: lambda r, x: r.sqrt(x),
    1.0: lambda r, x: x,
    2.0: lambda r, x: r.multiply(x, x),
    3.0: lambda r, x: r.multiply(r.multiply(x, x), x),
}


def _inverted(r: Arithmetic, x: Array, one: Array, exponent: float) -> Array:
    return x if exponent > 0 else np.asarray(r.divide(one, x))


def _general(x: Any, y: Any) -> Array:
    """Return x ** y from exp and log; of negative x where y is whole."""
    x, y = np.broadcast_arrays(np.asarray(x, np.float64), np.asarray(y, np.float64))
    with np.errstate(all="ignore"):
        size = functions.exp(y.reshape(-1) * functions.log(np.abs(x).reshape(-1))).reshape(x.shape)
        whole = y == np.floor(y)
        odd = whole & (np.mod(y, 2.0) == 1.0)
        signed = np.where(odd & np.signbit(x), -size, size)
        return np.where(y == 0, 1.0, np.where((x < 0) & ~whole, np.nan, np.where(x == 1, 1.0, signed)))
