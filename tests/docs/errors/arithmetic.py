"""Errors of conversions, products, explanations and the tables of rows."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

import halfsim as hs
from tests.docs.errors.row import Row

__all__ = ["ROWS"]

X = np.ones(3, np.float16)
WIDE = np.ones(3, np.float32)


def _threads_of_the_environment(function: Any, folder: Path) -> object:
    with patch.dict(os.environ, {"HALFSIM_NUM_THREADS": "many"}), patch("halfsim.kernels.threads._threads", 0):
        return function()


ROWS = [
    Row("halfsim.from_bits", lambda f, _: f([1.5]), TypeError, "from_bits: "),
    Row("halfsim.from_bits", lambda f, _: f([65536]), ValueError, "from_bits: "),
    Row("halfsim.to_bits", lambda f, _: f(WIDE), TypeError, "to_bits: "),
    Row("halfsim.convert", lambda f, _: f("one", hs.BINARY16), TypeError, "convert: x has dtype <U3"),
    Row("halfsim.convert", lambda f, _: f(X, "float32"), TypeError, "to='float32' is not a target"),
    Row("halfsim.convert", lambda f, _: f(np.int32([1]), np.int8), TypeError, "convert: "),
    Row("halfsim.convert", lambda f, _: f(X, hs.BINARY32, rounding="up"), ValueError, "unknown rounding 'up'"),
    Row("halfsim.convert", lambda f, _: f(X, hs.BINARY32, device="gpu"), ValueError, "'gpu'"),
    Row("halfsim.convert", lambda f, _: f(X, hs.BINARY32, out=np.ones(2, np.float32)), ValueError, "shape"),
    *(
        row
        for name in ("halfsim.dot", "halfsim.matmul")
        for row in (
            Row(name, lambda f, _: f(WIDE, X), TypeError, "operand A is of type float32"),
            Row(name, lambda f, _: f(X, X[:2]), ValueError, "(2,)"),
            Row(name, lambda f, _: f(X, X, accumulator="h100:f8"), ValueError, "unknown output of h100 'f8'"),
            Row(name, lambda f, _: f.flagged(X, X, accumulator="h100:f32"), ValueError, "has no flags"),
        )
    ),
    Row("halfsim.sum", lambda f, _: f(WIDE), TypeError, "sum: operand x is of type float32"),
    Row("halfsim.sum", lambda f, _: f(X, 1), ValueError, "axis"),
    Row("halfsim.sum", lambda f, _: f(X, out=np.ones(2, np.float32)), ValueError, "out"),
    Row("halfsim.explain", lambda f, _: f("ad", 1, 2), ValueError, "unknown operation 'ad'"),
    Row("halfsim.explain", lambda f, _: f("add", WIDE[0], X[0]), TypeError, "float32"),
    Row("halfsim.explain_dot", lambda f, _: f(WIDE, X, accumulator="fp32"), TypeError, "float32"),
    Row("halfsim.explain_dot", lambda f, _: f(X, X, accumulator="h100:f8"), ValueError, "unknown output of h100 'f8'"),
    Row("halfsim.compare_dot", lambda f, _: f(WIDE, X, accumulators=["fp32"]), TypeError, "float32"),
    Row("halfsim.compare_dot", lambda f, _: f(X, X, accumulators=[]), TypeError, "accumulators=[]"),
    Row("halfsim.compare_dot", lambda f, _: f(X, X, accumulators=["h100:f8"]), ValueError, "unknown output"),
    Row("halfsim.get_num_threads", _threads_of_the_environment, ValueError, "HALFSIM_NUM_THREADS"),
    Row("halfsim.set_num_threads", lambda f, _: f(0), ValueError, "threads=0"),
    Row("halfsim.tensorcores.as_accumulator", lambda f, _: f("h1000:f32"), ValueError, "h1000"),
    Row("halfsim.tensorcores.as_accumulator", lambda f, _: f(16), TypeError, "16"),
    Row("halfsim.tensorcores.row", lambda f, _: f("h1000"), ValueError, "h1000"),
    Row("halfsim.tensorcores.row", lambda f, _: f("h100", "f64"), ValueError, "f64"),
    Row("halfsim.tensorcores.row", lambda f, _: f("h100", instruction="m1n1k1"), ValueError, "m1n1k1"),
    Row("halfsim.tensorcores.row", lambda f, _: f("h100", inputs="f64"), ValueError, "f64"),
    Row("halfsim.policy.named", lambda f, _: f("mixd"), ValueError, "did you mean"),
    Row("halfsim.policy.from_table", lambda f, _: f({"bas": "mixed"}), ValueError, "unknown key 'bas'"),
    Row("halfsim.policy.from_table", lambda f, _: f({"base": "mixed", "weights": 16}), TypeError, "weights"),
]
