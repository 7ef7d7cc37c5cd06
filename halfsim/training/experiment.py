"""What decides the bits of a run: a task, a network, an optimizer, a policy and a seed; and its plain-table form."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from halfsim.checks import integer, plain
from halfsim.policy import Policy, from_table
from halfsim.training.models import MODELS, Model
from halfsim.training.optim import OPTIMIZERS, Optimizer
from halfsim.training.registry import row_of
from halfsim.training.tasks import TASKS, BatchSize, Task

__all__ = ["Experiment", "Settings"]

_LARGEST = 2**53
_COUNTS = ("batch", "steps", "evaluate_every", "sample_every")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a run does, apart from its task, its precision and its seed.

    Parameters
    ----------
    model : Model
        The network.
    optimizer : SGD, Adam or Adagrad
        How a gradient becomes a change of the weights.
    batch : int or "full"
        Examples per step; "full" for all there are.
    steps : int
        Length of the run.
    evaluate_every, sample_every : int
        Steps between two evaluations, and between two samples of the ledger.
    clip_norm : float, optional
        Largest norm of a gradient: a longer one, once unscaled, is shortened to it.

    Raises
    ------
    TypeError
        If `model` is no network or `optimizer` no optimizer, such as the name of one.
    ValueError
        If a count is no integer from 1 on, or `clip_norm` no number that is positive and finite.

    Examples
    --------
    >>> from halfsim.training.experiment import Settings
    >>> from halfsim.training.models import Perceptron
    >>> from halfsim.training.optim import Adam
    >>> Settings(model=Perceptron(sizes=(64, 10)), optimizer=Adam(0.01), batch=8, steps=100, evaluate_every=50).batch
    8
    """

    model: Model
    optimizer: Optimizer
    batch: BatchSize
    steps: int
    evaluate_every: int
    sample_every: int = 8
    clip_norm: float | None = None

    def __post_init__(self) -> None:
        model: object = self.model
        if not isinstance(model, Model):
            raise TypeError(
                f"Settings: model={model!r} is of type {type(model).__name__}; pass a network, such as "
                "halfsim.training.models.Perceptron(sizes=(64, 10))"
            )
        optimizer: object = self.optimizer
        if isinstance(optimizer, type) or not hasattr(optimizer, "start"):
            raise TypeError(
                f"Settings: optimizer={optimizer!r} is of type {type(optimizer).__name__}; pass an optimizer, such as "
                "halfsim.training.optim.Adam(0.01)"
            )
        if isinstance(self.batch, str) and self.batch != "full":
            raise ValueError(f"Settings: batch={self.batch!r} must be an integer from 1 to {_LARGEST}, or 'full'")
        for name in _COUNTS:
            if getattr(self, name) != "full":
                object.__setattr__(self, name, integer("Settings", name, getattr(self, name), 1, _LARGEST))
        norm = plain(self.clip_norm)
        if norm is not None:
            if isinstance(norm, bool) or not isinstance(norm, int | float) or not 0 < norm <= sys.float_info.max:
                raise ValueError(f"Settings: clip_norm={norm!r} must be a positive finite number, or None for none")
            object.__setattr__(self, "clip_norm", float(norm))


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """A run that could be made.

    Parameters
    ----------
    task : Task
        Data and loss.
    settings : Settings
        Network, optimizer, length.
    policy : Policy
        Precision of everything.
    seed : int
        Of the initial weights, the order of the data and stochastic rounding, 0 to 2**63 - 1. Runs of one seed differ
        in their policy alone.

    Raises
    ------
    TypeError
        If `policy` is no `halfsim.policy.Policy`.
    ValueError
        If `seed` is no integer within its range.

    Examples
    --------
    >>> from halfsim.policy import named
    >>> from halfsim.training.experiment import Experiment, Settings
    >>> from halfsim.training.models import Perceptron
    >>> from halfsim.training.optim import Adam
    >>> from halfsim.training.tasks import Classification
    >>> short = Settings(model=Perceptron(sizes=(64, 10)), optimizer=Adam(0.01), batch=8, steps=2, evaluate_every=2)
    >>> run = Experiment(task=Classification(dataset="digits"), settings=short, policy=named("mixed"), seed=0)
    >>> Experiment.from_config(run.config()) == run
    True
    """

    task: Task
    settings: Settings
    policy: Policy
    seed: int

    def __post_init__(self) -> None:
        policy: object = self.policy
        if not isinstance(policy, Policy):
            raise TypeError(
                f"Experiment: policy={policy!r} is of type {type(policy).__name__}; pass a halfsim.policy.Policy, "
                "such as halfsim.policy.named('mixed')"
            )
        object.__setattr__(self, "seed", integer("Experiment", "seed", self.seed, 0, 2**63 - 1))

    def config(self) -> dict[str, Any]:
        """Return the experiment as nested tables of numbers, texts and lists, of which `from_config` makes it again."""
        settings = self.settings
        numbers = {name: getattr(settings, name) for name in _COUNTS}
        clip = {} if settings.clip_norm is None else {"clip_norm": float(settings.clip_norm)}
        return {
            "seed": self.seed,
            **numbers,
            **clip,
            "task": _table(TASKS, self.task),
            "model": _table(MODELS, settings.model),
            "optimizer": _table(OPTIMIZERS, settings.optimizer),
            "policy": self.policy.as_table(),
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Experiment:
        """Return the experiment that `config` describes.

        Parameters
        ----------
        config : mapping
            What `config` returned, also when it was read from a file: TOML or JSON.

        Raises
        ------
        ValueError, TypeError
            If a table is missing, or has an unknown key or a value that its row does not take.
        """
        missing = [key for key in ("task", "model", "optimizer", "policy", "seed") if key not in config]
        if missing:
            raise ValueError(
                f"Experiment.from_config: {', '.join(missing)} missing; pass what Experiment.config returns"
            )
        settings = Settings(
            model=row_of(MODELS, config["model"]),
            optimizer=row_of(OPTIMIZERS, config["optimizer"]),
            **{name: config[name] for name in (*_COUNTS, "clip_norm") if name in config},
        )
        return cls(
            task=row_of(TASKS, config["task"]),
            settings=settings,
            policy=from_table(config["policy"]),
            seed=config["seed"],
        )


def _table(registry: Mapping[str, type], row: Any) -> dict[str, Any]:
    """Return a row as a table under its name in a registry; what is None is left out, as TOML has no word for it."""
    name = next(name for name, kind in registry.items() if type(row) is kind)
    values = {field.name: _plain(getattr(row, field.name)) for field in fields(row)}
    return {"name": name, **{key: value for key, value in values.items() if value is not None}}


def _plain(value: Any) -> Any:
    return [_plain(item) for item in value] if isinstance(value, tuple | list) else value
