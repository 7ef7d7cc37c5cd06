"""A generator of images and a discriminator that tells them from real ones.

I. Goodfellow et al., "Generative adversarial nets" [@goodfellow2014].
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

from halfsim.training import nn
from halfsim.training.models.model import Model, Start, glorot
from halfsim.training.registry import check_count, check_number, check_sizes
from halfsim.training.tape import Tape, Variable

__all__ = ["Adversaries"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Adversaries(Model):
    """Two perceptrons, leaky ReLU between their layers: latent numbers to pixels in [-1, 1] by tanh, pixels to a logit.

    They are those of [@goodfellow2014] in kind. Weights start uniform with Glorot's variance [@glorot2010], biases at
    zero.

    Parameters
    ----------
    latent, pixels : int
        Inputs and outputs of the generator.
    generator, discriminator : tuple of int
        Widths between inputs and outputs.
    slope : float
        Of the leaky ReLU below zero.

    Raises
    ------
    ValueError
        If a size is no positive integer, or `slope` no number from 0 to 1.

    Examples
    --------
    >>> from halfsim.training.models import Adversaries
    >>> [name for name, shape in Adversaries().shapes.items() if len(shape) == 2][2:4]
    ['generator.linear3.weight', 'discriminator.linear1.weight']
    """

    latent: int = 16
    pixels: int = 64
    generator: tuple[int, ...] = (128, 128)
    discriminator: tuple[int, ...] = (128, 128)
    slope: float = 0.2

    def __post_init__(self) -> None:
        check_count(self, "latent", "pixels")
        check_sizes(self, "generator", "discriminator")
        check_number(self, "slope", low=0.0, high=1.0)

    @property
    def starts(self) -> dict[str, Start]:
        """Names, shapes and starting values of the parameters, in order."""
        starts: dict[str, Start] = {}
        for who, sizes in (
            ("generator", (self.latent, *self.generator, self.pixels)),
            ("discriminator", (self.pixels, *self.discriminator, 1)),
        ):
            for layer, (inputs, outputs) in enumerate(pairwise(sizes), 1):
                starts[f"{who}.linear{layer}.weight"] = glorot((inputs, outputs))
                starts[f"{who}.linear{layer}.bias"] = Start((outputs,))
        return starts

    def __call__(self, tape: Tape, parameters: Mapping[str, Variable], x: Variable) -> Variable:
        """Return generated images (n, pixels) from latent numbers (n, latent)."""
        x = self._layers(tape, parameters, "generator", len(self.generator) + 1, x)
        with tape.layer(f"generator.linear{len(self.generator) + 1}"):
            return nn.tanh(tape, x)

    def judge(self, tape: Tape, parameters: Mapping[str, Variable], x: Variable) -> Variable:
        """Return logits (n, 1) of images (n, pixels): large where the discriminator holds them for real.

        Parameters
        ----------
        tape : Tape
            What computes and records.
        parameters : mapping of str to Variable
            All parameters, by name.
        x : Variable
            Images (n, pixels), from -1 to 1.
        """
        return self._layers(tape, parameters, "discriminator", len(self.discriminator) + 1, x)

    def _layers(self, tape: Tape, parameters: Mapping[str, Variable], who: str, count: int, x: Variable) -> Variable:
        for layer in range(1, count + 1):
            name = f"{who}.linear{layer}"
            with tape.layer(name):
                x = nn.linear(tape, x, parameters[f"{name}.weight"], parameters[f"{name}.bias"])
                if layer < count:
                    x = nn.leaky_relu(tape, x, self.slope)
        return x
