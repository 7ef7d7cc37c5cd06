"""Reports in words, for people and for continuous-integration servers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from halfsim.explanation.elementwise import explain, operation_names
from halfsim.flags import Flags
from halfsim.rounding import Stochastic
from halfsim.testvectors.bins import bin_name
from halfsim.testvectors.check import Report
from halfsim.testvectors.coverage import reachable
from halfsim.testvectors.evidence import Disagreement
from halfsim.testvectors.formats import environment_name, rounding_name
from halfsim.testvectors.formats.names import TYPES
from halfsim.testvectors.patterns import FORMATS, values, word_of
from halfsim.testvectors.setting import Setting
from halfsim.testvectors.tilecheck import TileReport, WrongElement
from halfsim.testvectors.tracecheck import TraceReport

__all__ = ["UNVERIFIED", "described", "text_of"]

_BINS = 10
UNVERIFIED = "the file has no SHA-256 of its rows: that they are all there, in order, could not be verified"
"""What is said of a file without a digest."""


def text_of(report: Report | TileReport) -> str:
    """Return a report in words, the first disagreements explained bit by bit."""
    lines = _tiles(report) if isinstance(report, TileReport) else _rows(report)
    for item in report.first:
        lines += ["", *(f"  {line}".rstrip() for line in described(report, item))]
    if isinstance(report, Report):
        lines += _covered(report)
    return "\n".join(lines)


def described(report: Report | TileReport, item: Disagreement | WrongElement) -> list[str]:
    """Return the lines that describe one disagreement: operands, what is there, what is right, and why."""
    if isinstance(item, WrongElement):
        return [str(item), *(f"  {line}" for line in item.steps.splitlines())]
    assert isinstance(report, Report)
    return _explained(item, report.setting)


def _tiles(report: TileReport) -> list[str]:
    header = report.header
    what = "traces of steps" if isinstance(report, TraceReport) else "elements of D"
    verdict = (
        f"{report.wrong:,} of {report.rows:,} {what} disagree" if report.wrong else f"all {report.rows:,} {what} agree"
    )
    lines = [
        f"{report.name}: {header.accumulator}, {header.tiles:,} tiles {'x'.join(map(str, header.shape))}: {verdict}"
    ]
    return [*lines, *_state(report), *(f"  {count:>9,}  {name}" for name, count in report.mistakes.most_common())]


def _rows(report: Report) -> list[str]:
    setting = report.setting
    lines = [
        f"{report.name}: {setting.subject.name}, {rounding_name(setting.rounding)}, "
        f"{environment_name(setting.environment)}: "
        + (f"{report.wrong:,} of {report.rows:,} rows disagree" if report.wrong else f"all {report.rows:,} rows agree"),
        *_state(report),
    ]
    lines += [f"  {count:>9,}  {mistake}" for mistake, count in report.mistakes.most_common()]
    if report.unnamed:
        lines.append(f"  {report.unnamed:>9,}  not looked at: there are too many; of each kind some are counted above")
    if report.bins:
        lines.append("  by what is right, operands -> result (flags):")
        named = report.bins.most_common(_BINS)
        lines += [f"  {count:>9,}  {bin_name(setting.subject, index)}" for index, count in named]
        if len(report.bins) > len(named):
            rest = report.bins.total() - sum(count for _, count in named)
            lines.append(f"  {rest:>9,}  in {len(report.bins) - len(named):,} other bins; --json lists them")
    return lines


def _state(report: Report | TileReport) -> list[str]:
    if report.damage:
        return [f"  damaged: {report.damage.removeprefix(f'{report.name}: ')}"]
    return [] if report.verified else [f"  {UNVERIFIED}"]


def _covered(report: Report) -> list[str]:
    if report.coverage is None:
        return []
    setting = report.setting
    bins = reachable(setting.subject, setting.rounding, setting.environment, setting.options)
    if bins is None:
        return ["", f"  coverage: {len(report.coverage.hits)} bins hit; what is reachable here is not known"]
    missed = bins.missed(report.coverage)
    head = f"  coverage: {bins.share(report.coverage):.2%} of {len(bins.bins)} reachable bins"
    return ["", head, *(f"    missed: {name}" for name in missed)]


def _explained(item: Disagreement, setting: Setting) -> list[str]:
    """Return a disagreement, and how the right result comes about."""
    digits = [(TYPES[kind] + 3) // 4 for kind in (*setting.subject.operands, setting.subject.result)]
    operands = ", ".join(f"0x{word:0{n}x}" for word, n in zip(item.operands, digits, strict=False))
    got, wanted = (f"0x{word:0{digits[-1]}x}" for word in (item.got, item.wanted))
    return [
        f"line {item.line}: {setting.subject.name}({operands}): file {got} flags {_flags(item.got_flags)}, "
        f"halfsim {wanted} flags {_flags(item.wanted_flags)}: {item.mistake}",
        *(f"  {line}" for line in _steps(item, setting)),
    ]


def _flags(bits: int) -> str:
    return "+".join(str(flag.name) for flag in Flags(bits)) or "none"


def _steps(item: Disagreement, setting: Setting) -> list[str]:
    """Return the explanation of the right result, where the operation has one."""
    known = setting.subject
    if known.operation not in operation_names():
        return []
    pairs = zip(item.operands, known.operands, strict=True)
    operands: list[Any] = [values(np.array([word], np.uint64), kind)[0] for word, kind in pairs]
    if known.operation == "convert":
        operands.append(FORMATS.get(known.result) or word_of(known.result))
    rounding = setting.rounding
    if isinstance(rounding, Stochastic):
        # Each row draws its own word.
        rounding = replace(rounding, offset=rounding.offset + item.row)
    options = dict.fromkeys(setting.options, True)
    record = explain(known.operation, *operands, rounding=rounding, environment=setting.environment, **options)
    return str(record).splitlines()
