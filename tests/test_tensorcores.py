"""The tensor-core rows: published GPU outputs, a differential oracle, and rows that must fail."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pytest

import halfsim as hs
from halfsim.tensorcores import TABLE, as_accumulator, row

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


@pytest.fixture(scope="module")
def facts(gpu_data):
    return json.loads((gpu_data / "facts.json").read_text())


def captured(captures, board, output, accumulator):
    """Our patterns and the GPU's for one board's file."""
    patterns, dtype, width = OUTPUTS[output]
    a, b = captures[f"{board}_A"].view(np.float16), captures[f"{board}_B"].view(np.float16)
    got = hs.dot(a, b, captures[f"{board}_C{width}"].view(dtype), accumulator=accumulator)
    return got.view(patterns), captures[f"{board}_D{width}"]


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("board", BOARDS)
def test_all_captured_outputs_agree(captures, board, output):
    got, want = captured(captures, board, output, row(BOARDS[board], output))
    assert len(want) == 5000
    assert np.array_equal(got, want)


def controls(accumulator):
    """Neighbours of a row that are not what the hardware computes."""
    wrong = {
        "fraction_bits - 1": replace(accumulator, fraction_bits=accumulator.fraction_bits - 1),
        "fraction_bits + 1": replace(accumulator, fraction_bits=accumulator.fraction_bits + 1),
        "terms / 2": replace(accumulator, terms=accumulator.terms // 2),
        "align down": replace(accumulator, align="rdn"),
        "align to nearest": replace(accumulator, align="rne"),
    }
    wide = accumulator.output == hs.BINARY32
    wrong["other rounding"] = replace(accumulator, rounding="rne" if wide else "rtz")
    return wrong


@pytest.mark.parametrize("board", BOARDS)
def test_control_rows_fail_on_the_captures(captures, board):
    for name, wrong in controls(row(BOARDS[board], "f32")).items():
        got, want = captured(captures, board, "f32", wrong)
        assert np.mean(got != want) > 0.05, name
    narrow = controls(row(BOARDS[board], "f16"))
    for name in ("terms / 2", "other rounding"):
        got, want = captured(captures, board, "f16", narrow[name])
        assert np.mean(got != want) > 0.05, name


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


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("board", BOARDS)
def test_the_captures_cannot_tell_longer_blocks(captures, board, output):
    # Every captured output has the products of one block: that blocks are no longer, the probes below show for binary32
    # on Volta and Ampere; for Hopper and later, and for binary16, only the differential oracle does.
    accumulator = row(BOARDS[board], output)
    assert captures[f"{board}_A"].shape[1] == accumulator.terms
    got, want = captured(captures, board, output, replace(accumulator, terms=2 * accumulator.terms))
    assert len(want) == 5000
    assert np.array_equal(got, want)


def words(texts, dtype):
    return np.array([[int(x, 16) for x in text.split()] for text in texts]).astype(dtype)


def probes(rows, column):
    a, b = (words([r[i] for r in rows], np.uint16).view(np.float16) for i in (0, 1))
    c, d = (words([r[i] for r in rows], np.uint32)[:, 0] for i in (2, column))
    return a, b, c.view(np.float32), d


@pytest.mark.parametrize(("gpu", "column"), [("volta", 3), ("ampere", 4), ("hopper", 5)])
def test_all_probed_outputs_agree(facts, gpu, column):
    a, b, c, want = probes(facts["dot16_probes"]["rows"], column)
    assert len(want) == 89
    assert np.array_equal(hs.dot(a, b, c, accumulator=row(gpu, "f32")).view(np.uint32), want)
    if gpu != "hopper":
        # The probes have 16 products: they see blocks twice as long unless those are longer than that.
        double = replace(row(gpu, "f32"), terms=2 * row(gpu, "f32").terms)
        assert not np.array_equal(hs.dot(a, b, c, accumulator=double).view(np.uint32), want)


LOGGED = [("RTX3080", "a10", 13), ("A10", "a10", 13), ("RTX4090", "ada", 19), ("RTX5090", "rtx5090", 19)]


@pytest.mark.parametrize(("board", "gpu", "count"), LOGGED)
def test_all_logged_outputs_agree(facts, board, gpu, count):
    rows = [r[1:] for r in facts["dot4_probes"]["gpus"][board]["rows"]]
    a, b, c, want = probes(rows, 3)
    assert len(want) == count
    assert np.array_equal(hs.dot(a, b, c, accumulator=row(gpu, "f32")).view(np.uint32), want)


@pytest.mark.parametrize(
    ("gpu", "want"), [("v100", 0.0), ("t4", -0.5), ("a100", -0.5), ("ada", -0.5), ("h100", -0.75), ("b200", -0.75)]
)
def test_the_published_cancellation(gpu, want):
    # 2**23, -2**23, -0.5, -0.25 and -0.125: the exact sum is -0.875 (MMA-Sim, arXiv:2511.10909).
    a = np.array([4096, 4096, -0.5, -0.25], np.float16)
    b = np.array([2048, -2048, 1, 1], np.float16)
    assert hs.dot(a, b, np.float32(-0.125), accumulator=f"{gpu}:f32") == want


# The differential oracle's names for our rows.
ARCHITECTURES = {
    "volta": "Volta",
    "turing": "Turing",
    "ampere": "Ampere",
    "ada": "Ada Lovelace",
    "hopper": "Hopper",
    "blackwell": "Blackwell",
    "rtx_blackwell": "RTX Blackwell",
}


def oracle(entry):
    pytest.importorskip("torch")
    nv = pytest.importorskip("mmasim.nv_ptx.sim", reason="the optional oracle mmasim is not installed")
    architecture, out = ARCHITECTURES[entry.generation], entry.output
    if entry.instruction == "wgmma":
        return nv.WGMMA(architecture, f"m64n8k16.{out}.f16.f16")
    if entry.instruction == "tcgen05":
        return nv.TCGen05MMA(architecture, f"m128n16k16.kind::f16.{out}.f16.f16")
    return nv.MMA(architecture, f"{entry.instruction}.{out}.f16.f16.{out}")


def simulate(operation, A, B, C):
    """Instruction after instruction along K."""
    import torch

    a = torch.from_numpy(A)[:, None, :].expand(len(A), B.shape[1], A.shape[1])
    b = torch.from_numpy(B.T.copy())[None].expand(len(A), B.shape[1], A.shape[1])
    d = torch.from_numpy(C)
    for k in range(0, A.shape[1], operation.k):
        d = operation.dpa(a[..., k : k + operation.k], b[..., k : k + operation.k], d)
    return d.numpy()


def random_words(rng, shape, low=0, high=0x7C00):
    return (rng.integers(low, high, shape) | rng.integers(0, 2, shape) << 15).astype(np.uint16).view(np.float16)


def data(kind, output, rng, m=24, k=32, n=24):
    """Operands that put a model of the unit to the test."""
    dtype = OUTPUTS[output][1]
    A, B = (rng.standard_normal(shape).astype(np.float16) for shape in ((m, k), (k, n)))
    C = rng.standard_normal((m, n)).astype(dtype)
    if kind == "bits":
        A, B = random_words(rng, (m, k)), random_words(rng, (k, n))
    elif kind == "cancelling":
        A[:, 1::2] = -A[:, ::2]
        B[1::2] = B[::2]
        B[1::2, ::3] = np.nextafter(B[::2, ::3], np.float16(0))
    elif kind == "subnormal":
        A, B = random_words(rng, (m, k), 0, 0x2000), random_words(rng, (k, n), 0, 0x1000)
        C = random_words(rng, (m, n), 0, 0x20).astype(dtype) * (rng.random((m, n)) < 0.5)
        C = C.astype(dtype)
    elif kind == "tied":
        A, B = (np.ldexp(1, rng.integers(-12, 3, shape)).astype(np.float16) for shape in ((m, k), (k, n)))
        A *= rng.choice([-1, 0, 1], A.shape).astype(np.float16)
        C = np.ldexp(1.0, rng.integers(-20, 8, (m, n))).astype(dtype)
    elif kind == "sticky":
        # A tie of binary16, its lower neighbour even or odd, that the cut of a third, tiny product decides.
        A[:, 3:], C[:] = 0, 0
        A[:, 0], B[0], B[1] = 1 + rng.integers(0, 2, m) * 2.0**-10, 1, 1
        A[:, 1] = 2.0**-11
        A[:, 2] = np.ldexp(rng.uniform(-2, 2, m), rng.integers(-15, -10, m)).astype(np.float16)
        B[2] = np.ldexp(rng.uniform(1, 2, n), rng.integers(-13, -10, n)).astype(np.float16)
    elif kind == "large":
        A, B = random_words(rng, (m, k), 0x7000), random_words(rng, (k, n), 0x5000)
        C = np.clip(C.astype(np.float64) * 60000, -65504, 65504).astype(dtype)
    elif kind == "special":
        for X in (A, B):
            mask = rng.random(X.shape) < 0.02
            X[mask] = rng.choice([np.inf, -np.inf, np.nan, 0, -0.0], mask.sum())
        mask = rng.random(C.shape) < 0.1
        C[mask] = rng.choice([np.inf, -np.inf, np.nan, -0.0], mask.sum())
    elif kind == "any C" and output == "f32":
        C = rng.integers(0, 2**32, (m, n)).astype(np.uint32).view(np.float32)
    elif kind == "any C":
        C = rng.integers(0, 2**16, (m, n)).astype(np.uint16).view(np.float16)
    return A, B, C


KINDS = ("normal", "bits", "cancelling", "subnormal", "tied", "sticky", "large", "special", "any C")
ROWS = {f"{e.generation}-{e.architecture}-{e.instruction}-{e.output}": e for e in TABLE}


@pytest.mark.parametrize("name", ROWS)
def test_rows_agree_with_the_differential_oracle(name):
    entry = ROWS[name]
    operation = oracle(entry)
    patterns = OUTPUTS[entry.output][0]
    for seed, kind in enumerate(KINDS):
        A, B, C = data(kind, entry.output, np.random.default_rng(seed))
        want = simulate(operation, A, B, C).view(patterns)
        got = hs.matmul(A, B, C, accumulator=entry.accumulator).view(patterns)
        wrong = np.argwhere(got != want)
        assert len(wrong) == 0, (kind, len(wrong), [(hex(got[tuple(i)]), hex(want[tuple(i)])) for i in wrong[:4]])


@pytest.mark.parametrize("name", [n for n, e in ROWS.items() if e.instruction in ("m8n8k4", "m16n8k16", "m16n8k8")])
def test_control_rows_fail_against_the_differential_oracle(name):
    entry = ROWS[name]
    operation = oracle(entry)
    patterns = OUTPUTS[entry.output][0]
    wrong = controls(entry.accumulator)
    wrong["terms * 2"] = replace(entry.accumulator, terms=2 * entry.accumulator.terms)
    cases = [data(kind, entry.output, np.random.default_rng(9)) for kind in ("normal", "cancelling", "tied", "sticky")]
    want = [simulate(operation, *case).view(patterns) for case in cases]
    for change, accumulator in wrong.items():
        got = [hs.matmul(*case, accumulator=accumulator).view(patterns) for case in cases]
        assert any((g != w).any() for g, w in zip(got, want, strict=True)), change


def test_three_rule_sets_cover_every_default():
    rules = {
        (r.terms, r.fraction_bits, r.zero_exponent)
        for gpu in BOARDS.values()
        for r in (row(gpu, "f32"), row(gpu, "f16"))
    }
    assert rules == {(4, 23, -131), (4, 23, -19), (8, 24, -132), (8, 24, -20), (16, 25, -133), (16, 25, -21)}
    assert row("a100", "f32") == row("ada", "f32") == row("t4")
    assert row("h100", "f16") == row("b200", "f16") == row("rtx5090", "f16")
    for entry in TABLE:
        bias = 127 if entry.output == "f32" else 15
        assert entry.accumulator.zero_exponent == 19 - entry.accumulator.fraction_bits - bias


def test_every_row_has_its_evidence():
    for entry in TABLE:
        assert entry.accumulator.source
        assert entry.accumulator.evidence
        assert entry.confidence in "ABC"
        assert re.fullmatch(r"sm_\d+a?", entry.architecture)
        assert (entry.confidence == "A") == ("captured outputs agree" in entry.accumulator.evidence)


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


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("gtx", "f32"), "tensorcores.row: unknown GPU 'gtx'; known are 'v100', 't4', 'a100'.*'rtx_blackwell'"),
        (("h100", "f64"), "tensorcores.row: unknown output of h100 'f64'; known are 'f32', 'f16'"),
        (("h100", "f32", "tcgen05"), "unknown instruction of h100 'tcgen05'; known are 'm16n8k16', 'm16n8k8', 'wgmma'"),
        (("a100", "f32", "m8n8k4"), "unknown instruction of a100 'm8n8k4'; known are 'm16n8k16', 'm16n8k8'$"),
    ],
)
def test_unknown_keys_list_the_known(arguments, message):
    with pytest.raises(ValueError, match=message):
        row(*arguments)
