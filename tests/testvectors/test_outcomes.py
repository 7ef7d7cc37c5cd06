"""What operations can give, by argument: compared with all operands, with exact sums, and with rows that show it."""

from __future__ import annotations

import dataclasses
from fractions import Fraction

import numpy as np
import pytest

import halfsim as hs
from halfsim.rounding import as_rounding
from halfsim.testvectors import SUBJECTS, subject
from halfsim.testvectors.bins import CLASSES, classify
from halfsim.testvectors.cases import plan
from halfsim.testvectors.coverage import argued, key, measure, reachable, unreachable
from halfsim.testvectors.exact import FINITE
from halfsim.testvectors.outcomes import outcomes, rule_of
from halfsim.testvectors.zones import Zone
from tests.oracles import rational

RULED = [known for known in SUBJECTS if rule_of(known)]
ENVIRONMENTS = [dataclasses.replace(hs.RISCV, tininess=tininess) for tininess in hs.Tininess]
N, D = Fraction(1, 2**14), Fraction(1, 2**24)


def settings(known):
    """Every direction and tininess that can matter."""
    modes = rational.MODES if known.rounds else ("rne",)
    found = {
        key(known, mode, environment.tininess): (mode, environment) for mode in modes for environment in ENVIRONMENTS
    }
    return found.values()


def zone_of(value):
    """The zone of an exact result that is not zero, from the numbers of binary16."""
    size = abs(value)
    if size < D:
        return [Zone.far_below_smallest, Zone.tie_below_smallest, Zone.below_smallest][(size >= D / 2) + (size > D / 2)]
    if size <= N - D:
        return Zone.subnormal if (size / D).denominator == 1 else Zone.between_subnormals
    if size < N:
        below = N - size
        if below > D / 2:
            return Zone.far_below_normal
        if below == D / 2:
            return Zone.tie_below_normal
        return Zone.tiny_below_normal if below > D / 4 else Zone.near_below_normal
    if size > 65504:
        return [Zone.below_halfway, Zone.above_halfway, Zone.beyond][(size >= 65520) + (size >= 65536)]
    exponent = size.numerator.bit_length() - size.denominator.bit_length()
    exponent -= size < Fraction(2) ** exponent
    return Zone.normal if (size / Fraction(2) ** (exponent - 10)).denominator == 1 else Zone.between_normals


@pytest.mark.parametrize("known", RULED, ids=lambda known: known.name)
def test_argued_bins_are_those_of_all_pairs(known):
    """Where all 2^32 pairs were tried, the argument leaves exactly the bins that some pair is in."""
    for mode, environment in settings(known):
        bins = reachable(known, mode, environment)
        if bins.how == "enumerated":
            assert bins.rows == 1 << 32
        assert argued(known, as_rounding(mode), environment).bins == bins.bins


def test_some_pairs_were_all_tried():
    for name in ("add", "divide", "multiply"):
        assert reachable(subject(name), "rne", hs.RISCV).how == "enumerated"


def sums(words):
    for row in zip(*words, strict=True):
        data = [rational.decode(int(word)) for word in row]
        if all(datum.kind == "finite" and datum.magnitude for datum in data):
            yield row, data


