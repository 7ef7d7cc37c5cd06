"""Tables of the reference, written from the rows of the package before Sphinx reads its sources."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import halfsim as hs
from docs._ext.api import members, write
from docs._ext.public import sources
from halfsim.operation import Operation
from halfsim.policy import ALIASES, POLICIES
from halfsim.policy.writing import table_of
from halfsim.rounding import ALIASES as ROUNDINGS
from halfsim.studies import STUDIES
from halfsim.tensorcores import SUMS
from halfsim.testvectors import SUBJECTS

__all__ = ["write_tables"]


def write_tables(folder: Path) -> None:
    """Write every table as a page of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    for table in (operations, environments, formats, roundings, accumulators, policies, subjects, studies):
        write(folder / f"{table.__name__}.md", table())


def operations() -> str:
    """Return the table of operations."""
    rows = [
        (
            _object(name),
            operation.ieee,
            operation.clause.replace("IEEE 754-", ""),
            _code(operation.testfloat),
            _code(operation.dtype),
            "yes" if operation.rounds else "",
            ", ".join(str(flag.name) for flag in operation.flags),
            operation.special,
        )
        for name, operation in _of_type(Operation)
    ]
    head = ("name", "in the standard", "clause", "TestFloat", "result", "rounds", "flags", "special cases")
    return _page(
        "Operations",
        "One row for each operation; *clause* is of IEEE 754-2019 unless it says otherwise, *rounds* says whether the "
        "rounding can matter, and *flags* are those that some operands raise. Environments that flush results raise "
        "underflow where they do, and inexact with it, but for Arm's, which raise underflow alone; flushed operands "
        "raise no flag.",
        head,
        rows,
    )


def environments() -> str:
    """Return the table of environments."""
    rows = [
        (
            _object(name),
            row.tininess.name,
            row.nan.default.name,
            row.nan.operand.name + (", of binary64 first" if row.nan.pass_binary64 else ""),
            "c, a, b" if row.nan.addend_first else "a, b, c",
            _yes(row.nan.inf_times_zero_invalid),
            _yes(row.flush_inputs),
            _yes(row.flush_results),
            row.invalid_integer.name,
        )
        for name, row in _of_type(hs.Environment)
    ]
    head = ("name", "tininess", "default NaN", "NaN operand", "order in fma", "inf × 0 + NaN is invalid")
    return _page(
        "Environments",
        "What IEEE 754 leaves to the machine, one row for each. `dataclasses.replace(hs.RISCV, flush_results=True)` "
        "makes another. The fields and their values are explained in {doc}`/reference/api/environments`.",
        (*head, "flushes inputs", "flushes results", "invalid integer"),
        rows,
    )


def formats() -> str:
    """Return the table of formats."""
    rows = [
        (
            _object(name),
            row.name,
            str(row.width),
            str(row.precision),
            str(row.emin),
            str(row.emax),
            row.specials.name,
            f"{row.largest:.6g}",
            f"{row.smallest_normal:.6g}",
            f"{row.smallest_subnormal:.6g}",
        )
        for name, row in _of_type(hs.Format)
    ]
    head = ("name", "called", "width", "precision", "emin", "emax", "specials")
    return _page(
        "Formats",
        "One row for each format; *precision* counts the implicit bit, and *specials* is what the largest exponent "
        "field encodes ({py:class}`halfsim.Specials`). Any other {py:class}`halfsim.Format` works as well.",
        (*head, "largest", "smallest normal", "smallest subnormal"),
        rows,
    )


def roundings() -> str:
    """Return the table of roundings."""
    does = members(hs.Rounding)
    rows = [
        (
            _code(f'"{alias}"'),
            f"{{py:attr}}`~halfsim.Rounding.{member.name}`",
            str(int(member)),
            does[member.name],
        )
        for alias, member in ROUNDINGS.items()
    ]
    return _page(
        "Roundings",
        "Every public function takes the member, its name or its alias. {py:class}`halfsim.Stochastic` goes wherever a "
        "rounding goes; on the command line it is `stochastic:BITS:SEED`. The codes of the five of IEEE 754 are those "
        "of RISC-V's `rm` field, and § is of IEEE 754-2019.",
        ("alias", "member", "code", "what it does"),
        rows,
    )


def accumulators() -> str:
    """Return the table of named accumulators that are no matrix units."""
    rows = [(_code(f'"{name}"'), _code(_call(row))) for name, row in SUMS.items()]
    return _page(
        "Named accumulators",
        "Names that `accumulator=` takes beside those of {doc}`tensor cores </tensor-cores>`, and the rows they stand "
        "for ({doc}`/reference/api/accumulators`).",
        ("name", "row"),
        rows,
    )


def policies() -> str:
    """Return the table of named policies."""
    names = {row.name: [alias for alias, target in ALIASES.items() if target == name] for name, row in POLICIES.items()}
    rows = [
        (
            _code(name),
            ", ".join(_code(alias) for alias in names[name]),
            row.weights.name,
            _code(_row(table["forward"], row.accumulator("forward"))),
            _code(_row(table["loss"], row.reduction("loss"))),
            str(getattr(row.update, "name", row.update)),
            row.optimizer_state.name,
            _code(repr(row.loss_scale)),
        )
        for name, row, table in ((name, row, row.as_table()) for name, row in POLICIES.items())
    ]
    head = ("name", "also called", "stored", "products", "reductions", "update", "optimizer", "loss scale")
    return _page(
        "Named policies",
        "The {py:class}`halfsim.policy.Policy` rows that `base` in a configuration file, `halfsim.policy.named` and "
        "`halfsim.torch.simulate` know by name. *Stored* is the format of weights, activations and gradients; "
        "*products* and *reductions* say how sums are made.",
        head,
        rows,
    )


def subjects() -> str:
    """Return the table of what test vectors can be of."""
    rows = [
        (
            _code(row.name),
            " ".join(row.operands),
            row.result,
            _code(row.testfloat),
            "yes" if row.rounds else "",
            " ".join(f"`--{option}`" for option in row.options),
        )
        for row in SUBJECTS
    ]
    return _page(
        "Operations that have test vectors",
        "The names that `halfsim vectors generate` and `halfsim vectors check --operation` take.",
        ("name", "operands", "result", "TestFloat", "rounds", "options"),
        rows,
    )


def studies() -> str:
    """Return the table of studies."""
    rows = [(f"[{name}](../../results/{name}/report.md)", study.summary) for name, study in STUDIES.items()]
    return _page("Studies", "What `halfsim study run` knows by name.", ("name", "what it shows"), rows)


def _of_type(kind: type) -> Iterable[tuple[str, object]]:
    return [(name, value) for name in sources() if name != "torch" and isinstance(value := getattr(hs, name), kind)]


def _object(name: str) -> str:
    return f"{{py:obj}}`~halfsim.{name}`"


def _code(value: object) -> str:
    return f"`{value}`" if str(value) else ""


def _row(written: object, row: object) -> str:
    """Return the name that a policy writes for a row, or how the row is made where it has none."""
    return written if isinstance(written, str) else _call(row)


def _call(row: Any) -> str:
    """Return how a row is made, with its formats and roundings by their names."""
    arguments = (f"{field.name}={table_of(getattr(row, field.name))}" for field in fields(row))
    return f"{type(row).__name__}({', '.join(arguments)})"


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _page(title: str, intro: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    wide = ["---", "html_theme.sidebar_secondary.remove: true", "---"]
    lines = [*wide, f"# {title}", "", intro, "", f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    return "\n".join([*lines, *(f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in rows)]) + "\n"
