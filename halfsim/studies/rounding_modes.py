"""Rounding modes: each of them in the update of binary16 weights, in the sums of products, and everywhere."""

from __future__ import annotations

from dataclasses import replace

from halfsim.accumulators import FP16
from halfsim.formats import BINARY16
from halfsim.policy import WeightUpdate
from halfsim.rounding import Rounding, Stochastic
from halfsim.studies.grid import Part, Table
from halfsim.studies.recipes import BASELINE, DIGITS, SCALED
from halfsim.studies.study import Check, Study
from halfsim.training.experiment import Settings
from halfsim.training.models import Perceptron
from halfsim.training.optim import SGD, Adam

__all__ = ["ROUNDING_MODES"]

_NAMES: dict[Rounding | Stochastic, str] = {
    Rounding.roundTiesToEven: "ties to even",
    Rounding.roundTiesToAway: "ties to away",
    Rounding.roundTowardZero: "toward zero",
    Rounding.roundTowardPositive: "toward positive",
    Rounding.roundTowardNegative: "toward negative",
    Rounding.roundToOdd: "to odd",
}
_SEED = 2018
_ALL = {**_NAMES, Stochastic(13, _SEED): "stochastic, 13 bits"}
_BITS = (1, 2, 4, 6, 8, 10, 13, 32)

_SMALL = Settings(
    model=Perceptron(sizes=(64, 32, 10)), optimizer=Adam(rate=2e-5), batch=8, steps=3000, evaluate_every=500,
    sample_every=250,
)  # fmt: skip
_USUAL = replace(
    _SMALL, optimizer=SGD(rate=0.05, momentum=0.9), batch=32, steps=400, evaluate_every=100, sample_every=50
)
_MASTER = replace(SCALED, name="master")

_UPDATES = Part(
    name="updates",
    title="The rounding of the weight update",
    claim=(
        "Small updates of binary16 weights are all lost to nearest and toward zero, and none is lost by directed "
        "rounding, which then drifts: every update moves a whole ulp the same way. Rounding to odd moves each weight "
        "at most once. Only stochastic rounding is right on average, and it needs enough random bits: an update that "
        "is a fraction f of an ulp is seen only if f is not below 2^-bits."
    ),
    task=DIGITS,
    settings=_SMALL,
    policies=(
        BASELINE,
        _MASTER,
        *(replace(SCALED, name=name, update=rounding) for rounding, name in _NAMES.items()),
        *(
            replace(SCALED, name=f"stochastic, {bits} bit{'s' if bits > 1 else ''}", update=Stochastic(bits, _SEED))
            for bits in _BITS
        ),
        replace(SCALED, name="Kahan", update=WeightUpdate.kahan),
    ),
    shown=(
        "binary32",
        "ties to even",
        "toward positive",
        "toward negative",
        "stochastic, 4 bits",
        "stochastic, 32 bits",
    ),
)

_SUMS = Part(
    name="sums",
    title="The rounding of binary16 sums",
    claim=(
        "Products summed in binary16 under every rounding: toward zero shrinks the sums, directed rounding shifts "
        "them, and the network learns all the same. The error of the gradients tells them apart, the accuracy does not."
    ),
    task=DIGITS,
    settings=_USUAL,
    policies=(
        BASELINE,
        SCALED,
        *(SCALED.accumulating(replace(FP16, rounding=rounding), name) for rounding, name in _NAMES.items()),
        *(
            SCALED.accumulating(replace(FP16, rounding=Stochastic(bits, _SEED)), f"stochastic, {bits} bits")
            for bits in (4, 13)
        ),
    ),
    shown=("binary32", "ties to even", "toward zero", "toward positive", "stochastic, 13 bits"),
)

_EVERYWHERE = Part(
    name="everywhere",
    title="One rounding everywhere",
    claim=(
        "Weights, activations, gradients, sums, reductions and updates all round one way, at a usual learning rate. To "
        "nearest and stochastically networks learn; the directed roundings push every number the same way and pay for "
        "it. Subnormals flushed to zero cost nothing here with a loss scale, which keeps gradients away from them."
    ),
    task=DIGITS,
    settings=_USUAL,
    policies=(
        BASELINE,
        *(
            replace(SCALED.accumulating(FP16, "x").reducing(BINARY16, "x"), update=WeightUpdate.nearest).rounded(
                rounding, name
            )
            for rounding, name in _ALL.items()
        ),
        replace(SCALED, name="master, flushed to zero", flush_to_zero=True),
    ),
    shown=("binary32", "ties to even", "toward zero", "toward positive", "stochastic, 13 bits"),
)

ROUNDING_MODES = Study(
    name="rounding-modes",
    summary="all seven roundings in the update, in the sums and everywhere; how many random bits are enough",
    claim=(
        "Without a master copy only a rounding that is right on average keeps small updates. In sums the rounding "
        "changes errors by large factors and outcomes hardly."
    ),
    paper=(
        "The paper rounds to nearest. Stochastic rounding of updates in place of a master copy is due to "
        "[@gupta2015]; later work adds compensated updates."
    ),
    limits="One small network and one data set; what is shown is the direction of each effect, not its size elsewhere.",
    parts=(
        _UPDATES,
        _SUMS,
        _EVERYWHERE,
        Table(
            name="bits",
            title="Random bits of a stochastic sum",
            claim="A discarded fraction below 2^-bits is always dropped: few bits make a sum that falls short.",
            function="halfsim.studies.tables.accumulation:stochastic_bits",
        ),
    ),
    checks=(
        Check(name="32 random bits follow the master copy", part="updates", row="stochastic, 32 bits",
              measure="accuracy", low=-0.02, high=0.02, against="master"),
        Check(name="ties to even loses the updates", part="updates", row="ties to even", measure="updates_lost",
              low=0.9, high=1.0),
        Check(name="toward zero loses them as well", part="updates", row="toward zero", measure="accuracy", low=-1.0,
              high=-0.2, against="master"),
        Check(name="one random bit is not enough", part="updates", row="stochastic, 1 bit", measure="accuracy",
              low=-1.0, high=-0.02, against="master"),
        Check(name="sums to nearest learn", part="sums", row="ties to even", measure="accuracy", low=-0.03, high=0.03,
              against="binary32"),
    ),
    order=4,
)  # fmt: skip
"""The study."""
