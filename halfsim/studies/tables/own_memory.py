"""What training the networks of this project keeps in memory, measured from the arrays of a step: a table."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from halfsim.policy import Policy
from halfsim.studies.cells import Cell, fresh
from halfsim.studies.tables.memory import ROWS
from halfsim.training.accounting import CLASSES, STATES, memory
from halfsim.training.accounting.own import account
from halfsim.training.experiment import Experiment, Settings
from halfsim.training.models import LSTM, BatchNormNet, ConvNet, Model, Perceptron
from halfsim.training.optim import SGD, Adagrad, Adam, Optimizer
from halfsim.training.tasks import Classification, Language, Task
from halfsim.training.trainer import Trainer

__all__ = ["measured_bytes", "own_models"]

_OPTIMIZERS: dict[str, Optimizer] = {
    "SGD": SGD(1e-3),
    "momentum": SGD(1e-3, momentum=0.9),
    "Adagrad": Adagrad(1e-3),
    "Adam": Adam(1e-3),
}


def measured_bytes(trainer: Trainer) -> dict[str, int]:
    """Take the first step of a run and return the bytes of the arrays that it holds.

    Parameters
    ----------
    trainer : Trainer
        Before its first step.

    Returns
    -------
    dict of str to int
        Bytes of each of `halfsim.training.accounting.CLASSES`.

    Raises
    ------
    ValueError
        If the run has taken a step.

    Examples
    --------
    >>> from halfsim.policy import named
    >>> from halfsim.studies.tables.own_memory import measured_bytes
    >>> from halfsim.training.models import Perceptron
    >>> from halfsim.training.optim import SGD
    >>> from halfsim.training.tasks import Classification
    >>> from halfsim.training.trainer import Experiment, Settings, Trainer
    >>> settings = Settings(
    ...     model=Perceptron(sizes=(64, 10)), optimizer=SGD(rate=0.1), batch=8, steps=1, evaluate_every=1
    ... )
    >>> run = Experiment(task=Classification(dataset="digits"), settings=settings, policy=named("mixed"), seed=0)
    >>> measured_bytes(Trainer(run))["weights"]  # 650 of two bytes
    1300
    """
    if trainer.step:
        raise ValueError(f"measured_bytes: trainer has taken {trainer.step} steps; pass one before its first")
    trainer.advance()
    found = trainer.record().memory
    return {name: found[name] for name in CLASSES}


def own_models(
    batches: Sequence[int] = (1, 8, 64),
    dataset: str = "digits-or-fashion",
    optimizer: str = "Adam",
    *,
    cells: Cell = fresh,
) -> list[dict[str, Any]]:
    """Return the memory of networks that are trained here, by policy and batch.

    Parameters
    ----------
    batches : sequence of int
        Examples per step: images, or windows of 32 characters.
    dataset : str
        Images; see `halfsim.training.tasks.Classification`.
    optimizer : str
        One of `halfsim.training.accounting.STATES`.
    cells : Cell
        Knows the rows that are computed already.

    Returns
    -------
    list of dict
        ``model``, ``policy``, ``batch``; bytes of ``weights``, ``copies``, ``gradients``, ``optimizer`` and
        ``activations``, their ``total``, and its ``ratio`` to that of binary32, all measured; ``accounted``: the total
        by accounting, None for networks that have no table of layers.

    Raises
    ------
    ValueError
        If the dataset or the optimizer is unknown.

    Examples
    --------
    >>> from halfsim.studies.tables.own_memory import own_models
    >>> rows = own_models(batches=(4,), dataset="digits")
    >>> [row["total"] - row["accounted"] for row in rows if row["accounted"] is not None]
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
    """
    if optimizer not in _OPTIMIZERS:
        raise ValueError(f"own_models: optimizer={optimizer!r} is unknown; known are {', '.join(_OPTIMIZERS)}")
    rows = []
    for name, (task, model) in _networks(dataset, max(batches)).items():
        for batch in batches:
            found = [
                cells(f"{name} {batch} {policy.name}", partial(_measured, task, model, policy, optimizer, batch))
                for policy in ROWS
            ]
            baseline = found[0]["total"]
            for policy, row in zip(ROWS, found, strict=True):
                accounted = _accounted(model, policy, optimizer, batch)
                where = {"model": name, "policy": policy.name, "batch": batch}
                rows.append({**where, **row, "ratio": row["total"] / baseline, "accounted": accounted})
    return rows


def _networks(dataset: str, examples: int) -> dict[str, tuple[Task, Model]]:
    # Only a step is taken: a few examples do.
    images = Classification(dataset=dataset, train=examples, test=10)
    height, width, channels = images.image
    text = Language(length=32, vocabulary=96, train=33 * examples, test=33)
    return {
        "perceptron": (images, Perceptron(sizes=(height * width * channels, 128, 10))),
        "convnet": (images, ConvNet(image=images.image)),
        "batch-norm net": (images, BatchNormNet(image=images.image)),
        "LSTM": (text, LSTM(vocabulary=96, embedding=24, hidden=64)),
    }


def _measured(task: Task, model: Model, policy: Policy, optimizer: str, batch: int) -> dict[str, int]:
    settings = Settings(model=model, optimizer=_OPTIMIZERS[optimizer], batch=batch, steps=1, evaluate_every=1)
    parts = measured_bytes(Trainer(Experiment(task=task, settings=settings, policy=policy, seed=0)))
    return {**parts, "total": sum(parts.values())}


def _accounted(model: Model, policy: Policy, optimizer: str, batch: int) -> int | None:
    # A subclass keeps more than its parent.
    if isinstance(model, Perceptron) or type(model) is ConvNet:
        return sum(memory(account(model, policy, batch), policy, STATES[optimizer], batch).values())
    return None
