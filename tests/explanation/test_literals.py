"""Numbers on the command line: rounded once, patterns kept."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import halfsim as hs
from halfsim.explanation.literals import parse
from halfsim.formats import BINARY16, BINARY32, BINARY64
from tests.cli.running import invoke
from tests.oracles import rational


def test_a_number_that_is_rounded_is_said_to_be() -> None:
    shown = invoke("explain", "add", "0.1", "1", "--json")
    assert shown.stderr == (
        "note: a = 0.1 is not a binary16 number; rounded once, to nearest even, "
        "to 0x2e66 = 0x1.998p-4 = 0.0999755859375\n"
    )
    json.loads(shown.stdout)
    assert invoke("explain", "add", "0.5", "0x1.ffcp+15").stderr == ""
    assert "to 0x7c00 = inf" in invoke("explain", "add", "65520", "1").stderr


@pytest.mark.parametrize("fmt", [BINARY16, BINARY32, BINARY64], ids=lambda fmt: fmt.name)
def test_literals_are_rounded_once(fmt: hs.Format) -> None:
    rng = np.random.default_rng(7)
    texts = ["65519.999999999999999999", "65520", "1e400", "-1e-400", "1e99999999", "2.98023223876953125e-8"]
    texts += ["2.980232238769531250000000000000000001e-8", "0x1.002p0", "0x1.00200000000000000001p0"]
    texts += ["-0x.8p-24", "-.0"]
    texts += [f"{digits[0]}.{digits[1:]}e{rng.integers(-10, 6)}" for digits in _digits(rng, 60)]
    for text in texts:
        if text == "1e99999999":
            want = (rational.infinity(0, fmt), 5)
        else:
            want = rational.round_fraction(_exact(text), fmt, zero_sign=int(text.startswith("-")))
        literal = parse(text, "x", fmt)
        assert literal.bits == want[0], text
        assert bool(literal.note) == bool(want[1]), text


def _digits(rng: np.random.Generator, count: int) -> list[str]:
    return ["".join(map(str, rng.integers(1, 10, 30))) for _ in range(count)]


def _exact(text: str) -> Any:
    """Exact value of a literal: Fraction reads decimals; of a hex-float the digits are an integer."""
    if "0x" not in text:
        return rational.Fraction(text)
    sign = -1 if text.startswith("-") else 1
    significand, power = text.lstrip("-")[2:].split("p")
    whole, _, fraction = significand.partition(".")
    return sign * rational.Fraction(int(whole + fraction, 16), 16 ** len(fraction)) * rational.Fraction(2) ** int(power)


def test_patterns_are_kept_and_printed_forms_are_read() -> None:
    for bits in (*range(0, 65536, 251), 0x7C01, 0xFDFF, 0xFFFF, 0x8000):
        assert parse(f"{bits:#06x}", "a", BINARY16).bits == bits
        shown = hs.explain("absolute", hs.from_bits(bits)).operands[0]
        assert parse(shown.hexadecimal.replace("0x0p+0", "0x0p0"), "a", BINARY16).bits == bits
        if shown.value is not None:
            assert parse(shown.decimal, "a", BINARY16).bits == bits
