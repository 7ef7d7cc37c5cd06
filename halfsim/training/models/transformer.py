"""A small causal language model with attention.

A. Vaswani et al., "Attention is all you need" [@vaswani2017], the decoder alone, with normalisation before every part.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from halfsim.training import nn
from halfsim.training.arithmetic import Array
from halfsim.training.models.model import Model, Start, glorot
from halfsim.training.registry import check_choice, check_count
from halfsim.training.tape import Tape, Variable

__all__ = ["Transformer"]

_FUNCTIONS = {"gelu": nn.gelu, "relu": nn.relu}


@dataclass(frozen=True, slots=True, kw_only=True)
class Transformer(Model):
    """Which token comes next: tokens and positions are embedded, then blocks of attention and of two linear layers.

    It is the decoder of [@vaswani2017] with normalisation first. A block is ``x = x + attention(norm(x))``, ``x = x +
    contract(function(expand(norm(x))))``; a last normalisation and a linear layer make the logits. Attention weighs the
    values of a token and those before it by ``softmax((q / sqrt(width / heads)) kᵀ)``. Embeddings start uniform with
    variance 1 / 4, the other weights with Glorot's variance (queries, keys and values each by themselves), gains at
    one, biases and shifts at zero.

    Parameters
    ----------
    vocabulary : int
        How many tokens there are.
    width, heads : int
        Numbers per token, and among how many heads they are divided.
    layers : int
        Blocks.
    length : int
        The most tokens of a sequence.
    hidden : int
        Width between the two linear layers of a block; 0 for four times `width`.
    function : str
        "gelu" or "relu", between these.

    Raises
    ------
    ValueError
        If a size is no positive integer, `heads` do not divide `width`, or `function` is unknown.

    Examples
    --------
    >>> from halfsim.training.models import Transformer
    >>> Transformer(vocabulary=96, width=32, heads=4, layers=2, length=16).shapes["block2.expand.weight"]
    (32, 128)
    """

    vocabulary: int
    width: int
    heads: int
    layers: int
    length: int
    hidden: int = 0
    function: str = "gelu"

    def __post_init__(self) -> None:
        check_count(self, "vocabulary", "width", "heads", "layers", "length")
        check_count(self, "hidden", low=0)
        check_choice(self, "function", tuple(_FUNCTIONS))
        if self.width % self.heads:
            raise ValueError(f"Transformer: width={self.width} must be a multiple of heads={self.heads}")

    @property
    def starts(self) -> dict[str, Start]:
        """Names, shapes and starting values of the parameters, in order."""
        width, hidden = self.width, self.hidden or 4 * self.width
        limit = math.sqrt(3.0) / 2
        starts = {
            "embedding.weight": Start((self.vocabulary, width), limit),
            "position.weight": Start((self.length, width), limit),
        }

        def norm(name: str) -> None:
            starts[f"{name}.gain"] = Start((width,), constant=1.0)
            starts[f"{name}.shift"] = Start((width,))

        def linear(name: str, inputs: int, outputs: int, each: int | None = None) -> None:
            starts[f"{name}.weight"] = glorot((inputs, outputs), each)
            starts[f"{name}.bias"] = Start((outputs,))

        for layer in range(1, self.layers + 1):
            norm(f"block{layer}.norm1")
            linear(f"block{layer}.attention", width, 3 * width, width)
            linear(f"block{layer}.projection", width, width)
            norm(f"block{layer}.norm2")
            linear(f"block{layer}.expand", width, hidden)
            linear(f"block{layer}.contract", hidden, width)
        norm("norm")
        linear("linear1", width, self.vocabulary)
        return starts

    def __call__(self, tape: Tape, parameters: Mapping[str, Variable], x: Array) -> Variable:
        """Return the logits (n, T, vocabulary) of a batch of tokens (n, T), T at most `length`."""
        if x.shape[1] > self.length:
            raise ValueError(f"Transformer: sequences of {x.shape[1]} tokens exceed length={self.length}; raise it")
        with tape.layer("embedding"):
            y = nn.embedding(tape, parameters["embedding.weight"], x)
        with tape.layer("position"):
            y = nn.add(tape, y, nn.take(tape, parameters["position.weight"], slice(0, x.shape[1]), 0))
        for layer in range(1, self.layers + 1):
            name = f"block{layer}"
            attended = self._attend(tape, parameters, name, _norm(tape, parameters, f"{name}.norm1", y))
            with tape.layer(f"{name}.projection"):
                y = nn.add(tape, y, attended)
            expanded = _linear(tape, parameters, f"{name}.expand", _norm(tape, parameters, f"{name}.norm2", y))
            with tape.layer(f"{name}.expand"):
                expanded = _FUNCTIONS[self.function](tape, expanded)
            contracted = _linear(tape, parameters, f"{name}.contract", expanded)
            with tape.layer(f"{name}.contract"):
                y = nn.add(tape, y, contracted)
        return _linear(tape, parameters, "linear1", _norm(tape, parameters, "norm", y))

    def _attend(self, tape: Tape, parameters: Mapping[str, Variable], name: str, x: Variable) -> Variable:
        """Return what attention adds to x (n, T, width)."""
        count, length, _ = x.value.shape
        each = self.width // self.heads
        joined = _linear(tape, parameters, f"{name}.attention", x)
        with tape.layer(f"{name}.attention"):
            q, k, v = (
                nn.reshape(
                    tape,
                    nn.take(tape, joined, slice(part * self.width, (part + 1) * self.width), 2),
                    (count, length, self.heads, each),
                )
                for part in range(3)
            )
            q = nn.scale(tape, nn.transpose(tape, q, (0, 2, 1, 3)), 1.0 / math.sqrt(each))
            scores = nn.matmul(tape, q, nn.transpose(tape, k, (0, 2, 3, 1)))
            weights = nn.attention_softmax(tape, scores, causal=True)
            mixed = nn.matmul(tape, weights, nn.transpose(tape, v, (0, 2, 1, 3)))
            mixed = nn.reshape(tape, nn.transpose(tape, mixed, (0, 2, 1, 3)), (count, length, self.width))
        return _linear(tape, parameters, f"{name}.projection", mixed)


def _norm(tape: Tape, parameters: Mapping[str, Variable], name: str, x: Variable) -> Variable:
    with tape.layer(name):
        return nn.layer_norm(tape, x, parameters[f"{name}.gain"], parameters[f"{name}.shift"])


def _linear(tape: Tape, parameters: Mapping[str, Variable], name: str, x: Variable) -> Variable:
    with tape.layer(name):
        return nn.linear(tape, x, parameters[f"{name}.weight"], parameters[f"{name}.bias"])
