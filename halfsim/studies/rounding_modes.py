"""Rounding modes: each of them in the update of binary16 weights, in the sums of products, and everywhere."""

from __future__ import annotations

from dataclasses import replace

from halfsim.accumulators import FP16
from halfsim.formats import BINARY16
from halfsim.policy import WeightUpdate
from halfsim.rounding import Rounding, Stochastic
from halfsim.studies.grid import Part, Table
from halfsim.studies.recipes import BASELINE, DIGITS, IMAGES, SCALED
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
        "Small updates of binary16 weights are lost to nearest and to odd: the network hardly moves. Toward zero, "
        "toward positive and toward negative lose half to two thirds of them and make a whole ulp of each of the "
        "others, in one direction: the weights move, and much faster than they were asked to, to another network, "
        "which may be a better or a worse one. Only stochastic rounding is right on average, and it needs enough "
        "random bits: with few, a discarded fraction is cut and the weights shrink, as they do toward zero."
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
        "Products summed in binary16 under every rounding: directed ones make the gradients several times as wrong as "
        "rounding to nearest does, stochastic and odd ones up to twice. The network learns all the same: the error of "
        "the gradients tells the roundings apart, the accuracy does not."
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
        "Weights, activations, gradients, sums, reductions and updates all round one way, at a usual learning rate, at "
        "which most updates arrive. This network bears every one of them; toward positive costs it most. Subnormals "
        "flushed to zero cost nothing here with a loss scale, which keeps gradients away from them."
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
        "Without a master copy only a rounding that is right on average, with enough random bits, keeps small updates "
        "as they are: to nearest loses nearly all, directed ones lose half to two thirds and exaggerate the others. In "
        "sums the rounding changes errors by factors and outcomes hardly."
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
            tasks=(IMAGES,),
        ),
    ),
    checks=(
        Check(name="32 random bits follow the master copy", part="updates", row="stochastic, 32 bits",
              measure="accuracy", low=-0.02, high=0.02, against="master"),
        Check(name="8 random bits still do", part="updates", row="stochastic, 8 bits", measure="accuracy", low=-0.02,
              high=0.02, against="master"),
        Check(name="one random bit does not", part="updates", row="stochastic, 1 bit", measure="loss", low=-3.0,
              high=-0.05, against="master"),
        *(
            Check(name=f"{name} loses the updates", part="updates", row=name, measure="updates_lost", low=0.9, high=1.0)
            for name in ("ties to even", "ties to away", "to odd")
        ),
        *(
            Check(name=f"{name} loses half to two thirds", part="updates", row=name, measure="updates_lost", low=0.4,
                  high=0.75)
            for name in ("toward zero", "toward positive", "toward negative")
        ),
        Check(name="sums to nearest learn", part="sums", row="ties to even", measure="accuracy", low=-0.03, high=0.03,
              against="binary32"),
        Check(name="sums toward zero make gradients wrong", part="sums", row="toward zero", measure="gradient_error",
              low=3.0, high=100.0, against="ties to even", relative=True),
    ),
    order=4,
)  # fmt: skip
"""The study."""
