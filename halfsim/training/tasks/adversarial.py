"""Digits that a generator makes up, and how far they are from real ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from halfsim.training import nn
from halfsim.training.arithmetic import Array
from halfsim.training.data import Dataset, digits
from halfsim.training.models import Adversaries, Model
from halfsim.training.registry import check_count, check_number
from halfsim.training.tape import Tape, Variable
from halfsim.training.tasks.streams import Batches, BatchSize, Order
from halfsim.training.tasks.task import Parameters, Phase, TapeFactory, Task, constant, outputs
from halfsim.training.words import Words

__all__ = ["Adversarial", "frechet_distance"]

_LATENT, _TESTED = 2, 3
_CHUNK = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Adversarial(Task):
    """A generator and a discriminator of digits, trained in turn, the discriminator first, on one batch.

    Pixels are 0 to 1, moved to -1 to 1, exactly. The discriminator's loss is the cross entropy of its logits with
    `label` for real digits and 0 for generated ones, a mean over both; the generator's, which does not saturate, that
    of the logits of its digits with 1. Latent numbers are uniform in [-1, 1), rounded to binary16.

    Parameters
    ----------
    latent : int
        Inputs of the generator.
    label : float
        What real digits are held for: less than 1 smooths the labels, on one side [@salimans2016].
    components : int
        Principal components of the training digits in which the distance is measured.
    samples : int
        How many digits are generated for a measurement.

    Raises
    ------
    ValueError
        If a number is out of its range.

    Examples
    --------
    >>> from halfsim.training.tasks import Adversarial
    >>> real, *latent = Adversarial().batches(seed=0, size=4).next()
    >>> real.shape, [z.shape for z in latent]
    ((4, 64), [(4, 16), (4, 16)])
    """

    latent: int = 16
    label: float = 0.9
    components: int = 20
    samples: int = 1000

    def __post_init__(self) -> None:
        check_count(self, "latent", "components")
        check_count(self, "samples", low=2)
        check_number(self, "label", low=0.0, high=1.0)
        if self.components > 64:
            raise ValueError(f"Adversarial: components={self.components} must be at most 64, the pixels of a digit")

    @property
    def data(self) -> Dataset:
        """The digits, with their labels."""
        return digits()

    def phases(self, model: Model) -> tuple[Phase, ...]:
        """Return discriminator and generator.

        Parameters
        ----------
        model : Adversaries
            Generator and discriminator, whose parameters begin with these words.
        """
        return Phase("discriminator", "discriminator."), Phase("generator", "generator.")

    def batches(self, seed: int, size: BatchSize) -> Batches:
        """Return batches of real digits (n, 64), and of latent numbers (n, latent) for each of the two phases.

        Parameters
        ----------
        seed, size : int, int or "full"
            As of `Task.batches`.

        Raises
        ------
        ValueError
            As of `Task.batches`.
        """
        return _Confrontations(_centred(self.data.train[0]), self.latent, size, seed)

    def loss(
        self, tape: Tape, model: Adversaries, parameters: Parameters, batch: tuple[Array, Array, Array], phase: str
    ) -> Variable:
        """Return the loss of one of the two: the binary cross entropy of the discriminator's answers.

        For the discriminator over a batch of real and of generated digits, whose targets are `label` and 0; for the
        generator
        over generated digits, whose targets are 1.

        Parameters
        ----------
        tape, model, parameters, batch : Tape, Adversaries, mapping, tuple of array
            As of `Task.loss`.
        phase : str
            ``"discriminator"`` or ``"generator"``.
        """
        real, *latent = batch
        generated = model(tape, parameters, constant(tape, latent[phase == "generator"]))
        if phase == "generator":
            logits, targets = model.judge(tape, parameters, generated), np.ones((len(real), 1), np.float32)
        else:
            with tape.layer("batch"):
                both = nn.concatenate(tape, [constant(tape, real), generated], 0)
            logits = model.judge(tape, parameters, both)
            targets = np.repeat(np.array([self.label, 0.0], np.float32), len(real))[:, None]
        with tape.layer("loss"):
            return nn.sigmoid_cross_entropy(tape, logits, targets)

    def evaluate(self, model: Adversaries, parameters: Parameters, tape_factory: TapeFactory) -> dict[str, float]:
        """Return the discriminator's cross entropy on test digits and generated ones, and their Fréchet distance.

        Test digits have the distance 0.047 from training digits; generated ones that no weight was trained for, 5.

        Parameters
        ----------
        model, parameters, tape_factory : Adversaries, mapping, callable
            As of `Task.evaluate`.
        """
        generated = self.generate(model, parameters, tape_factory, self.samples)
        on_real, on_generated = (
            np.concatenate([z for _, z in outputs(model.judge, parameters, tape_factory, x, _CHUNK)])
            for x in (_centred(self.data.test[0]), generated)
        )
        loss = (np.logaddexp(0.0, -on_real).mean() + np.logaddexp(0.0, on_generated).mean()) / 2
        # In pixels from 0 to 1, as the data have them.
        axes = principal_axes(self.data.train[0], self.components)
        found = (generated + 1) / 2
        distance = frechet_distance(self.data.test[0].astype(np.float64) @ axes, found @ axes)
        return {"loss": float(loss), "distance": distance}

    def generate(self, model: Adversaries, parameters: Parameters, tape_factory: TapeFactory, count: int) -> Array:
        """Return `count` generated digits (count, 64) as float64, always from the same latent numbers.

        Parameters
        ----------
        model, parameters, tape_factory : Adversaries, mapping, callable
            As of `Task.evaluate`.
        count : int
            Digits.

        Returns
        -------
        array of float64
            (count, 64), from -1 to 1.
        """
        latent = _uniform(Words(0, _TESTED), (count, self.latent))
        return np.concatenate([x for _, x in outputs(model, parameters, tape_factory, latent, _CHUNK)])


class _Confrontations:
    """Real digits in the order of `Order`, and latent numbers that are drawn once each."""

    def __init__(self, x: Array, latent: int, size: BatchSize, seed: int) -> None:
        self._x, self._latent, self._seed = x, latent, seed
        self._order = Order(len(x), size, seed)
        self._drawn = 0

    def next(self) -> tuple[Array, Array, Array]:
        """Return real digits, and latent numbers for each of the two phases."""
        real = self._x[self._order.next()]
        shape = 2, len(real), self._latent
        latent = _uniform(Words(self._seed, _LATENT, skip=self._drawn), shape)
        self._drawn += latent.size
        return real, latent[0], latent[1]

    def state(self) -> dict[str, int]:
        """Return where the next batch begins, and how many latent numbers were drawn."""
        return {**self._order.state(), "drawn": self._drawn}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on where `state` was taken."""
        self._order.restore(state)
        self._drawn = int(state["drawn"])


