"""Architectures: binary32 beside mixed precision for every kind of network (Table 1 of the paper, and its GAN)."""

from __future__ import annotations

from halfsim.studies.grid import Part
from halfsim.studies.recipes import (
    ADVERSARIAL,
    CHARACTER_LSTM,
    CHARACTERS,
    CONVNET,
    DIGITS,
    GAN,
    IMAGES,
    MIXED,
    NORMALISED,
    TRANSFORMER,
)
from halfsim.studies.study import Check, Study
from halfsim.training.experiment import Settings
from halfsim.training.models import Perceptron
from halfsim.training.optim import SGD

__all__ = ["ARCHITECTURES"]

_SHOWN = tuple(policy.name for policy in MIXED)
_SAME = "Mixed precision with a loss scale matches binary32 within the noise between seeds."

ARCHITECTURES = Study(
    name="architectures",
    summary="binary32 beside mixed precision for a perceptron, CNNs, an LSTM, a Transformer and a GAN",
    claim=(
        "With binary32 master weights, a loss scale and binary32 sums, storing everything else in binary16 changes no "
        "network's result by more than the noise between seeds, whatever its kind."
    ),
    paper=(
        "Table 1: top-1 accuracy of AlexNet 56.77 → 56.93, VGG-D 65.40 → 65.43, GoogLeNet 68.33 → 68.43, Inception v2 "
        "70.03 → 70.02, v3 73.85 → 74.13, ResNet-50 75.92 → 76.04. Table 3: DeepSpeech 2, character error rate "
        "2.20 → 1.99 and 15.82 → 15.01. Figure 4: translation, with a scale. Figure 6: DCGAN, pictures "
        "[@micikevicius2018]."
    ),
    limits=(
        "Networks of thousands of parameters on small data. Equality here is what the paper reports for large ones; it "
        "is no proof for those. The GAN's measure is a Fréchet distance over 20 principal components of 8 × 8 digits."
    ),
    parts=tuple(
        Part(name=name, title=title, claim=_SAME, task=task, settings=settings, policies=MIXED, shown=_SHOWN)
        for name, title, task, settings in (
            (
                "perceptron",
                "Perceptron, digits",
                DIGITS,
                Settings(
                    model=Perceptron(sizes=(64, 32, 10)), optimizer=SGD(rate=0.05, momentum=0.9), batch=32, steps=600,
                    evaluate_every=100, sample_every=100,
                ),
            ),
            ("convnet", "Convolutional network, images", IMAGES, CONVNET),
            ("batch-norm", "Convolutional network with batch normalisation, images", IMAGES, NORMALISED),
            ("lstm", "LSTM, characters", CHARACTERS, CHARACTER_LSTM),
            ("transformer", "Transformer, characters", CHARACTERS, TRANSFORMER),
            ("gan", "GAN, digits", ADVERSARIAL, GAN),
        )
    ),
    checks=(
        *(
            Check(name="mixed precision matches", part=part, row="mixed, scale 1024", measure=measure, low=-within,
                  high=within, against="binary32")
            for part, measure, within in (
                ("perceptron", "accuracy", 0.01), ("convnet", "accuracy", 0.015), ("batch-norm", "accuracy", 0.02),
                ("lstm", "loss", 0.02), ("transformer", "loss", 0.03), ("gan", "distance", 0.2),
            )
        ),
    ),
    order=7,
)  # fmt: skip
"""The study."""
