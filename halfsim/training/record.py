"""What a run leaves behind: its curves, its log, and what the ledger counted."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import numpy as np

from halfsim.training.arithmetic import Array

__all__ = ["Curve", "Record"]


@dataclass(slots=True)
class Curve:
    """What one phase of a run reports: the whole run, or one side of a game.

    Attributes
    ----------
    reported : list of float
        The training loss of one batch, in the arithmetic of the policy, at the steps of the evaluations.
    scale : list of [int, float]
        The loss scale from a step on.
    skipped : list of int
        Steps whose gradient was not finite and moved no weight.

    Examples
    --------
    >>> from halfsim.training.record import Curve
    >>> curve = Curve()
    >>> for step, scale in enumerate([1024.0, 1024.0, 512.0]):
    ...     curve.scaled(step, scale)
    >>> curve.scale
    [[0, 1024.0], [2, 512.0]]
    """

    reported: list[float] = field(default_factory=list)
    scale: list[list[float]] = field(default_factory=list)
    skipped: list[int] = field(default_factory=list)

    def scaled(self, step: int, scale: float) -> None:
        """Note the scale of a step.

        Parameters
        ----------
        step : int
            Number of the step.
        scale : float
            Its loss scale; noted if it is another than that of the step before.
        """
        if not self.scale or self.scale[-1][1] != scale:
            self.scale.append([step, scale])


@dataclass(slots=True)
class Record:
    """What a run leaves.

    Attributes
    ----------
    steps : list of int
        Where the curves have their points; the last is the end.
    measures : dict of lists
        "loss" and what else the task measures on its test data.
    phases : dict of Curve
        Losses, scales and skipped steps by phase; one without a name for all but games.
    log : list of str
        Why the scale moved.
    memory : dict of int
        Bytes by class of tensor, of the first step.
    ledger : dict
        See `halfsim.training.ledger.Ledger.as_dict`.
    first_nonfinite : dict or None
        Layer, tensor and step of the first infinity or NaN.
    weights_sha256 : str
        Digest of the stored weights at the end.

    Examples
    --------
    >>> from halfsim.policy import named
    >>> from halfsim.training.models import Perceptron
    >>> from halfsim.training.optim import Adam
    >>> from halfsim.training.tasks import Classification
    >>> from halfsim.training.trainer import Settings, train
    >>> model, optimizer = Perceptron(sizes=(64, 8, 10)), Adam(rate=1e-3)
    >>> settings = Settings(model=model, optimizer=optimizer, batch=8, steps=2, evaluate_every=1)
    >>> record = train(Classification(dataset="digits"), named("mixed"), settings, seed=0)
    >>> record.steps, len(record.measures["loss"]), record.skipped, record.first_nonfinite
    ([0, 1, 2], 3, [], None)
    """

    steps: list[int] = field(default_factory=list)
    measures: dict[str, list[float]] = field(default_factory=dict)
    phases: dict[str, Curve] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)
    memory: dict[str, int] = field(default_factory=dict)
    ledger: dict[str, Any] = field(default_factory=dict)
    first_nonfinite: dict[str, Any] | None = None
    weights_sha256: str = ""

    @property
    def reported(self) -> list[float]:
        """The training losses of the first phase."""
        return next(iter(self.phases.values())).reported

    @property
    def scale(self) -> list[list[float]]:
        """The loss scales of the first phase: [step, scale from it on]."""
        return next(iter(self.phases.values())).scale

    @property
    def skipped(self) -> list[int]:
        """The steps that some phase skipped."""
        return sorted({step for curve in self.phases.values() for step in curve.skipped})

    def measured(self, step: int, measures: dict[str, float]) -> None:
        """Note what an evaluation found.

        Parameters
        ----------
        step : int
            After how many steps.
        measures : dict of str to float
            What `halfsim.training.tasks.Task.evaluate` returned.
        """
        self.steps.append(step)
        for name, value in measures.items():
            self.measures.setdefault(name, []).append(value)

    def summary(self) -> dict[str, Any]:
        """Return the record as plain values, by the names they have on disk."""
        phases = {name: asdict(curve) for name, curve in self.phases.items()}
        return {
            "measures": self.measures,
            "steps": self.steps,
            "reported": self.reported,
            "scale": self.scale,
            "skipped": self.skipped,
            **({"phases": phases} if len(phases) > 1 else {}),
            "log": self.log,
            "first_nonfinite": self.first_nonfinite,
            "ledger": self.ledger,
            "bytes": self.memory,
            "weights_sha256": self.weights_sha256,
        }

    def packed(self) -> Array:
        """Return the record as bytes, of which `unpacked` makes it again."""
        return np.frombuffer(json.dumps(self, default=_fields).encode(), np.uint8)

    @classmethod
    def unpacked(cls, content: Array) -> Record:
        """Return the record that was packed.

        Parameters
        ----------
        content : array of uint8
            What `packed` returned.
        """
        found = json.loads(content.tobytes())
        phases = {name: Curve(**curve) for name, curve in found.pop("phases").items()}
        return cls(**found, phases=phases)


@dataclass(frozen=True, slots=True)
class Event:
    """What one step had to say: plain tables, in order.

    Parameters
    ----------
    step : int
        Number of the step, from 0.
    lines : tuple of dict
        Losses and scales by phase, evaluations, samples of the ledger.

    Examples
    --------
    >>> from halfsim.training.trainer import Event
    >>> Event(0, ({"loss": 2.3},)).lines
    ({'loss': 2.3},)
    """

    step: int
    lines: tuple[dict[str, Any], ...]


def _fields(row: Any) -> dict[str, Any]:
    """Return the fields of a dataclass, which unlike those of `asdict` are not copied."""
    return {field.name: getattr(row, field.name) for field in fields(row)}
