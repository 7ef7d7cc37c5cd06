"""Writing and checking test vectors on one thread, beside writing the same bytes with NumPy alone.

"generate" draws the operands, computes results and flags, and writes `.tv`; "check" reads the file and compares every
row. "NumPy text" formats the same columns, made beforehand, with ``numpy.savetxt``; "NumPy bytes" only writes text made
beforehand, which is what the disk and the page cache allow.
"""

from __future__ import annotations

import platform
import tempfile
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np

import halfsim as hs
from halfsim.benchmarks.timing import interleave, median_ratio, quartiles
from halfsim.testvectors import subject
from halfsim.testvectors.cases import plan
from halfsim.testvectors.check import check
from halfsim.testvectors.diagnosis import Setting
from halfsim.testvectors.formats import read, write
from halfsim.testvectors.generate import header_of, rows_of

NAMES = ("add", "multiply", "divide", "remainder", "fma")
# Rows of NumPy's text: it is some hundred times slower.
_FEW = 2000


def contenders(name: str, rows: int, folder: Path) -> dict[str, Callable[[], object]]:
    """What is timed for an operation."""
    known = subject(name)
    planned = plan(known, ["uniform"], seed=1, count=rows)
    setting = Setting(known, "rne", hs.RISCV)
    header = header_of(planned, setting, seed=1)
    path = folder / f"{name}.tv"

    def generate() -> None:
        write(path, header, rows_of(planned, setting))

    def compare() -> None:
        with read(path) as vectors:
            assert check(vectors, setting).wrong == 0

    generate()
    text = path.read_bytes()
    words = planned.block(0, _FEW).words
    table = np.stack([*words, *setting.evaluate(words)], axis=1)
    fmt = "_".join(["%04X"] * (len(words) + 1) + ["%02X"])
    return {
        "generate": generate,
        "check": compare,
        "NumPy text": lambda: np.savetxt(folder / "numpy.tv", table, fmt=fmt),
        "NumPy bytes": lambda: np.frombuffer(text, np.uint8).tofile(folder / "bytes.tv"),
    }


@click.command(help=__doc__)
@click.option("--rows", default=1_000_000, show_default=True)
@click.option("--rounds", default=5, show_default=True)
@click.option("--operation", "names", type=click.Choice(NAMES), multiple=True, default=NAMES)
@click.option("--check", "must", is_flag=True, help="Exit with 1 if either rate is below 5 million rows a second.")
def main(rows: int, rounds: int, names: tuple[str, ...], must: bool) -> None:
    hs.set_num_threads(1)
    click.echo(f"{platform.machine()}, Python {platform.python_version()}, NumPy {np.__version__}; one thread")
    click.echo(f"{rows:,} rows, medians of {rounds} rounds; ratios above 1: halfsim is faster\n")
    click.echo(f"{'operation':<11}{'':<10}{'M rows/s':>9}{'x NumPy text':>14}{'x NumPy bytes':>15}")
    slow = []
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            times = interleave(contenders(name, rows, Path(folder)), rounds)
        times["NumPy text"] = [second * rows / _FEW for second in times["NumPy text"]]
        for ours in ("generate", "check"):
            speed = rows / quartiles(times[ours])[1] / 1e6
            peers = (median_ratio(times, ours, peer) for peer in ("NumPy text", "NumPy bytes"))
            click.echo(f"{name:<11}{ours:<10}{speed:>9.1f}{next(peers):>14.0f}{next(peers):>15.2f}")
            if speed < 5:
                slow.append(f"{name} {ours}")
    if must and slow:
        raise SystemExit(f"below 5 million rows a second: {', '.join(slow)}")


if __name__ == "__main__":
    main()
