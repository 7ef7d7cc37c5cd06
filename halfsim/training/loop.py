"""The training loop: scale, differentiate, unscale, step, move the weights, keep the books."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from halfsim.policy import Policy
from halfsim.training.arithmetic import Array
from halfsim.training.ledger import Ledger
from halfsim.training.loss_scale import loss_scaler
from halfsim.training.machine import Machine
from halfsim.training.models import Perceptron
from halfsim.training.optim import Adam, Optimizer
from halfsim.training.tape import Tape, Variable
from halfsim.training.tasks import Task, batches
from halfsim.training.weights import make_weights, split

__all__ = ["Record", "Settings", "gradient_of", "train"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a run does, apart from its precision and its seed.

    Parameters
    ----------
    model : Perceptron
        The network.
    rate : float
        Adam's learning rate.
    batch, steps : int
        Examples per step, and steps.
    evaluate_every, sample_every : int
        Steps between two evaluations, and between two samples of the gradients.
    """

    model: Perceptron
    rate: float
    batch: int
    steps: int
    evaluate_every: int
    sample_every: int = 1

    def __post_init__(self) -> None:
        for name in ("rate", "batch", "steps", "evaluate_every", "sample_every"):
            if not getattr(self, name) > 0:
                raise ValueError(f"Settings: {name}={getattr(self, name)!r} must be positive")


@dataclass(slots=True)
class Record:
    """What a run leaves: curves, what the ledger counted, and a digest of the weights.

    Attributes
    ----------
    steps : list of int
        Where the curves have their points; the last is the end.
    measures : dict of lists
        "loss", "accuracy" and what else the task measures on its test data.
    reported : list of float
        The training loss of one batch, in the arithmetic of the policy.
    scale : list of float
        The loss scale.
    skipped : list of int
        Steps whose gradient overflowed under a dynamic scale.
    log : list of str
        Why the scale moved.
    ledger : dict
        See `halfsim.training.ledger.Ledger.as_dict`.
    weights_sha256 : str
        Digest of the stored weights at the end.
    """

    steps: list[int] = field(default_factory=list)
    measures: dict[str, list[float]] = field(default_factory=dict)
    reported: list[float] = field(default_factory=list)
    scale: list[float] = field(default_factory=list)
    skipped: list[int] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    ledger: dict[str, Any] = field(default_factory=dict)
    weights_sha256: str = ""


def train(
    task: Task,
    policy: Policy,
    settings: Settings,
    seed: int,
    *,
    optimizer: Optimizer | None = None,
    progress: Callable[[int], None] | None = None,
) -> Record:
    """Train a network and return the record.

    Parameters
    ----------
    task : Task
        Data and loss.
    policy : Policy
        Precision of everything.
    settings : Settings
        Network, optimizer, length.
    seed : int
        Of the initial weights, the order of the data and stochastic rounding. Runs of one seed differ in their policy
        alone, and a run has the same bits for any number of threads.
    optimizer : Optimizer, optional
        Instead of Adam with ``settings.rate``.
    progress : callable, optional
        Called with the number of every finished step.
    """
    ledger = Ledger(settings.sample_every)
    # The test of the network draws its own random words: how often it happens does not change the run.
    machine, tester = (Machine(policy, ledger, seed, stream) for stream in (0, 1))
    model = settings.model
    weights = make_weights(model.initial(seed), machine, seed)
    # Weights move in place: these views follow.
    views = split(weights.stored, model.shapes)
    stepping = (optimizer or Adam(settings.rate)).start(weights.stored.size, machine.optimizer)
    scaler = loss_scaler(policy.loss_scale)
    record = Record()
    stream = batches(task.data, settings.batch, seed)
    # Overflow and NaN are results here, not mistakes.
    with np.errstate(all="ignore"):
        for step in range(settings.steps):
            if step % settings.evaluate_every == 0:
                _evaluate(record, step, task, tester, model, views)
            ledger.begin(step)
            x, y = next(stream)
            loss, scaled = gradient_of(task, machine, model, views, x, y, scaler.scale)
            gradient = scaler.unscale(scaled)
            finite = bool(np.isfinite(gradient).all())
            if scaler.skips(finite):
                record.skipped.append(step)
            else:
                delta = stepping.step(gradient)
                ledger.update([("", slice(None))], delta, weights.move(delta))
            if step % settings.evaluate_every == 0:
                record.reported.append(loss)
                record.scale.append(scaler.scale)
            ledger.end()
            scaler, why = scaler.adjust(finite)
            if why:
                record.log.append(f"step {step}: {why}")
            if progress is not None:
                progress(step + 1)
        _evaluate(record, settings.steps, task, tester, model, views)
    record.reported.append(loss)
    record.scale.append(scaler.scale)
    record.ledger = ledger.as_dict()
    record.weights_sha256 = hashlib.sha256(weights.stored.tobytes()).hexdigest()
    return record


def gradient_of(
    task: Task, machine: Machine, model: Perceptron, weights: list[Array], x: Array, y: Array, scale: float
) -> tuple[float, Array]:
    """Return the loss of a batch and the gradient of ``scale * loss``, flat and in the storage format."""
    tape = Tape(machine)
    parameters = [tape.parameter(view) for view in weights]
    loss = task.loss(tape, model(tape, parameters, _input(tape, machine, task, x)), y)
    tape.backward(loss, machine.loss.number(scale), scale)
    gradients = [np.zeros_like(p.value) if p.gradient is None else p.gradient for p in parameters]
    return float(loss.value), np.concatenate([gradient.reshape(-1) for gradient in gradients])


def _input(tape: Tape, machine: Machine, task: Task, x: Array) -> Variable:
    # Data are binary16, which both storage formats hold exactly.
    return tape.constant(task.inputs(x).astype(machine.activations.dtype, copy=False))


def _evaluate(record: Record, step: int, task: Task, machine: Machine, model: Perceptron, weights: list[Array]) -> None:
    """Measure the network on the test data, run through the machine as in training."""
    tape = Tape(machine)
    x, y = task.data.test
    parameters = [tape.constant(view) for view in weights]
    logits = model(tape, parameters, _input(tape, machine, task, x)).value
    record.steps.append(step)
    for name, value in task.measure(logits, y).items():
        record.measures.setdefault(name, []).append(value)
