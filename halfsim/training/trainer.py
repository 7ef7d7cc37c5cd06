"""The training loop: scale, differentiate, unscale, clip, step, move the weights, keep the books.

Everything that a later step depends on can be taken out and put back, so that a run goes on after any kill to the bits
it would have had.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from halfsim.policy import Policy
from halfsim.training.arithmetic import Array, arithmetic
from halfsim.training.experiment import Experiment as Experiment
from halfsim.training.experiment import Settings as Settings
from halfsim.training.ledger import Ledger
from halfsim.training.loss_scale import LossScaler, loss_scaler
from halfsim.training.machine import Machine
from halfsim.training.models import Model
from halfsim.training.optim import OptimizerState
from halfsim.training.record import Curve, Record
from halfsim.training.tape import Tape, Variable
from halfsim.training.tasks import Task
from halfsim.training.weights import Weights, make_weights

__all__ = ["Event", "Experiment", "Settings", "Trainer", "train"]


@dataclass(frozen=True, slots=True)
class Event:
    """What one step had to say: plain tables, in order.

    Parameters
    ----------
    step : int
        Number of the step, from 0.
    lines : tuple of dict
        Losses and scales by phase, evaluations, samples of the ledger.
    """

    step: int
    lines: tuple[dict[str, Any], ...]


@dataclass(slots=True)
class _Phase:
    """Weights that move together: their optimizer, their loss scale, and views of them by name."""

    name: str
    weights: Weights
    optimizer: OptimizerState
    scaler: LossScaler
    views: dict[str, Array]
    layers: list[tuple[str, slice]]


class Trainer:
    """A run, step by step.

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
    >>> from halfsim.training.models import Perceptron
    >>> from halfsim.training.optim import Adam
    >>> from halfsim.training.tasks import Classification
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
            name: np.full(shape, name.endswith(".variance"), np.float32)
            for name, shape in settings.model.state_shapes.items()
        }
        self._phases = self._start(settings.model)
        self._record = Record(phases={phase.name: Curve() for phase in self._phases})

    def _start(self, model: Model) -> list[_Phase]:
        """Cut the initial weights into the phases of the task."""
        experiment = self.experiment
        flat, start = model.initial(experiment.seed), 0
        parts: dict[str, Array] = {}
        for name, shape in model.shapes.items():
            parts[name] = flat[start : (start := start + math.prod(shape))]
        phases = []
        for number, phase in enumerate(experiment.task.phases(model)):
            mine = {name: part for name, part in parts.items() if name.startswith(phase.prefix)}
            # Every phase has its own random words.
            weights = make_weights(np.concatenate(list(mine.values())), self._machine, experiment.seed, number)
            views: dict[str, Array] = {}
            layers: list[tuple[str, slice]] = []
            start = 0
            for name in mine:
                stop = start + math.prod(model.shapes[name])
                # Weights move in place: these views follow.
                views[name] = weights.stored[start:stop].reshape(model.shapes[name])
                layers.append((name.rpartition(".")[0], slice(start, stop)))
                start = stop
            optimizer = experiment.settings.optimizer.start(start, arithmetic(experiment.policy.optimizer_state))
            scaler = loss_scaler(experiment.policy.loss_scale)
            phases.append(_Phase(phase.name, weights, optimizer, scaler, views, layers))
        return phases

    @property
    def done(self) -> bool:
        """Whether every step was taken."""
        return self.step >= self.experiment.settings.steps

    def advance(self) -> Event:
        """Take one step: evaluate if it is time, train every phase on a batch, and after the last step evaluate."""
        settings, step = self.experiment.settings, self.step
        lines: list[dict[str, Any]] = []
        # Overflow and NaN are results here, not mistakes.
        with np.errstate(all="ignore"):
            due = step % settings.evaluate_every == 0
            if due:
                lines.append(self._evaluated(step))
            self._ledger.begin(step)
            batch = self._batches.next()
            last = step + 1 == settings.steps
            lines += [self._train(phase, batch, due, last) for phase in self._phases]
            if (sample := self._ledger.end()) is not None:
                lines.append({"step": step, **sample})
            self.step += 1
            if last:
                lines.append(self._evaluated(self.step))
        return Event(step, tuple(lines))

    def _train(self, phase: _Phase, batch: Any, due: bool, last: bool) -> dict[str, Any]:
        """Take one step of one phase; return its line."""
        self._ledger.first_of_step = None
        scaler, curve = phase.scaler, self._record.phases[phase.name]
        loss, gradient = self._gradient(phase, batch)
        finite = bool(np.isfinite(gradient).all())
        skipped = scaler.skips(finite)
        if skipped:
            curve.skipped.append(self.step)
        else:
            delta = phase.optimizer.step(_clipped(gradient, self.experiment.settings.clip_norm))
            self._ledger.update(phase.layers, delta, phase.weights.move(delta))
        curve.scaled(self.step, scaler.scale)
        if due:
            curve.reported.append(loss)
        first = self._ledger.first_of_step
        phase.scaler, why = scaler.adjust(finite, _cause(first))
        if last:
            curve.reported.append(loss)
            curve.scaled(self.step + 1, phase.scaler.scale)
        if why:
            who = f"{phase.name}: " if phase.name else ""
            self._record.log.append(f"step {self.step}: {who}{why}")
        shown = {"loss": loss if math.isfinite(loss) else None, "scale": scaler.scale, "skipped": skipped, "why": why}
        return {"step": self.step, "phase": phase.name, **shown, **({"nonfinite": first} if first else {})}

    def _gradient(self, phase: _Phase, batch: Any) -> tuple[float, Array]:
        """Return the loss of a batch, and the gradient of the phase's weights, unscaled, in binary32."""
        experiment, scale = self.experiment, phase.scaler.scale
        tape = Tape(self._machine, state=self._state)
        parameters = {
            name: tape.parameter(view) if owner is phase else tape.constant(view)
            for owner in self._phases
            for name, view in owner.views.items()
        }
        loss = experiment.task.loss(tape, experiment.settings.model, parameters, batch, phase.name)
        tape.backward(loss, self._machine.loss.number(scale), scale)
        mine = [parameters[name] for name in phase.views]
        if self.step == 0:
            self._weigh(phase, tape, mine)
        return float(loss.value), np.concatenate([_unscaled(phase.scaler, variable) for variable in mine])

    def _weigh(self, phase: _Phase, tape: Tape, variables: list[Variable]) -> None:
        """Note the bytes of everything that this step holds."""
        memory = self._record.memory
        stored = phase.weights.stored
        kept = [array for array in tape.kept() if not any(array is owner.weights.stored for owner in self._phases)]
        found = {
            "weights": stored.nbytes,
            "master weights": _bytes(phase.weights.state()) - stored.nbytes,
            "optimizer": _bytes(phase.optimizer.state()),
            "gradients": sum(variable.value.size for variable in variables) * self._machine.gradients.dtype.itemsize,
        }
        for name, size in found.items():
            memory[name] = memory.get(name, 0) + size
        # Phases follow each other: only the larger of their tapes is ever there.
        memory["activations"] = max(memory.get("activations", 0), sum(array.nbytes for array in kept))

    def _evaluated(self, step: int) -> dict[str, Any]:
        """Measure the network and note it; return the line."""
        measures = self.evaluate()
        self._record.measured(step, measures)
        plain = {name: value if math.isfinite(value) else None for name, value in measures.items()}
        return {"step": step, "evaluation": plain}

    def evaluate(self) -> dict[str, float]:
        """Measure the network on the test data, run through the machine as in training."""
        task, model = self.experiment.task, self.experiment.settings.model
        parameters = {name: Variable(view, needed=False) for phase in self._phases for name, view in phase.views.items()}
        return task.evaluate(
            model, parameters, lambda: Tape(self._tester, state=self._state, training=False)
        )

    def record(self) -> Record:
        """Return what the run has left so far."""
        stored = b"".join(view.tobytes() for view in self._in_order())
        return replace(
            self._record,
            ledger=self._ledger.as_dict(),
            first_nonfinite=self._ledger.first,
            weights_sha256=hashlib.sha256(stored).hexdigest(),
        )

    def _in_order(self) -> list[Array]:
        views = {name: view for phase in self._phases for name, view in phase.views.items()}
        return [views[name] for name in self.experiment.settings.model.shapes]

    def state(self) -> dict[str, Any]:
        """Return everything that later steps depend on, as arrays and numbers by name.

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
            "state": self._state,
            "ledger": {**ledger, "first": json.dumps(ledger["first"])},
        }
        for number, phase in enumerate(self._phases):
            parts[f"weights {number}"] = phase.weights.state()
            parts[f"optimizer {number}"] = phase.optimizer.state()
            parts[f"scaler {number}"] = _scaler_state(phase.scaler)
        flat = {f"{part}:{name}": value for part, values in parts.items() for name, value in values.items()}
        return {"step": self.step, "record": self._record.packed(), **flat}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on where `state` was taken.

        Raises
        ------
        KeyError
            If something is missing in it.
        """
        parts: dict[str, dict[str, Any]] = {}
        for key, value in state.items():
            part, _, name = key.partition(":")
            # Numbers come back from a file as arrays without axes.
            parts.setdefault(part, {})[name] = value.item() if isinstance(value, np.ndarray) and not value.ndim else value
        self._machine.restore(parts["machine"])
        self._tester.restore(parts["tester"])
        self._batches.restore(parts["batches"])
        for name, array in self._state.items():
            array[...] = parts["state"][name]
        self._ledger.restore({**parts["ledger"], "first": json.loads(parts["ledger"]["first"])})
        for number, phase in enumerate(self._phases):
            phase.weights.restore(parts[f"weights {number}"])
            phase.optimizer.restore(parts.get(f"optimizer {number}", {}))
            phase.scaler = replace(phase.scaler, **parts[f"scaler {number}"])
        self._record = Record.unpacked(np.asarray(parts["record"][""]))
        self.step = int(parts["step"][""])


