"""The policies that have a name: the baseline, the recipe of the paper and its parts, and what it is compared with.

===================  =======  =======  ========  ===========  =============  ==========
name                 stored   sums     other     update       loss scale     as
                              of       reduc-
                              products tions
===================  =======  =======  ========  ===========  =============  ==========
binary32             32       32       32        master       none           fp32
mixed                16       32       32        master       none
mixed-scaled         16       32       32        master       1024           paper-mixed
mixed-dynamic        16       32       32        master       dynamic
binary16-weights     16       32       32        nearest      none
binary16-stochastic  16       32       32        stochastic   none           fp16+sr
binary16-kahan       16       32       32        kahan        none           fp16+kahan
binary16-pure        16       16       16        nearest      none           fp16-pure
apex-O0              32       32       32        master       none
apex-O1              16       32       32        master       dynamic
apex-O2              16       32       32        master       dynamic
apex-O3              16       32       32        nearest      none
===================  =======  =======  ========  ===========  =============  ==========

The last column has other names that `named` takes. The optimizer is binary32 in all but ``apex-O3``, whose optimizer
works on binary16 tensors; ``binary16-pure`` so keeps in binary32 only what lies between a stored gradient and the Δ of
its weight: taking the loss scale out, and the optimizer.

The rows of Apex [@apex] say what its optimization levels store; how sums are made it leaves to libraries, which are
taken to accumulate in binary32. O1 keeps binary32 weights and casts them for every product, O2 keeps binary16 weights
beside binary32 masters: the products see the same numbers, and the two rows are alike but for their name. Their scale
grows to 2**24 at most.
"""

from __future__ import annotations

from dataclasses import replace
from difflib import get_close_matches

from halfsim.accumulators import FP16
from halfsim.formats import BINARY16, BINARY32
from halfsim.policy.loss_scale import DynamicScale, StaticScale
from halfsim.policy.row import Policy
from halfsim.policy.update import WeightUpdate

__all__ = ["ALIASES", "POLICIES", "named"]

_MIXED = Policy(name="mixed")
_BINARY32 = _MIXED.stored(BINARY32, "binary32")
_DYNAMIC_APEX = DynamicScale(ceiling=2.0**24)
_WEIGHTS = replace(_MIXED, name="binary16-weights", update=WeightUpdate.nearest)

POLICIES: dict[str, Policy] = {
    policy.name: policy
    for policy in (
        _BINARY32,
        _MIXED,
        _MIXED.scaled(StaticScale(scale=1024.0), "mixed-scaled"),
        _MIXED.scaled(DynamicScale(), "mixed-dynamic"),
        _WEIGHTS,
        replace(_MIXED, name="binary16-stochastic", update=WeightUpdate.stochastic),
        replace(_MIXED, name="binary16-kahan", update=WeightUpdate.kahan),
        _WEIGHTS.accumulating(FP16, "binary16-pure").reducing(BINARY16, "binary16-pure"),
        replace(_BINARY32, name="apex-O0"),
        _MIXED.scaled(_DYNAMIC_APEX, "apex-O1"),
        _MIXED.scaled(_DYNAMIC_APEX, "apex-O2"),
        replace(_WEIGHTS, name="apex-O3", optimizer_state=BINARY16),
    )
}
"""The policies by name."""

ALIASES = {
    "fp32": "binary32",
    "paper-mixed": "mixed-scaled",
    "fp16-pure": "binary16-pure",
    "fp16+sr": "binary16-stochastic",
    "fp16+kahan": "binary16-kahan",
}
"""Other names of policies, and the names they stand for."""


def named(name: str) -> Policy:
    """Return the policy of that name.

    Parameters
    ----------
    name : str
        One of `POLICIES` or of `ALIASES`.

    Raises
    ------
    ValueError
        For an unknown name; the message suggests near ones and lists the known ones.

    Examples
    --------
    >>> from halfsim.policy import named
    >>> named("mixed-scaled").loss_scale
    StaticScale(scale=1024.0)
    >>> named("fp16+sr").name
    'binary16-stochastic'
    """
    found = ALIASES.get(name, name)
    if found not in POLICIES:
        known = (*POLICIES, *ALIASES)
        alike = get_close_matches(str(name), known, n=1)
        meant = f"; did you mean {alike[0]!r}?" if alike else ";"
        raise ValueError(f"named: unknown policy {name!r}{meant} known are {', '.join(known)}")
    return POLICIES[found]
