"""The precision of a training run as one frozen row: what is stored, how sums are made, how weights move."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TypeAlias

from halfsim.accumulators import FP16, FP32, Accumulator, Sequential, factor_formats
from halfsim.formats import BINARY16, BINARY32, Format
from halfsim.tensorcores import AccumulatorLike, as_accumulator

__all__ = [
    "POLICIES",
    "DynamicScale",
    "LossScale",
    "NoScale",
    "Policy",
    "StaticScale",
    "WeightUpdate",
    "named",
]


class WeightUpdate(StrEnum):
    """What happens to a weight w when the optimizer asks for a change Δ (computed in binary32)."""

    master = "master"
    """A binary32 copy moves, ``m = round32(m + Δ)``; the stored weight is ``round16(m)``."""
    nearest = "nearest"
    """The stored weight moves, ``w = round16(w + round16(Δ))``, to nearest, ties to even."""
    stochastic = "stochastic"
    """The stored weight moves, ``w = SR16(w + Δ)``: the exact sum, rounded stochastically once, with 32 random bits."""
    kahan = "kahan"
    """As `nearest`, with what the addition lost kept in a binary16 compensation and added to the next Δ."""


@dataclass(frozen=True, slots=True)
class NoScale:
    """The loss as it is."""

    def __str__(self) -> str:
        return "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticScale:
    """A constant factor on the loss.

    Parameters
    ----------
    scale : float
        The factor, positive; a power of two makes unscaling exact.
    """

    scale: float

    def __post_init__(self) -> None:
        if not 0 < self.scale < float("inf"):
            raise ValueError(f"StaticScale: scale={self.scale!r} must be positive and finite; use NoScale() for none")

    def __str__(self) -> str:
        return f"{self.scale:g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DynamicScale:
    """A factor that backs off when a gradient overflows and grows when none has for a while.

    The state machine and the defaults are those of PyTorch's ``torch.amp.GradScaler``; the bounds are additions.

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
    """

    initial: float = 65536.0
    growth: float = 2.0
    backoff: float = 0.5
    interval: int = 2000
    floor: float = 2.0**-24
    ceiling: float = 2.0**127

    def __post_init__(self) -> None:
        if not self.growth > 1 > self.backoff > 0:
            raise ValueError(
                f"DynamicScale: growth={self.growth!r} must exceed 1 and backoff={self.backoff!r} lie between 0 and 1"
            )
        if self.interval < 1:
            raise ValueError(f"DynamicScale: interval={self.interval!r} must be a positive number of steps")
        if not 0 < self.floor <= self.initial <= self.ceiling < float("inf"):
            raise ValueError(
                f"DynamicScale: initial={self.initial!r} must lie between floor={self.floor!r} "
                f"and ceiling={self.ceiling!r}, all positive and finite"
            )

    def __str__(self) -> str:
        return "dynamic"


LossScale: TypeAlias = "NoScale | StaticScale | DynamicScale"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Every precision decision of a training run, each on its own.

    Parameters
    ----------
    name : str
        Name in tables and files.
    storage : Format
        `BINARY16` or `BINARY32`: every weight that takes part in a product, every activation and every gradient.
    forward, data_gradient, weight_gradient : accumulator or str
        How the products of the forward pass and the two of the backward pass are summed; ``"h100:f16"`` names a
        tensor core. With binary32 storage only ``Sequential(format=BINARY32)`` exists.
    reductions : Format
        `BINARY16` or `BINARY32`: arithmetic of bias gradients, softmax, sigmoid and loss.
    update : WeightUpdate or str
        How a weight moves. Under every policy the optimizer's own arithmetic and state (Adam's moments) are binary32.
    loss_scale : NoScale, StaticScale or DynamicScale
        The factor on the loss, taken out again in binary32 before the optimizer sees the gradient.

    References
    ----------
    P. Micikevicius et al., "Mixed Precision Training" [@micikevicius2018].

    Examples
    --------
    >>> from halfsim.policy import Policy, StaticScale
    >>> policy = Policy(name="mixed", weight_gradient="v100:f16", loss_scale=StaticScale(scale=1024.0))
    >>> policy.update.name, policy.weight_gradient.terms
    ('master', 4)
    """

    name: str
    storage: Format = BINARY16
    forward: AccumulatorLike = FP32
    data_gradient: AccumulatorLike = FP32
    weight_gradient: AccumulatorLike = FP32
    reductions: Format = BINARY32
    update: WeightUpdate = WeightUpdate.master
    loss_scale: LossScale = NoScale()

    def __post_init__(self) -> None:
        for field in ("storage", "reductions"):
            if getattr(self, field) not in (BINARY16, BINARY32):
                raise ValueError(
                    f"Policy: {field}={getattr(self, field)!r} must be halfsim.BINARY16 or halfsim.BINARY32"
                )
        for field in ("forward", "data_gradient", "weight_gradient"):
            chosen = as_accumulator(getattr(self, field), "Policy")
            if self.storage == BINARY32 and chosen != _BINARY32_SUM:
                raise ValueError(
                    f"Policy: {field}={chosen!r} takes binary16 operands, but storage is binary32; "
                    "pass Sequential(format=BINARY32) or store in binary16"
                )
            if factor_formats(chosen) != (BINARY16, BINARY16):
                raise ValueError(
                    f"Policy: {field}={getattr(self, field)!r} takes other factors than binary16, in which networks "
                    "are stored; pass an accumulator with binary16 inputs such as 'h100:f32'"
                )
            object.__setattr__(self, field, chosen)
        if self.update not in set(WeightUpdate):
            known = ", ".join(WeightUpdate)
            raise ValueError(f"Policy: update={self.update!r} is unknown; known are {known}")
        object.__setattr__(self, "update", WeightUpdate(self.update))
        if self.storage == BINARY32 and self.update is not WeightUpdate.master:
            raise ValueError(
                f"Policy: update={self.update.value!r} moves binary16 weights; binary32 storage needs 'master'"
            )
        if not isinstance(self.loss_scale, NoScale | StaticScale | DynamicScale):
            raise TypeError(
                f"Policy: loss_scale={self.loss_scale!r} is a {type(self.loss_scale).__name__}; "
                "pass NoScale(), StaticScale(scale=...) or DynamicScale(...)"
            )

    def accumulating(self, accumulator: AccumulatorLike, name: str) -> Policy:
        """Return this policy with one accumulator for all three kinds of product, under another name."""
        return replace(self, name=name, forward=accumulator, data_gradient=accumulator, weight_gradient=accumulator)

    def scaled(self, loss_scale: LossScale, name: str) -> Policy:
        """Return this policy with another loss scale and name."""
        return replace(self, name=name, loss_scale=loss_scale)

    def accumulator(self, product: str) -> Accumulator:
        """Return the accumulator of the ``"forward"``, ``"data_gradient"`` or ``"weight_gradient"`` products."""
        return as_accumulator(getattr(self, product), "Policy")


