"""The optimizers beside independent references: binary64, exact arithmetic, NumPy's float16, PyTorch."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from halfsim.formats import BINARY16, BINARY32, BINARY64
from halfsim.rounding import as_rounding
from halfsim.training.arithmetic import arithmetic
from halfsim.training.optim import OPTIMIZERS, SGD, Adagrad, Adam, Optimizer
from tests.oracles import rational

RANDOM = np.random.default_rng(24)
GRADIENTS = [RANDOM.normal(0, 1, 40).astype(np.float32) * np.float32(10.0 ** -(i % 4)) for i in range(30)]
WIDE, NARROW = arithmetic(BINARY32), arithmetic(BINARY16)
ROWS = [SGD(0.1), SGD(0.1, 0.9), Adam(1e-3), Adam(3e-2, (0.5, 0.75), 1e-3), Adagrad(1e-2), Adagrad(0.3, 1e-3)]
IDS = [repr(row) for row in ROWS]


def reference(row: Optimizer) -> Callable[[Any], Any]:
    """The definitions in binary64, written on their own."""
    first: Any = 0.0
    second: Any = 0.0
    t = 0

    def step(g: Any) -> Any:
        nonlocal first, second, t
        t += 1
        match row:
            case SGD():
                first = row.momentum * first + g
                return -row.rate * first
            case Adam():
                b1, b2 = row.betas
                first, second = b1 * first + (1 - b1) * g, b2 * second + (1 - b2) * g * g
                return -row.rate * (first / (1 - b1**t)) / (np.sqrt(second / (1 - b2**t)) + row.epsilon)
            case Adagrad():
                second = second + g * g
                return -row.rate * g / (np.sqrt(second) + row.epsilon)

    return step


@pytest.mark.parametrize("row", ROWS, ids=IDS)
def test_a_step_can_be_asked_of_binary32_and_moves_nothing(row: Optimizer) -> None:
    mine = row.start(40, NARROW)
    for gradient in GRADIENTS[:5]:
        fresh = row.start(40, WIDE)
        fresh.restore({name: np.float32(value) for name, value in mine.state().items()})
        # Numbers of state are binary64 whatever the vectors are.
        fresh.scalars = dict(mine.scalars)
        before = mine.state()
        assert np.array_equal(mine.as_binary32(gradient), fresh.step(gradient))
        assert all(np.array_equal(value, before[name]) for name, value in mine.state().items())
        mine.step(gradient)


@pytest.mark.parametrize("row", ROWS, ids=IDS)
def test_binary32_follows_the_definition(row: Optimizer) -> None:
    mine, theirs = row.start(40, WIDE), reference(row)
    for gradient in GRADIENTS:
        delta, expected = mine.step(gradient), theirs(gradient.astype(np.float64))
        assert delta.dtype == np.float32
        np.testing.assert_allclose(delta, expected, rtol=1e-4, atol=1e-10)


@pytest.mark.parametrize("row", ROWS, ids=IDS)
def test_optimizers_move_as_those_of_pytorch(row: Optimizer) -> None:
    torch = pytest.importorskip("torch")
    parameter = torch.zeros(40, dtype=torch.float64, requires_grad=True)
    theirs = {
        SGD: lambda: torch.optim.SGD([parameter], lr=row.rate, momentum=getattr(row, "momentum", 0)),
        Adam: lambda: torch.optim.Adam(
            [parameter], lr=row.rate, betas=getattr(row, "betas", ()), eps=getattr(row, "epsilon", 0)
        ),
        Adagrad: lambda: torch.optim.Adagrad([parameter], lr=row.rate, eps=getattr(row, "epsilon", 0)),
    }[type(row)]()
    mine = row.start(40, WIDE)
    total, path = np.zeros(40), np.zeros(40)
    for step, gradient in enumerate(GRADIENTS, start=1):
        parameter.grad = torch.tensor(gradient.astype(np.float64))
        theirs.step()
        delta = mine.step(gradient).astype(np.float64)
        total += delta
        path += np.abs(delta)
        # Every Δ carries fewer than 20 binary32 roundings, and at most 4 more for each step its state has seen.
        bound = (20 + 4 * step) * 2.0**-24 * np.maximum(path, np.abs(total).max())
        assert (np.abs(total - parameter.detach().numpy()) <= bound).all()


@pytest.mark.parametrize("row", ROWS, ids=IDS)
def test_binary16_rounds_every_operation_to_binary16(row: Optimizer) -> None:
    def f(x: Any) -> Any:  # NumPy's float16 is correctly rounded, and no code of the package
        return np.float64(x).astype(np.float16)

    mine = row.start(40, NARROW)
    first = second = np.zeros(40, np.float16)
    with np.errstate(all="ignore"):
        for t, gradient in enumerate(GRADIENTS, start=1):
            g = gradient.astype(np.float16)
            match row:
                case SGD():
                    first = f(row.momentum) * first + g
                    expected = f(-row.rate) * first
                case Adam():
                    b1, b2 = row.betas
                    p1, p2 = 1.0, 1.0
                    for _ in range(t):
                        p1, p2 = p1 * b1, p2 * b2
                    first = f(b1) * first + f(1 - b1) * g
                    second = f(b2) * second + f(1 - b2) * (g * g)
                    expected = first * f(-row.rate / (1 - p1)) / (np.sqrt(second / f(1 - p2)) + f(row.epsilon))
                case Adagrad():
                    second = second + g * g
                    expected = f(-row.rate) * g / (np.sqrt(second) + f(row.epsilon))
            delta = mine.step(gradient)
            assert expected.dtype == np.float16 and delta.dtype == np.float32
            np.testing.assert_array_equal(delta, expected.astype(np.float32))
    assert all(vector.dtype == np.float16 for vector in mine.vectors.values())


@pytest.mark.parametrize("flush", [False, True], ids=["gradual", "flushed"])
@pytest.mark.parametrize("mode", ["rtz", "rup"])
@pytest.mark.parametrize("row", [SGD(0.1, 0.9), Adam(1e-2, epsilon=1e-3), Adagrad(1e-2)], ids=repr)
def test_binary16_rounds_and_flushes_as_the_policy_says(row: Optimizer, mode: str, flush: bool) -> None:
    machine = replace(rational.IEEE, flush_inputs=flush, flush_results=flush)
    context = rational.Context(mode, machine)

    def number(value: float) -> int:
        return rational.convert(int(np.float64(value).view(np.uint64)), BINARY64, BINARY16)[0]

    def add(a: int, b: int) -> int:
        return rational.add(a, b, context)[0]

    def multiply(a: int, b: int) -> int:
        return rational.multiply(a, b, context)[0]

    def divide(a: int, b: int) -> int:
        return rational.divide(a, b, context)[0]

    def change(g: int, t: int, s: list[int]) -> int:
        match row:
            case SGD():
                s[0] = add(multiply(number(row.momentum), s[0]), g)
                return multiply(number(-row.rate), s[0])
            case Adam():
                s[0] = add(multiply(number(0.9), s[0]), multiply(number(1 - 0.9), g))
                s[1] = add(multiply(number(0.999), s[1]), multiply(number(1 - 0.999), multiply(g, g)))
                root = rational.sqrt(divide(s[1], number(1 - math.prod([0.999] * t))), context)[0]
                return divide(
                    multiply(s[0], number(-row.rate / (1 - math.prod([0.9] * t)))), add(root, number(row.epsilon))
                )
            case Adagrad():
                s[0] = add(s[0], multiply(g, g))
                return divide(multiply(number(-row.rate), g), add(rational.sqrt(s[0], context)[0], number(row.epsilon)))

    mine = row.start(40, arithmetic(BINARY16, as_rounding(mode), flush_to_zero=flush))  # type: ignore[arg-type]
    state = [[0, 0] for _ in range(40)]
    for t, gradient in enumerate(GRADIENTS[:8], start=1):
        with np.errstate(all="ignore"):
            delta = mine.step(gradient)
        expected = [
            change(rational.convert(int(g.view(np.uint32)), BINARY32, BINARY16, context)[0], t, s)
            for g, s in zip(gradient, state, strict=True)
        ]
        assert delta.astype(np.float16).view(np.uint16).tolist() == expected


def test_adam_in_binary16_divides_zero_by_zero() -> None:
    # v = 0.001 g² rounds to zero below 2^-25; the default epsilon does too.
    delta = Adam(1e-3).start(3, NARROW).step(np.float32([0, 1e-3, 1]))
    assert np.isnan(delta[0]) and delta[1] == -np.inf and abs(delta[2] + 1e-3) < 2e-6
    kept = Adam(1e-3, epsilon=1e-4).start(3, NARROW).step(np.float32([0, 1e-3, 1]))
    assert np.isfinite(kept).all() and kept[0] == 0
    assert Adam(1e-3).start(1, WIDE).step(np.float32([0])).tolist() == [0]


def before(row: Optimizer) -> Callable[[Any], Any]:
    """Adam and SGD in NumPy's float32 with in-place operations: the bits that recorded runs rest on."""
    f32 = np.float32
    moments = np.zeros(40, f32), np.zeros(40, f32)
    powers = [1.0, 1.0]
    velocity = np.zeros(40, f32)

    def step(gradient: Any) -> Any:
        nonlocal velocity
        if isinstance(row, SGD):
            if row.momentum:
                velocity = f32(row.momentum) * velocity + gradient
                gradient = velocity
            return -f32(row.rate) * gradient
        assert isinstance(row, Adam)
        (m, v), (b1, b2) = moments, row.betas
        powers[0] *= b1
        powers[1] *= b2
        m *= f32(b1)
        m += f32(1 - b1) * gradient
        v *= f32(b2)
        square = gradient * gradient
        square *= f32(1 - b2)
        v += square
        return m * f32(-row.rate / (1 - powers[0])) / (np.sqrt(v / f32(1 - powers[1])) + f32(row.epsilon))

    return step


