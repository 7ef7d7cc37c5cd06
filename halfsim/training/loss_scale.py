"""The loss scale of a run: a value that `adjust` replaces after every step.

The dynamic scale is the state machine of PyTorch's ``torch.amp.GradScaler``, with a floor and a ceiling;
the idea is that of [@micikevicius2018].
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from halfsim.policy import DynamicScale, LayerScale, LossScale, StaticScale
from halfsim.training.arithmetic import Array

__all__ = ["LossScaler", "layer_factor", "loss_scaler"]


@dataclass(frozen=True, slots=True)
class LossScaler:
    """A loss scale at one moment of a run.

    Parameters
    ----------
    row : NoScale, StaticScale or DynamicScale
        The rule.
    scale : float
        The factor on the loss now.
    good : int
        Finite steps since the scale last moved (of a dynamic scale).

    Examples
    --------
    >>> from halfsim.policy import DynamicScale
    >>> scaler = loss_scaler(DynamicScale(initial=1024.0, interval=2))
    >>> scaler, why = scaler.adjust(finite=False)
    >>> scaler.scale, why
    (512.0, 'a gradient overflowed: step skipped, scale 1024 -> 512')
    """

    row: LossScale
    scale: float
    good: int = 0

    def unscale(self, gradient: Array) -> Array:
        """Return the gradient in binary32 times 1 / scale (the reciprocal taken in binary64, rounded to binary32)."""
        wide = gradient.astype(np.float32)
        return wide if self.scale == 1.0 else wide * np.float32(1.0 / self.scale)

    def skips(self, finite: bool) -> bool:
        """Whether the step is skipped: only a dynamic scale looks for infinities and NaNs."""
        return isinstance(self.row, DynamicScale) and not finite

    def adjust(self, finite: bool) -> tuple[LossScaler, str]:
        """Return the scaler of the next step, and why the scale moved (empty when it did not)."""
        row = self.row
        if not isinstance(row, DynamicScale):
            return self, ""
        if not finite:
            scale = max(_binary32(self.scale * row.backoff), row.floor)
            held = " (its floor)" if scale == row.floor else ""
            why = f"a gradient overflowed: step skipped, scale {self.scale:g} -> {scale:g}{held}"
            return replace(self, scale=scale, good=0), why
        if self.good + 1 < row.interval:
            return replace(self, good=self.good + 1), ""
        scale = _binary32(self.scale * row.growth)
        if scale > row.ceiling or scale == self.scale:
            return replace(self, good=0), ""
        return replace(self, scale=scale, good=0), f"{row.interval} finite steps: scale {self.scale:g} -> {scale:g}"


def loss_scaler(row: LossScale) -> LossScaler:
    """Return the scaler a run starts with."""
    if isinstance(row, DynamicScale):
        return LossScaler(row, _binary32(row.initial))
    return LossScaler(row, _binary32(row.scale) if isinstance(row, StaticScale) else 1.0)


def _binary32(scale: float) -> float:
    """Round to binary32, in which a scale lives; beyond its range is infinity."""
    with np.errstate(over="ignore"):
        return float(np.float32(scale))


def layer_factor(largest: float, row: LayerScale) -> float:
    """Return the power of two that brings a largest magnitude into [row.largest / 2, row.largest); 1 for zero."""
    if not 0 < largest < math.inf:
        return 1.0
    factor = 2.0 ** (math.frexp(row.largest)[1] - math.frexp(largest)[1])
    return factor if largest * factor < row.largest else factor / 2
