"""Every primitive beside PyTorch: values and gradients in binary32, and in binary16 within its rounding."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from halfsim.policy import named
from halfsim.training import nn
from halfsim.training.machine import Machine
from halfsim.training.tape import Tape, Variable

torch = pytest.importorskip("torch")
F = torch.nn.functional

LABELS = np.array([[2, 0], [1, 3]])
INDICES = np.array([[0, 3, 3], [1, 3, 0]])


def nchw(x: Any) -> Any:
    return x.permute(0, 3, 1, 2)


def nhwc(x: Any) -> Any:
    return x.permute(0, 2, 3, 1)


def convolution(stride: int, padding: int) -> tuple[Callable[..., Any], Callable[..., Any]]:
    return (
        lambda t, x, w, b: nn.conv2d(t, x, w, b, stride, padding),
        lambda x, w, b: nhwc(F.conv2d(nchw(x), w.permute(3, 2, 0, 1), b, stride, padding)),
    )


def normalised_channels(x: Any, gain: Any, shift: Any) -> Any:
    return nhwc(F.batch_norm(nchw(x), torch.zeros(3), torch.ones(3), gain, shift, True))


CASES: dict[str, tuple[Sequence[tuple[int, ...]], Callable[..., Variable], Callable[..., Any]]] = {
    "linear": ([(5, 7), (7, 3), (3,)], nn.linear, lambda x, w, b: x @ w + b),
    "linear, no bias, three axes": ([(2, 5, 7), (7, 3)], nn.linear, lambda x, w: x @ w),
    "matmul": ([(2, 3, 5, 7), (2, 3, 7, 4)], nn.matmul, lambda a, b: a @ b),
    "convolution": ([(2, 6, 5, 3), (3, 3, 3, 4), (4,)], *convolution(1, 1)),
    "convolution, stride 2": ([(2, 8, 7, 3), (3, 2, 3, 4), (4,)], *convolution(2, 1)),
    "convolution, stride 3, no padding": ([(2, 9, 11, 2), (4, 4, 2, 3), (3,)], *convolution(3, 0)),
    "convolution 1 x 1": ([(2, 4, 4, 3), (1, 1, 3, 5), (5,)], *convolution(1, 0)),
    "max pool": ([(2, 5, 6, 3)], lambda t, x: nn.max_pool(t, x, 2), lambda x: nhwc(F.max_pool2d(nchw(x), 2))),
    "global average": ([(2, 3, 4, 5)], nn.global_average, lambda x: x.mean(dim=(1, 2))),
    "batch norm": (
        [(4, 3, 5, 3), (3,), (3,)],
        lambda t, x, gain, shift: nn.batch_norm(t, x, gain, shift, "bn"),
        normalised_channels,
    ),
    "layer norm": (
        [(4, 5, 6), (6,), (6,)],
        nn.layer_norm,
        lambda x, gain, shift: F.layer_norm(x, (6,), gain, shift),
    ),
    "embedding, a list": (
        [(4, 3)],
        lambda t, w: nn.embedding(t, w, INDICES.tolist()),
        lambda w: F.embedding(torch.tensor(INDICES), w),
    ),
    "embedding, uint64": (
        [(4, 3)],
        lambda t, w: nn.embedding(t, w, INDICES.astype(np.uint64)),
        lambda w: F.embedding(torch.tensor(INDICES), w),
    ),
    "embedding": ([(4, 3)], lambda t, w: nn.embedding(t, w, INDICES), lambda w: F.embedding(torch.tensor(INDICES), w)),
    "relu": ([(5, 6)], nn.relu, torch.relu),
    "leaky relu": ([(5, 6)], lambda t, x: nn.leaky_relu(t, x, 0.2), lambda x: F.leaky_relu(x, 0.2)),
    "tanh": ([(5, 6)], nn.tanh, torch.tanh),
    "sigmoid": ([(5, 6)], nn.sigmoid, torch.sigmoid),
    "gelu": ([(5, 6)], nn.gelu, lambda x: x * torch.sigmoid(1.702 * x)),
    "add": ([(5, 6), (5, 6)], nn.add, lambda a, b: a + b),
    "add, broadcast": ([(3, 5, 6), (5, 6)], nn.add, lambda a, b: a + b),
    "multiply": ([(5, 6), (5, 6)], nn.multiply, lambda a, b: a * b),
    "scale": ([(5, 6)], lambda t, x: nn.scale(t, x, 0.3), lambda x: 0.3 * x),
    "shapes": (
        [(4, 6), (4, 2)],
        lambda t, a, b: nn.transpose(
            t, nn.reshape(t, nn.take(t, nn.concatenate(t, [a, b], 1), slice(1, 7), 1), (2, 2, 6)), (1, 2, 0)
        ),
        lambda a, b: torch.cat([a, b], 1)[:, 1:7].reshape(2, 2, 6).permute(1, 2, 0),
    ),
    "shapes, axes from the end": (
        [(2, 3, 4)],
        lambda t, x: nn.transpose(t, x, (-1, 0, -2)),
        lambda x: x.permute(2, 0, 1),
    ),
    "shapes, an index from the end": (
        [(2, 3, 4)],
        lambda t, x: nn.take(t, x, -1, -2),
        lambda x: x[:, -1],
    ),
    "add, one number": ([(3, 5, 6), ()], nn.add, lambda a, b: a + b),
    "softmax": ([(2, 3, 5)], nn.attention_softmax, lambda x: torch.softmax(x, -1)),
    "causal softmax": (
        [(2, 4, 4)],
        lambda t, x: nn.attention_softmax(t, x, causal=True),
        lambda x: torch.softmax(x.masked_fill(torch.ones(4, 4).triu(1).bool(), -torch.inf), -1),
    ),
    "softmax cross entropy": (
        [(2, 2, 5)],
        lambda t, x: nn.softmax_cross_entropy(t, x, LABELS),
        lambda x: F.cross_entropy(x.reshape(-1, 5), torch.tensor(LABELS).reshape(-1)),
    ),
    "sigmoid cross entropy": (
        [(3, 4)],
        lambda t, x: nn.sigmoid_cross_entropy(t, x, np.float32([[0, 0.9, 1, 0.5]] * 3)),
        lambda x: F.binary_cross_entropy_with_logits(x, torch.tensor([[0, 0.9, 1, 0.5]]).expand(3, 4)),
    ),
}


def run(policy: str, name: str, values: Sequence[np.ndarray]) -> tuple[np.ndarray, list[np.ndarray], np.ndarray]:
    """Return the value, the gradients, and the gradient that the value was given."""
    machine = Machine(named(policy))
    tape = Tape(machine)
    inputs = [tape.parameter(machine.activations.convert(value)) for value in values]
    y = CASES[name][1](tape, *inputs)
    seed = np.random.default_rng(7).normal(0, 1, y.value.shape).astype(np.float16).astype(y.value.dtype)
    tape.backward(y, seed)
    gradients = [x.gradient for x in inputs]
    assert all(g is not None and g.shape == x.value.shape for g, x in zip(gradients, inputs, strict=True))
    return y.value, gradients, seed  # type: ignore[return-value]


@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients_are_those_of_pytorch(name: str) -> None:
    random = np.random.default_rng(len(name))
    values = [random.normal(0, 1, shape).astype(np.float16) for shape in CASES[name][0]]
    value, gradients, seed = run("binary32", name, values)
    theirs = [torch.tensor(x.astype(np.float64), requires_grad=True) for x in values]
    torch.set_default_dtype(torch.float64)
    try:
        y = CASES[name][2](*theirs)
        y.backward(torch.tensor(seed.astype(np.float64)))
    finally:
        torch.set_default_dtype(torch.float32)
    assert value.dtype == np.float32
    np.testing.assert_allclose(value, y.detach().numpy(), rtol=2e-5, atol=2e-6)
    for mine, other in zip(gradients, theirs, strict=True):
        assert mine.dtype == np.float32
        np.testing.assert_allclose(mine, other.grad.numpy(), rtol=2e-4, atol=5e-6)


@pytest.mark.parametrize("policy", ["mixed", "binary16-pure"])
@pytest.mark.parametrize("name", CASES)
def test_binary16_is_near_binary32_and_not_equal(name: str, policy: str) -> None:
    random = np.random.default_rng(len(name))
    values = [random.normal(0, 1, shape).astype(np.float16) for shape in CASES[name][0]]
    wide, narrow = run("binary32", name, values), run(policy, name, values)
    assert all(x.dtype == np.float16 for x in narrow[1])
    # A handful of roundings of 2^-11 each, on sums of numbers up to about 4.
    for mine, other in zip([narrow[0], *narrow[1]], [wide[0], *wide[1]], strict=True):
        np.testing.assert_allclose(mine.astype(np.float64), other, rtol=2e-2, atol=1e-2)
    if not name.startswith(("relu", "max pool", "shapes", "embedding")):
        assert any(
            not np.array_equal(mine.astype(np.float32), other)
            for mine, other in zip([narrow[0], *narrow[1]], [wide[0], *wide[1]], strict=True)
        )


@pytest.mark.parametrize("training", [True, False])
def test_running_statistics_are_those_of_pytorch(training: bool) -> None:
    random = np.random.default_rng(3)
    machine = Machine(named("binary32"))
    state: dict[str, np.ndarray] = {}
    theirs = torch.nn.BatchNorm2d(3)
    for step in range(3):
        x = random.normal(1, 2, (4, 5, 5, 3)).astype(np.float32)
        last = step == 2 and not training
        theirs.train(not last)
        tape = Tape(machine, state=state, training=not last)
        gain, shift = tape.parameter(np.ones(3, np.float32)), tape.parameter(np.zeros(3, np.float32))
        mine = tape.parameter(x)
        y = nn.batch_norm(tape, mine, gain, shift, "bn")
        other = torch.tensor(x, requires_grad=True)
        z = nhwc(theirs(nchw(other)))
        np.testing.assert_allclose(y.value, z.detach().numpy(), rtol=1e-4, atol=1e-5)
        seed = random.normal(0, 1, x.shape).astype(np.float32)
        tape.backward(y, seed)
        z.backward(torch.tensor(seed))
        np.testing.assert_allclose(mine.gradient, other.grad.numpy(), rtol=1e-3, atol=1e-5)  # type: ignore[arg-type]
    np.testing.assert_allclose(state["bn.mean"], theirs.running_mean.numpy(), rtol=1e-5)
    np.testing.assert_allclose(state["bn.variance"], theirs.running_var.numpy(), rtol=1e-5)
