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

from halfsim import environment as presets
from halfsim.core.control import STOCHASTIC, control_word
from halfsim.core.fields import F16, Layout, layout
from halfsim.environment import Tininess
from halfsim.formats import BINARY32, BINARY64
from halfsim.kernels import elementwise, f16c, stochastic
from halfsim.kernels.fast import FAST
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
    else:
        z = np.empty(size, np.uint16)
        getattr(elementwise, name)(*operands, z, flags, control, seed, index)
    return z.astype(result_dtype(name)), flags


def result_dtype(name: str) -> type[np.unsignedinteger[Any]]:
    """Element type of a fast loop's result."""
    return np.uint32 if name == "binary16_to_binary32" else np.uint16


def differences(name: str, operands: tuple[Patterns, ...], control: int, seed: int = 0, index: int = 0) -> list[str]:
    """Inputs on which a fast loop, with flags or without, differs from the general one; at most three, described."""
    want, want_flags = general(name, operands, control, seed, index)
    got, got_flags = np.empty_like(want), np.empty_like(want_flags)
    random = control & 7 == STOCHASTIC
    flagged = getattr(stochastic, name) if random else FAST[name].flagged
    flagged(*operands, got, got_flags, control, seed, index)
    wrong = np.flatnonzero((got != want) | (got_flags != want_flags))[:3]
    lines = [_describe(name, operands, i, got[i], got_flags[i], want[i], want_flags[i]) for i in wrong]
    for loop in [] if random else without_flags(control):
        got.fill(0x5555)
        getattr(FAST[name], loop)(*operands, got, control)
        wrong = np.flatnonzero(got != want)[:3]
        lines += [_describe(f"{name} without flags ({loop})", operands, i, got[i], 0, want[i], 0) for i in wrong]
    return lines


def without_flags(control: int) -> list[str]:
    """The loops without flags that take a control word on this processor."""
    return ["values", "direct"] if f16c.direct(control) and f16c.available() else ["values"]


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
@click.argument("name", type=click.Choice(["add", "subtract", "multiply", "divide", "binary32_to_binary16"]))
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