_BINARY32_SUM = Sequential(format=BINARY32)

_MIXED = Policy(name="mixed")

POLICIES: dict[str, Policy] = {
    policy.name: policy
    for policy in (
        Policy(
            name="binary32",
            storage=BINARY32,
            forward=_BINARY32_SUM,
            data_gradient=_BINARY32_SUM,
            weight_gradient=_BINARY32_SUM,
        ),
        _MIXED,
        _MIXED.scaled(StaticScale(scale=1024.0), "mixed-scaled"),
        _MIXED.scaled(DynamicScale(), "mixed-dynamic"),
        replace(_MIXED, name="binary16-weights", update=WeightUpdate.nearest),
        replace(_MIXED, name="binary16-stochastic", update=WeightUpdate.stochastic),
        replace(_MIXED, name="binary16-kahan", update=WeightUpdate.kahan),
        Policy(
            name="binary16-pure",
            forward=FP16,
            data_gradient=FP16,
            weight_gradient=FP16,
            reductions=BINARY16,
            update=WeightUpdate.nearest,
        ),
    )
}
"""The policies that have a name: the baseline, the recipe of the paper and its parts, and what it is compared with.

``binary16-pure`` keeps in binary32 only what lies between a stored gradient and the Δ of its weight: taking the loss
scale out, and the optimizer's arithmetic and state.
"""


def named(name: str) -> Policy:
    """Return the policy of that name.

    Raises
    ------
    ValueError
        For an unknown name; the message lists the known ones.

    Examples
    --------
    >>> from halfsim.policy import named
    >>> named("mixed-scaled").loss_scale
    StaticScale(scale=1024.0)
    """
    if name not in POLICIES:
        raise ValueError(f"named: unknown policy {name!r}; known are {', '.join(POLICIES)}")
    return POLICIES[name]