@pytest.mark.parametrize("name", ["add", "multiply", "divide", "fma"])
def test_exact_results_lie_where_the_rules_say(name):
    known, seen = subject(name), 0
    for family in ("log-uniform", "coverage", "cancellation", "tininess", "overflow", "halfway", "subnormal"):
        if family not in plan(known).families:
            continue
        rows = plan(known, [family], seed=11)
        step = max(1, rows.rows // 1200)
        for row, data in sums([column[::step] for column in rows.block(0, rows.rows).words]):
            a, b, *c = [datum.value for datum in data]
            value = {"add": a + b, "multiply": a * b, "divide": a / b}.get(name) if not c else a * b + c[0]
            exact = FINITE[name](tuple(int(classify(np.array([word]), "f16")[0]) for word in row))
            if value == 0:
                assert exact.zero
            else:
                assert zone_of(value) in (exact.negative if value < 0 else exact.positive), (row, exact.reason)
            seen += 1
    assert seen > 2000


@pytest.mark.parametrize("known", SUBJECTS, ids=lambda known: known.name)
def test_default_rows_hit_every_reachable_bin_and_no_other(known):
    """The rows are the witnesses that what no argument excludes can happen."""
    for mode, environment in settings(known):
        bins = reachable(known, mode, environment)
        hit = measure(known, plan(known).blocks(), mode, environment)
        assert bins.missed(hit) == []
        assert bins.beyond(hit) == []
        assert bins.share(hit) == 1


@pytest.mark.parametrize("known", RULED, ids=lambda known: known.name)
def test_the_directed_family_alone_hits_every_bin(known):
    rows = plan(known, ["coverage"])
    assert rows.rows < 2500
    for mode, environment in settings(known):
        bins = reachable(known, mode, environment)
        assert bins.missed(measure(known, rows.blocks(), mode, environment)) == []


@pytest.mark.parametrize(
    ("name", "left_out", "lost"),
    [("fma", {"coverage"}, "underflow"), ("add", {"coverage", "nan-payloads", "corners", "subnormal"}, "NaN"),
     ("multiply", {"coverage", "overflow", "corners", "uniform", "log-uniform"}, "overflow")],
)  # fmt: skip
def test_fewer_families_miss_bins(name, left_out, lost):
    known = subject(name)
    families = [family for family in plan(known).families if family not in left_out]
    missed = reachable(known, "rne", hs.RISCV).missed(measure(known, plan(known, families).blocks()))
    assert missed
    assert any(lost in text for text in missed)


def test_many_random_sums_stay_in_argued_bins():
    known = subject("fma")
    rows = plan(known, ["uniform", "log-uniform", "cancellation"], seed=5, count=1 << 18)
    for mode in ("rne", "rup", "odd"):
        bins = argued(known, as_rounding(mode), hs.RISCV)
        assert bins.beyond(measure(known, rows.blocks(), mode, hs.RISCV)) == []


def test_every_choice_of_classes_has_outcomes_and_a_reason():
    known = subject("fma")
    table = list(unreachable(known, "rtz", hs.RISCV))
    assert len(table) == len({classes for classes, _, _ in table}) == len(CLASSES) ** 3
    assert all(found and reason for _, found, reason in table)
    assert sum(len(found) for _, found, _ in table) == len(reachable(known, "rtz", hs.RISCV).bins)
    rows = {classes: (found, reason) for classes, found, reason in table}
    found, reason = rows["+subnormal, +normal, -normal"]
    assert "+infinity (inexact, overflow)" not in found
    assert "below 4" in reason
    assert list(unreachable(subject("sqrt"), "rne", hs.RISCV)) == []


def test_infinity_times_zero_plus_a_quiet_nan_is_the_environments():
    known, classes = subject("fma"), tuple(CLASSES.index(name) for name in ("+infinity", "-zero", "quiet NaN"))
    for environment, flags in ((hs.RISCV, 16), (hs.X86, 0)):
        found = outcomes(known, classes, hs.Rounding.roundTiesToEven, environment)
        assert found.possible == {(CLASSES.index("quiet NaN"), flags)}


def test_nothing_is_known_of_flushing_and_random_rounding():
    assert reachable(subject("add"), "rne", dataclasses.replace(hs.RISCV, flush_inputs=True)) is None
    assert reachable(subject("fma"), hs.Stochastic(bits=4, seed=1), hs.RISCV) is None


def test_coverage_of_parts_merges_and_reports():
    known = subject("fma")
    whole = measure(known, plan(known).blocks())
    parts = measure(known, plan(known).blocks((1, 3)))
    for part in (2, 3):
        parts.merge(measure(known, plan(known).blocks((part, 3))))
    assert parts.hits == whole.hits
    report = reachable(known, "rne", hs.IEEE).to_dict(whole)
    assert report["rows"] == plan(known).rows
    assert report["hit"] == report["reachable"] > 1000
    assert report["missed"] == report["beyond"] == []
