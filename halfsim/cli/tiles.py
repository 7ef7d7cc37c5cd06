"""`halfsim vectors tiles`: tiles of matrix products, and the part of `check` that compares them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from halfsim.cli.generate import bar
from halfsim.cli.group import examples, usage

if TYPE_CHECKING:
    from halfsim.testvectors.tilecheck import TileReport
    from halfsim.testvectors.tileheader import TileHeader

__all__ = ["compare_tiles", "tiles"]

_ARRAYS = "halfsim vectors tiles h100:f32 -o tiles.npz"
_MEMORIES = "halfsim vectors tiles h100:f32:e4m3 --shape 16x8x64 --count 100 -o tiles.mem"
_ROWS = "halfsim vectors tiles mi300x:f32 --classes ties,cancellation -o dot.tv"
_TRACES = "halfsim vectors tiles a100:f16 --traces 50 -o steps.jsonl"
_NOTES = (
    "The format is that of the suffix: .npz (arrays A, B, C, D), .mem (a file per matrix, an element a line), .tv (a",
    "word for each dot product: lanes of A, lanes of B, C, D), .jsonl (steps of dot products); .gz compresses these.",
    "Beside .tv and .mem appears a file with the sizes. halfsim vectors check compares all of them.",
)


@click.command(
    epilog=examples(_ARRAYS, _MEMORIES, _ROWS, _TRACES, notes=_NOTES), short_help="Write tiles of matrix products."
)
@click.argument("accumulator")
@click.option("--shape", help="MxNxK.  [default: the instruction's own, otherwise 16x8x16]")
@click.option("--classes", help="Coverage classes, separated by commas.  [default: all]")
@click.option("--count", type=click.IntRange(min=1), default=10, show_default=True, help="Tiles of each class.")
@click.option(
    "--seed", type=click.IntRange(0, (1 << 32) - 1), default=1, show_default=True, help="Seed of the operands."
)
@click.option("--traces", type=click.IntRange(min=1), default=100, show_default=True, help="Of .jsonl: dot products.")
@click.option("--format", "fmt", help="Format, whatever the suffix: npz mem tv jsonl.")
@click.option("-o", "--out", required=True, help="The file; - is standard output.")
@click.option("--progress/--no-progress", default=True, help="Show a progress bar on standard error.")
def tiles(accumulator: str, out: str, **options: Any) -> None:
    """Write tiles A, B, C and D = A B + C as ACCUMULATOR sums them, such as h100:f32, mi300x:f32 or fp32.

    The same seed and version give the same bytes on any machine. `halfsim models` lists the accumulators.
    """
    from halfsim.testvectors.tilewriter import tile_format

    path = None if out == "-" else Path(out)
    with usage():
        chosen = tile_format(path, options["fmt"])
        header = _header(accumulator, options)
    _write(path, header, chosen, options)


def _header(accumulator: str, options: dict[str, Any]) -> TileHeader:
    from halfsim.testvectors.tileheader import shape_of
    from halfsim.testvectors.tiles import tile_header

    given: dict[str, Any] = {"count": options["count"], "seed": options["seed"]}
    if options["shape"] is not None:
        given["shape"] = shape_of(options["shape"])
    if options["classes"] is not None:
        given["classes"] = [name.strip() for name in options["classes"].split(",")]
    return tile_header(accumulator, **given)


def _write(path: Path | None, header: TileHeader, chosen: str, options: dict[str, Any]) -> None:
    from halfsim.testvectors.tiles import parts_of
    from halfsim.testvectors.tilewriter import write_tiles

    traced = chosen == "jsonl"
    # A trace takes as long as thousands of other dot products.
    work = min(options["traces"], header.elements) if traced else header.elements
    with bar(work, options["progress"], 500 if traced else 1 << 20) as advance:
        count = write_tiles(path, header, parts_of(header), chosen, traces=options["traces"], progress=advance)
    if path is not None:
        what = f"the steps of {count:,} of {header.elements:,}" if traced else f"{count:,}"
        shape = "x".join(map(str, header.shape))
        click.echo(f"{header.tiles:,} tiles {shape} of {header.accumulator}: {what} dot products in {path}")


def compare_tiles(path: Path, fmt: str, options: dict[str, Any]) -> TileReport:
    """Compare a file of tiles, or of traces, with the simulator."""
    from halfsim.testvectors.tilecheck import check_tiles
    from halfsim.testvectors.tilereader import read_tiles
    from halfsim.testvectors.tracecheck import check_traces

    for name in ("operation", "rounding", "environment", "tininess", "coverage"):
        if options[name]:
            raise click.UsageError(f"{path} holds tiles, whose header names the accumulator; drop --{name}")
    if fmt == "jsonl":
        return check_traces(path, limit=options["limit"])
    with read_tiles(path, fmt) as found, bar(found.header.elements, options["progress"]) as advance:
        return check_tiles(found, limit=options["limit"], progress=advance)
