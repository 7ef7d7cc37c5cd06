"""Elementwise operations beside NumPy, torch and softfloatpy: rates, and ratios of the same run.

Every contender is called as its users call it and writes into arrays made beforehand; one thread, processor time. "any
mode" is the slowest of the deterministic roundings. softfloatpy is called through ``map`` on objects made beforehand,
its flags unread. NumPy and torch have no fused multiply-add: theirs rounds twice. A number of elements must be large
enough for a call's overhead not to matter, except in the rows of 8 elements, which are that overhead.
"""

from __future__ import annotations

import platform
import time
import tracemalloc
from collections.abc import Callable
from typing import Any, NamedTuple

import click
import numpy as np
from interleaved import interleave, rate, ratio

import halfsim as hs
from halfsim.testvectors.exhaustive import jobs

try:
    import softfloatpy
except ImportError:
    softfloatpy = None
try:
    import torch
except ImportError:
    torch = None

SOFTFLOAT = {"add": "add", "multiply": "mul", "divide": "div", "sqrt": "sqrt", "fma": "mul_add"}
ARITY = {"add": 2, "multiply": 2, "divide": 2, "sqrt": 1, "fma": 3}
MODES = [mode.name for mode in hs.Rounding]
RANDOM = hs.Stochastic(bits=32, seed=1)
SOFT_SIZE = 10_000
Contenders = dict[str, Callable[[], object]]


class Target(NamedTuple):
    """A ratio to reach; a name that ends in a star stands for the slowest of the contenders that begin so."""

    ours: str
    peer: str
    floor: float
    goal: float


TARGETS = [
    Target("float32 to binary16 roundTiesToEven", "np.copyto float32", 0.9, 1.3),
    Target("float32 to binary16 roundTiesToEven", "numpy float32 to float16", 6, 10),
    Target("float32 to binary16 *", "numpy float32 to float16", 4, 9),
    Target("float64 to binary16 *", "numpy float64 to float16", 3, 5),
    Target("float32 to binary16, stochastic", "numpy float32 to float16", 2, 3),
    *[Target(f"{name} roundTiesToEven", f"numpy {name}", 10, 16) for name in ("add", "multiply")],
    *[Target(f"{name} roundTiesToEven", f"torch {name}", 0.9, 1.1) for name in ("add", "multiply")],
    *[Target(f"{name} roundTiesToEven", f"numpy {name}", 8, 13) for name in ("divide", "sqrt")],
    Target("fma roundTiesToEven", "numpy fma", 15, 26),
    Target("add *", "numpy add", 8, 12),
    Target("multiply *", "numpy multiply", 12, 17),
    *[Target(f"{name}, flags *", "numpy add", 3, 5) for name in ARITY],
    *[Target(f"{name}, flags *", f"softfloatpy {name}", 60, 100) for name in ARITY],
    Target("round_to_integral", "np.copyto float16", 0.5, 0.65),
    Target("8 elements: add", "8 elements: numpy add", 0.1, 0.25),
]


def operands(name: str, size: int) -> list[np.ndarray[Any, Any]]:
    """Normally distributed numbers; positive ones for the square root."""
    rng = np.random.default_rng(size)
    columns = [rng.standard_normal(size).astype(np.float16) for _ in range(ARITY[name])]
    return [abs(column) for column in columns] if name == "sqrt" else columns


def arithmetic(name: str, size: int) -> Contenders:
    """One operation in every rounding, with flags and without, and its peers."""
    columns = operands(name, size)
    out, function = np.empty_like(columns[0]), getattr(hs, name)
    found: Contenders = {}
    for mode in MODES:
        found[f"{name} {mode}"] = lambda mode=mode: function(*columns, rounding=mode, out=out)
        found[f"{name}, flags {mode}"] = lambda mode=mode: function.flagged(*columns, rounding=mode, out=out)
    found[f"{name}, stochastic"] = lambda: function(*columns, rounding=RANDOM, out=out)
    found[f"{name}, flushing"] = lambda: function(*columns, environment=FLUSHING, out=out)
    found["numpy add"] = lambda: np.add(columns[0], columns[-1], out=out)
    if name == "fma":
        found["numpy fma"] = lambda: np.add(np.multiply(*columns[:2], out=out), columns[2], out=out)
    elif name != "add":
        found[f"numpy {name}"] = lambda: getattr(np, name)(*columns, out=out)
    if torch is not None:
        tensors = [torch.from_numpy(column) for column in columns]
        result = torch.empty_like(tensors[0])
        if name == "fma":
            found["torch fma"] = lambda: torch.addcmul(tensors[2], tensors[0], tensors[1], out=result)
        else:
            found[f"torch {name}"] = lambda: getattr(torch, name)(*tensors, out=result)
    return found


