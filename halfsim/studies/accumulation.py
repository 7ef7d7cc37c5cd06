"""Accumulation: what summing in binary16 does to results, to trainings, and to statistics."""

from __future__ import annotations

from dataclasses import replace

from halfsim.accumulators import FP16, Pairwise, Sequential
from halfsim.formats import BINARY16
from halfsim.policy import StaticScale
from halfsim.studies.grid import Part, Table, Variant
from halfsim.studies.recipes import BASELINE, IMAGES, NORMALISED, PLAIN, SCALED
from halfsim.studies.study import Check, Study
from halfsim.training.experiment import Settings
from halfsim.training.models import BatchNormNet, Perceptron
from halfsim.training.optim import SGD
from halfsim.training.tasks import Classification

__all__ = ["ACCUMULATION"]


def _errors(kind: str, name: str, title: str) -> Table:
    return Table(
        name=name,
        title=title,
        claim=(
            "Sums of many terms in binary16 lose the small ones. The error grows with their number, less for the f16 "
            "accumulators of tensor cores, which add whole blocks, and less still where the order is a tree; binary32 "
            "has none to speak of at any length."
        ),
        function="halfsim.studies.tables.accumulation:error_against_k",
        arguments={"kind": kind},
        tasks=(IMAGES,),
        figure="halfsim.plotting:error_against_length",
        caption="Relative errors by number of terms, a line per accumulator; an error of zero is left out.",
    )


_BY_DIFFERENCE = replace(NORMALISED, model=BatchNormNet(rule="difference"))

_NORMALISATION = Part(
    name="normalisation",
    title="Batch normalisation with binary16 sums",
    claim=(
        "A channel's sum has 50,176 terms. As a tree it can overflow: an infinite variance makes one over its root "
        "zero, so that the channel is its shift alone. At the end training and evaluation are at the loss of "
        "guessing, 2.3, or NaN. In ascending order sums stall far below the result, and some overflow as well. "
        "Training goes on, with a higher loss. What the evaluation makes of it hangs on how a running statistic "
        "moves, which one infinity poisons for ever. Moved by its difference to the batch's, as TensorFlow's moving "
        "averages do, it is infinity less infinity, NaN, one step later, and the network that trains well is NaN at "
        "evaluation in every seed: its accuracy is that of guessing. With the very same weights, a running variance "
        "that is moved by a weighted mean, as in PyTorch, stays infinite, and the channel is its shift alone; mean "
        "accuracy is lower, but three seeds do not tell that from none. With 128 images the count itself, 100,352, "
        "is no number of binary16, and the network is NaN. Products summed in binary16 cost nothing beside that."
    ),
    task=IMAGES,
    settings=NORMALISED,
    policies=(
        BASELINE,
        replace(SCALED, name="mixed"),
        replace(SCALED, name="binary16 statistics", batch_norm=Sequential(format=BINARY16)),
        replace(SCALED, name="binary16 statistics, pairwise", batch_norm=Pairwise(format=BINARY16)),
        SCALED.accumulating(FP16, "binary16 products"),
    ),
    variants=(
        Variant(
            name="binary16 statistics, moved by difference",
            policy=replace(SCALED, batch_norm=Sequential(format=BINARY16)),
            settings=_BY_DIFFERENCE,
        ),
        Variant(name="binary32 statistics, moved by difference", policy=SCALED, settings=_BY_DIFFERENCE),
        Variant(
            name="binary16 statistics, batch 128",
            policy=replace(SCALED, batch_norm=Sequential(format=BINARY16)),
            settings=replace(NORMALISED, batch=128, steps=62),
        ),
    ),
    shown=("binary32", "mixed", "binary16 statistics", "binary16 statistics, pairwise"),
)

_FULL = PLAIN.scaled(StaticScale(scale=32768.0), "mixed")
_FULL16, _UNSCALED16 = _FULL.accumulating(FP16, "binary16 sums"), PLAIN.accumulating(FP16, "binary16 sums, scale 1")
_SHUFFLED = Classification(dataset="digits-or-fashion", train=32_768, test=2_000, pool=2)
_SORTED = replace(_SHUFFLED, order="sorted")
_SIDE = 14

_ORDER = Part(
    name="order",
    title="Full batches: the same samples in two orders",
    claim=(
        "Weight gradients are sums over 32,768 samples. In binary32 the order of these moves the last bits of the "
        "weights and the loss by less than a thousandth. In binary16 the sums are wrong by a third and more, sorted by "
        "class more than shuffled, and sorted ends with the higher loss in every seed, but three seeds do not tell its "
        "mean from none: a weak effect, beside the large error of the sums."
    ),
    task=_SHUFFLED,
    settings=Settings(
        model=Perceptron(sizes=(_SIDE * _SIDE, 32, 10)),
        optimizer=SGD(rate=0.2, momentum=0.9),
        batch="full",
        steps=40,
        evaluate_every=10,
        sample_every=20,
    ),
    variants=(
        Variant(name="binary32", policy=BASELINE),
        Variant(name="binary32, sorted", policy=BASELINE, task=_SORTED),
        Variant(name="mixed", policy=_FULL),
        Variant(name="mixed, sorted", policy=_FULL, task=_SORTED),
        Variant(name="binary16 sums", policy=_FULL16),
        Variant(name="binary16 sums, sorted", policy=_FULL16, task=_SORTED),
        Variant(name="binary16 sums, sorted, scale 1", policy=_UNSCALED16, task=_SORTED),
        Variant(name="H100 f16 sums, sorted", policy=_FULL.accumulating("h100:f16", "h100"), task=_SORTED),
    ),
    shown=("binary32", "binary16 sums", "binary16 sums, sorted", "H100 f16 sums, sorted"),
)

