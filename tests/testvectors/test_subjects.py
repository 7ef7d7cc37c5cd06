"""Subjects compute on patterns what the operations compute on numbers."""

from __future__ import annotations

import numpy as np
import pytest

import halfsim as hs
from halfsim.testvectors import SUBJECTS, subject
from halfsim.testvectors.formats import Header
from halfsim.testvectors.formats.names import TYPES
from halfsim.testvectors.patterns import FORMATS, patterns, values, word_of
from tests.oracles import softfloat

INTEGERS = [kind for kind in TYPES if kind.lstrip("u").startswith("i")]


def test_every_operation_is_a_subject():
    operations = {name for name in hs.__all__ if isinstance(getattr(hs, name), hs.Operation)}
    assert operations == {known.operation for known in SUBJECTS} - {"convert"}
    assert len({known.name for known in SUBJECTS}) == len(SUBJECTS)
    for known in SUBJECTS:
        assert subject(known.name) is known
        Header(operation=known.name, operands=known.operands, result=known.result)
        if known.testfloat:
            assert subject(known.testfloat) is known


def test_unknown_names_show_near_ones():
    with pytest.raises(ValueError, match=r"f: unknown operation 'dividee'; did you mean divide"):
        subject("dividee", "f")


@pytest.mark.parametrize("kind", ["bf16", "e5m2", "e4m3"])
def test_patterns_are_those_of_ml_dtypes(kind):
    ml_dtypes = pytest.importorskip("ml_dtypes")
    dtype = {"bf16": ml_dtypes.bfloat16, "e5m2": ml_dtypes.float8_e5m2, "e4m3": ml_dtypes.float8_e4m3fn}[kind]
    words = np.arange(1 << FORMATS[kind].width).astype(word_of(kind))
    wanted = words.view(dtype).astype(np.float32)
    got = values(words, kind).astype(np.float32)
    assert np.array_equal(got, wanted, equal_nan=True)
    assert np.array_equal(np.signbit(got), np.signbit(wanted))
    numbers = ~np.isnan(wanted)
    assert np.array_equal(patterns(wanted, kind)[numbers], words[numbers])
    assert np.isnan(patterns(wanted, kind).view(dtype).astype(np.float32)[~numbers]).all()


@pytest.mark.parametrize("kind", ["f16", "tf32", "f32", "f64", *INTEGERS])
def test_patterns_survive(kind):
    words = np.random.default_rng(1).integers(0, 1 << TYPES[kind], 5000, dtype=np.uint64)
    words = words.astype(f"u{word_of(kind).itemsize}")
    assert np.array_equal(patterns(values(words, kind), kind), words)


# TestFloat's names in the binding, where they differ.
_BINDING = {"f16_mulAdd": "f16_mul_add", "f16_roundToInt": "f16_round_to_int"}


@pytest.mark.parametrize("name", [known.testfloat for known in SUBJECTS if known.testfloat])
@pytest.mark.parametrize("mode", ["rne", "rdn", "rna"])
def test_subjects_agree_with_softfloat(name, mode):
    known = subject(name)
    rng = np.random.default_rng(7)
    operands = [
        rng.integers(0, 1 << TYPES[kind], 400, dtype=np.uint64).astype(f"u{TYPES[kind] // 8}")
        for kind in known.operands
    ]
    whole = known.result.lstrip("u").startswith("i") or known.operation == "round_to_integral"
    z, flags = known.evaluate(operands, rounding=mode, environment=hs.RISCV, options=("exact",) if whole else ())
    wanted = softfloat.call(_BINDING.get(name, name), *operands, mode=mode, exact=True if whole else None)
    assert np.array_equal(z, wanted[0])
    assert np.array_equal(flags, wanted[1])


def test_rows_of_stochastic_rounding_count_on():
    operands = np.full(100, 0x3C00, np.uint16), np.full(100, 0x1000, np.uint16)
    rounding = hs.Stochastic(bits=8, seed=5)
    whole, _ = subject("add").evaluate(operands, rounding=rounding)
    parts = [
        subject("add").evaluate([x[i : i + 30] for x in operands], rounding=rounding, first=i)[0]
        for i in range(0, 100, 30)
    ]
    assert len(set(whole.tolist())) == 2
    assert np.array_equal(np.concatenate(parts), whole)