def _unscaled(scaler: LossScaler, variable: Variable) -> Array:
    """Return the gradient of a parameter as a flat binary32 vector, its loss scale taken out."""
    if variable.gradient is None:
        return np.zeros(variable.value.size, np.float32)
    return scaler.unscale(variable.gradient.reshape(-1), variable.scale)


def _clipped(gradient: Array, largest: float | None) -> Array:
    """Return the gradient, shortened to a norm: in binary32, the sum of squares in binary64 by ascending index."""
    if largest is None:
        return gradient
    wide = gradient.astype(np.float64)
    norm = math.sqrt(np.add.accumulate(wide * wide)[-1])
    return gradient * np.float32(largest / norm) if norm > largest else gradient


def _cause(first: Mapping[str, Any] | None) -> str:
    """Return which operation first produced an infinity or a NaN, as the subject and verb of a sentence."""
    if first is None:
        return "a gradient overflowed"
    of = f" of {first['layer']}" if first["layer"] else ""
    return f"the {first['tensor']}{of} overflowed first"


def _scaler_state(scaler: LossScaler) -> dict[str, Any]:
    return {field.name: getattr(scaler, field.name) for field in fields(scaler) if field.name != "row"}


def _bytes(state: Mapping[str, Any]) -> int:
    return sum(value.nbytes for value in state.values() if isinstance(value, np.ndarray) and value.ndim)


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
    """
    trainer = Trainer(Experiment(task=task, settings=settings, policy=policy, seed=seed))
    while not trainer.done:
        trainer.advance()
        if progress is not None:
            progress(trainer.step)
    return trainer.record()
