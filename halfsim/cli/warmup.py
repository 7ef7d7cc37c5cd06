"""`halfsim warmup`: compile every loop now, so that no later call waits."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from halfsim.checks import near
from halfsim.cli.group import examples

if TYPE_CHECKING:
    from halfsim.operation import Operation

__all__ = ["warmup"]

_Work = Callable[[], Any]
# Bytes that no compiled loop exceeds.
_LARGEST = 1 << 18


_EPILOG = examples("halfsim warmup", "halfsim warmup add multiply fma matmul")


@click.command(epilog=_EPILOG)
@click.argument("names", nargs=-1, metavar="[NAME]...")
def warmup(names: tuple[str, ...]) -> None:
    """Compile the loops of all operations, or of the NAMEd ones, into the cache on disk, and say where it is.

    Names are those of operations, convert, matmul (which stands for dot and sum too) and training (which stands for
    layers of PyTorch too). Compiled loops are kept until halfsim, numba or Python change; HALFSIM_CACHE_DIR moves them.
    """
    from halfsim.core._cache import cache_directory

    work = _work()
    for name in names:
        if name not in work:
            raise click.UsageError(f"unknown operation {name!r}; {near(name, work)}")
    chosen = list(dict.fromkeys(names)) or list(work)
    directory, start = cache_directory(), time.perf_counter()
    _has_space(directory, "nothing would be kept")
    with click.progressbar(
        chosen, label="compiling", file=sys.stderr, item_show_func=lambda name: name or "", width=30
    ) as bar:
        for name in bar:
            for run in work[name]:
                run()
    _has_space(directory, "what was compiled may not all be kept")
    count, size = _contents(directory)
    seconds = time.perf_counter() - start
    click.echo(f"{len(chosen)} operation(s) ready in {seconds:.1f} s")
    click.echo(f"cache: {directory}, {count} file(s), {size / 1e6:.1f} MB")


def _has_space(directory: Path, otherwise: str) -> None:
    """Refuse to go on where a loop could not be kept: no call is told so, and here that is all there is to do."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory) as file:
            file.write(bytes(_LARGEST))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise click.ClickException(
            f"{directory}: {otherwise}: {error.strerror or error}; make space there, "
            "or set HALFSIM_CACHE_DIR to a folder that can be written to"
        ) from None


def _contents(directory: Path) -> tuple[int, int]:
    """Number of files in a folder, and their bytes."""
    files = [path for path in directory.rglob("*") if path.is_file()]
    return len(files), sum(path.stat().st_size for path in files)


def _work() -> dict[str, list[_Work]]:
    """Return, for each name, calls that between them reach every loop it has."""
    from halfsim.explanation.elementwise import operation_rows

    work = {name: _elementwise(row) for name, row in operation_rows().items()}
    return {**work, "convert": _conversions(), "matmul": _products(), "training": _training()}


def _elementwise(operation: Operation) -> list[_Work]:
    import numpy as np

    from halfsim.environment import Environment
    from halfsim.kernels.tables import WORTH
    from halfsim.rounding import Stochastic

    flushing = Environment(flush_inputs=True, flush_results=True)
    # Few elements, and enough for a table where there are some.
    work: list[_Work] = []
    # Unsigned integers of 16 and 32 bits lie as patterns do; others are read as int64.
    kinds = (np.int64, np.uint16, np.uint32) if operation.integers >= 0 else (np.int64,)
    for size, integers in product((2, WORTH) if operation.arity == 1 else (2,), kinds):
        operands: list[Any] = [np.resize([1, np.nan], size).astype(np.float16) for _ in range(operation.arity)]
        if operation.integers >= 0:
            operands[operation.integers] = np.ones(size, integers)
        # The processor's own rounding, the vectorised loop where there is one, and the general loop.
        work += [
            partial(call, *operands, rounding=rounding)
            for call in (operation, operation.flagged)
            for rounding in ("rne", "rna", Stochastic(bits=8, seed=0))
        ]
        # Where subnormals are flushed, results and flags are found by other loops.
        work += [partial(call, *operands, environment=flushing) for call in (operation, operation.flagged)]
    return work


