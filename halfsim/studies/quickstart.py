"""The main job: three claims of mixed-precision training on real data, in less than two minutes.

P. Micikevicius et al., "Mixed Precision Training" [@micikevicius2018]. Part one needs a master copy of the weights,
part two a loss scale; both vary the accumulators.
"""

from __future__ import annotations

import math
from dataclasses import replace

from halfsim.accumulators import FP16
from halfsim.policy import DynamicScale, StaticScale, WeightUpdate, named
from halfsim.studies.grid import Part
from halfsim.studies.study import Check, Study
from halfsim.training.experiment import Settings
from halfsim.training.models import Perceptron
from halfsim.training.optim import Adam
from halfsim.training.tasks import Classification, HeatMap

__all__ = ["QUICKSTART"]

_MASTER = named("mixed")
_SCALED = _MASTER.scaled(StaticScale(scale=1024.0), "scale 1024")

_WEIGHTS = Part(
    name="weights",
    title="Weights: a classifier of digits, small steps",
    claim=(
        "Adam's steps of 2.5e-5 are below half an ulp of most binary16 weights. Added to binary16 weights they are "
        "lost; a binary32 master copy, stochastic rounding or Kahan's compensation keeps them. In every row sums, "
        "softmax and loss are binary32, and so are the optimizer's state and arithmetic."
    ),
    task=Classification(dataset="digits"),
    settings=Settings(
        model=Perceptron(sizes=(64, 128, 10)),
        optimizer=Adam(rate=2.5e-5),
        batch=8,
        steps=2560,
        evaluate_every=320,
        sample_every=32,
    ),
    policies=(
        named("binary32"),
        replace(_MASTER, name="master"),
        replace(_MASTER, name="binary16 weights", update=WeightUpdate.nearest),
        replace(_MASTER, name="stochastic", update=WeightUpdate.stochastic),
        replace(_MASTER, name="Kahan", update=WeightUpdate.kahan),
    ),
    shown=("binary32", "master", "binary16 weights", "stochastic", "Kahan"),
)

_SCALE = Part(
    name="scale",
    title="Loss scale and accumulators: where is which digit on a canvas",
    claim=(
        "The loss is a mean over 128 × 2560 outputs, nearly all of them background. The gradient of an output with "
        "probability p is p / 327680, zero in binary16 when p < 0.0098: without a loss scale outputs below that get "
        "no gradient downward; a scale S divides that threshold by S. Accuracy, which only compares outputs, "
        "shows much less of it. The weight gradients are sums over 32,768 positions: binary16 accumulators make them "
        "wrong by per cents, pure binary16 sums by the most, and the result hardly shows that."
    ),
    task=HeatMap(),
    settings=Settings(
        model=Perceptron(sizes=(64, 16, 10), head=0.1, bias=-math.log(999)),
        optimizer=Adam(rate=3e-2),
        batch=128,
        steps=48,
        evaluate_every=6,
        sample_every=8,
    ),
    policies=(
        named("binary32"),
        replace(_MASTER, name="scale 1"),
        _MASTER.scaled(StaticScale(scale=8.0), "scale 8"),
        _SCALED,
        _MASTER.scaled(DynamicScale(initial=2.0**24, interval=15), "dynamic scale"),
        _SCALED.accumulating(FP16, "scale 1024, FP16 sums"),
        _SCALED.accumulating("v100:f16", "scale 1024, V100 f16"),
        _SCALED.accumulating("h100:f16", "scale 1024, H100 f16"),
    ),
    shown=("binary32", "scale 1", "scale 8", "scale 1024", "dynamic scale", "scale 1024, FP16 sums"),
)

QUICKSTART = Study(
    name="quickstart",
    summary="when binary16 training needs master weights and a loss scale, and what accumulators do",
    claim=(
        "Training that stores weights, activations and gradients in binary16 matches binary32 when small weight "
        "updates are not lost and small gradients are not flushed to zero."
    ),
    parts=(_WEIGHTS, _SCALE),
    checks=(
        Check(name="binary16 weights do not learn", part="weights", row="binary16 weights", measure="accuracy", low=0.0,
              high=0.3),
        Check(name="their updates are lost", part="weights", row="binary16 weights", measure="updates_lost", low=0.9,
              high=1.0),
        *(
            Check(name=f"{name} follows binary32", part="weights", row=name, measure="accuracy", low=-0.015, high=0.015,
                  against="binary32")
            for name in ("master", "stochastic", "Kahan")
        ),
        Check(name="without a scale the loss is half as large again, or more", part="scale", row="scale 1",
              measure="loss", low=1.5, high=5.0, against="binary32", relative=True),
        *(
            Check(name=f"{name} matches", part="scale", row=name, measure="loss", low=0.97, high=1.03,
                  against="binary32", relative=True)
            for name in ("scale 1024", "dynamic scale")
        ),
        Check(name="binary16 sums make the weight gradients wrong", part="scale", row="scale 1024, FP16 sums",
              measure="gradient_error", low=0.05, high=0.3),
    ),
)  # fmt: skip
