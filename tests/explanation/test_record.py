"""Explanations as records and text: JSON, notebooks, errors, numbers as text, threads."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import halfsim as hs
from halfsim import operations
from halfsim.explanation import explain
from halfsim.explanation.values import compact, datum, decimal, hexadecimal, short
from halfsim.explanation.watch import watch
from tests.explanation.cases import ROOT, operands


def test_records_serialise() -> None:
    steps = explain("divide", np.float16(1), np.float16(3), environment=hs.RISCV)
    back = json.loads(steps.to_json())
    assert back == json.loads(json.dumps(steps.to_dict()))
    assert set(back) == {field.name for field in dataclasses.fields(steps)}
    assert back["exact"]["value"] == "1/3"
    assert back["flags"] == ["inexact"]
    assert back["result"]["pattern"] == "0x3555"
    assert back["rounding"] == "roundTiesToEven"
    assert back["environment"]["tininess"] == "afterRounding"
    drawn = explain("divide", np.float16(1), np.float16(3), rounding=hs.Stochastic(bits=4, seed=1))
    assert drawn.to_dict()["rounding"] == {"bits": 4, "seed": 1, "offset": 0}


def test_records_show_in_notebooks() -> None:
    steps = explain("add", np.float16(1), np.float16(1))
    assert steps._repr_html_() == f"<pre>{steps}</pre>"


def test_records_are_frozen() -> None:
    steps = explain("add", np.float16(1), np.float16(1))
    with pytest.raises(dataclasses.FrozenInstanceError):
        steps.flags = hs.Flags.invalid  # type: ignore[misc]


@pytest.mark.parametrize(
    ("arguments", "options", "error", "words"),
    [
        (("ad", np.float16(1)), {}, ValueError, "unknown operation 'ad'; did you mean add"),
        ((3, np.float16(1)), {}, TypeError, "unknown operation 3"),
        (("add", np.float16(1)), {}, TypeError, "takes 2 operand"),
        (("add", 1.0, 2.0), {}, TypeError, "convert"),
        (("sqrt", np.float16([1, 2])), {}, ValueError, "one element"),
        (("scaleb", np.float16(1), 0.5), {}, TypeError, "integer"),
        (("scaleb", np.float16(1), 2**63), {}, TypeError, "operand b has dtype uint64; pass a signed integer"),
        (("scaleb", np.float16(1), 2**64), {}, TypeError, "operand b has dtype object; pass a signed integer"),
        (("scaleb", np.float16(1), np.ma.array([1])), {}, TypeError, "masked array"),
        (("add", np.float16(1), np.float16(1)), {"exact": True}, TypeError, "no keyword 'exact'"),
        (("add", np.float16(1), np.float16(1)), {"rounding": "up"}, ValueError, "known are"),
        (("add", np.float16(1), np.float16(1)), {"environment": "RISCV"}, TypeError, "Environment"),
        (("convert", 1.0), {}, TypeError, "a number and a target"),
        (("convert", 1, np.int8), {}, TypeError, "integer"),
    ],
)
def test_errors_say_what_to_do(
    arguments: tuple[Any, ...], options: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words) as raised:
        explain(*arguments, **options)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("value", "hexadecimal_form", "decimal_form"),
    [
        (Fraction(0), "0x0p+0", "0"),
        (Fraction(1), "0x1p+0", "1"),
        (Fraction(-1025, 1024), "-0x1.004p+0", "-1.0009765625"),
        (Fraction(65504), "0x1.ffcp+15", "65504"),
        (Fraction(1, 1 << 24), "0x1p-24", "5.9604644775390625e-8"),
        (Fraction(1, 3), "1/3", "0.33333333333333333..."),
        (Fraction(2) ** 100, "0x1p+100", "1.2676506002282294...e+30"),
        (Fraction(10**18 + 1) + Fraction(1, 1 << 40), "0x1.bc16d674ec800020000000002p+59", "1.0000000000000000...e+18"),
    ],
)
def test_values_as_text(value: Fraction, hexadecimal_form: str, decimal_form: str) -> None:
    assert hexadecimal(value) == hexadecimal_form
    assert decimal(value) == decimal_form


@pytest.mark.parametrize(
    ("value", "compact_form", "short_form"),
    [
        (Fraction(-1, 4), "-0.25", "-0.25"),
        (Fraction(65504), "65504", "65504"),
        (Fraction(0), "0", "0"),
        (Fraction(1, 1 << 24), "0x1p-24", "5.96046...e-8"),
        (Fraction(1025, 1024), "1.0009765625", "1.00097..."),
        (Fraction(2**49 - 1), "562949953421311", "5.62949...e+14"),
        (Fraction(2**60 - 1, 2**60), "0x1.ffffffffffffffep-1", "0.999999..."),
        (Fraction(2**190 - 1), "0x1.ffffff...p+189", "1.56927...e+57"),
        (Fraction(-(2**190) - 1), "-0x1.00000...p+190", "-1.56927...e+57"),
    ],
)
def test_values_in_one_cell(value: Fraction, compact_form: str, short_form: str) -> None:
    assert compact(value) == compact_form
    assert short(value) == short_form


def test_hexadecimal_is_pythons() -> None:
    rng = np.random.default_rng(0)
    for bits in rng.integers(0, 0x7C00, 500):
        shown = datum("x", int(bits), hs.BINARY16).hexadecimal
        assert float.fromhex(shown) == float(hs.from_bits(int(bits)))


def test_watching_changes_nothing_in_the_core() -> None:
    kernel = operations.add.kernel
    before = dict(vars(getattr(kernel, "py_func", kernel))), operations.add.kernel
    first = watch(kernel, *(np.array([0x3C00]) for _ in range(2)), np.zeros(1, int), np.zeros(1, int), 0, 0, 0)
    assert first.find("round_pack")
    assert (dict(vars(getattr(kernel, "py_func", kernel))), operations.add.kernel) == before
    with pytest.raises(TypeError, match="not a function of the core"):
        watch(math.sqrt, 2)


def test_explanations_in_many_threads() -> None:
    columns = operands(3, 200, seed=21)
    rows = [tuple(hs.from_bits(bits) for bits in row) for row in zip(*columns, strict=True)]
    want = [explain("fma", *row) for row in rows]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda row: explain("fma", *row), rows)) == want


def test_explanations_are_the_same_without_compilation() -> None:
    program = (
        "import numpy as np, halfsim as hs\n"
        "print(hs.explain('divide', np.float16(1), np.float16(3)).to_json())\n"
        "a = np.float16([4096, 4096, 0.25]); b = np.float16([2048, -2048, 1])\n"
        "print(hs.explain_dot(a, b, accumulator='a100:f32').to_json())\n"
    )
    shown = {
        switch: subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "NUMBA_DISABLE_JIT": switch, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for switch in ("0", "1")
    }
    assert '"pattern": "0x3555"' in shown["0"]
    assert shown["0"] == shown["1"]
