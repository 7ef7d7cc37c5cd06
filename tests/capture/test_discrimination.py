"""What sets of outputs can tell: each neighbour of a row that agrees with them is reported, with the reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import halfsim as hs
from halfsim.accumulators import FusedDotAdd
from halfsim.capture.discrimination import NEIGHBOURS, Discrimination, discriminate, joined
from halfsim.capture.experiments import experiments
from halfsim.capture.tiles import chains, tiles
from halfsim.capture.variants import AFTERWARDS, NORMALISED, PLAIN, WIDE, Variant
from halfsim.tensorcores import EvidenceKind, TensorCore
from tests.published import WORDS, load

SHAPE = (16, 8, 16)
FLOATS = {"f32": np.float32, "f16": np.float16}
# One row of each rule set and output, and Hopper's small shape; the others differ in evidence alone.
ROWS = {
    f"{gpu}-{output}" + (f"-{instruction}" if instruction else ""): hs.tensorcores.row(gpu, output, instruction)
    for gpu, instruction in (("v100", None), ("a100", None), ("h100", None), ("h100", "m16n8k8"))
    for output in ("f32", "f16")
}
OPERANDS = {
    "experiments": lambda kind: experiments(kind, SHAPE),
    "tiles": lambda kind: tiles(1, SHAPE, 4),
    "chains": lambda kind: chains(1, SHAPE, 256),
}


def operands(name: str, kind: str) -> tuple[Any, Any, Any]:
    made = OPERANDS[name](kind)
    return made["A"].view(np.float16), made["B"].view(np.float16), made[f"C.{kind}"].view(FLOATS[kind])


def words(values: Any, kind: str) -> Any:
    """Patterns of values, NaN being the canonical one."""
    patterns = np.asarray(values).astype(FLOATS[kind]).view(WORDS[kind])
    return np.where(np.isnan(values), np.iinfo(patterns.dtype).max >> 1, patterns)


# ----------------------------------------------------------------------------------------------- the whole-number model


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("kind", OPERANDS)
def test_the_second_model_is_the_row_where_nothing_is_varied(name: str, kind: str) -> None:
    row, output = ROWS[name], name.split("-")[1]
    A, B, C = operands(kind, output)
    with np.errstate(invalid="ignore"):
        got = PLAIN.matmul(row, *(x.astype(np.float64) for x in (A, B, C)))
    assert np.array_equal(words(got, output), hs.matmul(A, B, C, accumulator=row).view(WORDS[output]))


@pytest.mark.parametrize(
    ("variant", "name", "a", "b", "c", "plain", "varied"),
    [
        # Two products of 2.25 cancel; beside them a unit of 2^-23 keeps 2^-23 but not 2^-24, one of 2^-22 neither.
        (NORMALISED, "v100-f32", [1.5, -1.5, 2**-12], [1.5, 1.5, 2**-11], 2**-24, 2**-23, 0.0),
        # The unit of 8 that 2^27 sets cuts C; added afterwards it is there.
        (AFTERWARDS, "a100-f32", [2**14, -(2**14)], [2**13, 2**13], 7.0, 0.0, 7.0),
        # C sets the unit of 2 that cuts 1 when it is a term, and 2^25 + 1 is cut to 24 bits afterwards as well.
        (AFTERWARDS, "a100-f32", [1.0], [1.0], 2.0**25, 2.0**25, 2.0**25),
        (AFTERWARDS, "v100-f32", [1.0, 2**-14], [1.0, 2**-10], -1.0, 0.0, 0.0),
        # The sum is exactly zero, with nothing to add.
        (AFTERWARDS, "v100-f32", [0.0], [0.0], 0.0, 0.0, 0.0),
        # 2048 + 1, then + 1: binary16 loses both ones, binary32 neither.
        (WIDE, "a100-f16", [1.0, *[0.0] * 7, 1.0], [1.0, *[0.0] * 7, 1.0], 2048.0, 2048.0, 2050.0),
        # The last block rounds once, to binary16: 1 + 2^-11 + 2^-24 is above the tie, though binary32 would drop 2^-24.
        (WIDE, "a100-f16", [1.0, 2**-11, 2**-12], [1.0, 1.0, 2**-12], 0.0, 1 + 2**-10, 1 + 2**-10),
    ],
)
def test_variants_by_hand(
    variant: Variant, name: str, a: list[float], b: list[float], c: float, plain: float, varied: float
) -> None:
    row = ROWS[name]
    factors = np.array([a]), np.array(b)[:, None]
    assert all((x == x.astype(np.float16)).all() for x in factors)
    for rule, wanted in ((PLAIN, plain), (variant, varied)):
        assert rule.matmul(row, *factors, np.array([[c]]))[0, 0] == wanted


# ------------------------------------------------------------------------------------------------ what sets cannot tell

ONE_BLOCK = {"L * 2", "order reversed", "wide between blocks"}
ZERO = {"z - 1", "z + 1"}
BITS = {"F - 1", "F + 1", "normalised products", "C afterwards", "floored terms", "rounded terms"}
CANCELLING = {"L / 2", "rounded terms", "normalised products", "floored terms", "other rounding"}
# By source, board and output: the neighbours that agree with every published output. One non-zero block per output
# decides nothing about the next; z can act in binary16 beside tiny products alone, in binary32 never; and behind a
# rounding to 11 bits the bits of a block are seen in the rare ties only.
UNTOLD = {
    **{
        f"khattak2025, {gpu}, f32": ONE_BLOCK - {"wide between blocks"} | ZERO
        for gpu in ("V100", "A100", "A2", "RTX 1000 Ada", "L40S", "H100", "H200", "B200")
    },
    "khattak2025, V100, f16": ONE_BLOCK | ZERO | BITS,
    "khattak2025, A100, f16": ONE_BLOCK | ZERO | BITS - {"F - 1", "floored terms"},
    "khattak2025, A2, f16": ONE_BLOCK | ZERO | BITS,
    "khattak2025, RTX 1000 Ada, f16": ONE_BLOCK | ZERO | BITS - {"floored terms"},
    "khattak2025, L40S, f16": ONE_BLOCK | ZERO | BITS - {"floored terms"},
    "khattak2025, H100, f16": ONE_BLOCK | ZERO | BITS - {"F + 1", "floored terms", "rounded terms"},
    "khattak2025, H200, f16": ONE_BLOCK | ZERO | BITS - {"floored terms"},
    "khattak2025, B200, f16": ONE_BLOCK | ZERO | BITS - {"F - 1", "normalised products"},
    # Sums of powers of two: no product of 2 or more decides, cut terms are at most half a unit, and on Volta no sum has
    # more than 24 bits.
    "mmascope, Volta, board not named, f32": ZERO | {"normalised products", "rounded terms", "other rounding"},
    "mmascope, Ampere, board not named, f32": ZERO | {"normalised products", "rounded terms"},
    "mmascope, Hopper, board not named, f32": ZERO
    | ONE_BLOCK - {"wide between blocks"}
    | {"normalised products", "rounded terms"},
    # Four products, all powers of two, in one block and next to nothing to cut.
    **{
        f"lookup1980, {gpu}, f32": ZERO | CANCELLING | {"L * 2", "order reversed"}
        for gpu in ("RTX 3080", "A10", "RTX 4090", "RTX 5090")
    },
}


def untold(found: tuple[Discrimination, ...]) -> set[str]:
    return {item.neighbour for item in found if not item.told}


def test_what_published_outputs_cannot_tell(gpu_data: Path) -> None:
    reported = {}
    for item in load(gpu_data):
        a, b = item.a.view(np.float16)[:, None, :], item.b.view(np.float16)[:, :, None]
        c, d = item.c.view(FLOATS[item.row.output])[:, None, None], item.d[:, None, None]
        accumulator = item.row.accumulator
        assert isinstance(accumulator, FusedDotAdd)
        found = discriminate(accumulator, a, b, c, d)
        assert all(entry.outputs == len(item.d) and bool(entry.reason) == (not entry.told) for entry in found)
        reported[item.name] = untold(found)
    assert reported == UNTOLD


CAPTURED = [
    pytest.param(row, id=f"{row.architecture}-{row.instruction}-{row.output}")
    for row in hs.tensorcores.TABLE
    if any(item.captured for item in row.evidence)  # own captures are counted again in tests/test_evidence.py
]


@pytest.mark.parametrize("row", CAPTURED)
def test_the_limits_of_a_row_name_what_its_sets_cannot_tell(row: TensorCore) -> None:
    sets = []
    for item in row.evidence:
        if item.kind is EvidenceKind.publishedCapture:
            boards = [UNTOLD[f"{item.source}, {gpu}, {row.output}"] for gpu in item.gpus]
            assert item.untold is not None and len(set(item.untold)) == len(item.untold)
            assert set(item.untold) == set.intersection(*boards) <= NEIGHBOURS.keys()
            sets += boards
        elif item.kind is EvidenceKind.ownCapture:
            sets.append(set(item.untold or ()))
    together = set.intersection(*sets)
    limits = " ".join(item.limits for item in row.evidence)
    assert all(name in limits for name in together)
    assert (row.confidence == "A") == (not together & {"L / 2", "other rounding"})


def test_every_published_set_is_evidence_of_a_row() -> None:
    published = EvidenceKind.publishedCapture
    named = {
        f"{item.source}, {gpu}, {row.output}"
        for row in hs.tensorcores.TABLE
        for item in row.evidence
        for gpu in item.gpus
        if item.kind is published
    }
    assert named == UNTOLD.keys()


# What the named experiments alone cannot tell, as the row's own answers show: they have K = 16, one block on Hopper and
# later but for the small shape; the chains of instructions decide there. z never acts in binary32.
EXPERIMENTS_UNTOLD = {
    "v100-f32": ZERO,
    "v100-f16": set(),
    "a100-f32": ZERO,
    "a100-f16": set(),
    "h100-f32": ZERO | {"L * 2", "order reversed"},
    "h100-f16": ONE_BLOCK,
    "h100-f32-m16n8k8": ZERO,
    "h100-f16-m16n8k8": set(),
}
REASONS = {
    **dict.fromkeys(ONE_BLOCK, "every sum is one block"),
    **dict.fromkeys(ZERO, "no product of binary16 factors is as small as z"),
}


def answered(name: str, kind: str) -> tuple[Discrimination, ...]:
    """What a capture would tell on hardware that answers as the row does."""
    row, output = ROWS[name], name.split("-")[1]
    A, B, C = operands(kind, output)
    return discriminate(row, A, B, C, hs.matmul(A, B, C, accumulator=row).view(WORDS[output]))


@pytest.mark.parametrize("name", ROWS)
def test_the_experiments_would_exclude_every_neighbour(name: str) -> None:
    found = answered(name, "experiments")
    assert untold(found) == EXPERIMENTS_UNTOLD[name]
    assert all(item.reason == REASONS[item.neighbour] for item in found if not item.told)


@pytest.mark.parametrize("name", ROWS)
def test_a_whole_capture_would_exclude_every_neighbour(name: str) -> None:
    whole = joined(answered(name, kind) for kind in OPERANDS)
    assert untold(whole) == (ZERO if "f32" in name else set())
    assert untold(joined([answered(name, "chains")])) & ONE_BLOCK == set()
    assert {item.neighbour for item in whole} == set(NEIGHBOURS) - ({"wide between blocks"} if "f32" in name else set())


def test_outputs_that_the_row_gets_wrong_exclude_nothing() -> None:
    row = ROWS["a100-f32"]
    A, B, C = operands("experiments", "f32")
    D = hs.matmul(A, B, C, accumulator=row).view(np.uint32)
    assert all(item.told == item.outputs == 0 for item in discriminate(row, A, B, C, D ^ 1))
