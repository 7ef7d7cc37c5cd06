"""AlexNet, VGG-D and ResNet-50, layer by layer, as their papers describe them."""

from __future__ import annotations

from halfsim.training.accounting.layers import Layer, Network

__all__ = ["ALEXNET", "RESNET_50", "VGG_D"]

_CLASSES = 1000


def _input(size: int) -> Layer:
    return Layer(name="input", activations=3 * size * size)


def _convolution(name: str, size: int, kernel: int, inputs: int, outputs: int, groups: int = 1) -> Layer:
    """Return a convolution with bias; `size` is that of its output, which a ReLU changes in place."""
    return Layer(
        name=name,
        parameters=kernel * kernel * (inputs // groups) * outputs + outputs,
        activations=size * size * outputs,
    )


def _linear(name: str, inputs: int, outputs: int) -> Layer:
    return Layer(name=name, parameters=inputs * outputs + outputs, activations=outputs)


def _map(name: str, size: int, channels: int, tensors: int = 1) -> Layer:
    """Return a layer without parameters."""
    return Layer(name=name, activations=tensors * size * size * channels)


def _softmax(classes: int) -> Layer:
    return Layer(name="softmax", activations=classes)


ALEXNET = Network(
    name="AlexNet",
    example="image",
    layers=(
        _input(227),
        _convolution("conv1", 55, 11, 3, 96),
        _map("norm1", 55, 96, tensors=2),  # the divisor and the quotient
        _map("pool1", 27, 96),
        _convolution("conv2", 27, 5, 96, 256, groups=2),
        _map("norm2", 27, 256, tensors=2),
        _map("pool2", 13, 256),
        _convolution("conv3", 13, 3, 256, 384),
        _convolution("conv4", 13, 3, 384, 384, groups=2),
        _convolution("conv5", 13, 3, 384, 256, groups=2),
        _map("pool5", 6, 256),
        _linear("fc6", 6 * 6 * 256, 4096),
        _linear("fc7", 4096, 4096),
        _linear("fc8", 4096, _CLASSES),
        _softmax(_CLASSES),
    ),
    batch=128,
    source="Krizhevsky et al. [@krizhevsky2012]",
)
"""AlexNet with the two groups of its second, fourth and fifth convolution [@krizhevsky2012]."""


def _vgg(blocks: tuple[tuple[int, int], ...]) -> tuple[Layer, ...]:
    layers, size, inputs = [_input(224)], 224, 3
    for block, (convolutions, outputs) in enumerate(blocks, 1):
        for i in range(1, convolutions + 1):
            layers.append(_convolution(f"conv{block}_{i}", size, 3, inputs, outputs))
            inputs = outputs
        size //= 2
        layers.append(_map(f"pool{block}", size, outputs))
    return (
        *layers,
        _linear("fc6", size * size * inputs, 4096),
        _linear("fc7", 4096, 4096),
        _linear("fc8", 4096, _CLASSES),
        _softmax(_CLASSES),
    )


VGG_D = Network(
    name="VGG-D",
    example="image",
    layers=_vgg(((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))),
    batch=256,
    source="Simonyan and Zisserman [@simonyan2015]",
)
"""Configuration D of VGG, with 16 layers of weights [@simonyan2015]."""


def _normalized(name: str, size: int, kernel: int, inputs: int, outputs: int, tensors: int = 2) -> Layer:
    """Return a convolution without bias and its batch norm.

    Kept are the output of the convolution, which batch norm reads again, and, with two tensors, that of the ReLU.
    """
    weights = kernel * kernel * inputs * outputs
    return Layer(name=name, parameters=weights + 2 * outputs, activations=tensors * size * size * outputs)


def _bottleneck(name: str, size: int, inputs: int, width: int, first: bool) -> list[Layer]:
    """Return 1 × 1, 3 × 3 and 1 × 1 convolutions and the sum; the first of a stage projects its shortcut as well."""
    outputs = 4 * width
    layers = [
        _normalized(f"{name}.conv1", size, 1, inputs, width),
        _normalized(f"{name}.conv2", size, 3, width, width),
        _normalized(f"{name}.conv3", size, 1, width, outputs, tensors=1),
    ]
    if first:
        layers.append(_normalized(f"{name}.shortcut", size, 1, inputs, outputs, tensors=1))
    return [*layers, _map(f"{name}.sum", size, outputs)]


def _resnet(stages: tuple[int, ...]) -> tuple[Layer, ...]:
    layers = [_input(224), _normalized("conv1", 112, 7, 3, 64), _map("pool1", 56, 64)]
    size, inputs, width = 56, 64, 64
    for stage, blocks in enumerate(stages, 2):
        for block in range(blocks):
            layers += _bottleneck(f"stage{stage}.{block}", size, inputs, width, block == 0)
            inputs = 4 * width
        size, width = size // 2, 2 * width
    return (*layers, _map("average", 1, inputs), _linear("fc", inputs, _CLASSES), _softmax(_CLASSES))


RESNET_50 = Network(
    name="ResNet-50",
    example="image",
    layers=_resnet((3, 4, 6, 3)),
    batch=256,
    source="He et al. [@he2016]",
)
"""ResNet-50 with projections where a stage begins, strides in the first 1 × 1 convolution [@he2016]."""
