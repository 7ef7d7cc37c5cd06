"""Errors of the bridge to PyTorch, which is imported where a row is tried."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.docs.errors.row import Row

__all__ = ["ROWS"]


def _compare(**changed: Any) -> Any:
    def call(function: Any, folder: Path) -> object:
        import torch

        given: dict[str, Any] = {"model": torch.nn.Linear(2, 2), "inputs": torch.ones(1, 2), "policies": ["mixed"]}
        return function(**(given | changed))

    return call


def _compare_inside(function: Any, folder: Path) -> object:
    from halfsim.torch import simulate

    with simulate("mixed"):
        return _compare()(function, folder)


def _matmul(dtype: str, *shape: int, accumulator: str = "fp32") -> Any:
    def call(function: Any, folder: Path) -> object:
        import torch

        a = torch.ones(shape, dtype=getattr(torch, dtype))
        return function(a, a, accumulator)

    return call


def _inside(*args: Any, **options: Any) -> Any:
    def call(function: Any, folder: Path) -> object:
        with function(*args, **options):
            return None

    return call


def _nested(function: Any, folder: Path) -> object:
    with function("mixed"), function("mixed"):
        return None


ROWS = [
    Row("halfsim.torch.compare", _compare(model=1), TypeError, "compare: model"),
    Row("halfsim.torch.compare", _compare(policies="mixed"), TypeError, "compare: policies"),
    Row("halfsim.torch.compare", _compare(policies=[]), ValueError, "compare: "),
    Row("halfsim.torch.compare", _compare_inside, RuntimeError, "simulate"),
    Row("halfsim.torch.matmul", _matmul("float32", 2, 2), TypeError, "float32"),
    Row("halfsim.torch.matmul", _matmul("float16", 2, 3), ValueError, "(2, 3)"),
    Row("halfsim.torch.matmul", _matmul("float16", 2, 2, accumulator="h1000:f32"), ValueError, "h1000"),
    Row("halfsim.torch.simulate", _inside("mixd"), ValueError, "mixd"),
    Row("halfsim.torch.simulate", _inside("mixed", modules=1), TypeError, "simulate: "),
    Row("halfsim.torch.simulate", _nested, RuntimeError, "simulate: "),
]
