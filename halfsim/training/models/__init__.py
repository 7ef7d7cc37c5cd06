"""Networks: the shapes of their parameters, where these start, and the forward pass on a tape."""

from __future__ import annotations

from halfsim.training.models.adversaries import Adversaries
from halfsim.training.models.convolutional import BatchNormNet, ConvNet, HeatMapNet
from halfsim.training.models.lstm import LSTM
from halfsim.training.models.model import Model
from halfsim.training.models.perceptron import Perceptron
from halfsim.training.models.transformer import Transformer

__all__ = [
    "LSTM",
    "MODELS",
    "Adversaries",
    "BatchNormNet",
    "ConvNet",
    "HeatMapNet",
    "Model",
    "Perceptron",
    "Transformer",
]

MODELS: dict[str, type[Model]] = {
    "perceptron": Perceptron,
    "convnet": ConvNet,
    "batch-norm-net": BatchNormNet,
    "heat-map-net": HeatMapNet,
    "lstm": LSTM,
    "transformer": Transformer,
    "adversaries": Adversaries,
}
"""The networks by name."""
