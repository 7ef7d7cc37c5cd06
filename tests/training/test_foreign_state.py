"""Trainings under the states of the floating-point unit that other libraries leave."""

from __future__ import annotations

import platform
from typing import Any

import numba
import numpy as np
import pytest

pytest.importorskip("sklearn")

from halfsim._state import default_state
from halfsim.core import _guard
from halfsim.policy import named
from halfsim.training.models import BatchNormNet, Perceptron
from halfsim.training.optim import SGD, Adagrad, Adam
from halfsim.training.tasks import Classification
from halfsim.training.trainer import Experiment, Settings, Trainer

pytestmark = pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="sets MXCSR")

WORDS = {"up, flushing": 0xDFC0, "toward zero, flushing": 0xFFC0, "down": 0x3F80}
DEFAULT = 0x1F80


@numba.njit
def set_state(word):  # type: ignore[no-untyped-def]
    _guard._leave(word)


@numba.njit
def get_state():  # type: ignore[no-untyped-def]
    word = _guard._enter()
    _guard._leave(word)
    return word


def perceptron(optimizer: Any) -> Settings:
    return Settings(
        model=Perceptron(sizes=(64, 8, 10)), optimizer=optimizer, batch=8, steps=6, evaluate_every=3, sample_every=2,
        clip_norm=0.5,
    )  # fmt: skip


NORMALISED = Settings(
    model=BatchNormNet(image=(8, 8, 1), channels=(2, 3)), optimizer=SGD(rate=0.1, momentum=0.9), batch=8, steps=3,
    evaluate_every=3, sample_every=2,
)  # fmt: skip
RUNS = [
    ("binary32", perceptron(Adam(rate=1e-3))),
    ("mixed-scaled", perceptron(Adagrad(rate=1e-2))),
    ("binary16-stochastic", perceptron(Adam(rate=1e-3))),
    ("mixed", NORMALISED),
]


def run(policy: str, settings: Settings) -> dict[str, Any]:
    """Everything that later steps depend on, and what was measured, as bytes."""
    trainer = Trainer(
        Experiment(task=Classification(dataset="digits"), settings=settings, policy=named(policy), seed=1)
    )
    while not trainer.done:
        trainer.advance()
    parts = trainer.state().items()
    return {
        **{name: np.asarray(value).tobytes() for name, value in parts if not name.startswith("ledger:")},
        "all that was recorded": repr(trainer.record()).encode(),
    }


@pytest.mark.parametrize(("policy", "settings"), RUNS, ids=[f"{name}-{i}" for i, (name, _) in enumerate(RUNS)])
def test_no_state_of_the_floating_point_unit_changes_a_training(policy: str, settings: Settings) -> None:
    want = run(policy, settings)
    for name, word in WORDS.items():
        set_state(np.uint32(word))
        try:
            got, after = run(policy, settings), get_state()
        finally:
            set_state(np.uint32(DEFAULT))
        assert got == want, name
        assert after & ~0x3F == word, name


def test_numpy_does_follow_the_state() -> None:
    """What the test above would miss if nothing changed outside."""
    one, little = np.float32([1]), np.float32([2.0**-30])
    set_state(np.uint32(WORDS["up, flushing"]))
    try:
        outside = one + little
        with default_state():
            inside = one + little
    finally:
        set_state(np.uint32(DEFAULT))
    assert outside[0] > 1 and inside[0] == 1
