"""The networks that are trained here, as tables of what the tape keeps of them."""

from __future__ import annotations

import math

from halfsim.formats import BINARY16
from halfsim.policy import Policy
from halfsim.training.accounting.layers import Layer, Network
from halfsim.training.models import ConvNet, Perceptron

__all__ = ["account"]

_LABEL = 8  # bytes of an int64


def account(model: Perceptron | ConvNet, policy: Policy, batch: int) -> Network:
    """Return a classifier as a table of layers: what `halfsim.training.tape.Tape` keeps for the backward pass.

    An activation function here has an output of its own, pooling notes in a byte where each maximum was, and the cross
    entropy keeps the exponentials of the logits, their sum and the label. Products of binary16 numbers with more rows
    than columns leave images channel by channel in memory, and flattening such images keeps a second copy of them.

    Parameters
    ----------
    model : Perceptron or ConvNet
        The network.
    policy : Policy
        Whether products are of binary16 numbers. The accumulators must not round stochastically.
    batch : int
        Examples of a step.

    Examples
    --------
    >>> from halfsim.policy import named
    >>> from halfsim.training.models import Perceptron
    >>> network = account(Perceptron(sizes=(64, 32, 10)), named("mixed"), batch=8)
    >>> network.parameters, network.activations, network.exponentials
    (2410, 138, 11)
    """
    if isinstance(model, Perceptron):
        layers, outputs = _perceptron(model), model.sizes[-1]
    elif type(model) is ConvNet:
        layers, outputs = _conv_net(model, policy, batch), model.classes
    else:
        raise TypeError(f"account: model={model!r} is a {type(model).__name__}; pass a Perceptron or a ConvNet")
    loss = Layer(name="loss", exponentials=outputs + 1, others=_LABEL)
    return Network(
        name=type(model).__name__, example="image", layers=(*layers, loss), batch=batch, source="halfsim.training"
    )


def _perceptron(model: Perceptron) -> list[Layer]:
    layers = [Layer(name="input", activations=model.sizes[0])]
    last = len(model.sizes) - 1
    for i in range(1, last + 1):
        inputs, outputs = model.sizes[i - 1 : i + 1]
        tensors = 1 if i == last else 2  # before and after the ReLU
        layers.append(Layer(name=f"linear{i}", parameters=(inputs + 1) * outputs, activations=tensors * outputs))
    return layers


def _conv_net(model: ConvNet, policy: Policy, batch: int) -> list[Layer]:
    height, width, inputs = model.image
    layers = [Layer(name="input", activations=math.prod(model.image))]
    for i, (kernel, outputs) in enumerate(zip(model.kernels, model.channels, strict=True), 1):
        whole, pooled = height * width * outputs, height // 2 * (width // 2) * outputs
        parameters = (kernel * kernel * inputs + 1) * outputs
        # The convolution, its ReLU, and the pool with the places of its maxima.
        layers.append(Layer(name=f"conv{i}", parameters=parameters, activations=2 * whole + pooled, others=pooled))
        height, width, inputs = height // 2, width // 2, outputs
    features = height * width * inputs
    is_by_channel = policy.product_format("forward") == BINARY16 and batch * 4 * height * width > inputs > 1
    if is_by_channel and height * width > 1:
        layers.append(Layer(name="flattened", activations=features))
    head = Layer(name="linear1", parameters=(features + 1) * model.classes, activations=model.classes)
    return [*layers, head]
