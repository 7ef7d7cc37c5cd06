"""`halfsim vectors coverage` says what is hit, what is missed, and why there is no more."""

from __future__ import annotations

import json

import pytest

from tests.cli.running import invoke


def test_all_reachable_bins_are_hit():
    shown = invoke("vectors", "coverage", "fma", "--rounding", "rup", "--environment", "arm")
    assert shown.exit_code == 0, shown.output
    assert "fma, roundTowardPositive, ARM: 1398 of 1398 reachable bins hit by" in shown.stdout
    assert "argued from where exact results lie" in shown.stdout


def test_missed_bins_are_named_and_fail():
    shown = invoke("vectors", "coverage", "fma", "--families", "uniform", "--json")
    assert shown.exit_code == 1
    report = json.loads(shown.stdout)
    assert report["hit"] + len(report["missed"]) == report["reachable"] == 1456
    assert report["families"] == ["uniform"]
    assert "+zero, +zero, +zero -> +zero (no flag)" in report["missed"]


def test_reasons_are_given_for_every_choice_of_classes():
    shown = invoke("vectors", "coverage", "multiply", "--reasons")
    assert shown.exit_code == 0
    assert "+subnormal, -subnormal: -zero (inexact, underflow); the product of two subnormal numbers" in shown.stdout
    assert len(shown.stdout.splitlines()) == 2 + 100


@pytest.mark.parametrize("arguments", [("round_to_integral", "--exact"), ("convert_f16_i32", "--exact")])
def test_options_change_what_is_reachable(arguments):
    shown = invoke("vectors", "coverage", *arguments, "--json")
    report = json.loads(shown.stdout)
    assert report["hit"] == report["reachable"]
    assert report["beyond"] == []
    plain = json.loads(invoke("vectors", "coverage", arguments[0], "--json").stdout)
    assert plain["reachable"] != report["reachable"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("fmaa",), "unknown operation 'fmaa'"),
        (("add", "--flush-inputs"), "nothing is known to be reachable"),
        (("add", "--families", "ties"), "--families: unknown family 'ties'"),
    ],
)
def test_bad_usage_is_one_sentence(arguments, message):
    shown = invoke("vectors", "coverage", *arguments)
    assert shown.exit_code == 2
    assert message in shown.stderr
    assert "Traceback" not in shown.stderr
