"""Dynamic loss scaling: recovery from overflow, and what its settings cost."""

from __future__ import annotations

from halfsim.policy import DynamicScale, LayerScale, StaticScale
from halfsim.studies.grid import Part
from halfsim.studies.recipes import BASELINE, CONVNET, IMAGES, PLAIN
from halfsim.studies.study import Check, Study

__all__ = ["DYNAMIC_SCALING"]

_RECOVERY = Part(
    name="recovery",
    title="Scales that overflow, and scales that back off",
    claim=(
        "A constant scale that is too large makes the first weight gradients infinite and the network NaN for ever. A "
        "dynamic one skips those steps, halves itself until gradients fit, and loses a handful of steps."
    ),
    task=IMAGES,
    settings=CONVNET,
    policies=(
        BASELINE,
        PLAIN.scaled(StaticScale(scale=2.0**10), "scale 2^10"),
        PLAIN.scaled(StaticScale(scale=2.0**20), "scale 2^20"),
        PLAIN.scaled(DynamicScale(), "dynamic, defaults"),
        PLAIN.scaled(DynamicScale(initial=2.0**24, interval=50), "dynamic, from 2^24, interval 50"),
        PLAIN.scaled(LayerScale(), "per layer"),
    ),
    shown=("binary32", "scale 2^10", "dynamic, defaults", "dynamic, from 2^24, interval 50"),
)

_SETTINGS = Part(
    name="settings",
    title="Interval, factors and hysteresis",
    claim=(
        "Once the scale is at its ceiling every growth costs one skipped step, so short intervals skip many. "
        "Hysteresis skips the step of a first overflow but keeps the scale, which costs a step more: one on the way "
        "down from 2^24, the others where the scale has grown too large again."
    ),
    task=IMAGES,
    settings=CONVNET,
    policies=(
        BASELINE,
        PLAIN.scaled(DynamicScale(initial=2.0**16, interval=2000), "interval 2000"),
        PLAIN.scaled(DynamicScale(initial=2.0**16, interval=20), "interval 20"),
        PLAIN.scaled(DynamicScale(initial=2.0**16, interval=5), "interval 5"),
        PLAIN.scaled(
            DynamicScale(initial=2.0**16, interval=20, growth=4.0, backoff=0.25), "interval 20, factors 4 and 1/4"
        ),
        PLAIN.scaled(DynamicScale(initial=2.0**24, interval=20), "from 2^24, interval 20"),
        PLAIN.scaled(DynamicScale(initial=2.0**24, interval=20, hysteresis=2), "from 2^24, interval 20, hysteresis 2"),
        PLAIN.scaled(DynamicScale(initial=2.0**12, interval=5, ceiling=2.0**14), "interval 5, ceiling 2^14"),
    ),
    shown=("binary32", "interval 2000", "interval 20", "interval 5", "from 2^24, interval 20"),
)

DYNAMIC_SCALING = Study(
    name="dynamic-scaling",
    summary="a loss scale that follows overflows: recovery, and what its settings cost",
    claim=(
        "A dynamic loss scale recovers from the starts tried, 2^16 and 2^24 (2^12 does not overflow), and matches a "
        "well chosen constant at the cost of a few steps."
    ),
    paper=(
        "The outlook names dynamic scaling: skip the update when a gradient overflows, and raise or lower the scale. "
        "It gives no start, factor or interval [@micikevicius2018]; the defaults here are those of PyTorch."
    ),
    limits=(
        "A run has 186 steps, so that intervals of thousands never end: interval 2000 is the default and shows the way "
        "down alone. Only the shorter intervals show growth."
    ),
    parts=(_RECOVERY, _SETTINGS),
    checks=(
        Check(name="the dynamic scale matches", part="recovery", row="dynamic, defaults", measure="accuracy",
              low=-0.015, high=0.015, against="binary32"),
        Check(name="it recovers from 2^24", part="recovery", row="dynamic, from 2^24, interval 50", measure="accuracy",
              low=-0.03, high=0.03, against="binary32"),
        Check(name="and skips a handful of steps", part="recovery", row="dynamic, from 2^24, interval 50",
              measure="steps_skipped", low=4, high=30),
        Check(name="a constant 2^20 is NaN", part="recovery", row="scale 2^20", measure="not_finite", low=1, high=9),
        *(
            Check(name=f"{row} matches", part="settings", row=row, measure="accuracy", low=-0.02, high=0.02,
                  against="binary32")
            for row in ("interval 2000", "interval 20", "interval 5", "from 2^24, interval 20",
                        "from 2^24, interval 20, hysteresis 2")
        ),
        Check(name="short intervals skip many steps", part="settings", row="interval 5", measure="steps_skipped",
              low=15, high=45),
        Check(name="long ones few", part="settings", row="interval 2000", measure="steps_skipped", low=0, high=5),
        Check(name="hysteresis costs a few more, down and later", part="settings",
              row="from 2^24, interval 20, hysteresis 2", measure="steps_skipped", low=1, high=10,
              against="from 2^24, interval 20"),
        Check(name="a ceiling below the overflow costs none", part="settings", row="interval 5, ceiling 2^14",
              measure="steps_skipped", low=0, high=0),
    ),
    order=5,
)  # fmt: skip
"""The study."""