FLUSHING = hs.Environment(nan=hs.IEEE.nan, flush_inputs=True, flush_results=True)


def softfloat(name: str) -> Callable[[], object]:
    """Apply softfloatpy's operation to a part of the operands."""
    columns = operands(name, SOFT_SIZE)
    objects = [[softfloatpy.Float16.from_bytes(v.tobytes()) for v in column.astype(">f2")] for column in columns]
    function = getattr(softfloatpy, f"f16_{SOFTFLOAT[name]}")
    return lambda: list(map(function, *objects))


def conversions(size: int) -> Contenders:
    """Numbers of wider formats to binary16 and narrower ones."""
    rng = np.random.default_rng(size)
    wide = {np.dtype(kind).name: rng.standard_normal(size).astype(kind) for kind in (np.float32, np.float64)}
    out, copy, integers = np.empty(size, np.float16), np.empty(size, np.float32), rng.integers(-(10**5), 10**5, size)
    found: Contenders = {"np.copyto float32": lambda: np.copyto(copy, wide["float32"])}
    for kind, x in wide.items():
        found[f"numpy {kind} to float16"] = lambda x=x: np.copyto(out, x, casting="unsafe")
        for mode in MODES:
            found[f"{kind} to binary16 {mode}"] = lambda x=x, mode=mode: hs.convert(
                x, hs.BINARY16, rounding=mode, out=out
            )
        found[f"{kind} to binary16, stochastic"] = lambda x=x: hs.convert(x, hs.BINARY16, rounding=RANDOM, out=out)
    x = wide["float32"]
    found["float32 to binary16, flags"] = lambda: hs.convert.flagged(x, hs.BINARY16, rounding="rup", out=out)
    for fmt in (hs.BFLOAT16, hs.E4M3, hs.TF32):
        found[f"float32 to {fmt.name}"] = lambda fmt=fmt: hs.convert(x, fmt, out=copy)
    found["float64 to binary32"] = lambda: hs.convert(wide["float64"], hs.BINARY32, out=copy)
    found["int64 to binary16"] = lambda: hs.convert(integers, hs.BINARY16, out=out)
    if torch is not None:
        tensor, half = torch.from_numpy(x), torch.from_numpy(out)
        found["torch float32 to float16"] = lambda: half.copy_(tensor)
    return found


def others(size: int) -> Contenders:
    """What rounds nothing, or one operand only."""
    a, b = operands("add", size)
    out, truth = np.empty_like(a), np.empty(size, np.bool_)
    powers = np.random.default_rng(1).integers(-9, 9, size)
    found: Contenders = {"np.copyto float16": lambda: np.copyto(out, a), "numpy add": lambda: np.add(a, b, out=out)}
    found["numpy less"] = lambda: np.less(a, b, out=truth)
    found["numpy minimum"] = lambda: np.minimum(a, b, out=out)
    for name in ("remainder", "minimum", "maximum_number", "copysign"):
        found[name] = lambda name=name: getattr(hs, name)(a, b, out=out)
    for name in ("round_to_integral", "logb", "nextup", "negative"):
        found[name] = lambda name=name: getattr(hs, name)(a, out=out)
    found["less"] = lambda: hs.less(a, b, out=truth)
    found["isnan"] = lambda: hs.isnan(a, out=truth)
    found["scaleb"] = lambda: hs.scaleb(a, powers, out=out)
    found["binary16 to int32"] = lambda: hs.convert(a, np.int32, rounding="rtz")
    found["binary16 to e4m3"] = lambda: hs.convert(a, hs.E4M3)
    return found


def overhead() -> Contenders:
    """Calls of eight elements, results allocated."""
    a, x = np.ones(8, np.float16), np.ones(8, np.float32)
    return {
        "8 elements: numpy add": lambda: np.add(a, a),
        "8 elements: add": lambda: hs.add(a, a),
        "8 elements: add, flags": lambda: hs.add.flagged(a, a, rounding="rup"),
        "8 elements: isnan": lambda: hs.isnan(a),
        "8 elements: convert": lambda: hs.convert(x, hs.BINARY16),
    }


