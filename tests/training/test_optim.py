from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from halfsim.training.optim import SGD, Adam

RANDOM = np.random.default_rng(24)
GRADIENTS = [RANDOM.normal(0, 1, 40).astype(np.float32) * np.float32(10.0 ** -(i % 4)) for i in range(30)]


def test_adam_follows_its_definition() -> None:
    mine = Adam(1e-3)
    m = v = np.zeros(40)
    for t, gradient in enumerate(GRADIENTS, start=1):
        g = gradient.astype(np.float64)
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        expected = -1e-3 * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
        delta = mine.step(gradient)
        assert delta.dtype == np.float32
        np.testing.assert_allclose(delta, expected, rtol=1e-4, atol=1e-10)


def test_the_first_step_of_adam_is_the_rate() -> None:
    delta = Adam(2.0**-10).step(np.float32([3, -5, 0]))
    np.testing.assert_allclose(delta, np.float32([-1, 1, 0]) * np.float32(2.0**-10), rtol=1e-6)


def test_a_zero_gradient_gives_zero_and_no_nan() -> None:
    assert Adam(1.0).step(np.zeros(2, np.float32)).tolist() == [0, 0]


@pytest.mark.parametrize("name", ["Adam", "SGD"])
def test_optimizers_move_as_those_of_pytorch(name: str) -> None:
    torch = pytest.importorskip("torch")
    parameter = torch.zeros(40, dtype=torch.float64, requires_grad=True)
    if name == "Adam":
        mine, theirs = Adam(1e-3), torch.optim.Adam([parameter], lr=1e-3)
    else:
        mine, theirs = SGD(0.1, 0.9), torch.optim.SGD([parameter], lr=0.1, momentum=0.9)
    total = np.zeros(40)
    for gradient in GRADIENTS:
        parameter.grad = torch.tensor(gradient.astype(np.float64))
        theirs.step()
        total += mine.step(gradient)
        # At most 30 steps of a few binary32 roundings each.
        bound = 30 * 4 * 2.0**-24 * np.abs(total).max()
        np.testing.assert_allclose(total, parameter.detach().numpy(), rtol=0, atol=bound)


def test_sgd_rounds_each_operation_once() -> None:
    optimizer = SGD(0.1, 0.9)
    velocity = np.float32(0)
    rate, momentum = (Fraction(float(np.float32(value))) for value in (0.1, 0.9))
    for gradient in (np.float32([1 / 3]), np.float32([2 / 7]), np.float32([1e-3])):
        product = np.float32(float(momentum * Fraction(float(velocity))))
        velocity = np.float32(float(Fraction(float(product)) + Fraction(float(gradient[0]))))
        expected = -np.float32(float(rate * Fraction(float(velocity))))
        assert optimizer.step(gradient)[0] == expected


def test_sgd_without_momentum_keeps_no_state() -> None:
    optimizer = SGD(0.5)
    assert optimizer.step(np.float32([2])).tolist() == [-1]
    assert optimizer.step(np.float32([2])).tolist() == [-1]
