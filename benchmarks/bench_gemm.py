"""Matrix products on one thread beside mmasim's best batching and NumPy's sgemm: rates and ratios of the same run."""

from __future__ import annotations

import os
import platform

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

from collections.abc import Callable
from typing import Any

import click
import numpy as np
from interleaved import interleave, rate, ratio

import halfsim as hs
from halfsim.accumulators import factor_formats
from halfsim.tensorcores import as_accumulator

try:
    import torch
    from mmasim.amd import sim as mfma
    from mmasim.nv_ptx import sim as mmasim
except ImportError:
    mmasim = None

# (name, accumulator, the peer's architecture and instruction)
CONTENDERS: list[tuple[str, Any, tuple[str, str] | None]] = [
    ("FP32", hs.FP32, None),
    ("FP16", hs.FP16, None),
    ("FP16 unfused", hs.Sequential(format=hs.BINARY16), None),
    ("FP16 toward zero", hs.Sequential(format=hs.BINARY16, rounding="rtz", fused=True), None),
    ("v100:f32", "v100:f32", ("Volta", "m8n8k4.f32.f16.f16.f32")),
    ("v100:f16", "v100:f16", ("Volta", "m8n8k4.f16.f16.f16.f16")),
    ("a100:f32", "a100:f32", ("Ampere", "m16n8k16.f32.f16.f16.f32")),
    ("a100:f16", "a100:f16", ("Ampere", "m16n8k16.f16.f16.f16.f16")),
    ("h100:f32", "h100:f32", ("Hopper", "m16n8k16.f32.f16.f16.f32")),
    ("h100:f16", "h100:f16", ("Hopper", "m16n8k16.f16.f16.f16.f16")),
    ("a100:f32:bf16", "a100:f32:bf16", ("Ampere", "m16n8k16.f32.bf16.bf16.f32")),
    ("h100:f32:bf16", "h100:f32:bf16", ("Hopper", "m16n8k16.f32.bf16.bf16.f32")),
    ("h100:f32:tf32", "h100:f32:tf32", ("Hopper", "m16n8k8.f32.tf32.tf32.f32")),
    ("ada:f32:e4m3", "ada:f32:e4m3", ("Ada Lovelace", "m16n8k32.f32.e4m3.e4m3.f32")),
    ("ada:f16:e5m2", "ada:f16:e5m2", ("Ada Lovelace", "m16n8k32.f16.e5m2.e5m2.f16")),
    ("mi250x:f32", "mi250x:f32", ("CDNA2", "f32_16x16x16f16")),
]
# AMD's exact and two-stage sums take the general loop, whose rate is reported, not checked.
FORMATS: list[tuple[str, Any, tuple[str, str]]] = [
    ("mi100:f32", "mi100:f32", ("CDNA1", "f32_16x16x16f16")),
    ("mi250x:f32:bf16", "mi250x:f32:bf16", ("CDNA2", "f32_16x16x16bf16_1k")),
    ("mi300x:f32", "mi300x:f32", ("CDNA3", "f32_16x16x16_f16")),
]
GENERAL = [
    ("FP32 stochastic", hs.Sequential(fused=True, rounding=hs.Stochastic(bits=24, seed=1))),
    ("FP16 stochastic", hs.Sequential(format=hs.BINARY16, fused=True, rounding=hs.Stochastic(bits=13, seed=1))),
    ("Pairwise", hs.Pairwise()),
    ("Compensated", hs.Compensated()),
    ("Exact", hs.Exact()),
]
LEAST = 150.0


