"""The loss scale of a run: a value that `adjust` replaces after every step.

The dynamic scale is the state machine of ``torch.amp.GradScaler`` [@pytorch-gradscaler], with a floor, a ceiling and
the hysteresis of [@megatron-lm]; the idea is that of [@micikevicius2018].
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from halfsim.kernels.binary32 import multiply
from halfsim.policy import DynamicScale, LayerScale, LossScale, StaticScale
from halfsim.training.arithmetic import Array
from halfsim.training.binary32 import widen

__all__ = ["LossScaler", "layer_factor", "loss_scaler", "unscale"]


_LEAST = 2.0**-24
"""No bound of layers goes below it: a network that is NaN for other reasons would halve it for ever."""


@dataclass(frozen=True, slots=True)
class LossScaler:
    """A loss scale [@micikevicius2018] at one moment of a run; a dynamic one is that of [@pytorch-gradscaler].

    Parameters
    ----------
    row : NoScale, StaticScale, DynamicScale or LayerScale
        The rule.
    scale : float
        The factor on the loss now.
    good : int
        Finite steps since the scale last moved or a gradient overflowed (of a dynamic scale).
    left : int
        Overflows until a dynamic scale backs off; at 0 and 1 the next one does.
    bound : float or None
        What a scale per layer keeps incoming gradients below now; None for other scales.

    Examples
    --------
    >>> from halfsim.policy import DynamicScale
    >>> from halfsim.training.loss_scale import loss_scaler
    >>> scaler = loss_scaler(DynamicScale(initial=1024.0, interval=2))
    >>> scaler, why = scaler.adjust(finite=False)
    >>> scaler.scale, why
    (512.0, 'a gradient overflowed: step skipped, scale 1024 -> 512')
    """

    row: LossScale
    scale: float
    good: int = 0
    left: int = 0
    bound: float | None = None

    def unscale(self, gradient: Array) -> Array:
        """Return the gradient in binary32 times 1 / scale, as `unscale` does.

        Parameters
        ----------
        gradient : array
            float16 or float32, the loss scale included.

        Returns
        -------
        array of float32
            Of the same shape.
        """
        return unscale(gradient, self.scale)

    def skips(self, finite: bool) -> bool:
        """Whether the step is skipped: scales that choose themselves look for infinities and NaNs, others do not.

        Parameters
        ----------
        finite : bool
            Whether every gradient of the step is a finite number.

        Returns
        -------
        bool
            True for a dynamic scale and a scale per layer when `finite` is false; a fixed scale takes the step with
            them.
        """
        return isinstance(self.row, DynamicScale | LayerScale) and not finite

    def adjust(self, finite: bool, cause: str = "a gradient overflowed") -> tuple[LossScaler, str]:
        """Return the scaler of the next step, and why a step was skipped or the scale moved (empty when neither).

        Parameters
        ----------
        finite : bool
            Whether every gradient of the step is a finite number.
        cause : str
            What happened if not: what the reason begins with.
        """
        row = self.row
        if isinstance(row, DynamicScale):
            return self._grown(row) if finite else self._backed_off(row, cause)
        if self.bound is None or finite:
            return self, ""
        lower = max(self.bound / 2, _LEAST)
        return replace(self, bound=lower), f"{cause}: step skipped, layers stay below {self.bound:g} -> {lower:g}"

    def _backed_off(self, row: DynamicScale, cause: str) -> tuple[LossScaler, str]:
        why = f"{cause}: step skipped, scale {self.scale:g}"
        left = max(self.left - 1, 0)
        if left:
            return replace(self, good=0, left=left), f"{why} stays, {left} more until it backs off"
        scale = max(_binary32(self.scale * row.backoff), row.floor)
        held = " (its floor)" if scale == row.floor else ""
        return replace(self, scale=scale, good=0, left=left), f"{why} -> {scale:g}{held}"

    def _grown(self, row: DynamicScale) -> tuple[LossScaler, str]:
        if self.good + 1 < row.interval:
            return replace(self, good=self.good + 1), ""
        rested = replace(self, good=0, left=row.hysteresis)
        scale = _binary32(self.scale * row.growth)
        if scale > row.ceiling or scale == self.scale:
            return rested, ""
        return replace(rested, scale=scale), f"{row.interval} finite steps: scale {self.scale:g} -> {scale:g}"

    def state(self) -> dict[str, float]:
        """Return what the next step depends on, by name."""
        bound = {} if self.bound is None else {"bound": self.bound}
        return {"scale": self.scale, "good": self.good, "left": self.left, **bound}

    def restore(self, state: Mapping[str, Any]) -> LossScaler:
        """Return the scaler, under this one's rule, whose `state` was taken.

        Parameters
        ----------
        state : mapping of str to number
            What `state` of a scaler under the same rule returned.

        Raises
        ------
        ValueError
            For other names than `state` returns.
        """
        if set(state) != set(self.state()):
            raise ValueError(
                f"restore: the state of a loss scale has {', '.join(self.state())}, this one has "
                f"{', '.join(state) or 'nothing'}; pass what state() returned"
            )
        bound = None if self.bound is None else float(state["bound"])
        return replace(self, scale=float(state["scale"]), good=int(state["good"]), left=int(state["left"]), bound=bound)


def loss_scaler(row: LossScale) -> LossScaler:
    """Return the scaler a run starts with.

    Parameters
    ----------
    row : NoScale, StaticScale, DynamicScale or LayerScale
        The rule, as a `halfsim.policy.Policy` has it.

    Returns
    -------
    LossScaler
        At 1 for no scale, else at the ``scale`` or ``initial`` of the row, rounded to binary32.

    Examples
    --------
    >>> from halfsim.policy import StaticScale
    >>> from halfsim.training.loss_scale import loss_scaler
    >>> loss_scaler(StaticScale(scale=1024.0)).scale
    1024.0
    """
    match row:
        case DynamicScale():
            return LossScaler(row, _binary32(row.initial), left=row.hysteresis)
        case StaticScale():
            return LossScaler(row, _binary32(row.scale))
        case LayerScale():
            return LossScaler(row, _binary32(row.initial), bound=row.largest)
        case _:
            return LossScaler(row, 1.0)


def unscale(gradient: Array, scale: float) -> Array:
    """Return a gradient in binary32 times 1 / scale (the reciprocal taken in binary64, rounded to binary32).

    Parameters
    ----------
    gradient : array
        float16 or float32 of any shape.
    scale : float
        The loss scale; a scale of 1 multiplies nothing.

    Returns
    -------
    array of float32
        Infinities and NaNs stay what they are; a reciprocal beyond binary32 is infinite.

    Examples
    --------
    >>> import numpy as np
    >>> from halfsim.training.loss_scale import unscale
    >>> unscale(np.float16([3.0, np.inf]), 1024.0)
    array([0.00292969,        inf], dtype=float32)
    """
    wide = widen(gradient)
    return wide.copy() if scale == 1.0 else multiply(wide, np.asarray(_binary32(1.0 / scale), np.float32))


def layer_factor(largest: float, bound: float) -> float:
    """Return the power of two by which the incoming gradient of a layer is multiplied.

    Parameters
    ----------
    largest : float
        The largest finite magnitude of the gradient, a binary32 number.
    bound : float
        What it is to stay below.

    Returns
    -------
    float
        The power of two that brings `largest` into [bound / 2, bound), or the nearest to it that is a normal number of
        binary32; 1 where there is none, for zero, infinity and NaN.

    Examples
    --------
    >>> from halfsim.training.loss_scale import layer_factor
    >>> layer_factor(3e-6, 256.0)
    67108864.0
    """
    if not 0 < largest < math.inf:
        return 1.0
    (fraction, exponent), (limit, wanted) = math.frexp(largest), math.frexp(bound)
    return math.ldexp(1.0, min(max(wanted - exponent - (fraction >= limit), -126), 127))


def _binary32(scale: float) -> float:
    """Round to binary32, in which a scale lives; beyond its range is infinity."""
    with np.errstate(over="ignore"):
        return float(np.float32(scale))
