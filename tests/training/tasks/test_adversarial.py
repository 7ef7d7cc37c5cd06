from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("sklearn")

from halfsim.policy import named
from halfsim.training.data import digits
from halfsim.training.machine import Machine
from halfsim.training.models import Adversaries
from halfsim.training.tape import Tape
from halfsim.training.tasks import Adversarial
from halfsim.training.tasks.adversarial import frechet_distance, principal_axes
from halfsim.training.tasks.task import constant
from tests.training.philox import philox64
from tests.training.tasks.runs import descend, start, tapes, variables

TASK = Adversarial(latent=4, samples=50)
MODEL = Adversaries(latent=4, generator=(12,), discriminator=(12,))


def normal(seed: int, shape: tuple[int, int]) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def test_the_distance_of_independent_features_is_that_of_their_moments() -> None:
    # Orthogonal columns: covariances are diagonal, and the distance is Σ (μ - μ′)² + (σ - σ′)².
    basis = np.linalg.qr(np.column_stack([np.ones(40), normal(0, (40, 3))]))[0][:, 1:] * np.sqrt(39)
    x, y = basis * [1.0, 2.0, 0.5] + [0.0, 1.0, 0.0], basis * [3.0, 2.0, 0.25] + [0.5, 0.0, 0.0]
    assert frechet_distance(x, y) == pytest.approx(0.25 + 1 + 4 + 0 + 0.0625)
    turn = np.linalg.qr(normal(1, (3, 3)))[0]
    assert frechet_distance(x @ turn, y @ turn) == pytest.approx(5.3125)


def test_the_distance_agrees_with_the_square_root_of_the_product() -> None:
    x, y = normal(2, (30, 4)) @ normal(3, (4, 4)), normal(4, (25, 4)) @ normal(5, (4, 4)) + 1
    a, b = np.cov(x.T), np.cov(y.T)
    # The eigenvalues of Σx Σy, which is not symmetric, are those of the symmetric matrix.
    root = np.sqrt(np.linalg.eigvals(a @ b)).real.sum()
    expected = ((x.mean(axis=0) - y.mean(axis=0)) ** 2).sum() + np.trace(a) + np.trace(b) - 2 * root
    assert frechet_distance(x, y) == pytest.approx(expected)
    assert frechet_distance(x, y) == pytest.approx(frechet_distance(y, x))
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-9)
    assert np.isnan(frechet_distance(x, np.where(y > 2, np.inf, y)))


def test_axes_are_those_of_the_largest_variance() -> None:
    x = normal(6, (200, 5)) * [1.0, 9.0, 3.0, 0.1, 2.0]
    axes = principal_axes(x, 3)
    assert np.allclose(axes.T @ axes, np.eye(3))
    assert np.abs(axes).argmax(axis=0).tolist() == [1, 2, 4]


def test_batches_hold_digits_and_latent_numbers_made_from_words_alone() -> None:
    stream = TASK.batches(3, 700)
    real, first, second = stream.next()
    more = stream.next()
    words = philox64((3, 2), 2 * 2 * 700 * 4)
    latent = np.array([np.float16(2 * ((word >> 11) / 2**53) - 1) for word in words]).reshape(2, 2, 700, 4)
    assert np.array_equal(first, latent[0, 0]) and np.array_equal(second, latent[0, 1])
    assert np.array_equal(more[1], latent[1, 0]) and np.array_equal(more[2], latent[1, 1])
    pixels = np.concatenate([real, more[0]])
    assert sorted(map(bytes, (pixels + np.float16(1)) / np.float16(2))) == sorted(map(bytes, digits().train[0]))
    again = TASK.batches(3, 700)
    again.restore(stream.state())
    assert all(np.array_equal(a, b) for a, b in zip(stream.next(), again.next(), strict=True))


