"""A GPU beside the CPU, all its threads: rates, ratios and equal bits of the same run; it ends at once without a GPU.

Times are wall time, the median of several calls. "device" operands lie in the GPU's memory, "host" operands are copied
there and the results back.
"""

from __future__ import annotations

import json
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np

import halfsim as hs

STOCHASTIC = hs.Stochastic(bits=13, seed=1)
ELEMENTWISE: list[tuple[str, Any, dict[str, Any]]] = [
    ("add", hs.add, {}),
    ("multiply toward zero", hs.multiply, {"rounding": "rtz"}),
    ("fma", hs.fma, {}),
    ("fma stochastic", hs.fma, {"rounding": STOCHASTIC}),
    ("divide", hs.divide, {}),
    ("sqrt", hs.sqrt, {}),
    ("less", hs.less, {}),
    ("add.flagged", hs.add.flagged, {}),
]
PRODUCTS: list[tuple[str, Any]] = [
    ("FP32", hs.FP32),
    ("FP16", hs.FP16),
    ("FP16 stochastic", hs.Sequential(format=hs.BINARY16, fused=True, rounding=STOCHASTIC)),
    ("Pairwise", hs.Pairwise()),
    ("Compensated", hs.Compensated()),
    ("Exact", hs.Exact()),
    ("v100:f32", "v100:f32"),
    ("h100:f32", "h100:f32"),
    ("mi300x:f32", "mi300x:f32"),
]


def seconds(call: Callable[[], Any], rounds: int) -> tuple[float, Any]:
    """Return the median time of a call, and what it returns."""
    result = call()
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times), result


def bits(result: Any) -> list[bytes]:
    parts = result if isinstance(result, tuple) else (result,)
    return [np.asarray(x.copy_to_host() if hasattr(x, "copy_to_host") else x).tobytes() for x in parts]


def compare(name: str, unit: str, work: int, call: Callable[..., Any], operands: list[Any], rounds: int) -> dict:
    """Time one call on the CPU and twice on the GPU."""
    from halfsim.kernels import cuda

    resident = [cuda.upload(x) for x in operands]
    cpu, want = seconds(lambda: call(*operands), rounds)
    host, from_host = seconds(lambda: call(*operands, device="cuda"), rounds)
    device, on_device = seconds(lambda: call(*resident, device="cuda"), rounds)
    equal = bits(want) == bits(from_host) == bits(on_device)
    rates = {"cpu": work / cpu / 1e6, "gpu from host": work / host / 1e6, "gpu on device": work / device / 1e6}
    click.echo(
        f"{name:24s} {unit:6s} CPU {rates['cpu']:10.1f}  host {rates['gpu from host']:10.1f} ({cpu / host:7.2f} x)  "
        f"device {rates['gpu on device']:10.1f} ({cpu / device:7.2f} x)  bits {'equal' if equal else 'DIFFER'}"
    )
    return {"name": name, "unit": unit, **rates, "ratio from host": cpu / host, "ratio": cpu / device, "equal": equal}


@click.command()
@click.option("--elements", default=1 << 24, show_default=True, help="Length of the elementwise operands.")
@click.option("--side", default=512, show_default=True, help="M, N and K of the products.")
@click.option("--rounds", default=5, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), help="JSON file for the figures.")
def main(elements: int, side: int, rounds: int, out: Path | None) -> None:
    """Compare and, with --out, record."""
    try:
        hs.negative(np.float16(1), device="cuda")
    except RuntimeError as error:
        click.echo(f"skipped: {error}")
        return
    from halfsim.kernels import cuda

    name, capability = cuda.current_device()
    click.echo(
        f"{name}, compute capability {capability}; CPU {platform.machine()}, "
        f"{hs.get_num_threads()} threads; millions per second"
    )
    rng = np.random.default_rng(1)
    columns = [rng.standard_normal(elements).astype(np.float16) for _ in range(3)]
    found = []
    for label, operation, how in ELEMENTWISE:
        arity = getattr(operation, "__self__", operation).arity

        def call(*x: Any, operation: Any = operation, how: dict[str, Any] = how, **place: Any) -> Any:
            return operation(*x, **how, **place)

        found.append(compare(label, "M/s", elements, call, columns[:arity], rounds))
    A, B = (rng.standard_normal((side, side)).astype(np.float16) for _ in range(2))
    for label, row in PRODUCTS:

        def product(*x: Any, row: Any = row, **place: Any) -> Any:
            return hs.matmul(*x, accumulator=row, **place)

        found.append(compare(f"matmul {label}", "MMAC/s", side**3, product, [A, B], rounds))
    if out is not None:
        head = {"gpu": name, "capability": capability, "threads": hs.get_num_threads()}
        out.write_text(json.dumps({**head, "elements": elements, "side": side, "rows": found}, indent=1) + "\n")
    if not all(row["equal"] for row in found):
        raise SystemExit("the GPU's bits differ from the CPU's")


if __name__ == "__main__":
    main()
