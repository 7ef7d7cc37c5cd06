"""Errors of computed tables and figures."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
from matplotlib.figure import Figure

from halfsim.studies.tables.operands import Images
from tests.docs.errors.row import Row

__all__ = ["ROWS"]


def _axes() -> object:
    return Figure().subplots()


TABLES = "halfsim.studies.tables"
DRAWN = "halfsim.plotting"
ROWS = [
    Row(f"{TABLES}.disagreement.disagreement", lambda f, _: f(["h1000:f32"]), ValueError, "unknown GPU 'h1000'"),
    Row(f"{TABLES}.disagreement.disagreement", lambda f, _: f([16]), TypeError, "disagreement: accumulator=16"),
    Row(f"{TABLES}.disagreement.disagreement", lambda f, _: f(kind="noise"), ValueError, "kind='noise'"),
    Row(f"{TABLES}.memory.bytes_of_a_parameter", lambda f, _: f(["Lion"]), ValueError, "optimizer='Lion'"),
    Row(f"{TABLES}.memory.layers", lambda f, _: f("LeNet-0"), ValueError, "network='LeNet-0'"),
    Row(f"{TABLES}.memory.nearly_half", lambda f, _: f("mixd"), ValueError, "mixd"),
    Row(f"{TABLES}.memory.nearly_half", lambda f, _: f(optimizer="Lion"), ValueError, "optimizer='Lion'"),
    Row(f"{TABLES}.memory.paper_models", lambda f, _: f(optimizer="Lion"), ValueError, "optimizer='Lion'"),
    Row(f"{TABLES}.memory.paper_models", lambda f, _: f([0]), ValueError, "0"),
    Row(f"{TABLES}.operands.operands", lambda f, _: f("noise", Images("digits", 4), 2, 2), ValueError, "kind='noise'"),
    Row(
        f"{TABLES}.own_memory.measured_bytes",
        lambda f, _: f(SimpleNamespace(step=1, steps=1)),
        ValueError,
        "measured_bytes: ",
    ),
    Row(f"{TABLES}.own_memory.own_models", lambda f, _: f(optimizer="Lion"), ValueError, "optimizer='Lion'"),
    Row(f"{TABLES}.rates.lost_updates", lambda f, _: f([0.0]), ValueError, "rate=0.0"),
    Row(f"{TABLES}.sample_order.sample_order", lambda f, _: f("noise"), ValueError, "kind='noise'"),
    Row(f"{TABLES}.scales.layers", lambda f, _: f(["LeNet-0"]), ValueError, "LeNet-0"),
    Row(f"{TABLES}.scales.networks", lambda f, _: f(["LeNet-0"]), ValueError, "LeNet-0"),
    Row(f"{DRAWN}.disagreement", lambda f, _: f(_axes(), [{"first": "a"}]), ValueError, "no column 'second'"),
    Row(f"{DRAWN}.error_against_length", lambda f, _: f(_axes(), [{"K": 1}]), ValueError, "no column 'accumulator'"),
    Row(f"{DRAWN}.error_against_length", lambda f, _: f(_axes(), [], only=["a"]), ValueError, "asks for 'a'"),
    Row(f"{DRAWN}.layer_errors", lambda f, _: f(_axes(), [{"layer": "fc"}]), ValueError, "no column 'policy'"),
    Row(f"{DRAWN}.ledger_map", lambda f, _: f(_axes(), [0], ["fc"], np.ones(2)), ValueError, "shape (2,)"),
    Row(f"{DRAWN}.lost_updates", lambda f, _: f(_axes(), [{"policy": "a"}]), ValueError, "no column 'updates_lost'"),
    Row(f"{DRAWN}.memory_bars", lambda f, _: f(_axes(), [{"weights": 1}]), ValueError, "no column 'policy'"),
    Row(f"{DRAWN}.memory_bars", lambda f, _: f(_axes(), [], classes=["weights"]), ValueError, "asks for 'weights'"),
    Row(f"{DRAWN}.required_scale", lambda f, _: f(_axes(), [{"model": "m"}]), ValueError, "no column 'smallest_99'"),
]
