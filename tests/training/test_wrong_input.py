"""What networks, tasks and their functions say of input that they cannot take."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from halfsim.formats import Format
from halfsim.kernels.census import BINS
from halfsim.policy import DynamicScale, Policy, StaticScale, named
from halfsim.testvectors import subject
from halfsim.testvectors.tiles import tile_header
from halfsim.training import nn
from halfsim.training.accounting import required_scale
from halfsim.training.data import digits, enlarged_digits
from halfsim.training.experiment import Experiment, Settings
from halfsim.training.machine import Machine
from halfsim.training.models import BatchNormNet, Perceptron
from halfsim.training.optim import SGD, Adam
from halfsim.training.tape import Tape, Variable
from halfsim.training.tasks import Classification, Language
from halfsim.training.trainer import train
from halfsim.training.words import Words

TAPE = Tape(Machine(named("mixed")))
ROWS = TAPE.constant(np.ones((2, 3), np.float16))
IMAGES = TAPE.constant(np.ones((1, 4, 4, 1), np.float16))
KERNEL = TAPE.constant(np.ones((3, 3, 1, 2), np.float16))
ONES = TAPE.constant(np.ones(3, np.float16))


def training(policy: Any, outputs: int) -> Callable[[], object]:
    given = settings(model=Perceptron(sizes=(64, outputs)))
    return lambda: train(Classification(dataset="digits"), policy, given, seed=0)


def embedded(index: int) -> Callable[[], Variable]:
    return lambda: nn.embedding(TAPE, ROWS, np.array([0, index]))


def labelled(label: int) -> Callable[[], Variable]:
    return lambda: nn.softmax_cross_entropy(TAPE, ROWS, np.array([0, label]))


def ones(*shape: int) -> Variable:
    return TAPE.constant(np.ones(shape, np.float16))


def moved(momentum: float, epsilon: float = 1e-5) -> Callable[[], object]:
    return lambda: nn.batch_norm(TAPE, ROWS, ONES, ONES, "moved", momentum, epsilon)


def aimed(targets: Any) -> Callable[[], object]:
    return lambda: nn.sigmoid_cross_entropy(TAPE, ROWS, targets)


def settings(**changed: Any) -> Settings:
    given = {"model": Perceptron(sizes=(64, 10)), "optimizer": SGD(rate=0.1), "batch": 4, "steps": 1}
    return Settings(**{**given, "evaluate_every": 1, **changed})


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (training("mixed", 10), TypeError, "policy='mixed' is of type str; pass a halfsim.policy.Policy"),
        (training(named("mixed"), 5), ValueError, "5 outputs are too few; give the last layer 10 or more"),
        (
            lambda: settings(batch="ful"),
            ValueError,
            "batch='ful' must be an integer from 1 to 9007199254740992, or 'full'",
        ),
        (lambda: settings(clip_norm=True), ValueError, "clip_norm=True must be a positive finite number, or None"),
        (lambda: settings(clip_norm="1"), ValueError, "clip_norm='1' must be a positive finite number"),
        (lambda: settings(clip_norm=np.nan), ValueError, "clip_norm=nan must be a positive finite number"),
        (lambda: settings(clip_norm=10**400), ValueError, "must be a positive finite number, or None for none"),
        (lambda: settings(optimizer="adam"), TypeError, "optimizer='adam' is of type str; pass an optimizer, such as"),
        (lambda: settings(optimizer=SGD), TypeError, "is of type type; pass an optimizer, such as"),
        (lambda: settings(model="mlp"), TypeError, "model='mlp' is of type str; pass a network, such as"),
        (lambda: settings(model=Perceptron), TypeError, "is of type ABCMeta; pass a network, such as"),
        (lambda: Adam(0.1, betas=np.array([0.9, 1.0])), ValueError, "must be two numbers from 0 to below 1"),  # type: ignore[arg-type]
        (lambda: Adam(0.1, betas=np.array([[0.9, 0.5]] * 2)), ValueError, "must be two numbers"),  # type: ignore[arg-type]
        (lambda: SGD(np.bool_(True)), ValueError, "SGD: rate=True must be a positive finite number"),  # type: ignore[arg-type]
        (lambda: TAPE.parameter(np.ones(3)), TypeError, "Tape.parameter: value is of dtype float64; pass an array of"),
        (lambda: TAPE.constant(np.ones(3, int)), TypeError, "Tape.constant: value is of dtype int64; pass an array"),
        (lambda: TAPE.constant([1.0]), TypeError, "Tape.constant: value is of type list; pass an array of float16"),  # type: ignore[arg-type]
        (embedded(-1), ValueError, "index -1 is not one of a table of 2 rows"),
        (embedded(2), ValueError, "index 2 is not one of a table of 2 rows"),
        (labelled(-1), ValueError, "labels from -1 to 0 are not all from 0 to 2"),
        (labelled(3), ValueError, "labels from 0 to 3 are not all from 0 to 2"),
        (lambda: nn.batch_norm(TAPE, ROWS, ONES, ONES, "n", rule="q"), ValueError, "rule='q' is not one of weights"),
        (lambda: nn.batch_norm(TAPE, ROWS, ones(2), ONES, "n"), ValueError, r"batch_norm: gain .*shape \(3,\)"),
        (lambda: nn.layer_norm(TAPE, ROWS, ONES, ones(1)), ValueError, r"layer_norm: shift .*shape \(3,\)"),
        (lambda: nn.linear(TAPE, ROWS, ones(4, 5)), ValueError, r"linear: w has shape \(4, 5\); .*shape \(3, N\)"),
        (lambda: nn.linear(TAPE, ROWS, ones(3, 5), ones(1)), ValueError, r"linear: b .*shape \(5,\)"),
        (lambda: nn.transpose(TAPE, ROWS, (0, 0)), ValueError, r"transpose: axes=\(0, 0\) is no permutation of the 2"),
        (lambda: nn.transpose(TAPE, ROWS, (-3, 0)), ValueError, r"transpose: axes=\(-3, 0\) is no permutation"),
        (lambda: nn.transpose(TAPE, ROWS, (0,)), ValueError, r"transpose: axes=\(0,\) is no permutation"),
        (lambda: nn.transpose(TAPE, ROWS, 5), TypeError, r"transpose: axes=5 is no sequence .* such as \(1, 0\)"),  # type: ignore[arg-type]
        (lambda: nn.transpose(TAPE, ROWS, None), TypeError, "transpose: axes=None is no sequence"),  # type: ignore[arg-type]
        (lambda: nn.transpose(TAPE, ROWS, (1.0, 0)), TypeError, r"transpose: axes=\(1.0, 0\) is no"),  # type: ignore[arg-type]
        (lambda: nn.add(TAPE, ones(4, 5), ones(4, 1)), ValueError, r"add: b has shape \(4, 1\); .* of a, \(4, 5\)"),
        (lambda: nn.add(TAPE, ones(2, 3, 4), ones(2, 1, 4)), ValueError, r"add: b has shape \(2, 1, 4\)"),
        (lambda: nn.add(TAPE, ones(5), ones(4, 5)), ValueError, r"add: b has shape \(4, 5\); pass one .*\(5,\)"),
        (lambda: nn.add(TAPE, ones(4, 5), ones(4)), ValueError, r"add: b has shape \(4,\)"),
        (lambda: nn.multiply(TAPE, ones(4, 5), ones(5)), ValueError, r"multiply: b has .*\(5,\); .*shape \(4, 5\)"),
        (lambda: nn.multiply(TAPE, ones(4, 5), ones(4, 1)), ValueError, r"multiply: b has shape \(4, 1\)"),
        (lambda: nn.matmul(TAPE, ones(2, 3, 3, 4), ones(3, 2, 4, 5)), ValueError, r"matmul: b .*\(2, 3, 4, N\)"),
        (lambda: nn.matmul(TAPE, ones(6, 3, 4), ones(2, 3, 4, 5)), ValueError, r"matmul: b .*shape \(6, 4, N\)"),
        (lambda: nn.matmul(TAPE, ones(2, 3, 4), ones(1, 4, 5)), ValueError, r"matmul: b .*shape \(2, 4, N\)"),
        (lambda: nn.matmul(TAPE, ones(3, 4), ones(5, 6)), ValueError, r"matmul: b .*shape \(4, N\)"),
        (lambda: nn.matmul(TAPE, ones(4), ones(4, 5)), ValueError, r"matmul: a .*shape \(\.\.\., M, K\)"),
        (lambda: nn.take(TAPE, ROWS, 0, 2), ValueError, "take: axis=2 must be an integer from -2 to 1"),
        (lambda: nn.take(TAPE, ROWS, 0, -3), ValueError, "take: axis=-3 must be an integer from -2 to 1"),
        (lambda: nn.take(TAPE, ROWS, 3, 1), ValueError, "take: index=3 must be an integer from -3 to 2"),
        (lambda: nn.take(TAPE, ROWS, [0, 0], 0), TypeError, "take: index is of type list; pass an integer or a slice"),  # type: ignore[arg-type]
        (lambda: nn.take(TAPE, ROWS, True, 0), TypeError, "take: index is of type bool"),
        (lambda: nn.embedding(TAPE, ROWS, np.array([True, False])), TypeError, "of dtype bool; pass integers"),
        (lambda: nn.embedding(TAPE, ROWS, np.ones(2)), TypeError, "embedding: indices are of dtype float64"),
        (lambda: nn.embedding(TAPE, ONES, np.array([0])), ValueError, r"embedding: table .*shape \(V, E\)"),
        (moved(1.5), ValueError, "batch_norm: momentum=1.5 must be a number from 0 to 1"),
        (moved(np.nan), ValueError, "batch_norm: momentum=nan must be"),
        (moved(-0.1), ValueError, "batch_norm: momentum=-0.1 must be"),
        (moved(True), ValueError, "batch_norm: momentum=True must be"),
        (moved(0.1, -1e-5), ValueError, "batch_norm: epsilon=-1e-05 must be a number from 0"),
        (moved(0.1, np.nan), ValueError, "batch_norm: epsilon=nan must be"),
        (lambda: nn.layer_norm(TAPE, ROWS, ONES, ONES, -1.0), ValueError, "layer_norm: epsilon=-1.0 must be a number"),
        (lambda: nn.layer_norm(TAPE, ROWS, ONES, ONES, np.nan), ValueError, "layer_norm: epsilon=nan must be"),
        (lambda: nn.softmax_cross_entropy(TAPE, ROWS, np.array([0])), ValueError, r"labels has shape \(1,\)"),
        (lambda: nn.softmax_cross_entropy(TAPE, ROWS, np.array([0.0, 1.0])), TypeError, "dtype float64; pass integers"),
        (aimed([True]), ValueError, r"targets has shape \(1,\); pass one of shape \(2, 3\)"),
        (aimed([[0, 1, 1], [0.5, 1.25, 1]]), ValueError, r"targets from 0\.0 to 1\.25 are not all from 0 to 1"),
        (aimed(np.full((2, 3), np.nan)), ValueError, "targets from nan to nan"),
        (lambda: nn.conv2d(TAPE, ones(4, 4, 1), ones(3, 3, 1, 2)), ValueError, r"conv2d: x .*\(n, h, w, c\)"),
        (lambda: nn.conv2d(TAPE, IMAGES, ones(3, 3, 2, 2)), ValueError, r"conv2d: w .*\(kh, kw, 1, o\)"),
        (lambda: nn.conv2d(TAPE, IMAGES, KERNEL, ones(3)), ValueError, r"conv2d: b .*shape \(2,\)"),
        (lambda: nn.conv2d(TAPE, IMAGES, KERNEL, stride=0), ValueError, "conv2d: stride=0 must be an integer from 1"),
        (lambda: nn.conv2d(TAPE, IMAGES, KERNEL, padding=-1), ValueError, "padding=-1 must be an integer from 0"),
        (lambda: nn.max_pool(TAPE, IMAGES, 0), ValueError, "max_pool: size=0 must be an integer from 1 to 4"),
        (lambda: nn.max_pool(TAPE, IMAGES, 5), ValueError, "max_pool: size=5 must be an integer from 1 to 4"),
        (lambda: nn.max_pool(TAPE, ROWS, 1), ValueError, r"max_pool: x has shape \(2, 3\)"),
        (lambda: nn.global_average(TAPE, ROWS), ValueError, r"global_average: x has shape \(2, 3\)"),
        (lambda: named("mixed").product_format("x"), ValueError, "product='x' is not one of forward"),
        (lambda: named("mixed").accumulator("x"), ValueError, "product='x' is not one of forward"),
        (lambda: named("mixed").reduction("x"), ValueError, "name='x' is not one of batch_norm"),
        (lambda: Experiment.from_config({"steps": 10}), ValueError, "task, model, optimizer, policy, seed missing"),
        (lambda: nn.attention_softmax(TAPE, ONES, causal=True), ValueError, r"attention_softmax: x has shape \(3,\)"),
        (lambda: required_scale([-1] * BINS), ValueError, "counts has -1, below zero"),
        (lambda: Language(unit="foo"), ValueError, "unit='foo' is unknown; known are char, word"),
        (lambda: enlarged_digits(train=0), ValueError, "enlarged_digits: train=0 must be an integer from 1"),
        (lambda: digits(test=1.5), ValueError, "digits: test=1.5 must be an integer from 1"),  # type: ignore[arg-type]
        (lambda: Words(-1, 0), ValueError, "Words: seed=-1 must be an integer from 0"),
        (
            lambda: subject("add").evaluate([[1, 70000], [0, 0]]),
            ValueError,
            "add: operand 1 has patterns from 1 to 70000",
        ),
        (lambda: subject("add").evaluate([[1], [0.5]]), TypeError, "add: operand 2 has dtype float64"),
        (lambda: subject("add").evaluate([[1, 2], [0]]), ValueError, r"shape \(2,\), \(1,\) are not 2 of equal shape"),
        (lambda: Format(3, 16, 11, -14, 15), TypeError, "name=3 is of type int; pass a text"),  # type: ignore[arg-type]
        (lambda: tile_header(None), TypeError, "accumulator=None is of type NoneType; pass a name"),  # type: ignore[arg-type]
    ],
)
def test_wrong_input_is_told(call: Callable[[], object], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        call()


@pytest.mark.parametrize(
    ("made", "wanted"),
    [
        (lambda: SGD(np.float32(0.5), np.float16(0.25)), SGD(0.5, 0.25)),
        (lambda: SGD(np.int64(1)), SGD(1.0)),
        (lambda: Adam(np.float32(1e-3)), Adam(float(np.float32(1e-3)))),
        (lambda: Adam(0.5, betas=np.array([0.9, 0.99])), Adam(0.5, betas=(0.9, 0.99))),
        (lambda: Adam(0.5, betas=(np.float64(0.9), np.float64(0.99))), Adam(0.5, betas=(0.9, 0.99))),
        (lambda: BatchNormNet(momentum=np.float32(0.5)), BatchNormNet(momentum=0.5)),
        (lambda: StaticScale(scale=np.int64(1024)), StaticScale(scale=1024.0)),
        (lambda: StaticScale(scale=np.float32(1024)), StaticScale(scale=1024.0)),
        (lambda: DynamicScale(growth=np.float16(4), interval=np.int8(9)), DynamicScale(growth=4.0, interval=9)),
        (lambda: Policy(name="p", flush_to_zero=np.bool_(True)), Policy(name="p", flush_to_zero=True)),
        (lambda: settings(clip_norm=np.float32(0.5)), settings(clip_norm=0.5)),
        (lambda: settings(batch=np.int64(4)), settings(batch=4)),
    ],
)
def test_scalars_of_numpy_are_numbers(made: Callable[[], object], wanted: object) -> None:
    """Converted to Python's own: shown and written alike."""
    assert made() == wanted
    assert repr(made()) == repr(wanted)


def test_an_experiment_of_scalars_of_numpy_has_a_plain_table() -> None:
    policy = Policy(name="p", flush_to_zero=np.bool_(True), loss_scale=StaticScale(scale=np.float32(8)))  # type: ignore[arg-type]
    given = settings(optimizer=Adam(np.float32(0.5), betas=np.array([0.5, 0.75])), clip_norm=np.float16(2))  # type: ignore[arg-type]
    experiment = Experiment(task=Classification(dataset="digits"), settings=given, policy=policy, seed=0)
    assert Experiment.from_config(json.loads(json.dumps(experiment.config()))) == experiment
