"""The named cases: names, sentences, and that each is told apart by what it claims."""

from __future__ import annotations

import re

import numpy as np
import pytest

import halfsim as hs
from halfsim.explanation.cases import CASES


def results(name: str, *accumulators: str) -> list[int]:
    case = CASES[name]
    a, b = (hs.from_bits(np.array(words)) for words in (case.a, case.b))
    c = np.array([case.c], np.uint32).view(np.float32)[0] if case.output == "f32" else hs.from_bits(case.c)
    return [row.result.bits for row in hs.compare_dot(a, b, c, accumulators=accumulators).rows]


def test_names_and_sentences() -> None:
    assert len(CASES) == 50
    titles = [(case.output, case.title) for case in CASES.values()]
    assert len(set(titles)) == len(titles)
    for name, case in CASES.items():
        assert case.name == name and re.fullmatch(r"[a-z0-9-]+", name)
        assert case.shows.endswith(".") and case.shows[0].isupper() | case.shows[0].isdigit()
        assert len(case.a) == len(case.b) == 16
        assert case.c < 1 << (32 if case.output == "f32" else 16)


@pytest.mark.parametrize("name", [name for name in CASES if name.startswith("floor")])
def test_the_floor_is_where_the_sentence_says(name: str) -> None:
    kept = [word == 1 for word in results(name, "v100:f16", "a100:f16", "h100:f16")]
    term = -int(name.removeprefix("floor-"))
    # Zero exponent minus fraction bits: the weight of the last bit.
    assert kept == [term >= unit for unit in (-19 - 23, -20 - 24, -21 - 25)]


def test_claims_about_ieee_arithmetic() -> None:
    assert results("minus-zero", "h100:f32", "fp32") == [0, 0x8000_0000]
    assert results("inf-minus-inf", "h100:f32", "fp32") == [0x7FFF_FFFF, 0x7FC0_0000]
    assert results("negative-to-zero", "h100:f16", "exact:f16") == [0, 0x8000]
    assert results("rz-positive", "h100:f32", "exact") == [0x3F80_0001, 0x3F80_0002]
    assert results("overflow-between-blocks", "a100:f16", "exact:f16") == [0x7C00, 0]
