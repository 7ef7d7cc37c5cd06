"""Derivatives against finite differences of losses written down again in binary64, and against PyTorch."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import halfsim as hs
from halfsim.policy import named
from halfsim.training import nn
from halfsim.training.arithmetic import arithmetic
from halfsim.training.machine import Machine
from halfsim.training.models import Perceptron
from halfsim.training.tape import Tape, Variable
from halfsim.training.weights import split

RANDOM = np.random.default_rng(22)
LABELS = np.array([2, 0, 1, 1, 2])
TARGETS = RANDOM.random((5, 3)) < 0.3


def softmax_loss(z: np.ndarray) -> float:
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    return float(-np.log(p[np.arange(5), LABELS]).mean())


def sigmoid_loss(z: np.ndarray) -> float:
    p = 1 / (1 + np.exp(-z))
    return float(-np.where(TARGETS, np.log(p), np.log(1 - p)).mean())


LOSSES: dict[str, tuple[Callable[..., float], Callable[[Tape, Variable], Variable]]] = {
    "softmax": (softmax_loss, lambda tape, z: nn.softmax_cross_entropy(tape, z, LABELS)),
    "sigmoid": (sigmoid_loss, lambda tape, z: nn.sigmoid_cross_entropy(tape, z, TARGETS)),
}


def numerical(function: Callable[[np.ndarray], float], at: np.ndarray) -> np.ndarray:
    """Central differences in binary64."""
    at = at.astype(np.float64)
    gradient = np.empty_like(at)
    for i in np.ndindex(at.shape):
        step = np.zeros_like(at)
        step[i] = 1e-5
        gradient[i] = (function(at + step) - function(at - step)) / 2e-5
    return gradient


@pytest.mark.parametrize("loss", LOSSES)
def test_derivative_of_a_loss(loss: str) -> None:
    random = np.random.default_rng(22)
    reference, primitive = LOSSES[loss]
    tape = Tape(Machine(named("binary32")))
    z = tape.parameter(random.normal(0, 2, (5, 3)).astype(np.float32))
    value = primitive(tape, z)
    tape.backward(value, np.float32(1))
    assert float(value.value) == pytest.approx(reference(z.value.astype(np.float64)), rel=1e-6)
    assert z.gradient is not None
    np.testing.assert_allclose(z.gradient, numerical(reference, z.value), rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("loss", LOSSES)
def test_derivative_of_a_network(loss: str) -> None:
    random = np.random.default_rng(22)
    reference, primitive = LOSSES[loss]
    model = Perceptron(sizes=(4, 6, 7, 3))
    flat = model.initial(3)
    x = random.normal(0, 1, (5, 4)).astype(np.float32)

    kink, shapes = [1.0], list(model.shapes.values())

    def forward(parameters: np.ndarray) -> float:
        h = x.astype(np.float64)
        views = split(parameters, shapes)
        for i in range(0, len(views), 2):
            kink.append(float(np.abs(h).min()) if i else 1.0)
            h = (np.maximum(h, 0) if i else h) @ views[i] + views[i + 1]
        return reference(h)

    tape = Tape(Machine(named("binary32")))
    parameters = {name: tape.parameter(view) for name, view in zip(model.shapes, split(flat, shapes), strict=True)}
    tape.backward(primitive(tape, model(tape, parameters, tape.constant(x))), np.float32(1))
    gradient = np.concatenate([p.gradient.reshape(-1) for p in parameters.values()])  # type: ignore[union-attr]
    assert gradient.dtype == np.float32
    expected = numerical(forward, flat)
    assert min(kink) > 1e-4, "a difference may step across a kink of ReLU: choose another seed"
    np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("policy", ["mixed", "binary16-pure"])
@pytest.mark.parametrize("loss", LOSSES)
def test_binary16_gradients_are_near_binary32_ones(loss: str, policy: str) -> None:
    random = np.random.default_rng(22)
    x, w = random.normal(0, 1, (5, 4)).astype(np.float16), random.normal(0, 1, (4, 3)).astype(np.float16)
    gradients = []
    for name in ("binary32", policy):
        machine = Machine(named(name))
        tape = Tape(machine)
        a, b = (tape.parameter(value.astype(machine.activations.dtype)) for value in (w, np.zeros(3, np.float16)))
        z = nn.linear(tape, tape.parameter(x.astype(machine.activations.dtype)), a, b)
        tape.backward(LOSSES[loss][1](tape, z), machine.loss.number(1))
        assert a.gradient is not None
        gradients.append(a.gradient)
    assert gradients[1].dtype == np.float16
    np.testing.assert_allclose(gradients[1].astype(np.float64), gradients[0], rtol=0.05, atol=2e-3)
    assert not np.array_equal(gradients[1].astype(np.float32), gradients[0])


def test_the_scale_of_the_loss_scales_every_gradient() -> None:
    gradients = []
    for scale in (1, 1024):
        tape = Tape(Machine(named("binary32")))
        z = tape.parameter(np.float32([[1, 2, 3]] * 5))
        tape.backward(nn.softmax_cross_entropy(tape, z, LABELS), np.float32(scale))
        gradients.append(z.gradient)
    assert np.array_equal(gradients[0] * np.float32(1024), gradients[1])  # type: ignore[operator]


def test_losses_do_not_overflow() -> None:
    tape = Tape(Machine(named("mixed")))
    z = tape.parameter(np.float16([[60000, -60000, 0]] * 5))
    for primitive in (LOSSES["softmax"][1], LOSSES["sigmoid"][1]):
        loss = primitive(tape, z)
        assert np.isfinite(loss.value)
        tape.backward(loss, np.float32(1))
    assert np.isfinite(z.gradient).all()  # type: ignore[arg-type]


def test_relu_selects_and_keeps_nan() -> None:
    tape = Tape(Machine(named("mixed")))
    x = tape.parameter(np.float16([-1, -0.0, 0, 3, np.nan]))
    y = nn.relu(tape, x)
    assert np.array_equal(y.value, np.float16([0, 0, 0, 3, np.nan]), equal_nan=True)
    tape.backward(y, np.float16([1, 2, 3, 4, 5]))
    assert x.gradient.tolist() == [0, 0, 0, 4, 0]  # type: ignore[union-attr]


def test_gradients_that_meet_are_added_in_storage() -> None:
    tape = Tape(Machine(named("mixed")))
    x = tape.parameter(np.float16([2.0]))
    y = tape.record(x.value, (x, x), lambda g: (g, np.float16([2**-11])))
    tape.backward(y, np.float16([1.0]))
    assert x.gradient.tolist() == [1.0]  # type: ignore[union-attr]


def test_constants_get_no_gradient() -> None:
    tape = Tape(Machine(named("mixed")))
    x, w, b = (
        tape.constant(np.ones((2, 2), np.float16)),
        tape.parameter(np.ones((2, 2), np.float16)),
        tape.constant(np.zeros(2, np.float16)),
    )
    tape.backward(nn.linear(tape, x, w, b), np.ones((2, 2), np.float16))
    assert x.gradient is None
    assert b.gradient is None
    assert w.gradient.tolist() == [[2, 2], [2, 2]]  # type: ignore[union-attr]


@pytest.mark.parametrize(("scale", "survives"), [(1.0, False), (8.0, True)])
def test_gradients_of_a_dense_mean_loss_vanish_below_a_floor(scale: float, survives: bool) -> None:
    # N = 512 * 2560 outputs at p = 0.03: p / N = 2^-25.4 rounds to zero in binary16, eight times that does not.
    machine = Machine(named("mixed"))
    tape = Tape(machine)
    logit = np.float16(np.log(0.03 / 0.97))
    z = tape.parameter(np.full((512 * 256, 10), logit, np.float16))
    loss = nn.sigmoid_cross_entropy(tape, z, np.zeros(z.value.shape, np.bool_))
    tape.backward(loss, np.float32(scale))
    assert z.value.size == 1_310_720
    assert np.count_nonzero(z.gradient) == (z.value.size if survives else 0)  # type: ignore[arg-type]
    assert machine.ledger.as_dict()["gradients_flushed"] == (0 if survives else 1)


@pytest.mark.parametrize("policy", ["binary32", "mixed"])
@pytest.mark.parametrize("size", [1, 3, 16])
def test_relu_of_negative_zero_is_positive_zero(policy: str, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    # NumPy may answer -0, and here it is made to; binary16 does not ask it.
    if policy == "binary32":
        monkeypatch.setattr(np, "maximum", lambda a, b: np.where(a >= b, a, b))
    machine = Machine(named(policy))
    tape = Tape(machine)
    y = nn.relu(tape, tape.parameter(np.full(size, -0.0, machine.activations.dtype)))
    assert not np.signbit(y.value).any()


@pytest.mark.parametrize("policy", ["binary32", "mixed"])
def test_pooling_passes_on_nan_of_either_sign(policy: str) -> None:
    machine = Machine(named(policy))
    tape = Tape(machine)
    image = np.arange(8, dtype=np.float32).reshape(1, 2, 4, 1)
    image[0, 0, 0], image[0, 1, 3] = np.copysign(np.nan, -1), np.nan
    x = tape.parameter(image.astype(machine.activations.dtype))
    y = nn.max_pool(tape, x, 2)
    assert np.isnan(y.value).all()
    tape.backward(y, np.ones((1, 1, 2, 1), machine.gradients.dtype))
    assert x.gradient.reshape(-1).tolist() == [1, 0, 0, 0, 0, 0, 0, 1]  # type: ignore[union-attr]


def test_a_window_may_have_more_positions_than_a_byte_counts() -> None:
    tape = Tape(Machine(named("mixed")))
    x = tape.parameter(np.arange(400, dtype=np.float16).reshape(1, 20, 20, 1))
    y = nn.max_pool(tape, x, 20)
    tape.backward(y, np.ones((1, 1, 1, 1), np.float16))
    assert y.value.item() == 399
    assert np.flatnonzero(x.gradient).tolist() == [399]  # type: ignore[arg-type]


@pytest.mark.parametrize("policy", ["binary32", "mixed"])
@pytest.mark.parametrize("axes", [(0, 1, 2, 3), (3, 0, 1, 2)])
def test_pooling_leaves_numbers_in_memory_as_they_lie(policy: str, axes: tuple[int, ...]) -> None:
    machine = Machine(named(policy))
    tape = Tape(machine)
    images = RANDOM.random((2, 4, 6, 3)).transpose(axes).astype(machine.activations.dtype, order="C")
    x = tape.parameter(images.transpose(np.argsort(axes)))
    y = nn.max_pool(tape, x, 2)
    tape.backward(y, np.ones(y.value.shape, machine.gradients.dtype))
    for made in (y.value, x.gradient):
        assert made is not None
        assert made.transpose(axes).flags.c_contiguous


def test_constants_are_rounded_once_and_to_nearest() -> None:
    rounding = hs.Stochastic(bits=8, seed=1)
    r = arithmetic(hs.BINARY16, rounding)
    assert {float(r.number(0.1)) for _ in range(20)} == {float(np.float16(0.1))}
    assert float(r.number(1 + 2**-11 + 2**-40)) == 1 + 2**-10


def test_selected_gradients_count_their_zeros() -> None:
    machine = Machine(named("mixed"))
    tape = Tape(machine)
    x = tape.parameter(np.float16([-1, 2, -3, 4]))
    tape.backward(nn.relu(tape, x), np.float16([1, 1, 1, 1]))
    assert machine.ledger.as_dict()["layers"][""]["activation gradient"]["zero"] == 2