@pytest.mark.parametrize("policy", ["binary32", "mixed"])
def test_losses_are_the_cross_entropies_of_the_logits(policy: str) -> None:
    machine = tapes(policy)().machine
    parameters = variables(start(MODEL), machine)
    real, *latent = batch = TASK.batches(0, 32).next()

    def logits(x: np.ndarray, made: bool) -> np.ndarray:
        tape = Tape(machine)
        variable = tape.constant(x.astype(machine.activations.dtype))
        generated = MODEL(tape, parameters, variable) if made else variable
        return MODEL.judge(tape, parameters, generated).value.astype(np.float64)

    def cross_entropy(z: np.ndarray, target: float) -> float:
        p = 1 / (1 + np.exp(-z))
        return float(-(target * np.log(p) + (1 - target) * np.log(1 - p)).mean())

    discriminator = TASK.loss(Tape(machine), MODEL, parameters, batch, "discriminator")
    expected = (cross_entropy(logits(real, False), 0.9) + cross_entropy(logits(latent[0], True), 0.0)) / 2
    assert float(discriminator.value) == pytest.approx(expected, rel=1e-4)
    generator = TASK.loss(Tape(machine), MODEL, parameters, batch, "generator")
    assert float(generator.value) == pytest.approx(cross_entropy(logits(latent[1], True), 1.0), rel=1e-4)


@pytest.mark.parametrize("policy", ["binary32", "mixed"])
def test_the_two_learn_in_turn(policy: str) -> None:
    measures, losses, weights = descend(TASK, MODEL, policy, rate=0.1, steps=8, batch=64)
    assert list(losses) == ["discriminator", "generator"]
    assert losses["discriminator"][-1] < losses["discriminator"][0]
    assert measures[1]["loss"] < measures[0]["loss"]
    assert all(not np.array_equal(weights[name], value) for name, value in start(MODEL).items())


def test_phases_have_all_parameters_once() -> None:
    prefixes = [phase.prefix for phase in TASK.phases(MODEL)]
    assert all(sum(name.startswith(prefix) for prefix in prefixes) == 1 for name in MODEL.shapes)


def test_generated_digits_are_the_same_every_time_and_their_distance_is_measured() -> None:
    factory = tapes("binary32")
    parameters = variables(start(MODEL), factory().machine)
    made = TASK.generate(MODEL, parameters, factory, 600)
    assert made.shape == (600, 64)
    assert np.abs(made).max() < 1
    assert np.array_equal(TASK.generate(MODEL, parameters, factory, 50), made[:50])
    axes = principal_axes(digits().train[0], 20)
    distance = frechet_distance(digits().test[0] @ axes, (made[:50].astype(np.float64) + 1) / 2 @ axes)
    assert TASK.evaluate(MODEL, parameters, factory)["distance"] == pytest.approx(distance)
    assert frechet_distance(digits().test[0] @ axes, digits().train[0] @ axes) == pytest.approx(0.047, abs=0.001)


def test_weights_that_are_not_finite_have_no_distance() -> None:
    factory = tapes("mixed")
    broken = {name: np.full_like(value, np.nan) for name, value in start(MODEL).items()}
    # As in a run: overflow and NaN are results there.
    with np.errstate(all="ignore"):
        measures = TASK.evaluate(MODEL, variables(broken, factory().machine), factory)
    assert all(np.isnan(value) for value in measures.values())


def test_data_are_flushed_where_the_policy_flushes() -> None:
    """A latent number may be a subnormal, though none of a thousand is."""
    x = np.float16([2.0**-24, -(2.0**-15), 2.0**-14, 0.5])
    for flush, wanted in ((False, x), (True, np.float16([0, -0.0, 2.0**-14, 0.5]))):
        for policy in (named("mixed"), named("mixed").rounded("rup", "up")):
            tape = Tape(Machine(replace(policy, flush_to_zero=flush)))
            found = constant(tape, x).value
            assert found.tobytes() == wanted.tobytes()
    wide = constant(Tape(Machine(replace(named("binary32"), flush_to_zero=True))), x).value
    assert wide.dtype == np.float32 and np.array_equal(wide, x)
