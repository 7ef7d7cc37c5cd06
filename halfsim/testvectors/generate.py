"""Rows of vectors: the operands of a plan with the simulator's results."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import halfsim
from halfsim.rounding import Stochastic
from halfsim.testvectors.cases import Operands, Plan
from halfsim.testvectors.diagnosis import Setting
from halfsim.testvectors.formats import Block, Header

__all__ = ["header_of", "rows_of"]


def header_of(
    plan: Plan,
    setting: Setting,
    *,
    seed: int,
    shard: tuple[int, int] = (1, 1),
    flag_order: str = "testfloat",
    nan: str = "exact",
) -> Header:
    """Return the header of the vectors of a plan.

    Parameters
    ----------
    plan : Plan
        The operands.
    setting : Setting
        Operation, rounding, environment and options.
    seed : int
        Seed of the plan.
    shard : tuple of int
        Part I of N of the rows. The offset of a stochastic rounding counts from the first of them.
    flag_order : str
        Name of the order of the flags.
    nan : str
        ``"exact"`` or ``"any"``.

    Returns
    -------
    Header
        With the number of rows; complete but for the digest, which `halfsim.testvectors.formats.write` adds.

    Examples
    --------
    >>> from halfsim import RISCV
    >>> from halfsim.testvectors import subject
    >>> from halfsim.testvectors.cases import plan
    >>> from halfsim.testvectors.generate import header_of
    >>> from halfsim.testvectors.setting import Setting
    >>> sqrt = subject("sqrt")
    >>> header = header_of(plan(sqrt, ["signed-zeros"]), Setting(sqrt, "rne", RISCV), seed=1)
    >>> header.operation, header.operands, header.rows
    ('sqrt', ('f16',), 8)
    """
    start, stop = plan.part(shard)
    mode = setting.rounding
    if isinstance(mode, Stochastic):
        setting = replace(setting, rounding=replace(mode, offset=mode.offset + start))
    return setting.header(
        flag_order=flag_order,
        nan=nan,
        rows=stop - start,
        seed=seed,
        families=plan.families,
        version=halfsim.__version__,
    )


def rows_of(
    plan: Plan,
    setting: Setting,
    *,
    shard: tuple[int, int] = (1, 1),
    seen: Callable[[Operands, Block], None] | None = None,
) -> Iterator[Block]:
    """Yield the vectors of a plan, block by block.

    Parameters
    ----------
    plan : Plan
        The operands.
    setting : Setting
        Operation, rounding, environment and options. A stochastic rounding draws the word of row n of the plan
        for it, so that parts make the whole.
    shard : tuple of int
        Part I of N of the rows.
    seen : callable, optional
        Called with each block of operands and of rows.

    Examples
    --------
    >>> from halfsim import RISCV
    >>> from halfsim.testvectors import subject
    >>> from halfsim.testvectors.cases import plan
    >>> from halfsim.testvectors.generate import rows_of
    >>> from halfsim.testvectors.setting import Setting
    >>> sqrt = subject("sqrt")
    >>> (block,) = rows_of(plan(sqrt, ["signed-zeros"]), Setting(sqrt, "rne", RISCV))
    >>> for row in zip(*block.operands, block.result, block.flags):
    ...     print(" ".join(f"{word:x}" for word in row))
    0 0 0
    1 c00 0
    3c00 3c00 0
    7c00 7c00 0
    8000 8000 0
    8001 7e00 10
    bc00 7e00 10
    fc00 7e00 10
    """
    for operands in plan.blocks(shard):
        result, flags = setting.evaluate(operands.words, operands.first)
        block = Block(operands.words, result, flags)
        if seen is not None:
            seen(operands, block)
        yield block
