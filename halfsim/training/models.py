"""Networks: the shapes of their parameters, where these start, and the forward pass on a tape."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from halfsim.training import nn
from halfsim.training.arithmetic import Array
from halfsim.training.tape import Tape, Variable
from halfsim.training.words import Words

__all__ = ["Perceptron"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Perceptron:
    """Linear layers with ReLU between them.

    Weights start uniform with He's variance, 2 / inputs, times `head` in the last layer; biases start at zero, the
    last one at `bias`.

    Parameters
    ----------
    sizes : tuple of int
        Widths, inputs first.
    head : float
        Factor on the last layer's weights.
    bias : float
        Start of the last layer's biases.
    """

    sizes: tuple[int, ...]
    head: float = 1.0
    bias: float = 0.0

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """Shapes of the parameters: weight and bias of every layer."""
        pairs = zip(self.sizes[:-1], self.sizes[1:], strict=True)
        return [shape for inputs, outputs in pairs for shape in ((inputs, outputs), (outputs,))]

    def initial(self, seed: int) -> Array:
        """Return all parameters as one flat float32 vector.

        With u = 53 bits of a word as a fraction: ``sqrt(6 / inputs) * (2 u - 1)`` elementwise in binary64, times
        `head`, then rounded to binary32; IEEE 754 fixes every operation.
        """
        random = Words(seed, 0)
        parts: list[Array] = []
        for inputs, outputs in zip(self.sizes[:-1], self.sizes[1:], strict=True):
            limit = np.sqrt(6.0 / inputs)
            parts += [limit * (2.0 * random.uniform(inputs * outputs) - 1.0), np.zeros(outputs)]
        parts[-2] *= self.head
        parts[-1] += self.bias
        return np.concatenate(parts).astype(np.float32)

    def __call__(self, tape: Tape, parameters: Sequence[Variable], x: Variable) -> Variable:
        """Return the logits of a batch."""
        for layer in range(0, len(parameters), 2):
            if layer:
                x = nn.relu(tape, x)
            x = nn.linear(tape, x, parameters[layer], parameters[layer + 1])
        return x
