"""Which of ten classes an image belongs to."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from halfsim.training import nn
from halfsim.training.arithmetic import Array
from halfsim.training.data import Dataset, digits, enlarged_digits, fashion_folder, fashion_mnist
from halfsim.training.registry import check_choice, check_count
from halfsim.training.tape import Tape, Variable
from halfsim.training.tasks.streams import Batches, BatchSize, Examples
from halfsim.training.tasks.task import Parameters, TapeFactory, Task, check_outputs, constant, nats, outputs

__all__ = ["Classification"]

_DIGITS, _FASHION, _EITHER = "digits", "fashion-mnist", "digits-or-fashion"
_NOTICE = (
    "Fashion-MNIST is not here: digits, enlarged to 28 × 28 pixels, stand in for it. Install Debian's package "
    "dataset-fashion-mnist, or set HALFSIM_DATA to a folder with its four IDX files"
)
_CLASSES, _CHUNK = 10, 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Classification(Task):
    """Which of ten classes: softmax over them, mean cross entropy.

    Parameters
    ----------
    dataset : str
        "digits", "fashion-mnist", or "digits-or-fashion": Fashion-MNIST where the system has it, else digits, which a
        warning and the notice of the data then say.
    train, test : int
        How many examples, the first ones; 0 for 1,400 and 397 digits, or 8,000 and 2,000 of Fashion-MNIST. Digits that
        stand in for it have its shape, and those to train are repeated until they are as many; see
        `halfsim.training.data.enlarged_digits`.
    pool : int
        Side of the squares of pixels that are averaged.
    order : str
        "shuffled", or "sorted": the same batches, every one sorted by class, so that sums over the batch add up in
        another order.

    Raises
    ------
    ValueError
        If `dataset` or `order` is unknown, or a number is no integer of its range.

    Examples
    --------
    >>> from halfsim.training.tasks import Classification
    >>> task = Classification(dataset="digits")
    >>> x, y = task.batches(seed=0, size=4).next()
    >>> x.shape, y.tolist()
    ((4, 64), [6, 5, 5, 0])
    """

    dataset: str
    train: int = 0
    test: int = 0
    pool: int = 1
    order: str = "shuffled"

    def __post_init__(self) -> None:
        check_choice(self, "dataset", (_DIGITS, _FASHION, _EITHER))
        check_choice(self, "order", ("shuffled", "sorted"))
        check_count(self, "train", "test", low=0)
        check_count(self, "pool")

    @property
    def data(self) -> Dataset:
        """The data; inputs are (n, pixels)."""
        if self.dataset == _DIGITS:
            return digits(self.train or 1400, self.test or 397, self.pool)
        if self.dataset == _FASHION or fashion_folder() is not None:
            return fashion_mnist(self.train or 8000, self.test or 2000, pool=self.pool)
        warnings.warn(_NOTICE, stacklevel=2)
        return replace(enlarged_digits(self.train or 8000, self.test or 2000, self.pool), notice=_NOTICE)

    @property
    def image(self) -> tuple[int, int, int]:
        """Height, width and channels of the images, as convolutional networks ask for them."""
        side = math.isqrt(self.data.test[0].shape[1])
        return side, side, 1

    def batches(self, seed: int, size: BatchSize) -> Batches:
        """Return batches of pixels (n, pixels) and labels (n,).

        Parameters
        ----------
        seed, size : int, int or "full"
            As of `Task.batches`.

        Returns
        -------
        Batches
            Pixels float16 and labels int64.

        Raises
        ------
        ValueError
            As of `Task.batches`.
        """
        return Examples(*self.data.train, size, seed, sort=self.order == "sorted")

    def loss(self, tape: Tape, model: Any, parameters: Parameters, batch: tuple[Array, Array], phase: str) -> Variable:
        """Return the mean cross entropy of a batch.

        Parameters
        ----------
        tape, model, parameters, batch, phase : Tape, Model, mapping, tuple of array, str
            As of `Task.loss`.

        Raises
        ------
        ValueError
            As of `Task.loss`.
        """
        logits = model(tape, parameters, constant(tape, batch[0]))
        check_outputs(self, logits.value, _CLASSES)
        with tape.layer("loss"):
            return nn.softmax_cross_entropy(tape, logits, batch[1])

    def evaluate(self, model: Any, parameters: Parameters, tape_factory: TapeFactory) -> dict[str, float]:
        """Return loss per example in nats, and accuracy.

        Parameters
        ----------
        model, parameters, tape_factory : Model, mapping, callable
            As of `Task.evaluate`.

        Returns
        -------
        dict of str to float
            ``"loss"`` and ``"accuracy"`` (a share, 0 to 1).

        Raises
        ------
        ValueError
            As of `Task.loss`.
        """
        x, labels = self.data.test
        losses, right = np.empty(len(x)), np.empty(len(x), np.bool_)
        for part, logits in outputs(model, parameters, tape_factory, x, _CHUNK):
            check_outputs(self, logits, _CLASSES)
            losses[part] = nats(logits, labels[part])
            right[part] = logits.argmax(axis=1) == labels[part]
        return {"loss": float(losses.mean()), "accuracy": float(right.mean())}