@settings(deadline=None)
@given(st.sampled_from(ROWS[:4]), st.integers(0, 2**32 - 1), st.integers(-30, 10))
def test_binary32_keeps_its_bits(row: Optimizer, seed: int, scale: int) -> None:
    random = np.random.default_rng(seed)
    mine, theirs = row.start(40, WIDE), before(row)
    for _ in range(5):
        gradient = (random.normal(0, 1, 40) * 2.0**scale).astype(np.float32)
        assert mine.step(gradient).tobytes() == theirs(gradient).tobytes()


def test_sgd_rounds_each_operation_once() -> None:
    optimizer = SGD(0.1, 0.9).start(1, WIDE)
    velocity = np.float32(0)
    rate, momentum = (Fraction(float(np.float32(value))) for value in (0.1, 0.9))
    for gradient in (np.float32([1 / 3]), np.float32([2 / 7]), np.float32([1e-3])):
        product = np.float32(float(momentum * Fraction(float(velocity))))
        velocity = np.float32(float(Fraction(float(product)) + Fraction(float(gradient[0]))))
        expected = -np.float32(float(rate * Fraction(float(velocity))))
        assert optimizer.step(gradient)[0] == expected


@pytest.mark.parametrize("narrow", [False, True], ids=["binary32", "binary16"])
@pytest.mark.parametrize("row", ROWS, ids=IDS)
def test_a_restored_state_goes_on_to_the_same_bits(row: Optimizer, narrow: bool) -> None:
    a = NARROW if narrow else WIDE
    whole, part = row.start(40, a), row.start(40, a)
    with np.errstate(all="ignore"):
        for gradient in GRADIENTS[:7]:
            whole.step(gradient)
            part.step(gradient)
        state = part.state()
        part.step(GRADIENTS[0])  # a state is a copy
        resumed = row.start(40, a)
        resumed.restore(state)
        for gradient in GRADIENTS[7:15]:
            assert resumed.step(gradient).tobytes() == whole.step(gradient).tobytes()
    momentum = {"velocity"} if row != SGD(0.1) else set()
    assert set(state) == {SGD: momentum, Adam: {"m", "v", "power1", "power2"}, Adagrad: {"squares"}}[type(row)]


