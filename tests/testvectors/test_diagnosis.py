"""Mistakes are named after what contradicts no right row; designs are planted with arithmetic of their own."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest

import halfsim as hs
from halfsim.testvectors import bins, evidence, subject
from halfsim.testvectors.cases import plan
from halfsim.testvectors.check import Report, check
from halfsim.testvectors.diagnosis import Setting
from halfsim.testvectors.formats import Block, Vectors
from halfsim.testvectors.junit import junit
from halfsim.testvectors.reporting import text_of

FLUSHING = replace(hs.ARM, flush_inputs=True, flush_results=True)


def compared(right: Setting, given: list[np.ndarray], result: np.ndarray, flags: np.ndarray) -> Report:
    parts = [slice(i, i + 20_000) for i in range(0, len(result), 20_000)]
    blocks = (Block(tuple(x[part] for x in given), result[part].astype(np.uint16), flags[part]) for part in parts)
    return check(Vectors("design.tv", right.header(), blocks), right)


def planned(name: str, rounding: str = "rne", environment: hs.Environment = hs.RISCV):
    """All of a structured plan: operands, right results and flags."""
    right = Setting(subject(name), rounding, environment)
    cases = plan(right.subject, None, seed=3, count=2000)
    given = list(cases.block(0, cases.rows).words)
    return right, given, *right.evaluate(given)


def numbers(words: np.ndarray) -> np.ndarray:
    return words.view(np.float16).astype(np.float64)


def midpoints(name: str, given: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows whose exact result, which binary64 holds, is a midpoint of numbers, and the two numbers beside it."""
    with np.errstate(all="ignore"):
        exact = {"multiply": np.multiply, "add": np.add}[name](*(numbers(words) for words in given))
        near = exact.astype(np.float16)
        below = np.where(near.astype(float) > exact, np.nextafter(near, np.float16(-np.inf)), near)
        above = np.where(near.astype(float) < exact, np.nextafter(near, np.float16(np.inf)), near)
        tie = np.isfinite(exact) & np.isfinite(above) & np.isfinite(below) & (below != above)
        tie &= exact - below.astype(float) == above.astype(float) - exact
    # A negative sum of two neighbours may have a zero above it.
    above = np.where((exact < 0) & (above == 0), np.float16(-0.0), above).astype(np.float16)
    return tie, below.view(np.uint16), above.view(np.uint16)


@pytest.mark.parametrize("name", ["multiply", "add"])
@pytest.mark.parametrize("rule", ["toward zero", "toward positive", "toward negative", "to odd"])
def test_ties_broken_by_another_rule(name, rule):
    right, given, result, flags = planned(name)
    tie, below, above = midpoints(name, given)
    chosen = {
        "toward zero": np.where(result & 0x8000, above, below),
        "toward positive": above,
        "toward negative": below,
        "to odd": np.where(above & 1, above, below),
    }[rule]
    report = compared(right, given, np.where(tie, chosen, result), flags)
    assert report.wrong > 500
    assert dict(report.mistakes) == {f"rounded the wrong way at a tie: {rule}": report.wrong}


@pytest.mark.parametrize(
    ("name", "rounding", "mistake"),
    [
        ("multiply", "rtz", "overflow gives an infinity"),
        ("fma", "rtz", "overflow gives an infinity"),
        ("add", "rdn", "overflow gives an infinity"),
        ("multiply", "odd", "overflow gives an infinity"),
        ("multiply", "rup", "overflow gives the largest number"),
        ("multiply", "rdn", "overflow gives an infinity and the largest number the wrong way round"),
    ],
)
def test_overflow_in_a_direction(name, rounding, mistake):
    right, given, result, flags = planned(name, rounding)
    sign, over = result & 0x8000, (flags & 4) != 0
    turned = np.where((result & 0x7FFF) == 0x7C00, 0x7BFF, 0x7C00)
    delivered = {"an infinity": 0x7C00, "the largest number": 0x7BFF}.get(
        mistake.removeprefix("overflow gives "), turned
    )
    report = compared(right, given, np.where(over, sign | delivered, result), flags)
    assert report.wrong > 50
    assert dict(report.mistakes) == {mistake: report.wrong}


@pytest.mark.parametrize(("name", "rounding"), [("add", "rne"), ("multiply", "rne"), ("fma", "rup")])
def test_subnormal_results_zeroed_with_their_flags(name, rounding):
    right, given, result, flags = planned(name, rounding)
    subnormal = ((result & 0x7FFF) > 0) & ((result & 0x7FFF) < 0x400)
    report = compared(right, given, np.where(subnormal, result & 0x8000, result), flags)
    assert report.wrong > 1000
    assert dict(report.mistakes) == {"subnormal results were replaced by zero, but their flags kept": report.wrong}


