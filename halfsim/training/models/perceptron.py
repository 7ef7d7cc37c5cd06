"""Linear layers with ReLU between them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

from halfsim.training import nn
from halfsim.training.models.model import Model, Start, he
from halfsim.training.registry import check_number, check_sizes
from halfsim.training.tape import Tape, Variable

__all__ = ["Perceptron"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Perceptron(Model):
    """Linear layers with ReLU between them.

    Weights start uniform with He's variance [@he2015], 2 / inputs, times `head` in the last layer; biases start at
    zero, the last one at `bias`.

    Parameters
    ----------
    sizes : tuple of int
        Widths, inputs first.
    head : float
        Factor on the last layer's weights.
    bias : float
        Start of the last layer's biases.

    Raises
    ------
    ValueError
        If `sizes` are not two positive integers at least, or a factor is no number.

    Examples
    --------
    >>> from halfsim.training.models import Perceptron
    >>> Perceptron(sizes=(64, 10)).shapes
    {'linear1.weight': (64, 10), 'linear1.bias': (10,)}
    """

    sizes: tuple[int, ...]
    head: float = 1.0
    bias: float = 0.0

    def __post_init__(self) -> None:
        check_sizes(self, "sizes", least=2)
        check_number(self, "head", "bias")

    @property
    def starts(self) -> dict[str, Start]:
        """Names, shapes and starting values of the parameters, in order."""
        last = len(self.sizes) - 1
        starts: dict[str, Start] = {}
        for layer, (inputs, outputs) in enumerate(pairwise(self.sizes), 1):
            starts[f"linear{layer}.weight"] = he((inputs, outputs), self.head if layer == last else 1.0)
            starts[f"linear{layer}.bias"] = Start((outputs,), constant=self.bias if layer == last else 0.0)
        return starts

    def __call__(self, tape: Tape, parameters: Mapping[str, Variable], x: Variable) -> Variable:
        """Return the logits (n, outputs) of a batch (n, inputs)."""
        last = len(self.sizes) - 1
        for layer in range(1, last + 1):
            name = f"linear{layer}"
            with tape.layer(name):
                x = nn.linear(tape, x, parameters[f"{name}.weight"], parameters[f"{name}.bias"])
                if layer < last:
                    x = nn.relu(tape, x)
        return x
