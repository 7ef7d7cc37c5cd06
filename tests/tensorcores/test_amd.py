"""AMD's rows: which there are, and neighbours of each that must fail against the differential oracle."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

import halfsim as hs
from halfsim.tensorcores import TABLE, EvidenceKind, as_accumulator, row
from tests.tensorcores.oracle import operations, simulate
from tests.tensorcores.test_differential import backward, misread, ours, product
from tests.tensorcores.tiles import DTYPES, KINDS, Tile

ROWS = {f"{e.architecture}-{e.instruction}": e for e in TABLE if e.generation.startswith("cdna")}
DEFAULTS = [
    *("gfx908-v_mfma_f32_16x16x16f16", "gfx908-v_mfma_f32_16x16x8bf16"),
    *("gfx90a-v_mfma_f32_16x16x16f16", "gfx90a-v_mfma_f32_16x16x16bf16_1k", "gfx90a-v_mfma_f32_16x16x8bf16"),
    *("gfx942-v_mfma_f32_16x16x16_f16", "gfx942-v_mfma_f32_16x16x16_bf16", "gfx942-v_mfma_f32_32x32x4_2b_bf16"),
]
SIZE = 20


def controls(accumulator):
    """Neighbours of a row that are not what the hardware computes."""
    terms = accumulator.terms
    changes = {"terms * 2": {"terms": 2 * terms}, "terms / 2": {"terms": terms // 2}, "truncated": {"rounding": "rtz"}}
    wide = accumulator.inputs[0] == hs.BFLOAT16
    match accumulator:
        case hs.ExactDotAdd():
            changes["down"] = {"rounding": "rdn"}
        case hs.PairwiseDotAdd(environment=environment):
            if terms == accumulator.depth:
                changes["terms * 2"]["depth"] = 2 * terms
            changes["gradual"] = {"environment": hs.Environment()}
            changes["inputs kept"] = {"environment": replace(environment, flush_inputs=False)}
            if wide:  # results of binary16 factors are never subnormal, if C is not
                changes["results kept"] = {"environment": replace(environment, flush_results=False)}
        case hs.TwoStageDotAdd():
            for name in ("term_bits", "product_bits", "addend_bits", "total_bits"):
                changes |= {f"{name} {d:+}": {name: getattr(accumulator, name) + d} for d in (-1, 1)}
            # No operands tell these: a sum with bits so low has an exponent at least 9 below C's, the total is at
            # least half of C, and its own cut takes those bits off, downward as the first one.
            del changes["product_bits +1"]
            changes["products cut down"] = {"align": "rdn"}
            changes["later cuts toward zero"] = {"join": "rtz"}
            changes["release 1.x"] = {"product_bits": 31, "total_bits": 62}
    return {name: replace(accumulator, **change) for name, change in changes.items()}


def kinds(accumulator):
    """The other two kinds, with the same blocks."""
    same = {"terms": accumulator.terms, "inputs": accumulator.inputs}
    flushing = hs.Environment(flush_inputs=True, flush_results=True)
    all_kinds = [
        hs.ExactDotAdd(**same),
        hs.PairwiseDotAdd(**same, depth=32, environment=flushing),
        hs.TwoStageDotAdd(**same, term_bits=24, product_bits=32, addend_bits=24, total_bits=31),
        hs.FusedDotAdd(**same, fraction_bits=24, zero_exponent=-132),
    ]
    return [other for other in all_kinds if type(other) is not type(accumulator)]


def settled(inputs):
    """C is one, and a product brings it to a tie, above or below one, that tiny products of either sign decide."""
    rng = np.random.default_rng(4)
    a, b = np.zeros((64, 32)), np.zeros((32, 64))
    a[:, 0], b[0] = rng.choice([1, 2, 3, 5, 6, 7], 64) * 2.0**-12, rng.choice([-1, 1], 64) * 2.0**-13
    for k in (1, 2):
        a[:, k] = np.ldexp(rng.choice([-1, 0, 1], 64), -rng.integers(14, 19, 64))
        b[k] = np.ldexp(rng.choice([1, 1.5], 64), -rng.integers(14, 19, 64))
    dtype = DTYPES[inputs[0]]
    a, b = (x.astype(dtype).view(np.uint16).astype(np.int64) for x in (a, b))
    return Tile(inputs, a, b, rng.choice([-1, 1, 1 + 2.0**-23], (64, 64)).astype(np.float32))


@pytest.mark.parametrize("name", DEFAULTS)
def test_control_rows_fail_against_the_differential_oracle(name):
    entry = ROWS[name]
    (operation,) = operations(entry)
    cases = [ours(entry.accumulator, "f32", kind, 1, SIZE)[0] for kind in KINDS]
    cases.append(settled(entry.accumulator.inputs))
    pairs = [(case, simulate(operation, case)) for case in cases]

    def differing(accumulator):
        return sum(int((product(accumulator, case) != want).sum()) for case, want in pairs)

    assert differing(entry.accumulator) == 0
    survivors = [change for change, wrong in controls(entry.accumulator).items() if not differing(wrong)]
    assert survivors == []
    assert all(differing(other) for other in kinds(entry.accumulator))
    assert any((product(entry.accumulator, backward(case)) != want).any() for case, want in pairs)
    other = hs.BINARY16 if entry.inputs == "bf16" else hs.BFLOAT16
    wrong = replace(entry.accumulator, inputs=other)
    assert min((product(wrong, misread(case, other)) != want).mean() for case, want in pairs[:3]) > 0.3


def test_the_operands_are_mostly_numbers():
    for name in DEFAULTS:
        results = np.concatenate([ours(ROWS[name].accumulator, "f32", kind, 1, SIZE)[1].ravel() for kind in KINDS])
        assert 0.7 < np.isfinite(results.view(np.float32)).mean() < 1


@pytest.mark.parametrize(
    ("gpu", "inputs", "kind", "terms", "instruction"),
    [
        ("mi100", "f16", hs.ExactDotAdd, 4, "v_mfma_f32_16x16x16f16"),
        ("mi100", "bf16", hs.ExactDotAdd, 2, "v_mfma_f32_16x16x8bf16"),
        ("mi210", "f16", hs.PairwiseDotAdd, 4, "v_mfma_f32_16x16x16f16"),
        ("mi250x", "bf16", hs.PairwiseDotAdd, 4, "v_mfma_f32_16x16x16bf16_1k"),
        ("mi300a", "f16", hs.TwoStageDotAdd, 8, "v_mfma_f32_16x16x16_f16"),
        ("mi300x", "bf16", hs.TwoStageDotAdd, 8, "v_mfma_f32_16x16x16_bf16"),
    ],
)
def test_the_default_instruction_is_the_deepest(gpu, inputs, kind, terms, instruction):
    default = row(gpu, inputs=inputs)
    assert isinstance(default, kind)
    assert default.terms == terms
    assert default.inputs == (hs.BINARY16 if inputs == "f16" else hs.BFLOAT16,) * 2
    assert default == row(gpu, "f32", instruction, inputs)
    assert as_accumulator(f"{gpu}:f32:{instruction}:{inputs}") == default
    entries = [e for e in TABLE if gpu in e.gpus and e.inputs == inputs]
    depths = [int(re.search(r"\d+x\d+x(\d+)", e.instruction)[1]) for e in entries]
    assert entries[0].instruction == instruction and depths[0] == max(depths)
    for entry, depth in zip(entries, depths, strict=True):
        assert depth % entry.accumulator.terms == 0
        assert getattr(entry.accumulator, "depth", depth) == depth


def test_legacy_bfloat16_instructions_have_blocks_of_two():
    assert row("cdna2", inputs="bf16", instruction="v_mfma_f32_16x16x8bf16").terms == 2
    assert row("mi300x", inputs="bf16", instruction="v_mfma_f32_4x4x4_16b_bf16").terms == 4


def test_the_evidence_is_one_simulator():
    assert len(ROWS) == 35
    for entry in ROWS.values():
        assert entry.confidence == "C" and entry.output == "f32"
        assert [item.kind for item in entry.evidence] == [EvidenceKind.simulator, EvidenceKind.inferred]
        assert "NaN bits, which are not compared" in entry.accumulator.evidence
        assert ("last bits" in entry.accumulator.evidence) == (entry.generation == "cdna3")


def test_what_a_gpu_lacks_is_named():
    with pytest.raises(ValueError, match="unknown output of mi300x 'f16'; known are 'f32'"):
        row("mi300x", "f16")
    with pytest.raises(ValueError, match="unknown inputs of mi100:f32 'e4m3'; known are 'f16', 'bf16'"):
        row("mi100", inputs="e4m3")
    with pytest.raises(ValueError, match="known are 'v_mfma_f32_16x16x16_f16', 'v_mfma_f32_32x32x8_f16'"):
        row("mi300a", instruction="v_mfma_f32_32x32x8f16")


# 2**23 - 2**23 - 0.5 - 0.25 and C = -0.125. The sum is -0.875; CDNA3 drops the -0.25 beside 2**23, whose 24th fraction
# bit is 0.5, and rounds C down to -0.5.
@pytest.mark.parametrize(("gpu", "want"), [("mi100", -0.875), ("mi250x", -0.875), ("mi300x", -1.0)])
def test_a_cancellation_by_hand(gpu, want):
    a = np.array([4096, 4096, -0.5, -0.25], np.float16)
    b = np.array([2048, -2048, 1, 1], np.float16)
    assert hs.dot(a, b, np.float32(-0.125), accumulator=f"{gpu}:f32") == want