def _conversions() -> list[_Work]:
    import numpy as np

    from halfsim.conversion import convert
    from halfsim.environment import Environment
    from halfsim.formats import BFLOAT16, BINARY16, BINARY32, BINARY64, E4M3, TF32
    from halfsim.kernels.tables import WORTH
    from halfsim.rounding import Stochastic

    # What NaN a result is the general loop decides.
    floats = [
        np.resize([1, np.nan], size).astype(dtype)
        for size in (2, WORTH)
        for dtype in (np.float16, np.float32, np.float64)
    ]
    if find_spec("ml_dtypes"):
        from ml_dtypes import float8_e5m2

        floats.append(np.ones(2, float8_e5m2))
    # Those of 8 bits, and signed ones, are read as int64; unsigned ones lie as patterns do.
    integers = [np.ones(2, dtype) for dtype in (np.int64, np.uint16, np.uint32, np.uint64)]
    targets = (BINARY16, BINARY32, BINARY64, BFLOAT16, TF32)
    whole = (np.int8, np.int16, np.int32, np.int64, np.uint64)
    flushing = Environment(flush_inputs=True, flush_results=True)
    single = np.array([1, np.nan], np.float32)
    work: list[_Work] = []
    for call in (convert, convert.flagged):
        work += [partial(call, x, BINARY16, environment=flushing) for x in floats]
        # Formats with subnormal numbers of their own and without, each to nearest and otherwise.
        work += [partial(call, single, target, rounding=way) for target in (BFLOAT16, E4M3) for way in ("rne", "rtz")]
        for rounding in ("rne", "rna", Stochastic(bits=8, seed=0)):
            work += [partial(call, x, target, rounding=rounding) for x in (*floats, *integers) for target in targets]
            work += [partial(call, x, dtype, rounding=rounding) for x in floats for dtype in whole]
    return work


def _products() -> list[_Work]:
    import numpy as np

    from halfsim.accumulators import FP16, Compensated, Exact, Pairwise, Sequential
    from halfsim.formats import BINARY16, BINARY32
    from halfsim.kernels.transposition import transposed
    from halfsim.linalg import matmul
    from halfsim.rounding import Rounding, Stochastic
    from halfsim.tensorcores import as_accumulator

    a, b = np.ones((2, 4), np.float16), np.ones((4, 2), np.float16)
    addends = [np.ones((2, 2), dtype) for dtype in (np.float16, np.float32)]
    rows: list[Any] = [FP16, Sequential(format=BINARY16), "v100:f32", "v100:f16", "h100:f32", "h100:f16"]
    rows += ["mi100:f32", "mi250x:f32", "mi300x:f32"]
    # No vectorised loop rounds a block upward: the general one does.
    rows += [replace(as_accumulator("h100:f32"), rounding=Rounding.roundTowardPositive)]
    rows += [Sequential(format=BINARY32, fused=fused) for fused in (False, True)]
    # To nearest and in other roundings binary16 sums have loops of their own.
    away = Rounding.roundTiesToAway
    rows += [Sequential(format=BINARY16, fused=fused, rounding=away) for fused in (False, True)]
    random = Stochastic(bits=8, seed=0)
    rows += [
        Sequential(format=fmt, fused=fused, rounding=random) for fmt in (BINARY16, BINARY32) for fused in (False, True)
    ]
    sums = [kind(format=fmt) for kind in (Pairwise, Compensated, Exact) for fmt in (BINARY16, BINARY32)]
    work: list[_Work] = [partial(matmul, a, b, c, accumulator=row) for row in (*rows, *sums) for c in (None, *addends)]
    # The general loops: with flags, with infinities, and of AMD's pairs in another rounding.
    flagged = [*sums, *(Sequential(format=BINARY16, fused=fused) for fused in (False, True))]
    work += [partial(matmul.flagged, a, b, accumulator=row) for row in flagged]
    infinite = np.full((2, 4), np.inf, np.float16)
    units = ("h100:f32", "h100:f16", "mi100:f32", "mi300x:f32")
    work += [partial(matmul, infinite, b, accumulator=row) for row in units]
    work += [partial(matmul, a, b, accumulator=replace(as_accumulator("mi250x:f32"), rounding=away))]
    # Factors of 16 bits and less share a loop with binary16; TF32 has its own. Both are read from float32.
    wide = a.astype(np.float32), b.astype(np.float32)
    wide_rows = [f"{gpu}:f32:bf16" for gpu in ("h100", "mi100", "mi250x", "mi300x")] + ["h100:f32:tf32"]
    work += [partial(matmul, *wide, accumulator=row) for row in wide_rows]
    return work + [partial(transposed, np.ones((128, 128), x.dtype).T) for x in (a, wide[0])]


