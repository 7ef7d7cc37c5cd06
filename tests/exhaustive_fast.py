"""Prove a fast loop equal to the general one on all 2**32 inputs: every pair of operands, or every binary32 number.

    python -m tests.exhaustive_fast divide --rounding rup --tininess before

takes minutes on one processor. Interrupted, it names the row to go on from with --start.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

import halfsim as hs
from halfsim import environment as presets
from halfsim.core.control import STOCHASTIC, control_word, gradual
from halfsim.core.fields import F16, Layout, layout
from halfsim.environment import Tininess
from halfsim.formats import BINARY32, BINARY64
from halfsim.kernels import elementwise, f16c, host, wide
from halfsim.kernels.fast import FAST
from halfsim.kernels.loops import Loops
from halfsim.kernels.select import select_loops
from halfsim.rounding import ALIASES, Stochastic

ROWS = 1 << 16
SEED = 7
TININESS = {"after": Tininess.afterRounding, "before": Tininess.beforeRounding}
ENVIRONMENTS = ("IEEE", "RISCV", "ARM", "ARM_DEFAULT_NAN", "X86", "CUDA")
CONVERSIONS: dict[str, tuple[Layout, Layout]] = {
    "binary32_to_binary16": (layout(BINARY32), F16),
    "binary64_to_binary16": (layout(BINARY64), F16),
    "binary16_to_binary32": (F16, layout(BINARY32)),
}
RANDOM = {"binary32_to_binary16": "from_binary32", "binary64_to_binary16": "from_binary64"}
PAIRS = ("add", "subtract", "multiply", "divide", "remainder", "minimum", "maximum_number", "minsh", "less", "equal")
Patterns = NDArray[Any]


def general(
    name: str, operands: tuple[Patterns, ...], control: int, seed: int = 0, index: int = 0
) -> tuple[Patterns, Patterns]:
    """Patterns and flags of the general loop."""
    size = operands[0].size
    flags = np.empty(size, np.uint8)
    if name in CONVERSIONS:
        z = np.empty(size, np.int64)
        elementwise.convert(operands[0].astype(np.int64), z, flags, control, seed, index, *CONVERSIONS[name])
        return z.astype(result_dtype(name)), flags
    z = np.empty(size, result_dtype(name))
    row: Any = getattr(hs, name)
    row.kernel(*operands, z, flags, control, seed, index, *row.extra)
    return z, flags


def result_dtype(name: str) -> np.dtype[Any]:
    """Element type of a fast loop's result."""
    if name in CONVERSIONS:
        return np.dtype(np.uint32 if name == "binary16_to_binary32" else np.uint16)
    dtype: np.dtype[Any] = getattr(hs, name).dtype
    return np.dtype(np.uint16) if dtype == np.float16 else dtype


def flagged(name: str, control: int) -> tuple[Any, tuple[Any, ...]]:
    """The fast loop with flags, and its last arguments."""
    if name in CONVERSIONS:
        random = control & 7 == STOCHASTIC
        return (getattr(wide, RANDOM[name]), CONVERSIONS[name]) if random else (FAST[name].flagged, ())
    row: Any = getattr(hs, name)
    loop = select_loops(name, row.kernel, row.extra, control, False).flagged
    assert loop is not row.kernel, f"{name} has no fast loop"
    return loop, row.extra


def run(
    name: str,
    loop: Any,
    operands: tuple[Patterns, ...],
    z: Patterns,
    flags: Patterns | None,
    control: int,
    seed: int = 0,
    index: int = 0,
    extra: tuple[Any, ...] = (),
) -> None:
    """Run a fast loop as the package does: the general one decides what NaN a result is."""
    if name in CONVERSIONS:
        general, last = elementwise.convert, CONVERSIONS[name]
    else:
        general, last = getattr(hs, name).kernel, getattr(hs, name).extra
    optional = name in FAST and loop is FAST[name].converted
    loops = Loops(loop, None if flags is not None else loop, general=general, last=last, optional=optional)
    host.run(loops, operands, z, flags, (control, seed, index), extra)