def principal_axes(x: Array, count: int) -> Array:
    """Return the directions (features, count) in which x (n, features) varies most, in binary64."""
    return np.linalg.eigh(np.cov(x.astype(np.float64), rowvar=False))[1][:, ::-1][:, :count]


def frechet_distance(x: Array, y: Array) -> float:
    """Return the squared Fréchet distance of the normal distributions with the moments of x and y.

    ``|μx - μy|² + tr(Σx + Σy - 2 (Σx Σy)^(1/2))`` [@dowson1982], as M. Heusel et al. compare images [@heusel2017], in
    binary64. NaN when a number is not finite.

    Parameters
    ----------
    x, y : array, shape (n, features) and (m, features)
        At least two rows each.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(0).normal(size=(100, 2))
    >>> round(frechet_distance(x, x + [3.0, 4.0]), 6), round(frechet_distance(x, -x + 2 * x.mean(axis=0)), 6)
    (25.0, 0.0)
    """
    x, y = x.astype(np.float64), y.astype(np.float64)
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        return float("nan")
    apart = x.mean(axis=0) - y.mean(axis=0)
    a, b = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    values, vectors = np.linalg.eigh(a)
    root = vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T
    # (a b)^(1/2) has the trace of (root b root)^(1/2), which is symmetric.
    common = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ b @ root), 0)).sum()
    return float(apart @ apart + np.trace(a) + np.trace(b) - 2 * common)


def _centred(x: Array) -> Array:
    """Return pixels from 0 to 1, multiples of 1/16, from -1 to 1: exact in binary16."""
    return (2.0 * x.astype(np.float64) - 1.0).astype(np.float16)


def _uniform(random: Words, shape: tuple[int, ...]) -> Array:
    return (2.0 * random.uniform(int(np.prod(shape))).reshape(shape) - 1.0).astype(np.float16)