@pytest.mark.parametrize("name", ["add", "multiply", "fma"])
def test_a_design_that_never_flushes(name):
    right, given, *_ = planned(name, environment=FLUSHING)
    whole = replace(right, environment=replace(FLUSHING, flush_inputs=False, flush_results=False)).evaluate(given)
    report = compared(right, given, *whole)
    assert report.wrong > 1000
    assert dict(report.mistakes) == {"neither operands nor results were flushed to zero": report.wrong}


@pytest.mark.parametrize(
    ("name", "other", "columns", "mistake"),
    [
        ("add", "multiply", (0, 1), "the result of multiply"),
        ("multiply", "add", (0, 1), "the result of add"),
        ("divide", "multiply", (0, 1), "the result of multiply"),
        ("fma", "multiply", (0, 1), "the addend was ignored: the result of multiply"),
        ("fma", "add", (0, 2), "the second factor was ignored: the result of add"),
    ],
)
def test_another_operation(name, other, columns, mistake):
    right, given, *_ = planned(name)
    report = compared(right, given, *replace(right, subject=subject(other)).evaluate([given[i] for i in columns]))
    assert report.wrong > 1000
    assert dict(report.mistakes) == {mistake: report.wrong}


def test_a_mistake_that_right_rows_contradict_is_none():
    """One truncated row among thousands that are not is no truncation."""
    right, given, result, flags = planned("multiply")
    cut = replace(right, rounding="rtz").evaluate(given)[0]
    tie = midpoints("multiply", given)[0]
    normal = ((result & 0x7FFF) > 0x400) & ((result & 0x7FFF) < 0x7BFF)
    rows = np.flatnonzero((cut != result) & normal & ~tie)[::500]
    result[rows] = cut[rows]
    report = compared(right, given, result, flags)
    assert dict(report.mistakes) == {"one ulp off": len(rows)}


def test_every_row_of_a_small_file_is_looked_at():
    right, given, result, flags = planned("divide")
    lost, rows = flags & ~np.uint8(1), np.flatnonzero(result == 0x3555)[:3]
    result[rows] ^= 0x8000
    report = compared(right, given, result, lost)
    assert report.mistakes["wrong sign"] + report.mistakes["wrong sign, and flags differ"] == len(rows) == 3
    assert report.mistakes.total() == report.wrong
    assert report.unnamed == 0


def test_no_class_is_lost_beyond_the_rows_that_are_looked_at(monkeypatch):
    monkeypatch.setattr(evidence, "_ROWS", 3000)
    right, given, result, flags = planned("divide")
    raised, lost = flags.copy(), flags & ~np.uint8(1)
    rows = np.flatnonzero(((result & 0x7FFF) == 0x3555) & (np.arange(len(result)) > 30_000))[-3:]
    wanted = result.copy()
    result[rows] ^= 0x8000
    report = compared(right, given, result, lost)
    assert sum(count for name, count in report.mistakes.items() if name.startswith("wrong sign")) == len(rows) == 3
    assert 3000 < report.mistakes.total() < report.wrong
    assert f"{report.unnamed:,}  not looked at" in text_of(report)

    root = ElementTree.fromstring(junit([report]))
    counts = {case.get("name"): case.find("failure").get("message") for case in root.findall(".//testcase")}
    assert sum(int(message.split()[0]) for message in counts.values()) == report.wrong
    assert counts["not looked at: there are too many"] == f"{report.unnamed} rows"
    properties = {item.get("name"): item.get("value") for item in root.findall(".//property")}
    differs = (result != wanted) | (lost != raised)
    hit = bins.indices(right.subject, [words[differs] for words in given], wanted[differs], raised[differs])
    for index, count in zip(*np.unique(hit, return_counts=True), strict=True):
        assert properties[f"bin {bins.bin_name(right.subject, int(index))}"] == str(count)


def test_junit_says_what_could_not_be_verified_and_stays_xml():
    right, given, result, flags = planned("sqrt")
    report = replace(compared(right, given, result, flags), name="a\x01b\udcff.tv")
    root = ElementTree.fromstring(junit([report], [("c\x1b.tv", "is\x00damaged")]).encode())
    suite, error = root.findall("testsuite")
    assert suite.get("name") == r"a\x01b\udcff.tv"
    assert "no SHA-256" in suite.find("system-out").text
    assert error.find(".//error").get("message") == r"is\x00damaged"
    assert junit([replace(report, verified=True)]).count("SHA-256") == 0
