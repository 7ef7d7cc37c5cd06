"""Master weights: what is lost when binary16 weights are updated in binary16 (Figures 2a and 2b of the paper)."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

from halfsim.accumulators import FP16
from halfsim.formats import BINARY16
from halfsim.policy import StaticScale, WeightUpdate, named
from halfsim.studies.grid import Part, Table
from halfsim.studies.recipes import CONVNET, DIGITS, IMAGES, SMALL_STEPS, UPDATES
from halfsim.studies.study import Check, Study
from halfsim.training.optim import Adam

__all__ = ["MASTER_WEIGHTS"]

_SHOWN = tuple(policy.name for policy in UPDATES)
_ALL16 = replace(named("binary16-pure"), name="all binary16", loss_scale=StaticScale(scale=1024.0))
_ALL16_STOCHASTIC = replace(_ALL16, name="all binary16, stochastic", update=WeightUpdate.stochastic)

_DIGITS = Part(
    name="digits",
    title="A perceptron on digits, steps of 1e-5",
    claim=(
        "Adam moves every weight by about 1e-5 per step, less than half an ulp of most binary16 weights. Nearly every "
        "update of binary16 weights is lost and the network hardly moves; a master copy, stochastic rounding and "
        "Kahan's compensation follow binary32 seed by seed."
    ),
    task=DIGITS,
    settings=SMALL_STEPS,
    policies=UPDATES,
    shown=_SHOWN,
)

_IMAGES = Part(
    name="images",
    title="A convolutional network, steps of 1e-5",
    claim=(
        "Here four updates of five are lost: the network learns, but far less than binary32 in the same steps. Sums, "
        "biases, softmax and loss in binary16 as well add nothing to the damage, and stochastic rounding still mends "
        "it. Adam's own state in binary16 is another matter: its epsilon of 1e-8 and small squares round to zero, and "
        "0 / 0 ends the run."
    ),
    task=replace(IMAGES, train=8_000),
    settings=replace(CONVNET, optimizer=Adam(rate=1e-5), batch=8, steps=2_000, evaluate_every=400, sample_every=200),
    policies=(
        *UPDATES,
        _ALL16.accumulating(FP16, "all binary16"),
        _ALL16_STOCHASTIC,
        replace(UPDATES[2], name="binary16 weights and Adam state", optimizer_state=BINARY16),
    ),
    shown=(*_SHOWN, "all binary16, stochastic"),
)

_ADAM_RATES = [1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3]
"""Those of SGD are a hundred times as large."""

_RATES = Table(
    name="rates",
    title="How much is lost, and what it costs",
    claim=(
        "Adam's steps are as large as its rate, and the smaller they are, the more of them are lost; so it is with SGD "
        "at small rates. SGD's steps are as large as the gradients: at rates that fit the training data these become "
        "small, and more updates are lost again, which costs nothing any more. About half of the updates can be lost "
        "without damage beyond the noise between seeds. Where three quarters and more are, mean accuracy falls; three "
        "seeds tell that from none with SGD at 0.001 and Adam at 1e-5, not with Adam at 3e-5 and 1e-4. low and high "
        "are Student's 95 % interval of the gap."
    ),
    function="halfsim.studies.tables.rates:lost_updates",
    arguments={"rates": _ADAM_RATES, "steps": 2_800, "seeds": 3},
    tasks=(DIGITS,),
    trains=True,
    figure="halfsim.plotting:lost_updates",
    drawing={"by": "optimizer"},
    caption="A point per optimizer and rate: means over seeds, accuracy less that of binary32.",
)

_WITHIN = 0.015


def _rate(optimizer: str, rate: float) -> dict[str, Any]:
    """Return a row of the table of rates."""
    return {"optimizer": optimizer, "rate": rate}


MASTER_WEIGHTS = Study(
    name="master-weights",
    summary="what is lost when binary16 weights are updated without a binary32 master copy",
    claim=(
        "A binary32 master copy of the weights is needed when updates are small beside the weights: in binary16 an "
        "update below half an ulp of its weight is lost. With small steps these are most updates, and training falls "
        "far behind; at usual rates they are about a third, and it does not."
    ),
    paper=(
        "Figure 2a: a Mandarin speech model matches binary32 with a master copy and loses 80 % of its accuracy, "
        "relative, when binary16 weights are updated. Figure 2b: about 5 % of the weight gradients are smaller than "
        "2^-24. The update also vanishes when a weight is 2,048 or more times as large as it. The paper says as well "
        "that not every network needs the copy [@micikevicius2018]."
    ),
    limits=(
        "The steps here are chosen small, so that a network which could be trained in seconds shows what large ones "
        "show after many epochs at decayed rates; at usual rates the same defect costs these networks a point or "
        "nothing, as the table of rates says. Of the paper's two reasons only the second is seen: hardly any weight "
        "gradient of these networks lies below 2^-24, as the tables of gradients say, so that the first, gradients too "
        "small for binary16, does not occur here."
    ),
    parts=(_DIGITS, _IMAGES, _RATES),
    checks=(
        Check(name="binary16 weights do not learn", part="digits", row="binary16 weights", measure="accuracy",
              low=0.0, high=0.2),
        Check(name="their updates are lost", part="digits", row="binary16 weights", measure="updates_lost",
              low=0.95, high=1.0),
        *(
            Check(name=f"{name} follows binary32", part=part, row=name, measure="accuracy", low=-_WITHIN, high=_WITHIN,
                  against="binary32")
            for part in ("digits", "images")
            for name in ("master", "stochastic", "Kahan")
        ),
        Check(name="binary16 weights lose accuracy", part="images", row="binary16 weights", measure="accuracy",
              low=-1.0, high=-0.05, against="binary32"),
        Check(name="Adam loses nearly all of the smallest steps", part="rates", row=_rate("Adam", 1e-5),
              measure="updates_lost", low=0.9, high=1.0),
        *(
            Check(name=f"and fewer at {rate:g}", part="rates", row=_rate("Adam", rate), measure="updates_lost",
                  low=-0.5, high=-0.03, against=_rate("Adam", smaller))
            for smaller, rate in pairwise(_ADAM_RATES)
        ),
        Check(name="SGD loses fewer at 0.03 than at 0.001", part="rates", row=_rate("SGD", 0.03),
              measure="updates_lost", low=-0.8, high=-0.2, against=_rate("SGD", 0.001)),
        Check(name="and more again at 0.3", part="rates", row=_rate("SGD", 0.3), measure="updates_lost", low=0.05,
              high=0.5, against=_rate("SGD", 0.03)),
        Check(name="which costs nothing", part="rates", row=_rate("SGD", 0.3), measure="accuracy_gap", low=-0.01,
              high=0.01),
        Check(name="half of Adam's can be lost", part="rates", row=_rate("Adam", 3e-4), measure="accuracy_gap",
              low=-0.015, high=0.015),
        Check(name="three quarters of SGD's cannot", part="rates", row=_rate("SGD", 0.001),
              measure="accuracy_gap", low=-0.6, high=-0.05),
    ),
    order=1,
)  # fmt: skip
"""The study."""