def test_a_state_of_something_else_is_refused() -> None:
    adam = Adam(1e-3).start(4, WIDE)
    with pytest.raises(ValueError, match=r"the state has velocity, but .* keeps m, v, power1, power2"):
        adam.restore(SGD(0.1, 0.9).start(4, WIDE).state())
    with pytest.raises(ValueError, match=r"m has shape \(5,\)"):
        adam.restore(Adam(1e-3).start(5, WIDE).state())
    with pytest.raises(ValueError, match="dtype float16"):
        adam.restore(Adam(1e-3).start(4, NARROW).state())
    assert adam.step(np.ones(4, np.float32)).tolist() == Adam(1e-3).start(4, WIDE).step(np.ones(4, np.float32)).tolist()


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("sgd", {"rate": 0}, "SGD: rate=0 must be a positive finite number"),
        ("sgd", {"rate": float("nan")}, "rate=nan"),
        ("sgd", {"rate": 1, "momentum": 1}, "momentum=1 must be a number from 0 to below 1"),
        ("adam", {"rate": "1"}, "Adam: rate='1'"),
        ("adam", {"rate": 1, "betas": (0.9, 1.0)}, "betas="),
        ("adam", {"rate": 1, "betas": (0.9,)}, "betas="),
        ("adam", {"rate": 1, "epsilon": -1}, "epsilon=-1"),
        ("adagrad", {"rate": float("inf")}, "Adagrad: rate=inf"),
        ("adagrad", {"rate": 1, "epsilon": True}, "epsilon=True"),
    ],
)
def test_wrong_settings_are_named(name: str, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        OPTIMIZERS[name](**arguments)


def test_rows_are_plain_numbers() -> None:
    assert OPTIMIZERS["adam"](rate=1, betas=[0, 0.5]) == Adam(1.0, (0.0, 0.5))  # type: ignore[call-arg]
    assert hash(Adam(1, [0, 0.5])) == hash(Adam(1.0, (0.0, 0.5)))  # type: ignore[arg-type]