def batched(
    architecture: str, instruction: str, A: np.ndarray[Any, Any], B: np.ndarray[Any, Any]
) -> dict[str, Callable[[], Any]]:
    """The peer's batchings: the whole matrix in one call, and 64 by 64 tiles over all of K (its best)."""
    kind = mfma.MFMA if architecture.startswith("CDNA") else mmasim.MMA
    operation = kind(architecture, instruction)
    a, b = (torch.from_numpy(x).to(operation.a_type) for x in (A, B.T.copy()))
    size = len(A)

    def tile(rows: int, columns: int, edge: int) -> Any:
        shape = (edge, edge, A.shape[1])
        left = a[rows : rows + edge, None].expand(shape)
        right = b[None, columns : columns + edge].expand(shape)
        return operation.arithmetic_op.dpa(left, right, torch.zeros(edge, edge, dtype=operation.d_type))

    def tiles(edge: int) -> Any:
        return torch.cat([torch.cat([tile(i, j, edge) for j in range(0, size, edge)], 1) for i in range(0, size, edge)])

    return {"one call": lambda: tiles(size), "64 x 64": lambda: tiles(64)}


def measure(
    name: str, accumulator: Any, peer: tuple[str, str] | None, size: int, rounds: int
) -> tuple[str, float | None]:
    """One row of the table, and the ratio to the best peer."""
    rng = np.random.default_rng(size)
    fmt = factor_formats(as_accumulator(accumulator))[0]
    A, B = (hs.convert(rng.standard_normal((size, size)), fmt) for _ in range(2))
    wide = A.astype(np.float32), B.astype(np.float32)
    contenders: dict[str, Callable[[], Any]] = {
        "ours": lambda: hs.matmul(A, B, accumulator=accumulator),
        "sgemm": lambda: wide[0] @ wide[1],
    }
    peers = batched(*peer, A, B) if peer and mmasim else {}
    for call in peers.values():
        assert np.array_equal(call().numpy(), contenders["ours"]())
    times = interleave({**contenders, **peers}, rounds)
    best = min((ratio(times, "ours", p) for p in peers), default=None)
    work = size**3
    text = f"{name:18}{rate(times, 'ours', work) / 1e3:10.2f}{ratio(times, 'ours', 'sgemm'):12.3f}"
    return text + (f"{best:14.1f}" if best else f"{'-':>14}"), best


def small(name: str, accumulator: Any, rounds: int) -> str:
    """A call of the size that training makes."""
    rng = np.random.default_rng(0)
    A, B = rng.standard_normal((4, 64)).astype(np.float16), rng.standard_normal((64, 32)).astype(np.float16)
    times = interleave({"ours": lambda: hs.matmul(A, B, accumulator=accumulator)}, rounds)
    return f"{name:18}{1 / rate(times, 'ours', 1):10.1f}"


@click.command()
@click.option("--size", default=256, show_default=True, help="M = N = K.")
@click.option("--rounds", default=7, show_default=True)
@click.option("--check", is_flag=True, help="Fail where a tensor core is less than 150 times the peer.")
def main(size: int, rounds: int, check: bool) -> None:
    """Measure and print."""
    hs.set_num_threads(1)
    if mmasim is not None:
        torch.set_num_threads(1)
    click.echo(f"{platform.machine()}, Python {platform.python_version()}, numpy {np.__version__}, one thread")
    click.echo(f"\n{size} x {size} x {size}    GMAC/s   of sgemm   times mmasim's best batching")
    missed = []
    for name, accumulator, peer in CONTENDERS:
        text, best = measure(name, accumulator, peer, size, rounds)
        click.echo(text)
        if best is not None and best < LEAST:
            missed.append(name)
    for name, accumulator, peer in FORMATS:
        click.echo(measure(name, accumulator, peer, size, min(rounds, 3))[0] + "   (general loop)")
    for name, accumulator in GENERAL:
        click.echo(
            measure(name, accumulator, None, min(size, 64), min(rounds, 3))[0]
            + f"   (general loop, {min(size, 64)} cubed)"
        )
    click.echo("\n4 x 64 by 64 x 32   microseconds per call")
    for name, accumulator, _ in CONTENDERS:
        click.echo(small(name, accumulator, rounds))
    if check and missed:
        raise click.ClickException(f"below {LEAST:g} times mmasim: {', '.join(missed)}")


if __name__ == "__main__":
    main()
