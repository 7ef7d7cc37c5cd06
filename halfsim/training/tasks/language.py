"""Which token of a text comes next."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from halfsim.training import nn
from halfsim.training.arithmetic import Array
from halfsim.training.data import Dataset, corpus
from halfsim.training.registry import check_choice, check_count
from halfsim.training.tape import Tape, Variable
from halfsim.training.tasks.streams import Batches, BatchSize, Examples
from halfsim.training.tasks.task import Parameters, TapeFactory, Task, check_outputs, nats, outputs

__all__ = ["Language"]

_LOGITS = 1 << 22


@dataclass(frozen=True, slots=True, kw_only=True)
class Language(Task):
    """Which token comes next: softmax over the vocabulary, cross entropy averaged over all tokens of a batch.

    The text is cut in windows of `length` tokens, one after the other without overlap, and batches are windows in a
    random order. A network starts every window anew: nothing is carried from one to the next, so that a run is its
    weights and its place in the order alone.

    Parameters
    ----------
    text : str
        "pydoc" for Python's help topics, else the path of a UTF-8 file.
    unit : str
        "char", or "word": words and punctuation marks of the text in lower case.
    vocabulary : int
        How many tokens are told apart: "<unk>", and the most frequent ones of the training part.
    length : int
        Tokens of a window.
    train, test, skip : int
        Tokens for training, the tokens after them for testing, and those left out before both.

    Raises
    ------
    ValueError
        If a number is no integer of its range, or the unit unknown.

    Examples
    --------
    >>> from halfsim.training.tasks import Language
    >>> x, y = Language(train=1000, test=100, length=8).batches(seed=0, size=4).next()
    >>> x.shape, bool((x[:, 1:] == y[:, :-1]).all())
    ((4, 8), True)
    """

    text: str = "pydoc"
    unit: str = "char"
    vocabulary: int = 96
    length: int = 32
    train: int = 100_000
    test: int = 10_000
    skip: int = 0

    def __post_init__(self) -> None:
        check_choice(self, "unit", ("char", "word"))
        check_count(self, "vocabulary", low=2)
        check_count(self, "length")
        check_count(self, "train", "test", low=self.length + 1)
        check_count(self, "skip", low=0)

    @property
    def data(self) -> Dataset:
        """Windows of tokens, and of the tokens after each of these: int64 (n, length) both."""
        return _windows(self.length, self.text, self.unit, self.vocabulary, self.train, self.test, self.skip)

    def batches(self, seed: int, size: BatchSize) -> Batches:
        """Return batches of tokens (n, length) and of those that come next.

        Parameters
        ----------
        seed, size : int, int or "full"
            As of `Task.batches`.

        Raises
        ------
        ValueError
            As of `Task.batches`.
        """
        return Examples(*self.data.train, size, seed)

    def loss(self, tape: Tape, model: Any, parameters: Parameters, batch: tuple[Array, Array], phase: str) -> Variable:
        """Return the mean cross entropy of the tokens of a batch.

        Parameters
        ----------
        tape, model, parameters, batch, phase : Tape, Model, mapping, tuple of array, str
            As of `Task.loss`.

        Raises
        ------
        ValueError
            As of `Task.loss`.
        """
        logits = model(tape, parameters, batch[0])
        check_outputs(self, logits.value, self.vocabulary)
        with tape.layer("loss"):
            return nn.softmax_cross_entropy(tape, logits, batch[1])

    def evaluate(self, model: Any, parameters: Parameters, tape_factory: TapeFactory) -> dict[str, float]:
        """Return loss per token in nats, accuracy, and perplexity, the exponential of the loss.

        Parameters
        ----------
        model, parameters, tape_factory : Model, mapping, callable
            As of `Task.evaluate`.

        Returns
        -------
        dict of str to float
            ``"loss"``, ``"accuracy"`` (a share, 0 to 1) and ``"perplexity"``.

        Raises
        ------
        ValueError
            As of `Task.loss`.
        """
        x, y = self.data.test
        losses, right = np.empty(x.shape), np.empty(x.shape, np.bool_)
        chunk = max(1, _LOGITS // (self.length * self.vocabulary))
        for part, logits in outputs(model, parameters, tape_factory, x, chunk):
            check_outputs(self, logits, self.vocabulary)
            losses[part] = nats(logits, y[part])
            right[part] = logits.argmax(axis=-1) == y[part]
        loss = float(losses.mean())
        return {"loss": loss, "accuracy": float(right.mean()), "perplexity": float(np.exp(loss))}


@lru_cache(maxsize=4)
def _windows(length: int, text: str, unit: str, vocabulary: int, train: int, test: int, skip: int) -> Dataset:
    source = corpus(text, unit, vocabulary, train, test, skip)

    def half(tokens: Array) -> tuple[Array, Array]:
        count = (len(tokens) - 1) // length
        x, y = (tokens[shift : shift + count * length].reshape(count, length) for shift in (0, 1))
        return x, y

    return Dataset(source.name, source.file, source.sha256, half(source.train), half(source.test))
