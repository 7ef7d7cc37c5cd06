"""The rows of NVIDIA's tensor cores: published outputs of GPUs, and rows that must fail on them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import halfsim as hs
from halfsim.tensorcores import TABLE, row

BOARDS = {
    "V100": "v100",
    "A100": "a100",
    "A2": "a10",
    "Ada": "l40s",
    "L40S": "l40s",
    "H100": "h100",
    "H200": "h200",
    "B200": "b200",
}
OUTPUTS = {"f32": (np.uint32, np.float32, 32), "f16": (np.uint16, np.float16, 16)}


@pytest.fixture(scope="module")
def captures(gpu_data):
    with np.load(gpu_data / "khattak_mikaitis_fp16.npz") as file:
        return {name: file[name] for name in file.files}


def captured(captures, board, output, accumulator):
    """Our patterns and the GPU's for one board's file."""
    patterns, dtype, width = OUTPUTS[output]
    a, b = captures[f"{board}_A"].view(np.float16), captures[f"{board}_B"].view(np.float16)
    got = hs.dot(a, b, captures[f"{board}_C{width}"].view(dtype), accumulator=accumulator)
    return got.view(patterns), captures[f"{board}_D{width}"]


# All that the binary16 captures exclude of 22 to 27 fraction bits and of other cuts, by one to four outputs of 5,000.
# The rest rests on the differential oracle alone: on V100 all of it, on Ada the fraction bits.
EXCLUDED = {
    "V100": set(),
    "A100": {22, 23, "rdn"},
    "A2": {22},
    "Ada": {"rdn"},
    "L40S": {"rdn"},
    "H100": {22, 26, 27, "rdn", "rne"},
    "H200": {22, 23, "rdn"},
    "B200": {22, 23, 24},
}


@pytest.mark.parametrize("board", BOARDS)
def test_what_the_binary16_captures_can_tell(captures, board):
    accumulator = row(BOARDS[board], "f16")
    variants = {bits: replace(accumulator, fraction_bits=bits) for bits in range(22, 28)}
    variants |= {cut: replace(accumulator, align=cut) for cut in ("rdn", "rne")}
    differing = {key: np.not_equal(*captured(captures, board, "f16", wrong)).sum() for key, wrong in variants.items()}
    assert {key for key, count in differing.items() if count} == EXCLUDED[board]
    assert max(differing.values()) < 5


@pytest.mark.parametrize(
    ("gpu", "want"), [("v100", 0.0), ("t4", -0.5), ("a100", -0.5), ("ada", -0.5), ("h100", -0.75), ("b200", -0.75)]
)
def test_the_published_cancellation(gpu, want):
    # 2**23, -2**23, -0.5, -0.25 and -0.125: the exact sum is -0.875 (MMA-Sim, arXiv:2511.10909).
    a = np.array([4096, 4096, -0.5, -0.25], np.float16)
    b = np.array([2048, -2048, 1, 1], np.float16)
    assert hs.dot(a, b, np.float32(-0.125), accumulator=f"{gpu}:f32") == want


def test_three_rule_sets_cover_every_default():
    rules = {
        (r.terms, r.fraction_bits, r.zero_exponent)
        for gpu in BOARDS.values()
        for r in (row(gpu, "f32"), row(gpu, "f16"))
    }
    assert rules == {(4, 23, -131), (4, 23, -19), (8, 24, -132), (8, 24, -20), (16, 25, -133), (16, 25, -21)}
    assert row("a100", "f32") == row("ada", "f32") == row("t4")
    assert row("h100", "f16") == row("b200", "f16") == row("rtx5090", "f16")
    widest: dict[tuple[str, str], int] = {}
    entries = [entry for entry in TABLE if isinstance(entry.accumulator, hs.FusedDotAdd)]
    for entry in entries:
        key = entry.generation, entry.instruction if entry.generation == "turing" else ""
        widest[key] = max(widest.get(key, 0), entry.accumulator.fraction_bits)
    for entry in entries:
        # A pattern of the published numbers; FP8 that keeps 13 fraction bits has the zero exponent of other formats.
        bias = 127 if entry.output == "f32" else 15
        key = entry.generation, entry.instruction if entry.generation == "turing" else ""
        assert entry.accumulator.zero_exponent == 19 - widest[key] - bias
