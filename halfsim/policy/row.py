"""The row itself, with what its fields may be and the ways to change them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from halfsim.accumulators import FP32, Accumulator, Compensated, Exact, Pairwise, Sequential
from halfsim.arguments import names_its_arguments
from halfsim.environment import FLUSHING, IEEE, Environment
from halfsim.formats import BINARY16, BINARY32, Format
from halfsim.policy.checks import as_product, as_reduction, as_switch, check_format, check_scale, one_of
from halfsim.policy.loss_scale import LossScale, NoScale
from halfsim.policy.reduction import PRODUCTS, REDUCTIONS, SUM16, SUM32, Reduction
from halfsim.policy.update import UpdateLike, WeightUpdate, as_update
from halfsim.policy.writing import table_of
from halfsim.rounding import Rounding, RoundingLike, as_rounding
from halfsim.tensorcores import AccumulatorLike, as_accumulator

__all__ = ["Policy"]

_NO_SCALE = NoScale()


@names_its_arguments
@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Every precision decision of a training run [@micikevicius2018], each on its own.

    Parameters
    ----------
    name : str
        Name in tables and files.
    weights, activations, gradients : Format
        `BINARY16` or `BINARY32`: what is stored of each, and what takes part in products.
    forward, data_gradient, weight_gradient : accumulator or str
        How the products of the forward pass and the two of the backward pass are summed; ``"h100:f16"`` names a
        tensor core. A product of which an operand is stored in binary32 is a binary32 product, each product and sum
        rounded, k ascending; its accumulator is ``Sequential(format=BINARY32)``, and `FP32` says the same there.
    batch_norm, softmax, bias, loss : Sequential, Pairwise or Format
        How the sums of these reductions are made (`bias`: of bias gradients); their format is that of all arithmetic of
        the reduction. ``Sequential(format=BINARY32)``, or `Sequential` or `Pairwise` in binary16 with any rounding; a
        format stands for its `Sequential`. The terms of these sums are no products: `fused` says nothing and is False.
    update : WeightUpdate, Rounding, Stochastic or str
        How a weight moves. A rounding r adds to the stored weight, ``w = r(w + r(Δ))``; `Stochastic` rounds the exact
        sum once, under a key made from its seed and the run's. Binary32 weights move as ``"master"``.
    optimizer_state : Format
        `BINARY16` or `BINARY32`: state and arithmetic of the optimizer.
    rounding : Rounding, Stochastic or str
        Of every rounding to binary16 outside of the sums of products: what is stored, elementwise operations, those of
        a binary16 optimizer too, the stored copy of a master, Kahan's compensation.
    flush_to_zero : bool
        Whether binary16 subnormals become zeros, as operands and as results of all that is stored or elementwise.
    loss_scale : NoScale, StaticScale, DynamicScale or LayerScale
        The factor on the loss, taken out again in binary32 before the optimizer sees the gradient.

    Raises
    ------
    TypeError, ValueError
        If a field is of another type, unknown, or at odds with what is stored.

    Examples
    --------
    >>> from halfsim.policy import Policy, StaticScale
    >>> policy = Policy(name="mixed", weight_gradient="v100:f16", loss_scale=StaticScale(scale=1024.0))
    >>> policy.update.name, policy.weight_gradient.terms
    ('master', 4)
    """

    name: str
    weights: Format = BINARY16
    activations: Format = BINARY16
    gradients: Format = BINARY16
    forward: AccumulatorLike = FP32
    data_gradient: AccumulatorLike = FP32
    weight_gradient: AccumulatorLike = FP32
    batch_norm: AccumulatorLike | Format = SUM32
    softmax: AccumulatorLike | Format = SUM32
    bias: AccumulatorLike | Format = SUM32
    loss: AccumulatorLike | Format = SUM32
    update: UpdateLike = WeightUpdate.master
    optimizer_state: Format = BINARY32
    rounding: RoundingLike = Rounding.roundTiesToEven
    flush_to_zero: bool = False
    loss_scale: LossScale = _NO_SCALE

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise TypeError(f"Policy: name={self.name!r} must be a text that is not empty")
        for field in ("weights", "activations", "gradients", "optimizer_state"):
            check_format(field, getattr(self, field))
        for field in PRODUCTS:
            wide = [kind for kind in PRODUCTS[field] if getattr(self, kind) == BINARY32]
            object.__setattr__(self, field, as_product(field, getattr(self, field), wide))
        for field in REDUCTIONS:
            object.__setattr__(self, field, as_reduction(field, getattr(self, field)))
        update = as_update(self.update, "Policy")
        if self.weights == BINARY32 and update is not WeightUpdate.master:
            raise ValueError(
                f"Policy: update={update!s} moves binary16 weights, but weights are binary32; pass 'master'"
            )
        object.__setattr__(self, "update", update)
        object.__setattr__(self, "rounding", as_rounding(self.rounding, "Policy"))
        object.__setattr__(self, "flush_to_zero", as_switch("flush_to_zero", self.flush_to_zero))
        check_scale(self.loss_scale)

    def product_format(self, product: str) -> Format:
        """Return the format of the operands of a kind of product in `PRODUCTS`: binary32 if one of them has it.

        Parameters
        ----------
        product : str
            ``"forward"``, ``"data_gradient"`` or ``"weight_gradient"``.

        Raises
        ------
        ValueError
            For another text.
        """
        kinds = PRODUCTS[one_of("product_format", "product", product, PRODUCTS)]
        return BINARY32 if BINARY32 in (getattr(self, kind) for kind in kinds) else BINARY16

    def accumulator(self, product: str) -> Accumulator:
        """Return the accumulator of a kind of product in `PRODUCTS`.

        Parameters
        ----------
        product : str
            ``"forward"``, ``"data_gradient"`` or ``"weight_gradient"``.

        Returns
        -------
        Accumulator
            A row, also where the policy has its name as text.

        Raises
        ------
        ValueError
            For another text.
        """
        return as_accumulator(getattr(self, one_of("accumulator", "product", product, PRODUCTS)), "Policy")

    def reduction(self, name: str) -> Reduction:
        """Return how the sums of a reduction in `REDUCTIONS` are made; its format is that of the reduction.

        Parameters
        ----------
        name : str
            ``"batch_norm"``, ``"softmax"``, ``"bias"`` or ``"loss"``.

        Returns
        -------
        Sequential or Pairwise
            Where the policy says a format alone, sums in ascending order in it.

        Raises
        ------
        ValueError
            For another text.
        """
        return as_reduction(name, getattr(self, one_of("reduction", "name", name, REDUCTIONS)))

    @property
    def environment(self) -> Environment:
        """The environment of operations on what is stored: that of IEEE 754, flushing where the policy flushes."""
        return FLUSHING if self.flush_to_zero else IEEE

    def stored(self, format: Format, name: str) -> Policy:
        """Return this policy with weights, activations and gradients in one format, under another name.

        In binary32 the products are binary32 products and weights move by a master copy. In binary16 what else the
        policy says stays.

        Parameters
        ----------
        format : Format
            `BINARY16` or `BINARY32`.
        name : str
            Of the new policy.

        Examples
        --------
        >>> from halfsim import BINARY32
        >>> from halfsim.policy import named
        >>> named("binary16-pure").stored(BINARY32, "wide").weights.name
        'binary32'
        """
        changes: dict[str, Any] = {"weights": format, "activations": format, "gradients": format}
        if format == BINARY32:
            changes |= {**dict.fromkeys(PRODUCTS, SUM32), "update": WeightUpdate.master}
        return replace(self, name=name, **changes)

    def accumulating(self, accumulator: AccumulatorLike, name: str) -> Policy:
        """Return this policy with one accumulator for all three kinds of product, under another name.

        Parameters
        ----------
        accumulator : Accumulator or str
            A row, or its name such as ``"h100:f16"``; see `halfsim.matmul`.
        name : str
            Of the new policy.

        Examples
        --------
        >>> from halfsim.policy import named
        >>> named("mixed").accumulating("h100:f16", "h100").accumulator("forward").terms
        16
        """
        return replace(self, name=name, forward=accumulator, data_gradient=accumulator, weight_gradient=accumulator)

    def reducing(self, reduction: AccumulatorLike | Format, name: str) -> Policy:
        """Return this policy with one arithmetic for all reductions, under another name.

        Parameters
        ----------
        reduction : Format, Accumulator or str
            Of batch normalisation, softmax, bias gradients and loss.
        name : str
            Of the new policy.
        """
        return replace(self, name=name, batch_norm=reduction, softmax=reduction, bias=reduction, loss=reduction)

    def scaled(self, loss_scale: LossScale, name: str) -> Policy:
        """Return this policy with another loss scale and name.

        Parameters
        ----------
        loss_scale : NoScale, StaticScale, DynamicScale or LayerScale
            The rule of the loss scale.
        name : str
            Of the new policy.

        Examples
        --------
        >>> from halfsim.policy import StaticScale, named
        >>> named("mixed").scaled(StaticScale(scale=1024.0), "scaled").loss_scale
        StaticScale(scale=1024.0)
        """
        return replace(self, name=name, loss_scale=loss_scale)

    def rounded(self, rounding: RoundingLike, name: str) -> Policy:
        """Return this policy with one rounding wherever software rounds to binary16, under another name.

        That is `rounding`; accumulators and reductions in binary16, but matrix units, which round as hardware does; and
        an update that is ``"nearest"``. Master copies, Kahan's compensation and stochastic updates keep their rule.

        Parameters
        ----------
        rounding : Rounding, Stochastic or str
            Any direction; a `Stochastic` draws new bits for every operation of a run.
        name : str
            Of the new policy.

        Raises
        ------
        TypeError, ValueError
            If `rounding` is no rounding, or unknown.
        """
        chosen = as_rounding(rounding, "Policy.rounded")
        rows = {**{key: self.accumulator(key) for key in PRODUCTS}, **{key: self.reduction(key) for key in REDUCTIONS}}
        sums: dict[str, Any] = {
            field: replace(row, rounding=chosen)
            for field, row in rows.items()
            if isinstance(row, Sequential | Pairwise | Compensated | Exact) and row.format == BINARY16
        }
        update = chosen if self.update is WeightUpdate.nearest else self.update
        return replace(self, name=name, rounding=chosen, update=update, **sums)

    def as_table(self) -> dict[str, Any]:
        """Return the policy as a plain table, of which `halfsim.policy.from_table` makes an equal policy.

        Returns
        -------
        dict
            Every field, in order, as numbers, texts, lists and tables that TOML and JSON can hold. Formats stand as
            their names, roundings as their aliases, accumulators as the first name that equals them (``"h100:f16"``,
            ``"fp16"``), sequential sums of reductions as their format, and everything else as a table whose `kind` says
            what it is. Equal policies have equal tables.

        Examples
        --------
        >>> from halfsim.policy import named
        >>> table = named("binary16-pure").as_table()
        >>> table["forward"], table["softmax"], table["rounding"], table["loss_scale"]
        ('fp16', 'binary16', 'rne', {'kind': 'none'})
        """
        table: dict[str, Any] = table_of(self)
        del table["kind"]
        for field in REDUCTIONS:
            row = self.reduction(field)
            if row in (SUM16, SUM32):
                table[field] = row.format.name
        return table