def differences(name: str, operands: tuple[Patterns, ...], control: int, seed: int = 0, index: int = 0) -> list[str]:
    """Inputs on which a fast loop, with flags or without, differs from the general one; at most three, described."""
    want, want_flags = general(name, operands, control, seed, index)
    got, got_flags = np.empty_like(want), np.empty_like(want_flags)
    loop, extra = flagged(name, control)
    loops = {name: loop, **{f"{name} ({kind})": getattr(FAST[name], kind) for kind in with_flags(name, control)}}
    lines = []
    for label, loop in loops.items():
        run(name, loop, operands, got, got_flags, control, seed, index, extra)
        wrong = np.flatnonzero((got != want) | (got_flags != want_flags))[:3]
        lines += [_describe(label, operands, i, got[i], got_flags[i], want[i], want_flags[i]) for i in wrong]
        got.fill(0x5555)
        got_flags.fill(0x55)
    for kind in without_flags(name, control):
        got.fill(0x5555)
        run(name, getattr(FAST[name], kind), operands, got, None, control)
        wrong = np.flatnonzero(got != want)[:3]
        lines += [_describe(f"{name} without flags ({kind})", operands, i, got[i], 0, want[i], 0) for i in wrong]
    return lines


def with_flags(name: str, control: int) -> list[str]:
    """The loops with flags that an operation has for a control word on this processor."""
    if name not in FAST or control & 7 == STOCHASTIC:
        return []
    return ["flagged", "converted"] if gradual(control) == control and f16c.available() else ["flagged"]


def without_flags(name: str, control: int) -> list[str]:
    """The loops without flags that an operation has for a control word on this processor."""
    if name not in FAST or control & 7 == STOCHASTIC:
        return []
    if gradual(control) != control or not f16c.available():
        return ["values"]
    # The last one has no other loop without flags.
    converted = [] if name == "binary16_to_binary32" else ["converted"]
    return ["values", *converted, *(["direct"] if f16c.direct(control) else [])]


def _describe(
    name: str, operands: tuple[Patterns, ...], i: int, got: int, got_flags: int, want: int, flags: int
) -> str:
    inputs = " ".join(f"{int(operand[i]):#x}" for operand in operands)
    return f"{name} {inputs} => {got:#06x} {got_flags:#04x}, expected {want:#06x} {flags:#04x}"


def check_row(name: str, row: int, control: int) -> list[str]:
    """Check the inputs with one first operand, or of a conversion with the same upper half."""
    column = np.arange(ROWS, dtype=np.uint16)
    # Of stochastic rounding every input has its own word.
    random = control, SEED, row << 16
    if name in CONVERSIONS:
        return differences(name, (np.uint32(row << 16) | column,), *random)
    return differences(name, (np.full(ROWS, row, np.uint16), column), *random)


@click.command(help=__doc__.splitlines()[0] if __doc__ else None)
@click.argument("name", type=click.Choice([*PAIRS, "binary32_to_binary16"]))
@click.option("--rounding", type=click.Choice([*ALIASES, "stochastic"]), default="rne", show_default=True)
@click.option("--bits", type=click.IntRange(1, 32), default=32, show_default=True, help="Of stochastic rounding.")
@click.option("--tininess", type=click.Choice(list(TININESS)), default="after", show_default=True)
@click.option("--environment", type=click.Choice(ENVIRONMENTS), default="IEEE", show_default=True, help="NaN rules.")
@click.option("--flush", is_flag=True, help="Flush subnormal inputs and tiny results to zero.")
@click.option("--start", type=click.IntRange(0, ROWS - 1), default=0, help="First row, to resume.")
@click.option("--stop", type=click.IntRange(1, ROWS), default=ROWS, help="Row to stop before, to share the work.")
@click.option("--threads", type=click.IntRange(1), default=os.cpu_count() or 1, show_default=True)
def main(
    name: str,
    rounding: str,
    bits: int,
    tininess: str,
    environment: str,
    flush: bool,
    start: int,
    stop: int,
    threads: int,
) -> None:
    row: presets.Environment = getattr(presets, environment)
    row = replace(row, tininess=TININESS[tininess], flush_inputs=flush, flush_results=flush)
    mode = ALIASES[rounding] if rounding in ALIASES else Stochastic(bits=bits, seed=SEED)
    control = control_word(mode, row)
    done = start
    try:
        with ThreadPoolExecutor(threads) as pool, click.progressbar(length=stop - start, label=name) as bar:
            for first in range(start, stop, 64):
                rows = range(first, min(first + 64, stop))
                wrong = [line for lines in pool.map(lambda r: check_row(name, r, control), rows) for line in lines]
                if wrong:
                    raise click.ClickException("\n".join(wrong[:10]))
                done = rows.stop
                bar.update(len(rows))
    except KeyboardInterrupt:
        raise click.ClickException(f"interrupted; go on with --start {done}") from None
    click.echo(f"{name} {rounding} {tininess}: rows {start} to {stop - 1} equal, {(stop - start) * ROWS:,} inputs")


if __name__ == "__main__":
    main()
