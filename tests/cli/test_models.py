"""`halfsim models`: the table as text and JSON."""

from __future__ import annotations

import json
import re
from typing import Any

import halfsim as hs
from tests.cli.running import invoke


def models(*names: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(invoke("models", *names, "--json").stdout)
    return rows


def test_the_table_of_models() -> None:
    rows = models()
    assert len(rows) == len(hs.tensorcores.TABLE)
    # Terms and fraction bits of the three rule sets.
    rules = {
        (name, row["accumulator"]["terms"], row["accumulator"]["fraction_bits"])
        for name in ("v100", "t4", "a100", "a10", "l40s", "h100", "h200", "b200", "rtx5090")
        for row in models(name, "f32")[:1]
    }
    assert rules == {
        *(("v100", 4, 23), ("t4", 8, 24), ("a100", 8, 24), ("a10", 8, 24), ("l40s", 8, 24)),
        *(("h100", 16, 25), ("h200", 16, 25), ("b200", 16, 25), ("rtx5090", 16, 25)),
    }
    for row in rows:
        accumulator = row["accumulator"]
        assert accumulator["source"]
        assert accumulator["evidence"]
        assert row["confidence"] in ("A", "B", "C")
        # z = 19 - F - bias of the accumulator's format.
        bias = {"binary16": 15, "binary32": 127}[accumulator["output"]]
        assert accumulator["zero_exponent"] == 19 - accumulator["fraction_bits"] - bias
        assert accumulator["rounding"] == {"f32": "roundTowardZero", "f16": "roundTiesToEven"}[row["output"]]


def test_models_as_text() -> None:
    shown = invoke("models", "volta").stdout
    assert re.search(r"^volta +sm_70 +v100 +m8n8k4 +f32 +4 +23 +-131 +roundTowardZero +A +\[1\]$", shown, re.MULTILINE)
    assert "arXiv:2512.07004" in shown
    assert "captured outputs agree (V100)" in shown
    assert max(map(len, shown.splitlines())) <= 120
    assert len(models("ampere", "f16")) == sum(
        row.generation == "ampere" and row.output == "f16" for row in hs.tensorcores.TABLE
    )
