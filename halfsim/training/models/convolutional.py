"""Convolutional networks: two classifiers of images, and a detector."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from halfsim.training import nn
from halfsim.training.models.model import Model, Start, he
from halfsim.training.nn.normalization import RULES
from halfsim.training.registry import check_count, check_number, check_sizes
from halfsim.training.tape import Tape, Variable

__all__ = ["BatchNormNet", "ConvNet", "HeatMapNet"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvNet(Model):
    """Convolutions, each with ReLU and pooling by two, then a linear layer.

    Convolutions keep the size of the image. Weights start uniform with He's variance, 2 / inputs, times `head` in the
    linear layer; biases start at zero.

    Parameters
    ----------
    image : (int, int, int)
        Height, width and channels; the sides must be divisible by two for every convolution.
    channels, kernels : tuple of int
        Of every convolution: how many outputs, and the side of the window, which is odd.
    classes : int
        Outputs.
    head : float
        Factor on the linear layer's weights.

    Raises
    ------
    ValueError
        If a size is no positive integer, a kernel is even, there is not one for every convolution, or the sides of
        `image` cannot be halved as often as there are convolutions.

    Examples
    --------
    >>> from halfsim.training.models import ConvNet
    >>> ConvNet().shapes["linear1.weight"], ConvNet(image=(8, 8, 1)).shapes["linear1.weight"]
    ((784, 10), (64, 10))
    """

    image: tuple[int, int, int] = (28, 28, 1)
    channels: tuple[int, ...] = (8, 16)
    kernels: tuple[int, ...] = (5, 3)
    classes: int = 10
    head: float = 0.5

    def __post_init__(self) -> None:
        check_sizes(self, "image", "channels", "kernels")
        check_count(self, "classes")
        check_number(self, "head")
        _check_kernels(self, self.kernels, len(self.channels))
        if len(self.image) != 3 or any(side % 2 ** len(self.channels) for side in self.image[:2]):
            raise ValueError(
                f"{type(self).__name__}: image={self.image} must be (height, width, channels) with sides divisible by "
                f"{2 ** len(self.channels)}: every one of the {len(self.channels)} convolutions is followed by pooling"
            )

    @property
    def starts(self) -> dict[str, Start]:
        """Names, shapes and starting values of the parameters, in order."""
        starts: dict[str, Start] = {}
        inputs = self.image[2]
        for layer, (kernel, outputs) in enumerate(zip(self.kernels, self.channels, strict=True), 1):
            starts[f"conv{layer}.weight"] = he((kernel, kernel, inputs, outputs))
            starts |= self._shifts(layer, outputs)
            inputs = outputs
        pixels = self.image[0] * self.image[1] >> 2 * len(self.channels)
        starts["linear1.weight"] = he((pixels * inputs, self.classes), self.head)
        starts["linear1.bias"] = Start((self.classes,))
        return starts

    def _shifts(self, layer: int, outputs: int) -> dict[str, Start]:
        """Return the parameters of a convolution other than its weights."""
        return {f"conv{layer}.bias": Start((outputs,))}

    def __call__(self, tape: Tape, parameters: Mapping[str, Variable], x: Variable) -> Variable:
        """Return the logits (n, classes) of images of any shape (n, ...) that holds their pixels in order."""
        x = nn.reshape(tape, x, (-1, *self.image))
        for layer in range(1, len(self.channels) + 1):
            x = self._convolve(tape, parameters, x, layer)
            with tape.layer(f"conv{layer}"):
                x = nn.max_pool(tape, nn.relu(tape, x), 2)
        with tape.layer("linear1"):
            x = nn.reshape(tape, x, (x.value.shape[0], -1))
            return nn.linear(tape, x, parameters["linear1.weight"], parameters["linear1.bias"])

    def _convolve(self, tape: Tape, parameters: Mapping[str, Variable], x: Variable, layer: int) -> Variable:
        """Return what ReLU takes."""
        return _convolution(tape, parameters, x, f"conv{layer}")


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchNormNet(ConvNet):
    """A `ConvNet` with batch normalisation between every convolution and its ReLU.

    The convolutions have no bias: the normalisation would take it out again. Gains start at one, shifts at zero.
    Running means and variances are state, not parameters.

    Parameters
    ----------
    image, channels, kernels, classes, head : see `ConvNet`
        The same.
    momentum : float
        Weight of a batch in the running statistics.
    epsilon : float
        Added to variances.
    rule : str
        How running statistics move, one of `halfsim.training.nn.normalization.RULES`.

    Raises
    ------
    ValueError
        As of `ConvNet`, and if a number is out of its range or `rule` is unknown.

    Examples
    --------
    >>> from halfsim.training.models import BatchNormNet
    >>> BatchNormNet().state_shapes
    {'bn1.mean': (8,), 'bn1.variance': (8,), 'bn2.mean': (16,), 'bn2.variance': (16,)}
    """

    momentum: float = 0.1
    epsilon: float = 1e-5
    rule: str = RULES[0]

    def __post_init__(self) -> None:
        ConvNet.__post_init__(self)
        check_number(self, "momentum", "epsilon", low=0.0, high=1.0)
        if self.rule not in RULES:
            raise ValueError(f"BatchNormNet: rule={self.rule!r} is unknown; known are {', '.join(RULES)}")

    @property
    def state_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the running means, which start at zero, and variances, which start at one."""
        return {
            f"bn{layer}.{kind}": (outputs,)
            for layer, outputs in enumerate(self.channels, 1)
            for kind in ("mean", "variance")
        }

    def _shifts(self, layer: int, outputs: int) -> dict[str, Start]:
        return {f"bn{layer}.gain": Start((outputs,), constant=1.0), f"bn{layer}.shift": Start((outputs,))}

    def _convolve(self, tape: Tape, parameters: Mapping[str, Variable], x: Variable, layer: int) -> Variable:
        x = _convolution(tape, parameters, x, f"conv{layer}")
        name = f"bn{layer}"
        with tape.layer(name):
            gain, shift = parameters[f"{name}.gain"], parameters[f"{name}.shift"]
            return nn.batch_norm(tape, x, gain, shift, name, self.momentum, self.epsilon, self.rule)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeatMapNet(Model):
    """A detector: convolutions with ReLU, pooling by two after the first, and a last one of 1 × 1 to a map of logits.

    Weights start uniform with He's variance, 2 / inputs, times `head` in the last layer; biases start at zero, the last
    one at `bias`: the logit of how likely an object is at a place where nothing is known.

    Parameters
    ----------
    image : (int, int, int)
        Height, width and channels; the sides are even.
    channels, kernels : tuple of int
        Of the convolutions with ReLU.
    classes : int
        Outputs per position.
    head : float
        Factor on the last layer's weights.
    bias : float
        Start of the last layer's biases; -log 99 by default, the probability 0.01.

    Raises
    ------
    ValueError
        If a size is no positive integer, a kernel is even, there is not one for every convolution, or the sides of
        `image` are odd.

    Examples
    --------
    >>> from halfsim.training.models import HeatMapNet
    >>> list(HeatMapNet().shapes.items())[-2:]
    [('conv4.weight', (1, 1, 12, 10)), ('conv4.bias', (10,))]
    """

    image: tuple[int, int, int] = (32, 32, 1)
    channels: tuple[int, ...] = (8, 12, 12)
    kernels: tuple[int, ...] = (3, 3, 3)
    classes: int = 10
    head: float = 0.1
    bias: float = -4.59511985013459

    def __post_init__(self) -> None:
        check_sizes(self, "image", "channels", "kernels")
        check_count(self, "classes")
        check_number(self, "head", "bias")
        _check_kernels(self, self.kernels, len(self.channels))
        if len(self.image) != 3 or self.image[0] % 2 or self.image[1] % 2:
            raise ValueError(f"HeatMapNet: image={self.image} must be (height, width, channels) with even sides")

    @property
    def starts(self) -> dict[str, Start]:
        """Names, shapes and starting values of the parameters, in order."""
        starts: dict[str, Start] = {}
        inputs = self.image[2]
        for layer, (kernel, outputs) in enumerate(zip(self.kernels, self.channels, strict=True), 1):
            starts[f"conv{layer}.weight"] = he((kernel, kernel, inputs, outputs))
            starts[f"conv{layer}.bias"] = Start((outputs,))
            inputs = outputs
        last = f"conv{len(self.channels) + 1}"
        starts[f"{last}.weight"] = he((1, 1, inputs, self.classes), self.head)
        starts[f"{last}.bias"] = Start((self.classes,), constant=self.bias)
        return starts

    def __call__(self, tape: Tape, parameters: Mapping[str, Variable], x: Variable) -> Variable:
        """Return logits (n, height / 2, width / 2, classes) of images of any shape (n, ...) that holds their pixels."""
        x = nn.reshape(tape, x, (-1, *self.image))
        for layer in range(1, len(self.channels) + 1):
            x = _convolution(tape, parameters, x, f"conv{layer}")
            with tape.layer(f"conv{layer}"):
                x = nn.relu(tape, x)
                if layer == 1:
                    x = nn.max_pool(tape, x, 2)
        return _convolution(tape, parameters, x, f"conv{len(self.channels) + 1}")


def _convolution(tape: Tape, parameters: Mapping[str, Variable], x: Variable, name: str) -> Variable:
    """Return a convolution that keeps the size of the image."""
    weight = parameters[f"{name}.weight"]
    with tape.layer(name):
        return nn.conv2d(tape, x, weight, parameters.get(f"{name}.bias"), padding=weight.value.shape[0] // 2)


def _check_kernels(row: Model, kernels: tuple[int, ...], layers: int) -> None:
    if len(kernels) != layers or any(kernel % 2 == 0 for kernel in kernels):
        raise ValueError(f"{type(row).__name__}: {kernels=} must be {layers} odd numbers, one for every convolution")
