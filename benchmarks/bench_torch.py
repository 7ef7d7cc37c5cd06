"""What simulating PyTorch costs: a layer beside the bare product, and whole models beside PyTorch and its peers.

Ratios are medians within rounds of processor time, in turns, on one thread. QPyTorch compiles its kernels when it is
imported and is skipped where that fails; mmasim simulates matrices, not models, and multiplies those of the layer.
"""

from __future__ import annotations

import os

os.environ.setdefault("HALFSIM_NUM_THREADS", "1")
for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

from collections.abc import Callable
from typing import Any

import click
import numpy as np
import torch
from ml_dtypes import bfloat16
from torch import nn

import halfsim as hs
import halfsim.torch
from halfsim.benchmarks.timing import interleave, median_ratio
from halfsim.policy import Policy, named

_CALLS = 32
"""Calls of a layer in one block: entering it takes 0.2 ms."""


class Residual(nn.Module):
    """A block of ResNet-18."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        plain = stride == 1 and inputs == outputs
        shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
        self.shortcut = nn.Identity() if plain else shortcut

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.body(x) + self.shortcut(x))


def resnet18() -> nn.Module:
    """ResNet-18 for 10 classes: 11 million parameters."""
    stem = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    widths = [(64, 64, 1), (64, 64, 1), (64, 128, 2), (128, 128, 1)]
    widths += [(128, 256, 2), (256, 256, 1), (256, 512, 2), (512, 512, 1)]
    return nn.Sequential(
        *stem, *(Residual(*w) for w in widths), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10)
    )


def transformer() -> nn.Module:
    """Four layers of width 256, eight heads."""
    layer = nn.TransformerEncoderLayer(256, 8, 1024, dropout=0.0, batch_first=True, activation="gelu")
    return nn.TransformerEncoder(layer, 4, enable_nested_tensor=False)


def simulated(
    model: nn.Module,
    x: torch.Tensor,
    policy: Policy | str,
    count: bool | int,
    calls: int = 1,
    rows: int = 16,
    gradients: bool = False,
) -> Callable[[], object]:
    def run() -> object:
        with torch.set_grad_enabled(gradients), hs.torch.simulate(policy, count=count, rows=rows):
            return [model(x) for _ in range(calls)]

    return run


def plain(model: nn.Module, x: torch.Tensor) -> Callable[[], object]:
    def run() -> object:
        with torch.no_grad():
            return model(x)

    return run


def quantized(model: nn.Module, x: torch.Tensor) -> Callable[[], object] | None:
    """The model with QPyTorch's rounding after every layer: no accumulator is simulated."""
    try:
        from qtorch.quant import float_quantize
    except Exception as error:
        print(f"QPyTorch: not run ({type(error).__name__})")
        return None

    def hook(module: nn.Module, inputs: Any, output: Any) -> Any:
        return float_quantize(output, 5, 10, rounding="nearest") if isinstance(output, torch.Tensor) else output

    def run() -> object:
        handles = [m.register_forward_hook(hook) for m in model.modules() if not list(m.children())]
        try:
            with torch.no_grad():
                return model(x)
        finally:
            for handle in handles:
                handle.remove()

    return run


def layer(rounds: int, size: tuple[int, int, int], accumulator: str) -> None:
    """A layer in binary16 beside `halfsim.matmul` of the same matrices."""
    policy = named("mixed").accumulating(accumulator, accumulator)
    rows, inputs, outputs = size
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(rows, inputs, generator=generator).half()
    module = nn.Linear(inputs, outputs).half()
    a, b, c = x.numpy(), module.weight.detach().numpy().T, module.bias.detach().numpy()
    contenders: dict[str, Callable[[], object]] = {
        "product": lambda: [hs.matmul(a, b, c, accumulator=accumulator) for _ in range(_CALLS)],
        "layer": simulated(module, x, policy, False, _CALLS),
        "layer, counted": simulated(module, x, policy, True, _CALLS),
        "layer, counted, with gradients": simulated(module, x, policy, True, _CALLS, gradients=True),
        "layer, every row": simulated(module, x, policy, True, _CALLS, 1),
        "layer, count=8": simulated(module, x, policy, 8, _CALLS),
        "layer, held in float32": simulated(nn.Linear(inputs, outputs), x.float(), policy, False, _CALLS),
        "the same, counted": simulated(nn.Linear(inputs, outputs), x.float(), policy, True, _CALLS),
        "the same, counted, with gradients": simulated(
            nn.Linear(inputs, outputs), x.float(), policy, True, _CALLS, gradients=True
        ),
    }
    report(f"linear {rows} x {inputs} x {outputs}, {accumulator}", interleave(contenders, rounds))


