"""Operations as objects: copies, pickles, options."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import halfsim as hs


@pytest.mark.parametrize("name", ["add", "equal", "total_order", "classify", "scaleb"])
def test_a_copy_is_the_operation_itself(name):
    operation = getattr(hs, name)
    assert pickle.loads(pickle.dumps(operation)) is operation
    assert copy.deepcopy(operation) is operation


@pytest.mark.parametrize("name", ["convert", "matmul", "dot", "sum"])
def test_other_callables_are_copied_whole(name):
    operation = pickle.loads(pickle.dumps(getattr(hs, name)))
    operand = np.float16([1.5, 2.5])
    second = {"convert": (hs.BINARY32,), "sum": ()}.get(name, (operand,))
    np.testing.assert_array_equal(operation(operand, *second), getattr(hs, name)(operand, *second))


def test_options_are_truth_values():
    for exact in (True, np.True_):
        assert hs.round_to_integral.flagged(np.float16(2.5), exact=exact).flags == hs.Flags.inexact
    assert hs.round_to_integral.flagged(np.float16(2.5), exact=np.False_).flags == hs.Flags(0)
    for wrong in (2, 0, "no", None):
        with pytest.raises(TypeError, match=f"round_to_integral: exact={wrong!r} is of type .*; pass True or False"):
            hs.round_to_integral(np.float16(2.5), exact=wrong)
        with pytest.raises(TypeError, match=f"convert: saturate={wrong!r} is of type .*; pass True or False"):
            hs.convert(np.float32(2.5), hs.E4M3, saturate=wrong)


def test_a_call_like_an_earlier_one_is_no_other_call():
    """What few elements look up of the last call depends on nothing that another call may have otherwise."""
    a, b = np.float16([1, 2.5, 65504]), np.float16([2**-11, 1, 65504])
    want = hs.add.flagged(a, b)
    for _ in range(2):
        value, flags = hs.add.flagged(a, b)
        assert value.dtype == np.float16 and flags.dtype == np.uint8
        assert np.array_equal(value, want.value) and np.array_equal(flags, want.flags)
        assert isinstance(hs.add.flagged(a, b), hs.Flagged)
        assert np.array_equal(hs.add(a, b), value)
        assert np.array_equal(hs.add(a, b, rounding="rup"), hs.add(a, b, rounding=hs.Rounding.roundTowardPositive))
        assert hs.add(a, b[:1]).shape == hs.add(a[None], b).shape[1:] == (3,)
        assert np.array_equal(hs.add(a[::-1], b[::-1]), value[::-1])
        assert np.array_equal(hs.add(a.astype(">f2"), b), value)
        assert hs.add(a[0], b[0]).shape == hs.add(a[:1], b[:1]).reshape(()).shape
        assert np.array_equal(hs.scaleb(a, np.int32([1, 2, 0])), a * np.float16([2, 4, 1]))
        with pytest.raises(TypeError, match="operand b"):
            hs.scaleb(a, b)
        with pytest.raises(TypeError, match="takes 2"):
            hs.add(a)
        with pytest.raises(TypeError, match="not float16"):
            hs.add(a, b.astype(np.float32))
        with pytest.raises(ValueError, match="broadcast"):
            hs.add(a, b[:2])
