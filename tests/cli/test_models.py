"""`halfsim models`: the table as text and JSON."""

from __future__ import annotations

import json
import re
from pathlib import Path
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
        factors = {"f16": "binary16", "bf16": "bfloat16", "tf32": "TF32", "e4m3": "E4M3", "e5m2": "E5M2"}[row["inputs"]]
        assert accumulator["inputs"] == [factors, factors]
        kind = {"cdna1": "ExactDotAdd", "cdna2": "PairwiseDotAdd", "cdna3": "TwoStageDotAdd"}.get(row["generation"])
        assert accumulator["kind"] == (kind or "FusedDotAdd")
        if kind:
            assert accumulator["rounding"] == "roundTiesToEven"
            continue
        # z = 19 - F - bias of the accumulator's format.
        bias = {"binary16": 15, "binary32": 127, "E8M13": 127}[accumulator["output"]]
        # FP8 that keeps 13 fraction bits has the zero exponent of the architecture's other formats.
        kept = {"ada": 24, "hopper": 25}[row["generation"]] if accumulator["fraction_bits"] == 13 else None
        assert accumulator["zero_exponent"] == 19 - (kept or accumulator["fraction_bits"]) - bias
        assert accumulator["rounding"] == {"f32": "roundTowardZero", "f16": "roundTiesToEven"}[row["output"]]


def test_models_as_text() -> None:
    shown = invoke("models", "volta").stdout
    assert re.search(
        r"^volta +sm_70 +v100 +m8n8k4 +f16 +f32 +4 +23 +-131 +roundTowardZero +A +\[1\]$", shown, re.MULTILINE
    )
    assert "arXiv:2512.07004" in shown
    amd = invoke("models", "mi250x", "bf16").stdout
    assert re.search(r"^cdna2 .* v_mfma_f32_16x16x8bf16 +bf16 +f32 +2 +tree +- +roundTiesToEven +C ", amd, re.MULTILINE)
    assert re.search(r"^cdna1 .* 4 +all +- +", invoke("models", "mi100", "v_mfma_f32_4x4x4f16").stdout, re.MULTILINE)
    assert re.search(r"^cdna3 .* 8 +24/32/24/31 +- +", invoke("models", "gfx942").stdout, re.MULTILINE)
    assert "captured outputs agree (V100)" in shown
    assert max(map(len, shown.splitlines())) <= 120
    assert {(row["generation"], row["instruction"]) for row in models("e4m3", "f16")} == {
        *(("ada", "m16n8k32"), ("ada", "m16n8k16"), ("hopper", "wgmma"), ("blackwell", "tcgen05")),
        *(("rtx_blackwell", "m16n8k32"), ("rtx_blackwell", "m16n8k16")),
    }
    assert len(models("ampere", "f16")) == sum(
        row.generation == "ampere" and row.output == "f16" for row in hs.tensorcores.TABLE
    )


def test_evidence_is_structured() -> None:
    (row,) = models("volta", "f32", "m8n8k4")
    kinds = [item["kind"] for item in row["evidence"]]
    assert kinds == ["publishedCapture", "publishedCapture", "simulator"] and row["confidence"] == "A"
    assert [item["outputs"] for item in row["evidence"]] == [5000, 89, 0]
    fields = {"kind", "source", "gpus", "outputs", "coverage", "limits", "untold", "title", "claim"}
    assert fields == row["evidence"][0].keys()
    assert row["evidence"][0]["untold"] == ["L * 2", "order reversed", "z - 1", "z + 1"]
    assert row["evidence"][2]["untold"] is None
    shown = " ".join(invoke("models", "volta", "f32").stdout.split())
    for item in row["evidence"]:
        assert f"{item['claim']} [{item['title']}]" in shown and f"not shown: {item['limits']}" in shown
    assert "published capture: 5,000 of 5,000 captured outputs agree (V100)" in shown


def test_the_page_of_the_documentation_is_what_the_command_prints(root: Path) -> None:
    page = (root / "docs" / "tensor-cores.md").read_text()
    assert page == invoke("models", "--markdown").stdout, "run: halfsim models --markdown > docs/tensor-cores.md"
    rows = [line.strip("| ").split(" | ") for line in page.splitlines() if line.startswith("| ")][2:]
    assert [(row[1], row[3], row[4], row[5], row[10]) for row in rows] == [
        (row.architecture, row.instruction, row.inputs, row.output, row.confidence) for row in hs.tensorcores.TABLE
    ]
    notes = {note.partition("\n")[0]: note for note in page.split("\n## ")[1:]}
    for row, cells in zip(hs.tensorcores.TABLE, rows, strict=True):
        assert all(item.claim in notes[cells[11]] and item.limits in notes[cells[11]] for item in row.evidence)
    glance = (root / "docs" / "start" / "at-a-glance.md").read_text()
    assert "(../tensor-cores.md)" in glance.split("## Tensor cores")[1].split("\n## ")[0]


def test_one_form_at_a_time() -> None:
    result = invoke("models", "--json", "--markdown")
    assert result.exit_code == 2
    assert "exclude each other; give one" in result.stderr


def test_the_open_question_of_the_mixed_form_is_shown() -> None:
    for gpu in ("v100", "t4"):
        (row,) = models(gpu, "f32", "m8n8k4")
        assert any("a subnormal C of binary16 beside a binary32 result" in item["limits"] for item in row["evidence"])
        (narrow,) = models(gpu, "f16", "m8n8k4")
        assert not any("subnormal C" in item["limits"] for item in narrow["evidence"])
