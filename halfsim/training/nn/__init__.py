"""The primitives of a network, each with its derivative beside it.

Values and gradients are in the formats that the machine's policy stores; g is the gradient of the output, scaled as the
loss is. Images are (n, height, width, channels).
"""

from halfsim.training.nn.activations import gelu, leaky_relu, relu, sigmoid, tanh
from halfsim.training.nn.convolution import conv2d, global_average, max_pool
from halfsim.training.nn.linear import embedding, linear, matmul
from halfsim.training.nn.losses import attention_softmax, sigmoid_cross_entropy, softmax_cross_entropy
from halfsim.training.nn.normalization import batch_norm, layer_norm
from halfsim.training.nn.pointwise import add, multiply, scale
from halfsim.training.nn.shape import concatenate, reshape, take, transpose

__all__ = [
    "add",
    "attention_softmax",
    "batch_norm",
    "concatenate",
    "conv2d",
    "embedding",
    "gelu",
    "global_average",
    "layer_norm",
    "leaky_relu",
    "linear",
    "matmul",
    "max_pool",
    "multiply",
    "relu",
    "reshape",
    "scale",
    "sigmoid",
    "sigmoid_cross_entropy",
    "softmax_cross_entropy",
    "take",
    "tanh",
    "transpose",
]
