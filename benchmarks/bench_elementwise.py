"""Elementwise arithmetic on one thread beside NumPy, torch and softfloatpy: rates and ratios of the same run.

Every contender writes into arrays made beforehand, except the rows marked "call", which time the public function
against NumPy's, both allocating. Every deterministic rounding is measured: "any mode" rows show the
slowest, then the range. Stochastic rounding has no vectorised loop: its row, with flags, times the general one on a
part of the operands. softfloatpy is called through ``map`` on objects made beforehand, its flags unread.
"""

from __future__ import annotations

import platform
from collections.abc import Callable
from functools import partial
from typing import Any

import click
import numpy as np
from interleaved import interleave, rate, ratio

import halfsim as hs
from halfsim.core.control import control_word
from halfsim.kernels import elementwise
from halfsim.kernels.fast import FAST

try:
    import softfloatpy
except ImportError:
    softfloatpy = None
try:
    import torch
except ImportError:
    torch = None

ARITY = {"add": 2, "subtract": 2, "multiply": 2, "divide": 2, "sqrt": 1, "fma": 3}
SOFTFLOAT = {"add": "add", "subtract": "sub", "multiply": "mul", "divide": "div", "sqrt": "sqrt", "fma": "mul_add"}
# (operation, variant, peer, ratio to reach)
STOCHASTIC = "stochastic, flags"
STOCHASTIC_SIZE = 10_000
VARIANTS = ("rne", "any mode", "any mode, flags", STOCHASTIC, "call rne", "call rup, flags")
TARGETS = [
    ("add", "rne", "numpy", 4.0),
    ("multiply", "rne", "numpy", 4.0),
    *[
        (name, "any mode, flags", peer, least)
        for name in ARITY
        for peer, least in (("np.add", 1.0), ("softfloatpy", 20.0))
    ],
]
Contenders = dict[str, Callable[[], object]]


def operands(name: str, size: int) -> list[np.ndarray[Any, Any]]:
    """Normally distributed numbers; positive ones for the square root."""
    rng = np.random.default_rng(size)
    columns = [rng.standard_normal(size).astype(np.float16) for _ in range(ARITY[name])]
    return [abs(column) for column in columns] if name == "sqrt" else columns


def ours(name: str, columns: list[np.ndarray[Any, Any]]) -> Contenders:
    """The loops, by what they are asked for."""
    words = [column.view(np.uint16) for column in columns]
    z, flags = np.empty_like(words[0]), np.empty(words[0].size, np.uint8)
    controls = {mode.name: control_word(mode, hs.IEEE) for mode in hs.Rounding}
    stochastic = control_word(hs.Stochastic(bits=13, seed=1), hs.IEEE)
    part = [word[:STOCHASTIC_SIZE] for word in words]
    function, general = getattr(hs, name), getattr(elementwise, name)
    return {
        "rne": lambda: FAST[name].values(*words, z, controls["roundTiesToEven"]),
        **{f"any mode {m}": partial(FAST[name].values, *words, z, c) for m, c in controls.items()},
        **{f"any mode, flags {m}": partial(FAST[name].flagged, *words, z, flags, c, 0, 0) for m, c in controls.items()},
        STOCHASTIC: lambda: general(*part, z[: part[0].size], flags[: part[0].size], stochastic, 1, 0),
        "call rne": lambda: function(*columns),
        "call rup, flags": lambda: function.flagged(*columns, rounding="rup"),
    }


def measured(times: dict[str, list[float]], variant: str, size: int) -> tuple[str, str]:
    """Return the slowest rounding of a variant, and the range of its rates."""
    modes = [key for key in times if key.startswith(f"{variant} round")]
    if not modes:
        return variant, ""
    slowest, fastest = (pick(modes, key=lambda key: rate(times, key, size)) for pick in (min, max))
    low, high = rate(times, slowest, size), rate(times, fastest, size)
    return slowest, f"  {slowest.removeprefix(variant).strip()}; all {low:.0f} to {high:.0f}"


