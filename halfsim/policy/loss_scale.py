"""The factor on the loss, as a row: none, a constant, one that follows overflows, or one per layer."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

from halfsim.arguments import names_its_arguments
from halfsim.checks import integer, plain
from halfsim.formats import BINARY16, BINARY32

__all__ = ["DynamicScale", "LayerScale", "LossScale", "NoScale", "StaticScale"]

_SMALLEST, _LARGEST = BINARY32.smallest_subnormal, BINARY32.largest  # a scale lives in binary32


def _numbers(row: object, *names: str) -> None:
    """Replace the named fields by floats, and refuse what is no number."""
    for name in names:
        value = plain(getattr(row, name))
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise TypeError(
                f"{type(row).__name__}: {name}={value!r} is a {type(value).__name__}; pass a number such as 1024.0"
            )
        try:
            object.__setattr__(row, name, float(value))
        except OverflowError as error:
            raise ValueError(
                f"{type(row).__name__}: {name} is an integer beyond binary64; pass a number below 2.0**128"
            ) from error


@names_its_arguments
@dataclass(frozen=True, slots=True, kw_only=True)
class NoScale:
    """The loss as it is.

    Examples
    --------
    >>> from halfsim.policy import NoScale, named
    >>> named("mixed").loss_scale == NoScale()
    True
    """

    def __str__(self) -> str:
        return "none"


@names_its_arguments
@dataclass(frozen=True, slots=True, kw_only=True)
class StaticScale:
    """A constant factor on the loss [@micikevicius2018], section 3.2.

    Parameters
    ----------
    scale : float
        The factor, positive; a power of two makes unscaling exact.

    Raises
    ------
    TypeError
        If `scale` is no number.
    ValueError
        If it is not positive and finite in binary32.

    Examples
    --------
    >>> from halfsim.policy import StaticScale
    >>> StaticScale(scale=1024)
    StaticScale(scale=1024.0)
    """

    scale: float

    def __post_init__(self) -> None:
        _numbers(self, "scale")
        if not _SMALLEST <= self.scale <= _LARGEST:
            raise ValueError(
                f"StaticScale: scale={self.scale!r} must be positive and finite in binary32; use NoScale() for none"
            )

    def __str__(self) -> str:
        return f"{self.scale:g}"


@names_its_arguments
@dataclass(frozen=True, slots=True, kw_only=True)
class DynamicScale:
    """A factor that backs off when a gradient overflows and grows when none has for a while.

    State machine and defaults are those of PyTorch's GradScaler [@pytorch-gradscaler]. The bounds are additions, and so
    is the hysteresis, which follows Megatron-LM [@megatron-lm]; with its default it changes nothing.

    Parameters
    ----------
    initial : float
        First scale.
    growth, backoff : float
        Factors, greater and less than 1.
    interval : int
        Finite steps in a row before the scale grows.
    floor, ceiling : float
        The scale stays between them.
    hysteresis : int
        The overflow that backs off: with 1 the first, with 2 the second and every one after it, consecutive or not,
        until the scale is due to grow; then the count starts again. Every overflow skips its step.

    Raises
    ------
    TypeError
        If a factor or a scale is no number.
    ValueError
        If `growth` does not exceed 1 or `backoff` does not lie between 0 and 1, a count is no integer from 1 on, or
        the scales are not in order, positive and finite in binary32.

    Examples
    --------
    >>> from halfsim.policy import DynamicScale, named
    >>> named("mixed").scaled(DynamicScale(initial=1024.0, interval=100), "dynamic").loss_scale.growth
    2.0
    """

    initial: float = 65536.0
    growth: float = 2.0
    backoff: float = 0.5
    interval: int = 2000
    floor: float = 2.0**-24
    ceiling: float = 2.0**127
    hysteresis: int = 1

    def __post_init__(self) -> None:
        _numbers(self, "initial", "growth", "backoff", "floor", "ceiling")
        if not math.inf > self.growth > 1 > self.backoff > 0:
            raise ValueError(
                f"DynamicScale: growth={self.growth!r} must exceed 1 and backoff={self.backoff!r} lie between 0 and 1"
            )
        for name in ("interval", "hysteresis"):
            object.__setattr__(self, name, integer("DynamicScale", name, getattr(self, name), 1, 2**62))
        if not _SMALLEST <= self.floor <= self.initial <= self.ceiling <= _LARGEST:
            raise ValueError(
                f"DynamicScale: initial={self.initial!r} must lie between floor={self.floor!r} "
                f"and ceiling={self.ceiling!r}, all positive and finite in binary32"
            )

    def __str__(self) -> str:
        return "dynamic"


@names_its_arguments
@dataclass(frozen=True, slots=True, kw_only=True)
class LayerScale:
    """A power of two per layer, chosen anew at every step.

    The loss is scaled by `initial`. Before the backward step of every other layer, its incoming gradient is multiplied
    by the power of two that brings its largest finite magnitude into [largest/2, largest). Every parameter's gradient
    is unscaled by the scale its own layer had. A gradient that is not finite, as a sum over very many positions may
    become, skips its step and halves `largest` for the steps after it; nothing else is remembered.

    Parameters
    ----------
    initial : float
        Factor on the loss, a power of two.
    largest : float
        What the incoming gradients stay below at first, at most 65504.

    Raises
    ------
    TypeError
        If a field is no number.
    ValueError
        If `initial` is no power of two of binary32, or `largest` no positive magnitude of binary16.

    Examples
    --------
    >>> from halfsim.policy import LayerScale, named
    >>> named("mixed").scaled(LayerScale(largest=256), "per layer").loss_scale
    LayerScale(initial=65536.0, largest=256.0)
    """

    initial: float = 65536.0
    largest: float = 8.0

    def __post_init__(self) -> None:
        _numbers(self, "initial", "largest")
        if not _SMALLEST <= self.initial <= _LARGEST or math.frexp(self.initial)[0] != 0.5:
            raise ValueError(
                f"LayerScale: initial={self.initial!r} must be a power of two of binary32, such as 65536.0"
            )
        if not BINARY16.smallest_subnormal <= self.largest <= BINARY16.largest:
            raise ValueError(
                f"LayerScale: largest={self.largest!r} must be a positive magnitude of binary16, at most "
                f"{BINARY16.largest:g}"
            )

    def __str__(self) -> str:
        return "per layer"


LossScale: TypeAlias = "NoScale | StaticScale | DynamicScale | LayerScale"
"""Any of the rules of the loss scale."""
