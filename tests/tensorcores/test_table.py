"""The table of tensor cores: keys, instructions, formats of factors, short names, and what is said of the unknown."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

import halfsim as hs
from halfsim.tensorcores import TABLE, as_accumulator, row


def test_every_row_has_its_evidence():
    for entry in TABLE:
        assert entry.accumulator.source
        assert entry.accumulator.evidence
        assert entry.confidence in "ABC"
        assert re.fullmatch(r"sm_\d+a?|gfx908|gfx90a|gfx942", entry.architecture)
        # The few captured outputs of the RTX 5090 do not decide its row.
        captured = "captured outputs agree" in entry.accumulator.evidence
        assert (entry.confidence == "A") == (captured and entry.architecture != "sm_120")


def test_keys_instructions_and_short_names():
    for gpu in ["v100", "t4", "a100", "a10", "l40s", "h100", "h200", "b200", "rtx5090"]:
        assert any(gpu in entry.gpus for entry in TABLE)
        assert row(gpu, "f32").output == hs.BINARY32
        assert row(gpu, "f16").output == hs.BINARY16
    assert row("h100", "f32", instruction="m16n8k8").terms == 8
    assert row("h100", "f32", instruction="wgmma").evidence != row("h100", "f32").evidence
    assert row("turing", "f32", "m8n8k4") == row("volta", "f32")
    assert as_accumulator("h100:f32") is row("h100", "f32")
    assert as_accumulator("b200:f16:tcgen05") is row("b200", "f16", "tcgen05")
    assert as_accumulator(hs.FP16) is hs.FP16


def test_formats_of_factors_have_the_names_of_ptx():
    formats = {"f16": hs.BINARY16, "bf16": hs.BFLOAT16, "tf32": hs.TF32, "e4m3": hs.E4M3, "e5m2": hs.E5M2}
    for entry in TABLE:
        assert entry.accumulator.inputs == (formats[entry.inputs],) * 2
        assert row(entry.gpus[0], entry.output, entry.instruction, entry.inputs).inputs == entry.accumulator.inputs
    assert row("h100", inputs="bf16") is row("h200", "f32", "m16n8k16", "bf16")
    assert row("h100", inputs="e4m3") is row("h100", instruction="wgmma", inputs="e4m3")
    assert row("l40s", "f16", inputs="e5m2") is row("ada", "f16", "m16n8k32", "e5m2")
    assert row("a100", inputs="tf32") is row("a100", "f32", "m16n8k8", "tf32")


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ("h100:f32:bf16", ("h100", "f32", None, "bf16")),
        ("h100:f32:wgmma:e4m3", ("h100", "f32", "wgmma", "e4m3")),
        ("h100:f32:e4m3:wgmma", ("h100", "f32", "wgmma", "e4m3")),
        ("ada:f16:e5m2:m16n8k16", ("ada", "f16", "m16n8k16", "e5m2")),
        ("rtx5090:f32:tf32", ("rtx5090", "f32", "m16n8k8", "tf32")),
        ("h100:f32:f16", ("h100", "f32", None, "f16")),
        ("h100:f32:f16:wgmma", ("h100", "f32", "wgmma", "f16")),
        # The instruction alone tells the format, where it has one only.
        ("a100:f32:m16n8k4", ("a100", "f32", "m16n8k4", "tf32")),
        ("mi300x:f32:v_mfma_f32_32x32x8_bf16", ("cdna3", "f32", "v_mfma_f32_32x32x8_bf16", "bf16")),
        ("mi100:f32", ("cdna1", "f32", "v_mfma_f32_16x16x16f16", "f16")),
    ],
)
def test_short_names_take_instruction_and_factors_in_any_order(text, arguments):
    assert as_accumulator(text) is row(*arguments)


def test_binary32_of_a_sum_can_be_named():
    assert as_accumulator("exact:f32") == as_accumulator("EXACT") == hs.Exact()
    assert as_accumulator("Pairwise:F32") == hs.Pairwise() and as_accumulator("compensated:f32") == hs.Compensated()
    assert hs.sum(np.float16([2048, 1]), accumulator="exact:f32") == 2049
    with pytest.raises(ValueError, match=r"unknown GPU 'fp16'"):
        as_accumulator("fp16:f32")


def test_keys_have_any_case():
    assert row("H100", "F32", "WGMMA", "E4M3") is row("h100", "f32", "wgmma", "e4m3")
    assert row("RTX_Blackwell", "F16") is row("rtx_blackwell", "f16")


def generations(inputs, output):
    return {entry.generation for entry in TABLE if (entry.inputs, entry.output) == (inputs, output)}


def test_which_generations_have_which_formats():
    amd = {"cdna1", "cdna2", "cdna3"}
    every = {entry.generation for entry in TABLE} - amd
    later = every - {"volta", "turing"}
    assert generations("f16", "f32") - amd == generations("f16", "f16") == every
    assert generations("bf16", "f32") - amd == generations("tf32", "f32") == later
    assert amd < generations("f16", "f32") & generations("bf16", "f32")
    assert generations("bf16", "f16") == generations("tf32", "f16") == set()
    for fp8 in ("e4m3", "e5m2"):
        assert generations(fp8, "f32") == generations(fp8, "f16") == later - {"ampere"}


def test_fp8_keeps_thirteen_bits_on_ada_and_hopper_only():
    for entry in TABLE:
        if not isinstance(entry.accumulator, hs.FusedDotAdd):
            continue
        narrow = entry.inputs in ("e4m3", "e5m2") and entry.generation in ("ada", "hopper")
        assert (entry.accumulator.fraction_bits == 13) == narrow
        assert entry.accumulator.output.precision == {"f16": 11, "f32": 14 if narrow else 24}[entry.output]
    # 2**-13 of the largest term is kept, 2**-14 is not; the result has no bit below either.
    a, b = np.float32([[1, 2.0**-7]]), np.float32([[1], [2.0**-6]])
    assert hs.matmul(a, b, accumulator="h100:f32:e4m3") == np.float32(1 + 2.0**-13)
    assert hs.matmul(a, b / np.float32([[1], [2]]), accumulator="h100:f32:e4m3") == 1
    assert hs.matmul(a, b / np.float32([[1], [2]]), accumulator="b200:f32:e4m3") == np.float32(1 + 2.0**-14)


@pytest.mark.parametrize("accumulator", ["h100:f32:e4m3", "ada:f32:e5m2"])
def test_thirteen_bits_of_any_addend_pass(accumulator):
    """C is cut as a term is, which for a row of 13 fraction bits is the cut to its format."""
    bits = np.random.default_rng(1).integers(0, 1 << 32, 20000).astype(np.uint32)
    bits[::3] &= 0x80FFFFFF  # subnormal ones and the smallest normal ones
    c = bits.view(np.float32)
    zeros = np.zeros((len(c), 1), np.float32)
    got = hs.dot(zeros, zeros, c, accumulator=accumulator).view(np.uint32)
    kept = np.where(np.isnan(c), 0x7FFFFFFF, bits & 0xFFFFFC00)
    assert np.array_equal(got, np.where(kept == 0x80000000, 0, kept))


def test_mixed_factors_are_a_replacement():
    mixed = replace(row("h100", inputs="e4m3"), inputs=(hs.E4M3, hs.E5M2))
    assert hs.matmul(np.float32([[448]]), np.float32([[57344]]), accumulator=mixed) == 448 * 57344
    with pytest.raises(ValueError, match=r"operand A holds 57344.0 at .*, which is no E4M3 number"):
        hs.matmul(np.float32([[57344]]), np.float32([[448]]), accumulator=mixed)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("h100", "f: accumulator='h100' is not 'GPU:output', as 'h100:f32' is, with an instruction, inputs or both"),
        ("h100:f32:bf16:tf32", "f: accumulator='h100:f32:bf16:tf32' is not 'GPU:output'"),
        ("h100:f32:wgmma:m16n8k8", "f: accumulator='h100:f32:wgmma:m16n8k8' is not 'GPU:output'"),
        (
            "h100:f32:bf17",
            r"f: 'bf17' in accumulator='h100:f32:bf17' is no .*\(m16n8k16, m16n8k8, wg.*\) and no inputs \(f16, bf16",
        ),
        ("h100:f32:tcgen05", "f: unknown instruction of h100 'tcgen05'; known are 'm16n8k16', 'm16n8k8', 'wgmma'$"),
        ("l40s:f32:m16n8k32", "f: unknown instruction of l40s with f16 inputs 'm16n8k32'; known are 'm16n8k16', 'm1"),
        ("gtx:f32", "f: unknown GPU 'gtx'; known .*; accumulators of no GPU are fp16, fp32, exact, pairwise, compens"),
        ("v100:f32:bf16", "f: unknown inputs of v100:f32 'bf16'; known are 'f16'$"),
        ("h100:f16:tf32", "f: unknown inputs of h100:f16 'tf32'; known are 'f16', 'e4m3', 'e5m2'$"),
        ("h100:f32:e4m3:m16n8k16", "f: unknown instruction of h100 with e4m3 inputs 'm16n8k16'; known are 'wgmma'$"),
    ],
)
def test_unknown_short_names_list_the_known(text, message):
    with pytest.raises(ValueError, match=message):
        as_accumulator(text, "f")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("gtx", "f32"), "tensorcores.row: unknown GPU 'gtx'; known are 'v100', 't4', 'a100'.*'rtx_blackwell'"),
        (("h100", "f64"), "tensorcores.row: unknown output of h100 'f64'; known are 'f32', 'f16'"),
        (("h100", "f32", "tcgen05"), "unknown instruction of h100 'tcgen05'; known are 'm16n8k16', 'm16n8k8', 'wgmma'"),
        (("a100", "f32", "m8n8k4"), "unknown instruction of a100 'm8n8k4'; known are 'm16n8k16', 'm16n8k8'$"),
        (("a100", "f32", None, "e4m3"), "row: unknown inputs of a100:f32 'e4m3'; known are 'f16', 'bf16', 'tf32'$"),
        (("h100", "f32", None, "bf17"), "known are 'f16', 'bf16', 'tf32', 'e4m3', 'e5m2'$"),
    ],
)
def test_unknown_keys_list_the_known(arguments, message):
    with pytest.raises(ValueError, match=message):
        row(*arguments)
