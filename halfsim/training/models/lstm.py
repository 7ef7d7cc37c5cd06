"""A recurrent language model.

S. Hochreiter and J. Schmidhuber, "Long short-term memory" [@hochreiter1997], with the forget gate of F. Gers et al.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from halfsim.training import nn
from halfsim.training.arithmetic import Array
from halfsim.training.models.model import Model, Start, glorot
from halfsim.training.registry import check_count
from halfsim.training.tape import Tape, Variable

__all__ = ["LSTM"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LSTM(Model):
    """Which token comes next: an embedding, layers of long short-term memory that start from zero, a linear layer.

    With h and c of the step before, and [x, h] joined: ``i, f, g, o = [x, h] w + b``, ``c = σ(f) c + σ(i) tanh(g)``,
    ``h = σ(o) tanh(c)``; every operation is one of the policy's. Embeddings start uniform with variance 1, the other
    weights with Glorot's variance (of every gate by itself), biases at zero but those of the forget gates at one
    [@jozefowicz2015].

    Parameters
    ----------
    vocabulary : int
        How many tokens there are.
    embedding, hidden : int
        Numbers per token, and per state.
    layers : int
        How many.

    Raises
    ------
    ValueError
        If a field is no positive integer.

    Examples
    --------
    >>> from halfsim.training.models import LSTM
    >>> LSTM(vocabulary=96, embedding=24, hidden=64).shapes["lstm1.weight"]
    (88, 256)
    """

    vocabulary: int
    embedding: int
    hidden: int
    layers: int = 1

    def __post_init__(self) -> None:
        check_count(self, "vocabulary", "embedding", "hidden", "layers")

    @property
    def starts(self) -> dict[str, Start]:
        """Names, shapes and starting values of the parameters, in order."""
        starts = {"embedding.weight": Start((self.vocabulary, self.embedding), math.sqrt(3.0))}
        inputs = self.embedding
        for layer in range(1, self.layers + 1):
            starts[f"lstm{layer}.weight"] = glorot((inputs + self.hidden, 4 * self.hidden), self.hidden)
            starts[f"lstm{layer}.bias"] = Start((4 * self.hidden,), constant=(0.0, 1.0, 0.0, 0.0))
            inputs = self.hidden
        starts["linear1.weight"] = glorot((self.hidden, self.vocabulary))
        starts["linear1.bias"] = Start((self.vocabulary,))
        return starts

    def __call__(self, tape: Tape, parameters: Mapping[str, Variable], x: Array) -> Variable:
        """Return the logits (n, T, vocabulary) of a batch of tokens (n, T)."""
        count, length = x.shape
        with tape.layer("embedding"):
            embedded = nn.embedding(tape, parameters["embedding.weight"], x)
            steps = [nn.take(tape, embedded, t, 1) for t in range(length)]
        for layer in range(1, self.layers + 1):
            with tape.layer(f"lstm{layer}"):
                steps = self._run(tape, parameters, f"lstm{layer}", steps)
        with tape.layer("linear1"):
            shape = (count, 1, self.hidden)
            hidden = nn.concatenate(tape, [nn.reshape(tape, h, shape) for h in steps], 1)
            return nn.linear(tape, hidden, parameters["linear1.weight"], parameters["linear1.bias"])

    def _run(self, tape: Tape, parameters: Mapping[str, Variable], name: str, steps: list[Variable]) -> list[Variable]:
        """Return the states h of one layer, one (n, hidden) per step."""
        weight, bias = parameters[f"{name}.weight"], parameters[f"{name}.bias"]
        value = steps[0].value
        h = c = tape.constant(np.zeros((len(value), self.hidden), value.dtype))
        outputs: list[Variable] = []
        for x in steps:
            z = nn.linear(tape, nn.concatenate(tape, [x, h], 1), weight, bias)
            i, f, g, o = (nn.take(tape, z, slice(k * self.hidden, (k + 1) * self.hidden), 1) for k in range(4))
            kept = nn.multiply(tape, nn.sigmoid(tape, f), c)
            c = nn.add(tape, kept, nn.multiply(tape, nn.sigmoid(tape, i), nn.tanh(tape, g)))
            h = nn.multiply(tape, nn.sigmoid(tape, o), nn.tanh(tape, c))
            outputs.append(h)
        return outputs
