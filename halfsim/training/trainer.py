"""The training loop: scale, differentiate, unscale, clip, step, move the weights, keep the books."""

from __future__ import annotations

import hashlib
import json
import math
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from halfsim._state import default_state
from halfsim.policy import Policy
from halfsim.training.accounting.measure import step_bytes
from halfsim.training.arithmetic import Array
from halfsim.training.experiment import Experiment as Experiment
from halfsim.training.experiment import Settings as Settings
from halfsim.training.ledger import Ledger
from halfsim.training.machine import Machine
from halfsim.training.phases import Side, clipped, flat_gradient, sides_of
from halfsim.training.record import Curve, Record
from halfsim.training.record import Event as Event
from halfsim.training.tape import Tape, Variable
from halfsim.training.tasks import Task

__all__ = ["Event", "Experiment", "Settings", "Trainer", "train"]


class Trainer:
    """A run, step by step; what later steps depend on can be taken out and put back, to the bits it would have had.

    Parameters
    ----------
    experiment : Experiment
        What is run. The bits of the run depend on nothing else.

    Attributes
    ----------
    step : int
        The next step.

    Examples
    --------
    >>> from halfsim.policy import named
    >>> from halfsim.training.experiment import Experiment, Settings
    >>> from halfsim.training.models import Perceptron
    >>> from halfsim.training.optim import Adam
    >>> from halfsim.training.tasks import Classification
    >>> from halfsim.training.trainer import Trainer
    >>> settings = Settings(
    ...     model=Perceptron(sizes=(64, 8, 10)), optimizer=Adam(rate=1e-3), batch=8, steps=2, evaluate_every=2
    ... )
    >>> trainer = Trainer(
    ...     Experiment(task=Classification(dataset="digits"), settings=settings, policy=named("mixed"), seed=0)
    ... )
    >>> while not trainer.done:
    ...     event = trainer.advance()
    >>> trainer.record().steps
    [0, 2]
    """

    @default_state()
    def __init__(self, experiment: Experiment) -> None:
        policy, settings, seed = experiment.policy, experiment.settings, experiment.seed
        self.experiment = experiment
        self.step = 0
        self._ledger = Ledger(settings.sample_every)
        self._machine = Machine(policy, self._ledger, seed)
        # The test of the network has its own random words and no books: how often it happens does not change the run.
        self._tester = Machine(policy, seed=seed, stream=1)
        self._tester.ledger.sampling = False
        self._batches = experiment.task.batches(seed, settings.batch)
        self._state = {
            name: np.full(shape, name.endswith(".variance"), self._machine.batch_norm.dtype)
            for name, shape in settings.model.state_shapes.items()
        }
        self._sides = sides_of(experiment, self._machine)
        self._record = Record(phases={side.name: Curve() for side in self._sides})

    @property
    def done(self) -> bool:
        """Whether every step was taken."""
        return self.step >= self.experiment.settings.steps

    def advance(self) -> Event:
        """Take one step: evaluate if it is time, train every phase on a batch, and after the last step evaluate."""
        settings, step = self.experiment.settings, self.step
        lines: list[dict[str, Any]] = []
        # Overflow and NaN are results here, not mistakes.
        with default_state(), np.errstate(all="ignore"):
            due = step % settings.evaluate_every == 0
            if due:
                lines.append(self._evaluated(step))
            self._ledger.begin(step)
            batch = self._batches.next()
            last = step + 1 == settings.steps
            lines += [self._train(side, batch, due, last) for side in self._sides]
            if (sample := self._ledger.end()) is not None:
                lines.append({"step": step, **_plain(sample)})
            self.step += 1
            if last:
                lines.append(self._evaluated(self.step))
        return Event(step, tuple(lines))

    def _train(self, side: Side, batch: Any, due: bool, last: bool) -> dict[str, Any]:
        """Take one step of one phase; return its line."""
        self._ledger.first_of_step = None
        scaler, curve = side.scaler, self._record.phases[side.name]
        loss, gradient = self._gradient(side, batch)
        finite = bool(np.isfinite(gradient).all())
        skipped = scaler.skips(finite)
        if skipped:
            curve.skipped.append(self.step)
        else:
            gradient = clipped(gradient, self.experiment.settings.clip_norm)
            side.move(gradient, self.experiment.policy, self._ledger)
        curve.scaled(self.step, scaler.scale)
        if due:
            curve.reported.append(loss)
        first = self._ledger.first_of_step
        side.scaler, why = scaler.adjust(finite, _cause(first))
        if last:
            curve.reported.append(loss)
            curve.scaled(self.step + 1, side.scaler.scale)
        if why:
            who = f"{side.name}: " if side.name else ""
            self._record.log.append(f"step {self.step}: {who}{why}")
        shown = {"loss": _plain(loss), "scale": scaler.scale, "skipped": skipped, "why": why}
        return {"step": self.step, "phase": side.name, **shown, **({"nonfinite": first} if first else {})}

    def _gradient(self, side: Side, batch: Any) -> tuple[float, Array]:
        """Return the loss of a batch, and the gradient of the phase's weights, unscaled, in binary32."""
        experiment, scale = self.experiment, side.scaler.scale
        tape = Tape(self._machine, state=self._state)
        parameters = {
            name: tape.parameter(view) if owner is side else tape.constant(view)
            for owner in self._sides
            for name, view in owner.views.items()
        }
        loss = experiment.task.loss(tape, experiment.settings.model, parameters, batch, side.name)
        tape.backward(loss, self._machine.loss.number(scale), scale, side.scaler.bound)
        mine = [parameters[name] for name in side.views]
        if self.step == 0:
            self._weigh(side, tape, mine)
        return float(loss.value), flat_gradient(mine)

    def _weigh(self, side: Side, tape: Tape, parameters: list[Variable]) -> None:
        """Note the bytes of everything that this step holds."""
        memory = self._record.memory
        frozen = [other.weights.stored for other in self._sides if other is not side]
        for name, size in step_bytes(tape, parameters, side.weights, side.optimizer, frozen).items():
            held = memory.get(name, 0)
            # Sides take their steps in turn: of their activations only the larger set is ever there.
            memory[name] = max(held, size) if name == "activations" else held + size

    def _evaluated(self, step: int) -> dict[str, Any]:
        """Measure the network and note it; return the line."""
        measures = self.evaluate()
        self._record.measured(step, measures)
        return {"step": step, "evaluation": _plain(measures)}

    @default_state()
    def evaluate(self) -> dict[str, float]:
        """Measure the network on the test data, run through the machine as in training."""
        task, model = self.experiment.task, self.experiment.settings.model
        parameters = {name: Variable(view, needed=False) for side in self._sides for name, view in side.views.items()}
        return task.evaluate(model, parameters, lambda: Tape(self._tester, state=self._state, training=False))

    def record(self) -> Record:
        """Return what the run has left so far."""
        views = {name: view for side in self._sides for name, view in side.views.items()}
        stored = b"".join(views[name].tobytes() for name in self.experiment.settings.model.shapes)
        return replace(
            self._record,
            ledger=self._ledger.as_dict(),
            first_nonfinite=self._ledger.first,
            weights_sha256=hashlib.sha256(stored).hexdigest(),
        )

    def state(self) -> dict[str, Any]:
        """Return copies of everything that later steps depend on, as arrays and numbers by name.

        Returns
        -------
        dict
            As `numpy.savez` can hold it; `restore` of an equal trainer takes it, or what `numpy.load` made of it.
        """
        ledger = self._ledger.state()
        parts: dict[str, Mapping[str, Any]] = {
            "machine": self._machine.state(),
            "tester": self._tester.state(),
            "batches": self._batches.state(),
            "state": {name: array.copy() for name, array in self._state.items()},
            "ledger": {**ledger, "first": json.dumps(ledger["first"])},
            **{f"side {number}": side.state() for number, side in enumerate(self._sides)},
        }
        flat = {f"{part}:{name}": value for part, values in parts.items() for name, value in values.items()}
        return {"step": self.step, "record": self._record.packed(), **flat}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on where `state` was taken.

        Parameters
        ----------
        state : mapping
            What `state` of a trainer of the same experiment returned, also when it was read from a file.

        Raises
        ------
        KeyError, ValueError
            If something is missing in it, or belongs to another experiment.
        """
        parts: dict[str, dict[str, Any]] = defaultdict(dict)
        for key, value in state.items():
            part, _, name = key.partition(":")
            # Numbers come back from a file as arrays without axes.
            single = isinstance(value, np.ndarray) and not value.ndim
            parts[part][name] = value.item() if single else value
        self._machine.restore(parts["machine"])
        self._tester.restore(parts["tester"])
        self._batches.restore(parts["batches"])
        for name, array in self._state.items():
            array[...] = parts["state"][name]
        self._ledger.restore({**parts["ledger"], "first": json.loads(parts["ledger"]["first"])})
        for number, side in enumerate(self._sides):
            side.restore(parts[f"side {number}"])
        self._record = Record.unpacked(np.asarray(parts["record"][""]))
        self.step = int(parts["step"][""])


def _cause(first: Mapping[str, Any] | None) -> str:
    """Return what first was no finite number, as the beginning of a sentence."""
    if first is None:
        return "a gradient overflowed"
    of = f" of {first['layer']}" if first["layer"] else ""
    return f"the {first['tensor']}{of} overflowed first"


def _plain(value: Any) -> Any:
    """Return what JSON can hold: it has no infinities and NaNs, which become None."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def train(
    task: Task,
    policy: Policy,
    settings: Settings,
    seed: int,
    *,
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
    progress : callable, optional
        Called with the number of every finished step.

    Raises
    ------
    TypeError
        If `policy` is no `halfsim.policy.Policy`.
    ValueError
        If the network does not fit the task.

    Examples
    --------
    >>> from halfsim.policy import named
    >>> from halfsim.training.models import Perceptron
    >>> from halfsim.training.optim import Adam
    >>> from halfsim.training.tasks import Classification
    >>> from halfsim.training.trainer import Settings, train
    >>> model, optimizer = Perceptron(sizes=(64, 8, 10)), Adam(rate=1e-3)
    >>> settings = Settings(model=model, optimizer=optimizer, batch=8, steps=2, evaluate_every=2)
    >>> train(Classification(dataset="digits"), named("mixed"), settings, seed=0).steps
    [0, 2]
    """
    trainer = Trainer(Experiment(task=task, settings=settings, policy=policy, seed=seed))
    while not trainer.done:
        trainer.advance()
        if progress is not None:
            progress(trainer.step)
    return trainer.record()
