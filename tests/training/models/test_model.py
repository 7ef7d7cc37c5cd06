"""What holds for every network."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest

from halfsim.policy import named
from halfsim.training.arithmetic import Array
from halfsim.training.machine import Machine
from halfsim.training.models import (
    LSTM,
    MODELS,
    Adversaries,
    BatchNormNet,
    ConvNet,
    HeatMapNet,
    Model,
    Perceptron,
    Transformer,
)
from halfsim.training.models.model import Start, glorot, he
from halfsim.training.tape import Tape, Variable
from halfsim.training.words import Words
from tests.training.philox import philox64
from tests.training.tasks.runs import start, state_of, variables

TOKENS = np.arange(24).reshape(4, 6) % 11
CASES: list[tuple[Model, Array, tuple[int, ...]]] = [
    (Perceptron(sizes=(12, 7, 3)), np.zeros((5, 12)), (5, 3)),
    (ConvNet(image=(8, 8, 1)), np.zeros((2, 64)), (2, 10)),
    (ConvNet(image=(8, 12, 3), channels=(4, 5, 6)[:2], kernels=(3, 1), classes=4), np.zeros((2, 8, 12, 3)), (2, 4)),
    (BatchNormNet(image=(28, 28, 1)), np.zeros((2, 784)), (2, 10)),
    (HeatMapNet(), np.zeros((2, 32, 32, 1)), (2, 16, 16, 10)),
    (LSTM(vocabulary=11, embedding=5, hidden=7), TOKENS, (4, 6, 11)),
    (LSTM(vocabulary=11, embedding=5, hidden=7, layers=3), TOKENS, (4, 6, 11)),
    (Transformer(vocabulary=11, width=8, heads=2, layers=2, length=9), TOKENS, (4, 6, 11)),
    (Transformer(vocabulary=11, width=6, heads=1, layers=1, length=6, hidden=5, function="relu"), TOKENS, (4, 6, 11)),
    (Adversaries(latent=3, pixels=10, generator=(4, 5), discriminator=(6,)), np.zeros((2, 3)), (2, 10)),
]


def output(model: Model, x: Array, policy: str = "binary32") -> tuple[Tape, Variable]:
    machine = Machine(named(policy))
    tape = Tape(machine, state=state_of(model))
    inputs = x if x.dtype.kind == "i" else tape.constant(x.astype(machine.activations.dtype))
    return tape, model(tape, variables(start(model), machine, ""), inputs)


def test_every_network_is_a_case() -> None:
    assert {type(model) for model, _, _ in CASES} == set(MODELS.values())


@pytest.mark.parametrize("policy", ["binary32", "mixed"])
@pytest.mark.parametrize(("model", "x", "shape"), CASES)
def test_outputs_have_their_shape_and_format(model: Model, x: Array, shape: tuple[int, ...], policy: str) -> None:
    _, y = output(model, x, policy)
    assert y.value.shape == shape
    assert y.value.dtype == (np.float32 if policy == "binary32" else np.float16)
    assert np.isfinite(y.value).all()


@pytest.mark.parametrize(("model", "x", "shape"), CASES)
def test_parameters_are_laid_out_in_the_order_of_their_names(model: Model, x: Array, shape: tuple[int, ...]) -> None:
    flat = model.initial(3)
    assert flat.dtype == np.float32
    assert flat.size == sum(math.prod(shape) for shape in model.shapes.values())
    assert np.array_equal(flat, model.initial(3))
    parts = start(model, 3)
    words = Words(3, 0)
    for name, begin in model.starts.items():
        part = parts[name].astype(np.float64)
        if begin.limit:
            u = words.uniform(part.size).reshape(part.shape)
            assert np.array_equal(part, (begin.limit * (2 * u - 1) * begin.factor).astype(np.float32)), name
            assert not np.array_equal(part, start(model, 4)[name])
        else:
            assert name.rpartition(".")[2] in {"bias", "gain", "shift"}
            assert np.array_equal(part, start(model, 4)[name])


@pytest.mark.parametrize(("model", "x", "shape"), CASES)
def test_operations_belong_to_the_layers_of_the_parameters(model: Model, x: Array, shape: tuple[int, ...]) -> None:
    layers = {name.rpartition(".")[0] for name in model.shapes}
    seen: set[str] = set()

    class Watched(Tape):
        def record(self, *arguments: object) -> Variable:  # type: ignore[override]
            seen.add(self.machine.layer)
            return super().record(*arguments)  # type: ignore[arg-type]

    machine = Machine(named("mixed"))
    tape = Watched(machine, state=state_of(model))
    inputs = x if x.dtype.kind == "i" else tape.constant(x.astype(np.float16))
    parameters = variables(start(model), machine, "")
    y = model(tape, parameters, inputs)
    if isinstance(model, Adversaries):
        model.judge(tape, parameters, y)
    # Turning an input into images belongs to no layer.
    assert seen - {""} == layers
    assert machine.layer == ""


@dataclass(frozen=True)
class Plain(Model):
    """Starting values alone."""

    given: dict[str, Start]

    @property
    def starts(self) -> dict[str, Start]:
        return self.given

    def __call__(self, tape: Tape, parameters: object, x: object) -> Variable:
        raise AssertionError


def test_starts_have_the_variances_of_he_and_of_glorot() -> None:
    model = Plain({"a.w": he((3, 3, 30, 40)), "b.w": glorot((100, 300), 100), "c.w": glorot((50, 400))})
    for part, variance in zip(start(model, 1).values(), (2 / 270, 2 / 200, 2 / 450), strict=True):
        values = part.astype(np.float64)
        assert values.var() == pytest.approx(variance, rel=0.03)
        assert abs(values.mean()) < 4 * (variance / part.size) ** 0.5
        assert 0.99 * (3 * variance) ** 0.5 < np.abs(values).max() <= (3 * variance) ** 0.5


def test_constants_hold_for_equal_parts_and_take_no_words() -> None:
    model = Plain({"a.b": Start((2, 6), constant=(1.0, 2.0, 3.0)), "b.w": Start((4,), limit=1.0, factor=0.5)})
    parts = start(model, 8)
    assert parts["a.b"].reshape(-1).tolist() == [1.0] * 4 + [2.0] * 4 + [3.0] * 4
    assert parts["b.w"].tolist() == [np.float32((2 * (w >> 11) / 2**53 - 1) / 2) for w in philox64((8, 0), 4)]
