"""`halfsim explain`: every step of one operation or one dot product."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from halfsim.checks import near
from halfsim.cli.explain_dot import explain_product, list_cases
from halfsim.cli.group import examples, usage
from halfsim.cli.literals import number
from halfsim.cli.output import FORMATS, show
from halfsim.cli.settings import ENVIRONMENTS, environment_of

if TYPE_CHECKING:
    from halfsim.formats import Format
    from halfsim.rounding import Rounding, Stochastic

__all__ = ["explain"]

_NAMES = ("a", "b", "c")
_FORMATS = ("BINARY16", "BINARY32", "BINARY64", "BFLOAT16", "TF32", "E5M2", "E4M3")
_INTEGERS = tuple(f"{sign}int{width}" for sign in ("", "u") for width in (8, 16, 32, 64))

_EPILOG = examples(
    "halfsim explain fma 0x3c01 0x3c01 0x8001 --rounding rtz",
    "halfsim explain divide 1 3 --environment riscv --json",
    "halfsim explain multiply 0x0400 0x3bff --tininess before",
    "halfsim explain add 1 0x1p-11 --rounding stochastic:8:42",
    "halfsim explain convert 0.3 --from binary32 --to E4M3",
    "halfsim explain dot --accumulator h100:f32 --a 4096,4096,0.25 --b 2048,-2048,1 --c -0.5",
    "halfsim explain dot --models v100,a100,h100,fp32,fp16,exact --case cancel",
    "halfsim explain dot --models v100,h100 --case round-per-block --format markdown",
)
_ROUNDING = "rne rna rtz rup rdn odd, an IEEE 754 name, or stochastic:BITS:SEED."
_ACCUMULATOR = "dot: every step of one sum: h100, a100:f16, ..., fp16, fp32, exact, pairwise, compensated."
_ADDEND = "dot: addend, in the format of the result, or binary32 where the results differ."
_ENVIRONMENT = click.Choice(ENVIRONMENTS, case_sensitive=False)


def _list_cases(context: click.Context, _: click.Parameter, asked: bool) -> None:
    if asked:
        click.echo(list_cases())
        context.exit()


# Unknown options pass, because -0 and -1.5 are operands.
@click.command(
    context_settings={"ignore_unknown_options": True},
    epilog=_EPILOG,
)
@click.argument("operation")
@click.argument("operands", nargs=-1, metavar="[OPERANDS]...")
@click.option("-r", "--rounding", default="rne", show_default=True, help=_ROUNDING)
@click.option("--environment", default="ieee", show_default=True, type=_ENVIRONMENT, help="Row for NaNs, tininess.")
@click.option("--tininess", type=click.Choice(["after", "before"]), help="Tininess, instead of the environment's.")
@click.option("--flush-inputs", is_flag=True, help="Read subnormal operands as zeros.")
@click.option("--flush-results", is_flag=True, help="Replace tiny results by zeros.")
@click.option("--exact", is_flag=True, help="round_to_integral, convert to integers: raise inexact.")
@click.option("--saturate", is_flag=True, help="convert: overflow to the largest number where there is no infinity.")
@click.option("--from", "source", default="binary16", show_default=True, help="convert: format of the operand.")
@click.option("--to", "target", help="convert: format or integer type of the result, e.g. E4M3, int8.")
@click.option("--accumulator", help=_ACCUMULATOR)
@click.option("--models", metavar="NAME,...", help="dot: compare several accumulators on one dot product.")
@click.option("--a", "left", help="dot: first factors, separated by commas.")
@click.option("--b", "right", help="dot: second factors.")
@click.option("--c", "addend", help=_ADDEND)
@click.option("--case", metavar="NAME", help="dot: operands that tell tensor cores apart, by name.")
@click.option(
    "--list-cases",
    "cases",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_list_cases,
    help="Print the names of the cases and what they show, and exit.",
)
@click.option("--format", "form", type=click.Choice(FORMATS), default="text", show_default=True, help="How to print.")
@click.option("--json", "as_json", is_flag=True, help="Short for --format json.")
@click.option("-o", "--out", "--output", "output", type=click.Path(dir_okay=False, path_type=Path), help="The file.")
@click.option("--all", "everything", is_flag=True, help="dot: print all rows of long tables.")
def explain(operation: str, operands: tuple[str, ...], **options: Any) -> None:
    """Show every step of OPERATION on OPERANDS: fields, exact value, discarded bits, decision, result, flags.

    An operand is a bit pattern (0x3c01), a decimal number (0.1), a C99 hex-float (0x1.8p-3), inf, nan or -0. A number
    that is not in the format is rounded once, to nearest even; a note on standard error says to what.
    """
    for text in operands:
        if text.startswith("--"):
            name, ctx = text.split("=")[0], click.get_current_context()
            known = [option for parameter in ctx.command.params for option in parameter.opts]
            raise click.NoSuchOption(name, possibilities=get_close_matches(name, known), ctx=ctx)
    if operation == "dot":
        _refuse_others("dot")
        record, title = explain_product(operands, options)
    else:
        record, title = _operation(operation, operands, options), ""
    show(record, title, "json" if options["as_json"] else options["form"], options["everything"], options["output"])


def _operation(name: str, texts: tuple[str, ...], options: dict[str, Any]) -> Any:
    """Explain an elementwise operation or a conversion."""
    from halfsim.environment import IEEE
    from halfsim.explanation.elementwise import explain as steps_of

    _check_name(name)
    _refuse_others(name)
    with usage():
        keywords = {key: True for key in ("exact", "saturate") if options[key]}
        return steps_of(
            name,
            *_operands(name, texts, options),
            rounding=_rounding(options["rounding"]),
            environment=environment_of(IEEE, options),
            **keywords,
        )


def _operands(name: str, texts: tuple[str, ...], options: dict[str, Any]) -> list[Any]:
    from halfsim.explanation.literals import integer
    from halfsim.formats import BINARY16

    if name == "convert":
        if len(texts) != 1 or not options["target"]:
            raise click.UsageError("convert takes one operand and --to FORMAT, as in: convert 0.3 --to E4M3")
        target = _target(options["target"])
        return [number(texts[0], "a", _format(options["source"], native=True)), target]
    values: list[Any] = []
    for position, text in enumerate(texts):
        if name == "scaleb" and position == 1:
            values.append(integer(text, "b"))
        else:
            values.append(number(text, _NAMES[position] if position < 3 else str(position + 1), BINARY16))
    return values


def _check_name(name: str) -> None:
    from halfsim.explanation.elementwise import operation_names

    known = (*operation_names(), "dot")
    if name not in known:
        raise click.UsageError(f"unknown operation {name!r}; {near(name, known)}")


def _refuse_others(name: str) -> None:
    """Refuse options, given on the command line, that mean nothing for an operation."""
    allowed = {"operation", "operands", "form", "as_json", "output"}
    if name == "dot":
        allowed |= {"accumulator", "models", "left", "right", "addend", "case", "everything"}
    else:
        allowed |= {"rounding", "environment", "tininess", "flush_inputs", "flush_results"}
        allowed |= {"convert": {"source", "target", "exact", "saturate"}, "round_to_integral": {"exact"}}.get(
            name, set()
        )
    context = click.get_current_context()
    for parameter in context.command.params:
        given = context.get_parameter_source(str(parameter.name)) is ParameterSource.COMMANDLINE
        if given and parameter.name not in allowed:
            way_out = "; its accumulator says how it rounds" if name == "dot" else ""
            raise click.UsageError(f"{parameter.opts[-1]} does not apply to {name}{way_out}")


def _format(text: str, *, native: bool = False) -> Format:
    from halfsim import formats

    known = _FORMATS[:3] if native else _FORMATS
    if text.upper() not in known:
        raise click.UsageError(f"unknown format {text!r}; known are {', '.join(known)}".lower())
    fmt: Format = getattr(formats, text.upper())
    return fmt


def _target(text: str) -> Any:
    import numpy as np

    if text.lower() in _INTEGERS:
        return np.dtype(text.lower())
    if text.upper() not in _FORMATS:
        raise click.UsageError(f"unknown target {text!r}; known are {', '.join((*_FORMATS, *_INTEGERS))}")
    return _format(text)


def _rounding(text: str) -> Rounding | Stochastic:
    """Return the rounding that a name, or ``stochastic:BITS:SEED``, stands for."""
    from halfsim.testvectors.formats import rounding_of

    with usage():
        return rounding_of(text, "--rounding")