def inflation(rounds: int) -> float:
    """Processor time of two threads over that of one, for the sum of 2**24 numbers in every rounding."""
    a, b = (np.ones(1 << 24, np.float16) for _ in range(2))
    out = np.empty_like(a)
    times: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(rounds):
        for threads, spent in times.items():
            hs.set_num_threads(threads)
            start = time.process_time()
            for mode in MODES:
                hs.add(a, b, rounding=mode, out=out)
            spent.append(time.process_time() - start)
    hs.set_num_threads(1)
    return float(np.median(np.array(times[2]) / np.array(times[1])))


def memory() -> float:
    """Largest extra memory of a call with `out`, over the operands' bytes; strided and broadcast operands too."""
    a = np.ones((2048, 4096), np.float16)
    out = np.empty_like(a)
    calls = [
        lambda: hs.add(a, a, out=out),
        lambda: hs.add(a[:, :1], a[:1], out=out),
        lambda: hs.fma(a[::-1], a, a[:1], rounding=RANDOM, out=out),
    ]
    most = 0
    for call in calls:
        call()
        tracemalloc.start()
        call()
        most = max(most, tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    return most / a.nbytes


def exhaustive() -> float:
    """Seconds of a full verification of one operation and mode, by one block of 2**20 pairs."""
    (job,) = jobs("multiply", "rup", "after")
    check(job)
    start = time.process_time()
    check(job)
    return (time.process_time() - start) * job.blocks


def check(job: Any) -> None:
    from halfsim.testvectors.exhaustive.jobs import check as check_block

    if check_block(job, 1021).wrong:
        raise SystemExit(f"{job.name}: halfsim and its witness differ")


def slowest(times: dict[str, list[float]], name: str) -> str:
    """Return the contender that a name stands for."""
    if not name.endswith("*"):
        return name
    return max(
        (key for key in times if key[:-1].startswith(name[:-1])),
        key=lambda key: sorted(times[key])[len(times[key]) // 2],
    )


@click.command(help=__doc__)
@click.option("--size", default=1_000_000, show_default=True)
@click.option("--rounds", default=9, show_default=True)
@click.option("--check", "strict", is_flag=True, help="Exit with 1 when a floor is missed.")
def main(size: int, rounds: int, strict: bool) -> None:
    hs.set_num_threads(1)
    if torch is not None:
        torch.set_num_threads(1)
    click.echo(f"{platform.machine()}, Python {platform.python_version()}, NumPy {np.__version__}; one thread")
    click.echo(f"n = {size:,}, medians of {rounds} rounds; ratios above 1: halfsim is faster\n")
    missed = []
    families = [conversions(size), *(arithmetic(name, size) for name in ARITY), others(size), overhead()]
    for family in families:
        with np.errstate(all="ignore"):
            times = interleave(family, rounds)
        for name in times:
            few = 8 if name.startswith("8 ") else size
            click.echo(f"{name:<42}{rate(times, name, few):>10.0f} M/s")
        operation = next((name for name in ARITY if f"{name} roundTiesToEven" in times), None)
        if softfloatpy is not None and operation is not None:
            # It takes a part of the operands: its time is brought to the same number.
            soft = interleave({"soft": softfloat(operation)}, 3)["soft"]
            times[f"softfloatpy {operation}"] = [sorted(soft)[1] * size / SOFT_SIZE] * rounds
        for target in TARGETS:
            key = slowest(times, target.ours) if any(k.startswith(target.ours.rstrip("*")) for k in times) else ""
            if key not in times or target.peer not in times:
                continue
            reached = ratio(times, key, target.peer)
            verdict = "goal" if reached >= target.goal else "floor" if reached >= target.floor else "MISSED"
            line = f"{key} / {target.peer}: {reached:.2f} (floor {target.floor}, goal {target.goal})"
            click.echo(f"  {verdict:<7}{line}")
            missed += [line] if verdict == "MISSED" else []
        click.echo()
    for name, value, most in (
        ("processor time of two threads over one", inflation(rounds), 1.10),
        ("extra memory over operands", memory(), 1.0),
        ("seconds for all pairs of one operation and mode", exhaustive(), 90),
    ):
        click.echo(f"{name}: {value:.2f} (at most {most})")
        missed += [f"{name}: {value:.2f}"] if value > most else []
    click.echo("\n" + ("\n".join(["Missed:", *missed]) if missed else "Every floor holds."))
    if strict and missed:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
