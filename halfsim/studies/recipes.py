"""Tasks, networks and policies that several studies share."""

from __future__ import annotations

from dataclasses import replace

from halfsim.policy import WeightUpdate, named
from halfsim.training.experiment import Settings
from halfsim.training.models import LSTM, Adversaries, BatchNormNet, ConvNet, HeatMapNet, Perceptron, Transformer
from halfsim.training.optim import SGD, Adagrad, Adam
from halfsim.training.tasks import Adversarial, Canvases, Classification, Language

__all__ = [
    "ADVERSARIAL",
    "BASELINE",
    "CANVASES",
    "CHARACTERS",
    "CHARACTER_LSTM",
    "CONVNET",
    "DETECTOR",
    "DIGITS",
    "GAN",
    "IMAGES",
    "MIXED",
    "NORMALISED",
    "PLAIN",
    "SCALED",
    "SMALL_STEPS",
    "TRANSFORMER",
    "UPDATES",
    "WORDS",
    "WORD_LSTM",
]

BASELINE = named("binary32")
PLAIN = replace(named("mixed"), name="mixed, scale 1")
SCALED = replace(named("mixed-scaled"), name="mixed, scale 1024")
MIXED = (BASELINE, PLAIN, SCALED)
"""The baseline, the paper's recipe without its loss scale, and with it."""

UPDATES = (
    BASELINE,
    replace(SCALED, name="master"),
    replace(SCALED, name="binary16 weights", update=WeightUpdate.nearest),
    replace(SCALED, name="stochastic", update=WeightUpdate.stochastic),
    replace(SCALED, name="Kahan", update=WeightUpdate.kahan),
)
"""The baseline and the four ways to move a binary16 weight, with a loss scale that loses no gradient."""

DIGITS = Classification(dataset="digits")
SMALL_STEPS = Settings(
    model=Perceptron(sizes=(64, 32, 10)),
    optimizer=Adam(rate=1e-5),
    batch=4,
    steps=14_000,
    evaluate_every=1_400,
    sample_every=200,
)

IMAGES = Classification(dataset="digits-or-fashion", train=6_000, test=2_000)
_IMAGE = (28, 28, 1)
CONVNET = Settings(
    model=ConvNet(image=_IMAGE),
    optimizer=SGD(rate=0.01, momentum=0.9),
    batch=64,
    steps=186,
    evaluate_every=31,
    sample_every=31,
)
NORMALISED = replace(
    CONVNET, model=BatchNormNet(image=_IMAGE), optimizer=SGD(rate=0.02, momentum=0.9), steps=124, sample_every=62
)

CANVASES = Canvases()
DETECTOR = Settings(
    model=HeatMapNet(), optimizer=Adam(rate=3e-3), batch=512, steps=60, evaluate_every=10, sample_every=20
)

WORDS = Language(unit="word", vocabulary=2_048, length=16, train=60_000, test=8_000)
WORD_LSTM = Settings(
    model=LSTM(vocabulary=2_048, embedding=32, hidden=32),
    optimizer=Adam(rate=1e-2),
    batch=256,
    steps=56,
    evaluate_every=14,
    sample_every=14,
)

CHARACTERS = Language(unit="char", vocabulary=96, length=32, train=100_000, test=10_000)
TRANSFORMER = Settings(
    model=Transformer(vocabulary=96, width=48, heads=4, layers=2, length=32),
    optimizer=Adam(rate=2e-3),
    batch=32,
    steps=194,
    evaluate_every=97,
    sample_every=97,
    clip_norm=1.0,
)
CHARACTER_LSTM = Settings(
    model=LSTM(vocabulary=96, embedding=24, hidden=64),
    optimizer=Adagrad(rate=0.05),
    batch=32,
    steps=194,
    evaluate_every=97,
    sample_every=97,
    clip_norm=1.0,
)

ADVERSARIAL = Adversarial()
GAN = Settings(
    model=Adversaries(),
    optimizer=Adam(rate=5e-4, betas=(0.5, 0.999)),
    batch=64,
    steps=800,
    evaluate_every=100,
    sample_every=100,
)
