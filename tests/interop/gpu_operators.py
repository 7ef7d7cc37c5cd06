"""PyTorch operators on binary16 tensors: ``python -m tests.interop.gpu_operators FILE`` records what a GPU gives."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

Call = Callable[..., Any]


def perceptron(x: Any, *parameters: Any) -> list[Any]:
    """Forward and backward pass of a perceptron with one hidden layer: output, and gradients of the parameters."""
    w1, b1, w2, b2 = (p.clone().requires_grad_() for p in parameters)
    y = functional.linear(functional.relu(functional.linear(x, w1, b1)), w2, b2)
    ((y.float() ** 2).mean() * 64).backward()
    return [y.detach(), *(p.grad for p in (w1, b1, w2, b2))]


def calls() -> Iterator[tuple[str, Call, list[Any]]]:
    """Yield name, operator and operands, the same everywhere."""
    generator = torch.Generator().manual_seed(7)

    def draw(*shape: int, scale: float = 1.0) -> Any:
        return (torch.randn(*shape, generator=generator) * scale).half()

    x, w = draw(64, 128), draw(96, 128, scale=0.1)
    yield "linear without bias", functional.linear, [x, w]
    yield "linear", functional.linear, [x, w, draw(96)]
    yield "addmm", lambda c, a, b: torch.addmm(c, a, b.t()), [draw(64, 96), x, w]
    yield "bmm", torch.bmm, [draw(4, 32, 64), draw(4, 64, 48)]
    yield "baddbmm", torch.baddbmm, [draw(4, 32, 48), draw(4, 32, 64), draw(4, 64, 48)]
    image, kernel = draw(2, 16, 14, 14), draw(32, 16, 3, 3, scale=0.1)
    yield "conv2d without bias", lambda a, b: functional.conv2d(a, b, padding=1), [image, kernel]
    yield "conv2d", lambda a, b, c: functional.conv2d(a, b, c, padding=1), [image, kernel, draw(32)]
    for m, n, k in ((64, 96, 128), (256, 256, 512), (8, 8, 64), (64, 64, 4096)):
        yield f"mm {m} x {n} x {k}", torch.mm, [draw(m, k), draw(k, n)]
    logits = draw(64, 100, scale=2)
    yield "softmax", lambda a: functional.softmax(a, -1), [logits]
    yield "log_softmax", lambda a: functional.log_softmax(a, -1), [logits]
    yield "layer_norm", lambda a, b, c: functional.layer_norm(a, (128,), b, c), [x, draw(128), draw(128)]
    long = draw(4096), draw(4096)
    for name in ("add", "sub", "mul", "div"):
        yield name, getattr(torch, name), [*long]
    for name in ("relu", "gelu", "silu"):
        yield name, getattr(functional, name), [long[0]]
    for name in ("tanh", "sigmoid", "exp"):
        yield name, getattr(torch, name), [long[0]]
    yield "sqrt", torch.sqrt, [long[0].abs()]
    rows = draw(64, 1000)
    for name in ("sum", "mean", "var"):
        yield name, lambda a, name=name: getattr(a, name)(-1), [rows]
    weights = [draw(128, 64, scale=0.1), draw(128, scale=0.1), draw(32, 128, scale=0.1), draw(32, scale=0.1)]
    yield "perceptron", perceptron, [draw(64, 64), *weights]
    heads = [draw(2, 4, 16, 32) for _ in range(3)]
    yield "scaled_dot_product_attention", functional.scaled_dot_product_attention, heads


def results(call: Call, operands: list[Any]) -> list[Any]:
    """Return an operator's results as a list."""
    found = call(*operands)
    return list(found) if isinstance(found, tuple | list) else [found]


def main(path: Path) -> None:
    found = {"torch": np.array(f"{torch.__version__}, {torch.cuda.get_device_name()}")}
    for name, call, operands in calls():
        held = {f"{name}/{i}": x.numpy() for i, x in enumerate(operands)}
        outputs = results(call, [x.cuda() for x in operands])
        found |= held | {f"{name}/result {i}": y.cpu().numpy() for i, y in enumerate(outputs)}
    np.savez_compressed(path, **found)  # type: ignore[arg-type]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
