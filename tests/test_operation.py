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


@pytest.mark.parametrize("exact", [True, np.True_, 2])
def test_options_are_truth_values(exact):
    assert hs.round_to_integral.flagged(np.float16(2.5), exact=exact).flags == hs.Flags.inexact
