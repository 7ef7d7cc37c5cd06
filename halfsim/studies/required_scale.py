"""Required scale: per network, the smallest loss scale that keeps its gradients and the largest before overflow."""

from __future__ import annotations

from halfsim.studies.grid import Table
from halfsim.studies.study import Check, Study

__all__ = ["REQUIRED_SCALE"]

_NETWORKS = ["perceptron", "convnet", "batch-norm net", "detector", "word LSTM", "character LSTM", "transformer", "GAN"]

REQUIRED_SCALE = Study(
    name="required-scale",
    summary="per network, the smallest scale that keeps 99 and 99.9 % of its gradients, and the largest one",
    claim=(
        "Between the smallest scale that keeps nearly all gradients and the largest that does not overflow lie many "
        "powers of two, so that any reasonable constant will do. The weight gradients of classifiers and of the GAN "
        "need none; those of the detector and of the language models do."
    ),
    paper=(
        "Factors from 8 to 32,768 were used, and many networks need none; a factor should keep the largest gradient "
        "below 65,504 when it is multiplied with it, and one that is too large does no harm until it overflows "
        "[@micikevicius2018]."
    ),
    limits=(
        "Gradients of binary32 runs, counted in bins of a power of two at a few steps: a scale is known to a factor of "
        "two, and a larger gradient may come later. A large scale is needed to keep the small gradients; whether a "
        "network needs them is another question, which only training answers."
    ),
    parts=(
        Table(
            name="networks",
            title="All layers together",
            claim="The detector and the language models divide their loss by most, and need the largest scales.",
            function="halfsim.studies.tables.scales:networks",
            arguments={"names": _NETWORKS, "steps": 25},
            figure="halfsim.plotting:required_scale",
            drawing={"by": ["network", "kind"]},
        ),
        Table(
            name="layers",
            title="Layer by layer",
            claim="Layers of one network differ by several powers of two.",
            function="halfsim.studies.tables.scales:layers",
            arguments={"names": _NETWORKS, "steps": 25},
        ),
    ),
    checks=(
        Check(name="the detector needs a scale", part="networks",
              row={"network": "detector", "kind": "activation gradient"}, measure="smallest_99", low=8, high=2.0**20),
        Check(name="the classifier needs less", part="networks",
              row={"network": "convnet", "kind": "weight gradient"}, measure="smallest_99", low=0, high=8),
    ),
    order=6,
)  # fmt: skip
"""The study."""
