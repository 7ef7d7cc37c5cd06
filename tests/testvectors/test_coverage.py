"""The coverage model: classes, bins, what is reachable, and how much of it the default rows hit."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import halfsim as hs
from halfsim.testvectors import SUBJECTS, subject
from halfsim.testvectors.cases import plan
from halfsim.testvectors.coverage import CLASSES, Coverage, bin_name, classify, reachable

MODES = ("rne", "rna", "rtz", "rup", "rdn", "odd")


def covered(known, families=None, rounding="rne", environment=hs.RISCV):
    coverage = Coverage(known)
    for block in plan(known, families).blocks():
        coverage.add(block.words, *known.evaluate(block.words, rounding=rounding, environment=environment))
    return coverage


def test_classes_are_those_of_classify():
    words = np.arange(1 << 16, dtype=np.uint16)
    names = np.array(CLASSES)[classify(words, "f16")]
    ours = hs.classify(hs.from_bits(words))
    for cls in range(10):
        assert len(set(names[ours == cls])) == 1
    assert set(names[np.isnan(hs.from_bits(words))]) == {"quiet NaN", "signaling NaN"}
    assert names[0x8000] == "-zero"
    assert names[0x7C01] == "signaling NaN"
    assert names[0xFE00] == "quiet NaN"
    assert names[0x83FF] == "-subnormal"
    assert names[0xFC00] == "-infinity"


@pytest.mark.parametrize("kind", ["f32", "f64", "e4m3", "tf32"])
def test_classes_of_other_formats(kind):
    width = {"f32": 32, "f64": 64, "e4m3": 8, "tf32": 19}[kind]
    sign = 1 << (width - 1)
    infinity = {"f32": 0x7F800000, "f64": 0x7FF << 52, "e4m3": None, "tf32": 0x3FC00}[kind]
    wanted = {0: "+zero", sign: "-zero", 1: "+subnormal", sign | 1: "-subnormal", sign - 1: "quiet NaN"}
    if infinity:
        wanted |= {infinity: "+infinity", infinity | 1: "signaling NaN", infinity - 1: "+normal"}
    else:
        wanted |= {0x7E: "+normal", 0x78: "+normal", 0xFF: "quiet NaN"}
    dtype = np.uint64 if width > 32 else np.uint32
    assert [CLASSES[i] for i in classify(np.array(list(wanted), dtype), kind)] == list(wanted.values())


def test_classes_of_integers():
    words = np.array([0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF], np.uint32)
    assert [CLASSES[i] for i in classify(words, "i32")] == ["+zero", "+normal", "+normal", "-normal", "-normal"]
    assert [CLASSES[i] for i in classify(words, "ui32")] == ["+zero", *["+normal"] * 4]


def test_bins_in_words():
    coverage = Coverage(subject("divide"))
    coverage.add([np.uint16([0x3C00]), np.uint16([0x8000])], np.uint16([0xFC00]), np.uint8([8]))
    assert coverage.named() == [("+normal, -zero -> -infinity (divideByZero)", 1)]


def test_parts_merge():
    known = subject("add")
    whole = covered(known)
    parts = Coverage(known)
    for part in (1, 2, 3):
        other = Coverage(known)
        for block in plan(known).blocks((part, 3)):
            other.add(block.words, *known.evaluate(block.words, environment=hs.RISCV))
        parts.merge(other)
    assert parts.hits == whole.hits
    assert sum(whole.hits.values()) == plan(known).rows


@pytest.mark.parametrize("known", [s for s in SUBJECTS if s.rounds], ids=lambda known: known.name)
@pytest.mark.parametrize("mode", MODES)
def test_default_rows_hit_what_is_reachable(known, mode):
    for tininess in hs.Tininess:
        environment = dataclasses.replace(hs.RISCV, tininess=tininess)
        bins = reachable(known, mode, environment)
        coverage = covered(known, None, mode, environment)
        assert bins is not None
        assert bins.share(coverage) >= 0.99, bins.missed(coverage)
        assert bins.beyond(coverage) == []


@pytest.mark.parametrize("known", [s for s in SUBJECTS if not s.rounds], ids=lambda known: known.name)
def test_default_rows_hit_all_of_operations_that_do_not_round(known):
    bins = reachable(known, "rne", hs.RISCV)
    assert bins is not None
    coverage = covered(known)
    assert bins.missed(coverage) == []
    assert bins.beyond(coverage) == []


def test_fewer_families_hit_less():
    for name, lost in (("add", "signaling NaN"), ("multiply", "overflow"), ("fma", "subnormal")):
        bins = reachable(subject(name), "rne", hs.RISCV)
        coverage = covered(subject(name), ["uniform"])
        assert bins.share(coverage) < 0.99
        assert any(lost in missed for missed in bins.missed(coverage))


def test_enumerated_bins_hold_facts_of_the_standard():
    def words(name, mode="rne", tininess=hs.Tininess.afterRounding):
        bins = reachable(subject(name), mode, dataclasses.replace(hs.RISCV, tininess=tininess))
        assert bins.how == "enumerated"
        assert bins.rows == 1 << 32
        return {bin_name(subject(name), index) for index in bins.bins}

    # A sum that is subnormal is exact; a product need not be.
    assert not any("underflow" in text for text in words("add"))
    assert any("underflow" in text for text in words("multiply"))
    # Only a finite number divided by zero raises divideByZero.
    dividing = {text for text in words("divide") if "divideByZero" in text}
    assert len(dividing) == 16 // 2
    assert all("zero ->" in text and "infinity (" in text for text in dividing)
    # x - x is -0 toward negative alone.
    cancelled = "+normal, -normal -> {}zero (no flag)"
    assert cancelled.format("+") in words("add") - words("add", "rdn")
    assert cancelled.format("-") in words("add", "rdn") - words("add")
    # A remainder is exact.
    assert not any("inexact" in text for text in words("remainder"))
    # A result that rounds up to the smallest normal number underflows if tininess is seen before.
    up = "+normal, +normal -> +normal (inexact, underflow)"
    assert up in words("multiply", "rup", hs.Tininess.beforeRounding)


def test_no_bins_where_nobody_has_looked():
    assert reachable(subject("add"), "rne", dataclasses.replace(hs.RISCV, flush_inputs=True)) is None
    assert reachable(subject("add"), hs.Stochastic(bits=4, seed=1), hs.RISCV) is None
