from __future__ import annotations

import numpy as np
import pytest

from halfsim.policy import named
from halfsim.training.machine import Machine
from halfsim.training.models import Adversaries
from halfsim.training.tape import Tape
from tests.training.tasks.runs import start, variables


def test_shapes() -> None:
    assert Adversaries().shapes == {
        "generator.linear1.weight": (16, 128), "generator.linear1.bias": (128,),
        "generator.linear2.weight": (128, 128), "generator.linear2.bias": (128,),
        "generator.linear3.weight": (128, 64), "generator.linear3.bias": (64,),
        "discriminator.linear1.weight": (64, 128), "discriminator.linear1.bias": (128,),
        "discriminator.linear2.weight": (128, 128), "discriminator.linear2.bias": (128,),
        "discriminator.linear3.weight": (128, 1), "discriminator.linear3.bias": (1,),
    }  # fmt: skip


@pytest.mark.parametrize(("policy", "tolerance"), [("binary32", 1e-6), ("mixed", 5e-3)])
def test_outputs_are_those_of_the_equations(policy: str, tolerance: float) -> None:
    model = Adversaries(latent=3, pixels=10, generator=(8, 9), discriminator=(6,), slope=0.25)
    w = {name: value.astype(np.float64) for name, value in start(model).items()}
    z = np.random.default_rng(0).uniform(-1, 1, (5, 3)).astype(np.float16)

    def layers(who: str, x: np.ndarray, count: int) -> np.ndarray:
        for layer in range(1, count + 1):
            x = x @ w[f"{who}.linear{layer}.weight"] + w[f"{who}.linear{layer}.bias"]
            x = x if layer == count else np.where(x > 0, x, x / 4)
        return x

    machine = Machine(named(policy))
    tape, parameters = Tape(machine), variables(start(model), machine)
    made = model(tape, parameters, tape.constant(z.astype(machine.activations.dtype)))
    expected = np.tanh(layers("generator", z.astype(np.float64), 3))
    assert np.abs(made.value - expected).max() < tolerance
    assert np.abs(model.judge(tape, parameters, made).value - layers("discriminator", expected, 2)).max() < tolerance
