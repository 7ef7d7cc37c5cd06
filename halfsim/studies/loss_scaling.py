"""Loss scaling: gradients that binary16 stores as zero (Table 2, Figures 3 and 5 of the paper)."""

from __future__ import annotations

from halfsim.formats import BINARY16
from halfsim.policy import DynamicScale, LayerScale, StaticScale
from halfsim.studies.grid import Part
from halfsim.studies.recipes import (
    CANVASES,
    CONVNET,
    DETECTOR,
    IMAGES,
    MIXED,
    PLAIN,
    WORD_LSTM,
    WORDS,
)
from halfsim.studies.study import Check, Study

__all__ = ["LOSS_SCALING"]

_BASELINE, _, _SCALED = MIXED
_SCALE8 = PLAIN.scaled(StaticScale(scale=8.0), "scale 8")
_SCALE128 = PLAIN.scaled(StaticScale(scale=128.0), "scale 128")

_DETECTOR = Part(
    name="detector",
    title="Where is which digit: a convolutional detector",
    claim=(
        "The loss is a mean over 512 × 2560 outputs, nearly all of them background. The gradient of a background "
        "output with probability p is p / 1310720, zero in binary16 when p < 0.039: without a loss scale outputs below "
        "that get no gradient downward, and training ends worse than it began. A scale S divides that threshold by S."
    ),
    task=CANVASES,
    settings=DETECTOR,
    policies=(
        _BASELINE,
        PLAIN,
        _SCALE8,
        _SCALE128,
        PLAIN.scaled(DynamicScale(initial=2.0**24, interval=15), "dynamic scale"),
        PLAIN.scaled(LayerScale(), "scale per layer"),
    ),
    shown=("binary32", "mixed, scale 1", "scale 8", "scale 128", "dynamic scale"),
)

_LANGUAGE = Part(
    name="language",
    title="Which word comes next: a recurrent network",
    claim=(
        "The loss is a mean over 4,096 words, and the softmax spreads each one's gradient over a vocabulary of 2,048: "
        "a good part of the gradients is below binary16's subnormals. In these few dozen steps that costs next to "
        "nothing, and a scale mends it. Reductions in binary16, softmax and loss among them, end no worse either, as "
        "far as three seeds can tell: both effects are too weak for them. But the training loss that binary16 reports "
        "is not the loss: at the end it is half a nat too low, and 4 at the start instead of 7.6, as the sum of 4,096 "
        "such losses stalls at 16,384."
    ),
    task=WORDS,
    settings=WORD_LSTM,
    policies=(
        _BASELINE,
        PLAIN,
        _SCALE8,
        _SCALE128,
        _SCALE128.reducing(BINARY16, "scale 128, binary16 reductions"),
    ),
    shown=("binary32", "mixed, scale 1", "scale 128", "scale 128, binary16 reductions"),
)

_CONTROL = Part(
    name="control",
    title="Negative control: an image classifier needs no scale",
    claim="The gradients of a small classifier lie well inside binary16: a loss scale changes nothing that matters.",
    task=IMAGES,
    settings=CONVNET,
    policies=MIXED,
    shown=("binary32", "mixed, scale 1", "mixed, scale 1024"),
)

LOSS_SCALING = Study(
    name="loss-scaling",
    summary="which gradients binary16 flushes to zero, what that costs, and how large a scale mends it",
    claim=(
        "Where gradients are small because a loss is a mean over very many outputs, binary16 stores them as zero and "
        "training fails; a loss scale of 8 mends most of it, and with 128 the loss matches. Many networks need none."
    ),
    paper=(
        "Table 2, mAP in binary32, without a scale and with 8: Faster R-CNN 69.1, 68.6, 69.7; Multibox SSD 76.9, "
        "diverges, 77.1. Figure 3, of SSD: "
        "67 % of its activation gradients are zero, and most of the others too small for binary16. Figure 5: the "
        "language model bigLSTM diverges after 300,000 iterations without a scale and matches with 128. The image "
        "classifiers of Table 1 need none [@micikevicius2018]."
    ),
    limits=(
        "A network of a few thousand parameters and 60 steps shows the mechanism, not the mAP of SSD; the language "
        "model trains for a few dozen steps and does not diverge in them: the effect there is weak. Smaller batches "
        "make the effect smaller: the mean then divides by less. Ranking measures such as the accuracy at the digit's "
        "position do not show it, and may even be better without a scale; the loss and the false alarms do."
    ),
    parts=(_DETECTOR, _LANGUAGE, _CONTROL),
    checks=(
        Check(name="without a scale the loss is over three times that of binary32", part="detector",
              row="mixed, scale 1", measure="loss", low=3.0, high=10.0, against="binary32", relative=True),
        Check(name="a scale of 8 mends most of it", part="detector", row="scale 8", measure="loss", low=1.1, high=2.5,
              against="binary32", relative=True),
        Check(name="a scale of 128 matches", part="detector", row="scale 128", measure="loss", low=0.97, high=1.03,
              against="binary32", relative=True),
        Check(name="a dynamic scale matches", part="detector", row="dynamic scale", measure="loss", low=0.97,
              high=1.03, against="binary32", relative=True),
        Check(name="a scale per layer matches", part="detector", row="scale per layer", measure="loss", low=0.97,
              high=1.03, against="binary32", relative=True),
        Check(name="without a scale words are predicted hardly worse", part="language", row="mixed, scale 1",
              measure="loss", low=-0.01, high=0.1, against="binary32"),
        Check(name="a scale of 128 matches", part="language", row="scale 128", measure="loss", low=-0.02, high=0.02,
              against="binary32"),
        Check(name="binary16 reductions report too low a training loss", part="language",
              row="scale 128, binary16 reductions", measure="training_loss", low=-1.0, high=-0.2, against="scale 128"),
        Check(name="the classifier needs no scale", part="control", row="mixed, scale 1", measure="accuracy",
              low=-0.005, high=0.005, against="mixed, scale 1024"),
    ),
    order=2,
)  # fmt: skip
"""The study."""
