"""Required scale: per network, the smallest loss scale that keeps its gradients and the largest before overflow."""

from __future__ import annotations

from halfsim.studies.grid import Table
from halfsim.studies.study import Check, Study
from halfsim.studies.tables.scales import NETWORKS

__all__ = ["REQUIRED_SCALE"]

_NETWORKS = list(NETWORKS)
_TASKS = tuple({task: None for task, _ in NETWORKS.values()})

REQUIRED_SCALE = Study(
    name="required-scale",
    summary="per network, the smallest scale that keeps 99 and 99.9 % of its gradients, and the largest one",
    claim=(
        "For most networks many powers of two lie between the smallest scale that keeps nearly all gradients and the "
        "largest that does not overflow, so that any reasonable constant will do. The LSTMs are the exception. No "
        "scale keeps 99.9 % of the weight gradients of the character LSTM in any seed, as the largest overflow first; "
        "of the word LSTM it depends on the seed: one keeps them in one, none in another. The weight gradients of "
        "classifiers and of the GAN need no scale."
    ),
    paper=(
        "Factors from 8 to 32,768 were used, and many networks need none; a factor should keep the largest gradient "
        "below 65,504 when it is multiplied with it, and one that is too large does no harm until it overflows "
        "[@micikevicius2018]."
    ),
    limits=(
        "Gradients of binary32 runs of 25 steps and three seeds, counted in bins of a power of two at a few steps: a "
        "scale is known to a factor of two, and a larger gradient may come later. A large scale is needed to keep the "
        "small gradients; whether a network needs them is another question, which only training answers."
    ),
    parts=(
        Table(
            name="networks",
            title="Scales of whole networks",
            claim=(
                "The detector and the LSTMs need the largest scales; in the LSTMs the small gradients are those of the "
                "recurrent layer. Smallest is the scale that every seed needs, largest the one that every seed bears; "
                "room is how often the former can be doubled before the latter is passed, least and most of the seeds, "
                "negative where no scale does both."
            ),
            function="halfsim.studies.tables.scales:networks",
            arguments={"names": _NETWORKS, "steps": 25, "seeds": 3},
            tasks=_TASKS,
            trains=True,
            figure="halfsim.plotting:required_scale",
            drawing={"by": ["network", "kind"]},
            caption="A bar from the smallest scale that every seed needs to the largest that every seed bears.",
        ),
        Table(
            name="layers",
            title="Scales layer by layer",
            claim="Layers of one network differ by several powers of two.",
            function="halfsim.studies.tables.scales:layers",
            arguments={"names": _NETWORKS, "steps": 25, "seeds": 3},
            tasks=_TASKS,
            trains=True,
        ),
    ),
    checks=(
        Check(name="the detector needs a scale", part="networks",
              row={"network": "detector", "kind": "activation gradient"}, measure="smallest_99", low=8, high=2.0**20),
        Check(name="the classifier needs less", part="networks",
              row={"network": "convnet", "kind": "weight gradient"}, measure="smallest_99", low=0, high=8),
        Check(name="no scale keeps 99.9 % of the character LSTM's", part="networks",
              row={"network": "character LSTM", "kind": "weight gradient"}, measure="most_room", low=-20, high=-1),
        Check(name="nor of the word LSTM's in some seed", part="networks",
              row={"network": "word LSTM", "kind": "weight gradient"}, measure="least_room", low=-20, high=-1),
        Check(name="but one does in another seed", part="networks",
              row={"network": "word LSTM", "kind": "weight gradient"}, measure="most_room", low=0, high=8),
        *(
            Check(name=f"{network}, {kind}s: many scales do", part="networks", row={"network": network, "kind": kind},
                  measure="least_room", low=5, high=60)
            for network in _NETWORKS
            if not network.endswith("LSTM")
            for kind in ("activation gradient", "weight gradient")
        ),
    ),
    order=6,
)  # fmt: skip
"""The study."""