def _training() -> list[_Work]:
    import numpy as np

    from halfsim.accumulators import Sequential
    from halfsim.formats import BINARY16, BINARY32
    from halfsim.kernels.census import same
    from halfsim.kernels.losses import extraordinary, losses, narrowed
    from halfsim.kernels.updates import sum_of_squares, truncated_sums
    from halfsim.policy import named
    from halfsim.rounding import Stochastic
    from halfsim.tensorcores import as_accumulator
    from halfsim.training import functions
    from halfsim.training.arithmetic import arithmetic
    from halfsim.training.ledger import Ledger, is_special
    from halfsim.training.machine import Machine
    from halfsim.training.products import decoded, watch

    wide, narrow = np.ones((2, 2), np.float32), np.ones((2, 2), np.float16)
    rows, ledger = arithmetic(BINARY32), Ledger()
    work: list[_Work] = [partial(function, wide) for function in (rows.exp, rows.log, rows.tanh, rows.sigmoid)]
    work += [partial(rows.apply, function, wide) for function in (functions.erf, functions.erfc)]
    work += [partial(function, wide, wide) for function in (rows.add, rows.subtract, rows.multiply, rows.divide)]
    work += [partial(rows.sqrt, wide), partial(rows.sum, wide, 0), partial(sum_of_squares, wide[0])]
    work += [partial(ledger.count, "", "weight", wide, stored) for stored in (wide, narrow)]
    work += [partial(is_special, stored) for stored in (wide, narrow)]
    work.append(partial(decoded, as_accumulator("h100:f32"), narrow))
    # What a sampled step counts besides: the partial sums of products.
    for policy in ("binary32", "mixed", "binary16-pure"):
        machine = Machine(named(policy))
        x = machine.activations.convert(wide)
        work.append(partial(machine.forward, x, x, x[0]))
    units = (as_accumulator(f"{gpu}:f32") for gpu in ("h100", "mi100", "mi250x", "mi300x"))
    random = Sequential(format=BINARY16, rounding=Stochastic(bits=8, seed=0))
    work += [partial(watch, row, narrow, narrow, None, np.arange(2)) for row in (*units, random)]
    exact = np.ones(2)
    work += [partial(truncated_sums, exact, exact, exact.copy())]
    # What layers of PyTorch count: of results of both types, and of products that start from either.
    patterns, numbers = narrow.view(np.uint16), wide.view(np.uint32)
    for words in (patterns, numbers):
        work.append(partial(losses, numbers[0], words[0], np.int32(1), 0))
        last = patterns[0], np.int32(1), 0, np.zeros(2, np.uint8), 1
        work.append(partial(extraordinary, patterns, np.ones((2, 1), np.uint16), words[0, :1], *last))
    work.append(partial(narrowed, numbers[0], patterns[0], 0))
    return work + [partial(same, x, x) for x in (patterns[0], np.ones(2, np.uint64))]
