"""Errors of training: configurations, primitives of networks, data."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from halfsim.kernels.census import BINS
from halfsim.policy import named
from halfsim.training.config import ConfigError
from halfsim.training.data import digits
from halfsim.training.experiment import Settings
from halfsim.training.machine import Machine
from halfsim.training.models import Perceptron
from halfsim.training.optim import SGD
from halfsim.training.tape import Tape
from halfsim.training.tasks import Classification
from tests.docs.errors.row import Row

__all__ = ["ROWS"]

TAPE = Tape(Machine(named("mixed")))


def ones(*shape: int) -> Any:
    return TAPE.constant(np.ones(shape, np.float16))


def _network(*sizes: int) -> Settings:
    return Settings(model=Perceptron(sizes=sizes), optimizer=SGD(0.1), batch=1, steps=1, evaluate_every=1)


def _config(text: str, *changes: str) -> Any:
    def call(function: Any, folder: Path) -> object:
        (folder / "a.toml").write_text(text)
        return function(folder / "a.toml", changes)

    return call


def _without_scikit_learn(function: Any, folder: Path) -> object:
    for cached in (function, digits):
        cached.cache_clear()
    with patch.dict(sys.modules, {"sklearn": None}):
        return function()


def _without_topics(function: Any, folder: Path) -> object:
    with patch.dict(sys.modules, {"pydoc_data.topics": None}):
        return function("pydoc", "char", 9, 9, 9)


def _without_clothes(function: Any, folder: Path) -> object:
    with patch.dict(os.environ, {"HALFSIM_DATA": str(folder)}):
        return function()


def _damaged_clothes(function: Any, folder: Path) -> object:
    for part in ("train", "t10k"):
        for kind in ("images-idx3-ubyte", "labels-idx1-ubyte"):
            (folder / f"{part}-{kind}").write_bytes(b"no pixels")
    return function(folder=folder)


NN = "halfsim.training.nn"
DATA = "halfsim.training.data"
ROWS = [
    Row(
        "halfsim.training.trainer.train",
        lambda f, _: f(Classification(dataset="digits"), "mixed", _network(64, 10), 0),
        TypeError,
        "policy",
    ),
    Row(
        "halfsim.training.trainer.train",
        lambda f, _: f(Classification(dataset="digits"), named("mixed"), _network(64, 2), 0),
        ValueError,
        "outputs",
    ),
    Row("halfsim.training.config.expand", lambda f, _: f({"sweep": {"seed": 1}}, "a"), ConfigError, "list"),
    Row("halfsim.training.config.experiment", lambda f, _: f({"stpes": 1}, "a"), ConfigError, "stpes is unknown"),
    Row("halfsim.training.config.read", _config("a = "), ConfigError, "a.toml"),
    Row("halfsim.training.config.read", _config("a = 1", "a"), ConfigError, "="),
    Row(f"{NN}.add", lambda f, _: f(TAPE, ones(2, 3), ones(3, 2)), ValueError, "add: "),
    Row(f"{NN}.attention_softmax", lambda f, _: f(TAPE, ones(3)), ValueError, "attention_softmax: "),
    Row(f"{NN}.attention_softmax", lambda f, _: f(TAPE, ones(3, 0)), ValueError, "attention_softmax: "),
    Row(f"{NN}.batch_norm", lambda f, _: f(TAPE, ones(2, 3), ones(3), ones(3), "a", rule="b"), ValueError, "rule='b'"),
    Row(f"{NN}.batch_norm", lambda f, _: f(TAPE, ones(2, 3), ones(2), ones(3), "a"), ValueError, "gain"),
    Row(f"{NN}.batch_norm", lambda f, _: f(TAPE, ones(2, 3), ones(3), ones(3), "a", 2.0), ValueError, "momentum=2.0"),
    Row(f"{NN}.conv2d", lambda f, _: f(TAPE, ones(1, 4, 4, 1), ones(3, 3, 2, 2)), ValueError, "conv2d: "),
    Row(f"{NN}.conv2d", lambda f, _: f(TAPE, ones(1, 4, 4, 1), ones(3, 3, 1, 2), stride=0), ValueError, "stride=0"),
    Row(f"{NN}.conv2d", lambda f, _: f(TAPE, ones(1, 4, 4, 1), ones(5, 5, 1, 2)), ValueError, "conv2d: "),
    Row(f"{NN}.embedding", lambda f, _: f(TAPE, ones(2, 3), [0.5]), TypeError, "embedding: "),
    Row(f"{NN}.embedding", lambda f, _: f(TAPE, ones(2, 3), [2]), ValueError, "embedding: "),
    Row(f"{NN}.global_average", lambda f, _: f(TAPE, ones(2, 3)), ValueError, "global_average: "),
    Row(f"{NN}.layer_norm", lambda f, _: f(TAPE, ones(2, 3), ones(2), ones(3)), ValueError, "gain"),
    Row(f"{NN}.layer_norm", lambda f, _: f(TAPE, ones(2, 3), ones(3), ones(3), -1.0), ValueError, "epsilon=-1.0"),
    Row(f"{NN}.linear", lambda f, _: f(TAPE, ones(2, 3), ones(2, 4)), ValueError, "linear: "),
    Row(f"{NN}.matmul", lambda f, _: f(TAPE, ones(3), ones(3, 2)), ValueError, "matmul: "),
    Row(f"{NN}.max_pool", lambda f, _: f(TAPE, ones(2, 3), 2), ValueError, "max_pool: "),
    Row(f"{NN}.max_pool", lambda f, _: f(TAPE, ones(1, 4, 4, 1), 0), ValueError, "size=0"),
    Row(f"{NN}.multiply", lambda f, _: f(TAPE, ones(2, 3), ones(3, 2)), ValueError, "multiply: "),
    Row(f"{NN}.sigmoid_cross_entropy", lambda f, _: f(TAPE, ones(2, 3), np.full((2, 3), 2.0)), ValueError, "targets"),
    Row(f"{NN}.softmax_cross_entropy", lambda f, _: f(TAPE, ones(2, 3), np.ones(2)), TypeError, "labels"),
    Row(f"{NN}.softmax_cross_entropy", lambda f, _: f(TAPE, ones(2, 3), np.array([0, 3])), ValueError, "label"),
    Row(f"{NN}.take", lambda f, _: f(TAPE, ones(2, 3), 0.5, 0), TypeError, "take: index is of type float"),
    Row(f"{NN}.take", lambda f, _: f(TAPE, ones(2, 3), 2, 0), ValueError, "take: index=2"),
    Row(f"{NN}.transpose", lambda f, _: f(TAPE, ones(2, 3), 5), TypeError, "transpose: axes=5"),
    Row(f"{NN}.transpose", lambda f, _: f(TAPE, ones(2, 3), (0, 0)), ValueError, "no permutation"),
    *(
        Row(f"{DATA}.{name}", _without_scikit_learn, ModuleNotFoundError, "pip install")
        for name in ("canvases", "digits", "enlarged_digits", "heat_map")
    ),
    Row(f"{DATA}.canvases", lambda f, _: f(size=7), ValueError, "size=7"),
    Row(f"{DATA}.heat_map", lambda f, _: f(size=7), ValueError, "size=7"),
    Row(f"{DATA}.digits", lambda f, _: f(train=10**6), ValueError, "digits: "),
    Row(f"{DATA}.enlarged_digits", lambda f, _: f(pool=3), ValueError, "pool=3"),
    Row(f"{DATA}.corpus", lambda f, p: f(str(p / "no.txt"), "char", 9, 9, 9), FileNotFoundError, "no.txt"),
    Row(f"{DATA}.corpus", lambda f, _: f("zen", "char", 9, 0, 9), ValueError, "train"),
    Row(f"{DATA}.corpus", _without_topics, ModuleNotFoundError, "without pydoc_data.topics"),
    Row(f"{DATA}.fashion_folder", lambda f, p: f(p), FileNotFoundError, "fashion_folder: "),
    Row(f"{DATA}.fashion_mnist", _without_clothes, FileNotFoundError, "fashion"),
    Row(f"{DATA}.fashion_mnist", _damaged_clothes, ValueError, "train-images-idx3-ubyte"),
    Row("halfsim.training.accounting.memory", lambda f, _: f(None, None, 0, 0), ValueError, "batch=0"),
    Row("halfsim.training.accounting.required_scale", lambda f, _: f([1, 2]), ValueError, "2 bins"),
    Row("halfsim.training.accounting.required_scale", lambda f, _: f([-1] * BINS), ValueError, "below zero"),
    Row("halfsim.training.accounting.required_scale", lambda f, _: f([1] * BINS, 0.0), ValueError, "share=0.0"),
]
