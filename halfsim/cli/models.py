"""`halfsim models`: the table of tensor cores, with sources and evidence."""

from __future__ import annotations

import json
from dataclasses import asdict
from textwrap import fill
from typing import TYPE_CHECKING, Any

import click

from halfsim.checks import near
from halfsim.cli.group import examples

if TYPE_CHECKING:
    from halfsim.accumulators import MatrixUnit
    from halfsim.tensorcores import Evidence, TensorCore

__all__ = ["models"]

_IDENTITY = ("generation", "sm", "GPUs", "instruction", "A, B", "D")
_HEAD = (*_IDENTITY, "terms", "fraction", "zero", "rounding", "mark", "notes")
_LEGEND = """\
terms: products per block. fraction: bits kept below the block's largest exponent; what lies below is cut toward zero.
Of AMD's GPUs: all, summed exactly; tree, rounded sums; or the bits of products, their sum, C and the total.
zero: least exponent of a block. rounding: of each block's sum to D. mark: A raw hardware outputs agree and exclude
another final rounding and blocks of half the length; B separate projects with hardware tests agree; C one project only,
or inference. In the changes that agree too, and so are not shown, L, F and z are terms, fraction and zero."""


_KINDS = {
    "ownCapture": "own capture",
    "publishedCapture": "published capture",
    "simulator": "simulator",
    "inferred": "inferred",
}
_EPILOG = examples("halfsim models", "halfsim models h100 f32", "halfsim models ampere --json")


@click.command(epilog=_EPILOG)
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--json", "as_json", is_flag=True, help="Print the rows as JSON.")
@click.option("--markdown", is_flag=True, help="Print the rows as a page of Markdown.")
def models(names: tuple[str, ...], as_json: bool, markdown: bool) -> None:
    """Print the tensor-core table, or the rows that NAMEs select.

    A NAME is a GPU, generation, sm_XX or instruction, f32 or f16 (the result), bf16, tf32, e4m3 or e5m2 (the factors).
    """
    from halfsim.tensorcores import TABLE

    if as_json and markdown:
        raise click.UsageError("--json and --markdown exclude each other; give one")
    rows = [row for row in TABLE if all(name.lower() in _keys(row) for name in names)]
    known = dict.fromkeys(key for row in TABLE for key in _keys(row))
    for name in names:
        if name.lower() not in known:
            raise click.UsageError(f"unknown name {name!r}; {near(name.lower(), known)}")
    if not rows:
        raise click.UsageError(f"no row is {' and '.join(names)} at once; drop a name")
    if as_json:
        click.echo(json.dumps([_plain(row) for row in rows], indent=2, ensure_ascii=False))
    else:
        click.echo(_markdown(rows) if markdown else _text(rows))


def _keys(row: TensorCore) -> tuple[str, ...]:
    factors = () if row.inputs == "f16" else (row.inputs,)
    return (row.generation, row.architecture, *row.gpus, row.instruction, row.output, *factors)


def _plain(row: TensorCore) -> dict[str, Any]:
    plain = asdict(row) | {"confidence": row.confidence}
    for item, given in zip(plain["evidence"], row.evidence, strict=True):
        item |= {"kind": given.kind.name, "title": given.title, "claim": given.claim}
    accumulator = plain["accumulator"]
    accumulator["kind"] = type(row.accumulator).__name__
    for key in accumulator.keys() & {"align", "join", "rounding"}:
        accumulator[key] = accumulator[key].name
    accumulator["output"] = accumulator["output"]["name"]
    accumulator["inputs"] = [fmt["name"] for fmt in accumulator["inputs"]]
    return plain


def _table(rows: list[TensorCore]) -> tuple[list[tuple[str, ...]], dict[tuple[Evidence, ...], int]]:
    """Cells under their head, and the evidence that the last column numbers."""
    notes: dict[tuple[Evidence, ...], int] = {}
    cells: list[tuple[str, ...]] = [_HEAD]
    for row in rows:
        model = row.accumulator
        number = notes.setdefault(row.evidence, len(notes) + 1)
        identity = (row.generation, row.architecture, " ".join(row.gpus), row.instruction, row.inputs, row.output)
        parameters = (str(model.terms), *_alignment(model), _rounding(row))
        cells.append((*identity, *parameters, row.confidence, f"[{number}]"))
    return cells, notes


def _text(rows: list[TensorCore]) -> str:
    """Aligned table, then source and evidence of each row by number."""
    from halfsim.explanation.parts import columns

    cells, notes = _table(rows)
    lines = [*columns(cells), "", _LEGEND, ""]
    for evidence, number in notes.items():
        for position, item in enumerate(evidence):
            head = "" if position else f"[{number}]"
            lines.append(fill(_reason(item), 110, initial_indent=head.ljust(5), subsequent_indent=" " * 7))
    return "\n".join(lines)


def _markdown(rows: list[TensorCore]) -> str:
    """Page with the same table and numbers."""
    cells, notes = _table(rows)
    lines = ["# Tensor cores and their evidence", "", "`halfsim models --markdown` prints this page.", ""]
    head, *body = (f"| {' | '.join(row)} |" for row in cells)
    lines += [head, f"|{' --- |' * len(_HEAD)}", *body, "", _LEGEND]
    for evidence, number in notes.items():
        lines += ["", f"## [{number}]", "", *(f"- {_reason(item)}" for item in evidence)]
    return "\n".join(lines)


def _reason(item: Evidence) -> str:
    """One item of evidence: its kind, its claim, its source, what it covers and what not."""
    covers = f"; operands: {', '.join(item.coverage)}" if item.coverage else ""
    return f"{_KINDS[item.kind.name]}: {item.claim} [{item.title}]{covers}; not shown: {item.limits}"


def _alignment(model: MatrixUnit) -> tuple[str, str]:
    """Fraction bits and least exponent, as far as a kind has them."""
    from halfsim.accumulators import FusedDotAdd
    from halfsim.mfma import ExactDotAdd, PairwiseDotAdd, TwoStageDotAdd

    match model:
        case FusedDotAdd():
            return str(model.fraction_bits), str(model.zero_exponent)
        case ExactDotAdd():
            return "all", "-"
        case PairwiseDotAdd():
            return "tree", "-"
        case TwoStageDotAdd():
            bits = model.term_bits, model.product_bits, model.addend_bits, model.total_bits
            return "/".join(map(str, bits)), "-"


def _rounding(row: TensorCore) -> str:
    from halfsim.rounding import Rounding

    rounding = row.accumulator.rounding
    return rounding.name if isinstance(rounding, Rounding) else str(rounding)