def narrow_layer(rounds: int, size: tuple[int, int, int], accumulator: str) -> None:
    """A layer in bfloat16 beside `halfsim.matmul` of the same matrices, in ml_dtypes and in float32."""
    policy, row = named("mixed").accumulating(accumulator, accumulator), f"{accumulator}:bf16"
    rows, inputs, outputs = size
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(rows, inputs, generator=generator).bfloat16()
    module = nn.Linear(inputs, outputs).bfloat16()
    tensors = x, module.weight.detach().T
    wide, c = [each.float().numpy() for each in tensors], module.bias.detach().float().numpy()
    narrow = [each.view(torch.int16).numpy().view(bfloat16) for each in tensors]
    contenders: dict[str, Callable[[], object]] = {
        "product": lambda: [hs.matmul(*narrow, c, accumulator=row) for _ in range(_CALLS)],
        "product of float32": lambda: [hs.matmul(*wide, c, accumulator=row) for _ in range(_CALLS)],
        "layer": simulated(module, x, policy, False, _CALLS),
        "layer, counted": simulated(module, x, policy, True, _CALLS),
        "layer, counted, with gradients": simulated(module, x, policy, True, _CALLS, gradients=True),
    }
    report(f"bfloat16 linear {rows} x {inputs} x {outputs}, {accumulator}", interleave(contenders, rounds))


def report(name: str, times: dict[str, list[float]]) -> None:
    costs = ", ".join(f"{key} {1 / median_ratio(times, key, 'product'):.2f}" for key in times if key != "product")
    print(f"{name}: times the product: {costs}")


def peers(rounds: int, name: str, model: nn.Module, x: torch.Tensor, policies: tuple[str, ...]) -> None:
    model.eval()
    contenders: dict[str, Callable[[], object]] = {"PyTorch": plain(model, x)}
    rounded = quantized(model, x)
    if rounded is not None:
        contenders["QPyTorch"] = rounded
    contenders |= {policy: simulated(model, x, policy, False) for policy in policies}
    times = interleave(contenders, rounds)
    costs = ", ".join(f"{key} {1 / median_ratio(times, key, 'PyTorch'):.3g}" for key in contenders if key != "PyTorch")
    print(f"{name}: times PyTorch in float32: {costs}")


def matrices(rounds: int) -> None:
    """The product of mmasim beside ours, of the size that it can finish."""
    try:
        from mmasim.nv_ptx.sim import WGMMA
    except Exception as error:
        print(f"mmasim: not run ({type(error).__name__})")
        return
    rng = np.random.default_rng(0)
    a, b = (np.float16(rng.normal(size=shape)) for shape in ((64, 64), (64, 64)))
    unit = WGMMA("Hopper", "m64n8k16.f32.f16.f16")
    shape = (64, 64, 64)
    rows, columns = torch.from_numpy(a)[:, None].expand(shape), torch.from_numpy(b.T.copy())[None].expand(shape)

    def theirs() -> torch.Tensor:
        d = torch.zeros(64, 64)
        for k in range(0, 64, unit.k):
            d = unit.dpa(rows[..., k : k + unit.k], columns[..., k : k + unit.k], d)
        return d

    def ours() -> Any:
        return hs.matmul(a, b, accumulator="h100:f32")

    assert (theirs().numpy() == ours()).all()
    times = interleave({"halfsim": ours, "mmasim": theirs}, rounds)
    print(f"product 64 x 64 x 64 on H100: {median_ratio(times, 'halfsim', 'mmasim'):.0f} times as fast as mmasim")


@click.command()
@click.option("--rounds", default=5, show_default=True, help="Turns.")
@click.option("--small", is_flag=True, help="Models of a size for a quick look.")
def main(rounds: int, small: bool) -> None:
    """Print ratios."""
    torch.set_num_threads(1)
    hs.set_num_threads(1)
    for accumulator in ("h100:f32", "h100:f16", "a100:f32", "v100:f32", "v100:f16", "fp16"):
        for size in ((64, 256, 256), (256, 512, 512)):
            layer(rounds, size, accumulator)
    for accumulator in ("h100:f32", "a100:f32"):
        for size in ((64, 256, 256), (256, 512, 512)):
            narrow_layer(rounds, size, accumulator)
    side, length = (64, 32) if small else (224, 128)
    generator = torch.Generator().manual_seed(0)
    policies = ("mixed", "h100:f32", "binary16-pure")
    image = torch.randn(1, 3, side, side, generator=generator)
    peers(rounds, f"ResNet-18, one image of {side} x {side}", resnet18(), image, policies)
    text = torch.randn(1, length, 256, generator=generator)
    peers(rounds, f"transformer of 4 layers, {length} positions", transformer(), text, policies)
    matrices(rounds)


if __name__ == "__main__":
    main()