def peers(name: str, columns: list[np.ndarray[Any, Any]]) -> Contenders:
    """NumPy, and what else is installed. Neither NumPy nor torch has a fused multiply-add: theirs rounds twice."""
    out = np.empty_like(columns[0])
    found: Contenders = {"np.add": lambda: np.add(columns[0], columns[-1], out=out)}
    if name == "fma":
        found["numpy"] = lambda: np.add(np.multiply(columns[0], columns[1], out=out), columns[2], out=out)
        found["numpy call"] = lambda: columns[0] * columns[1] + columns[2]
    else:
        function = getattr(np, name)
        found["numpy"] = lambda: function(*columns, out=out)
        found["numpy call"] = lambda: function(*columns)
    if torch is not None:
        tensors = [torch.from_numpy(column) for column in columns]
        result = torch.empty_like(tensors[0])
        if name == "fma":
            found["torch"] = lambda: torch.addcmul(tensors[2], tensors[0], tensors[1], out=result)
        else:
            torch_function = getattr(torch, name)
            found["torch"] = lambda: torch_function(*tensors, out=result)
    if softfloatpy is not None:
        objects = [[softfloatpy.Float16.from_bytes(v.tobytes()) for v in c.astype(">f2")] for c in columns]
        soft = getattr(softfloatpy, f"f16_{SOFTFLOAT[name]}")
        found["softfloatpy"] = lambda: list(map(soft, *objects))
    return found


@click.command(help=__doc__)
@click.option("--size", "sizes", type=int, multiple=True, default=(10_000, 1_000_000), show_default=True)
@click.option("--rounds", default=9, show_default=True)
@click.option("--operation", "names", type=click.Choice(list(ARITY)), multiple=True, default=tuple(ARITY))
@click.option("--check", is_flag=True, help="Exit with 1 when a target is missed.")
def main(sizes: tuple[int, ...], rounds: int, names: tuple[str, ...], check: bool) -> None:
    hs.set_num_threads(1)
    if torch is not None:
        torch.set_num_threads(1)
    click.echo(f"{platform.machine()}, Python {platform.python_version()}, NumPy {np.__version__}; one thread")
    missed = []
    for size in sizes:
        click.echo(f"\nn = {size:,}, medians of {rounds} rounds; ratios above 1: halfsim is faster")
        click.echo(
            f"{'operation':<10}{'':<17}{'M/s':>8}{'x numpy':>10}{'x np.add':>10}{'x torch':>9}{'x softfloatpy':>15}"
        )
        for name in names:
            columns = operands(name, size)
            mine, others = ours(name, columns), peers(name, columns)
            with np.errstate(all="ignore"):
                times = interleave({**mine, **others}, rounds)
            for variant in VARIANTS:
                key, remark = measured(times, variant, size)
                if variant == STOCHASTIC:
                    # Peers took whole operands: only the rate compares.
                    own = rate(times, key, min(size, STOCHASTIC_SIZE))
                    click.echo(f"{name:<10}{variant:<17}{own:>8.1f}  general loop, n = {min(size, STOCHASTIC_SIZE):,}")
                    continue
                numpy = "numpy call" if variant.startswith("call") else "numpy"
                cells = [f"{name:<10}{variant:<17}{rate(times, key, size):>8.0f}"]
                for peer, width in ((numpy, 10), ("np.add", 10), ("torch", 9), ("softfloatpy", 15)):
                    cells.append(f"{ratio(times, key, peer):>{width}.2f}" if peer in times else f"{'-':>{width}}")
                click.echo("".join(cells) + remark)
            for operation, variant, peer, least in TARGETS:
                if operation != name or peer not in times:
                    continue
                reached = ratio(times, measured(times, variant, size)[0], peer)
                if reached < least:
                    missed.append(f"{name}, {variant}, n = {size:,}: {reached:.2f} x {peer}, not {least}")
    click.echo("\n" + ("\n".join(["Missed:", *missed]) if missed else "Every target is met."))
    if check and missed:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