ACCUMULATION = Study(
    name="accumulation",
    summary="the error of sums by length, order and accumulator, and what of it a training shows",
    claim=(
        "Summing products in binary16 makes large errors and small differences in accuracy: a table of accuracies "
        "alone would call it harmless. It breaks batch normalisation, whose sums are long and whose results are kept."
    ),
    paper=(
        "Products are summed in binary32 and rounded once; some networks needed that to match. Large reductions, such "
        "as the statistics of batch normalisation and the softmax, are made in binary32 [@micikevicius2018]. The paper "
        "prints no numbers for either."
    ),
    limits=(
        "The longest sums here have 50,176 terms; convolutions of large images have more. No accuracy is promised to "
        "fall with binary16 sums of products: in these networks it does not, beyond the noise between seeds. Swallowed "
        "partial sums are those of products: sums of batch normalisation, bias and loss are not watched."
    ),
    parts=(
        _errors("pixels × pixels", "positive", "Error against length, all terms positive"),
        _errors("pixels × normal", "mixed signs", "Error against length, terms of both signs"),
        Table(
            name="sample order",
            title="The same sums in other orders",
            claim="A binary16 sum depends on the order of its terms; a sum in binary32 or a tree hardly does.",
            function="halfsim.studies.tables.sample_order:sample_order",
            arguments={"kind": "pixels × first gradient"},
            tasks=(IMAGES,),
        ),
        Table(
            name="statistics",
            title="Mean and variance of 50,176 activations",
            claim=(
                "In ascending order binary16 sums stall far below the result. Where the result is beyond 65,504, as at "
                "scale 2, trees and exact sums overflow, and what does not stall before that does too."
            ),
            function="halfsim.studies.tables.batch_norm_sums:batch_norm_sums",
        ),
        _NORMALISATION,
        _ORDER,
    ),
    checks=(
        Check(name="32,768 terms in binary16", part="positive", row={"accumulator": "binary16", "K": 32768},
              measure="error", low=0.2, high=0.6),
        Check(name="32,768 terms in binary32", part="positive", row={"accumulator": "binary32", "K": 32768},
              measure="error", low=0.0, high=3e-4),
        # With digits that stand in, some seeds train on with the channels that are left.
        Check(name="binary16 statistics, pairwise: evaluation fails", part="normalisation",
              row="binary16 statistics, pairwise", measure="accuracy", low=0.0, high=0.15, data="fashion-mnist"),
        Check(name="binary16 statistics, moved by difference: evaluation fails", part="normalisation",
              row="binary16 statistics, moved by difference", measure="accuracy", low=0.0, high=0.15,
              data="fashion-mnist"),
        Check(name="though training goes on", part="normalisation", row="binary16 statistics, moved by difference",
              measure="training_loss", low=0.0, high=1.0, data="fashion-mnist"),
        Check(name="and binary32 statistics match", part="normalisation",
              row="binary32 statistics, moved by difference", measure="accuracy", low=-0.015, high=0.015,
              against="binary32"),
        Check(name="binary16 statistics, batch 128: evaluation fails", part="normalisation",
              row="binary16 statistics, batch 128", measure="accuracy", low=0.0, high=0.15),
        # Of the few digits that are tested where they stand in, half a per cent is two.
        Check(name="in ascending order mean accuracy is lower", part="normalisation", row="binary16 statistics",
              measure="accuracy", low=-0.8, high=-0.005, against="binary32", data="fashion-mnist"),
        Check(name="statistics in binary32 match", part="normalisation", row="mixed", measure="accuracy", low=-0.015,
              high=0.015, against="binary32"),
        Check(name="order does not matter in binary32", part="order", row="binary32, sorted", measure="loss",
              low=-0.001, high=0.001, against="binary32"),
        Check(name="binary16 sums are wrong by a third and more", part="order", row="binary16 sums",
              measure="gradient_error", low=0.25, high=0.6),
        Check(name="more so sorted by class", part="order", row="binary16 sums, sorted", measure="gradient_error",
              low=0.01, high=0.2, against="binary16 sums"),
        Check(name="and the loss is hardly higher", part="order", row="binary16 sums, sorted", measure="loss",
              low=-0.02, high=0.1, against="binary16 sums"),
    ),
    order=3,
)  # fmt: skip
"""The study."""
