"""What libraries that round binary64 are given: rounding it once is the operation, in every mode and for every zero."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import halfsim as hs
from halfsim.benchmarks import peers
from halfsim.benchmarks.measure import _check
from halfsim.benchmarks.rows import Contender

MODES = ("rne", "rna", "rtz", "rup", "rdn", "odd")
# Whatever two of them make, and all three, cancels, is a zero, or needs up to 81 bits.
CORNERS = [0.0, 2.0**-24, 3 * 2.0**-24, 2.0**-14, 1.0, 1 + 2.0**-10, 2049 / 1024, 3.0, 1023.5, 65504.0]
VALUES = np.float16([sign * value for value in CORNERS for sign in (1, -1)])
MANY = 10


def triples() -> list[NDArray[np.float16]]:
    rng = np.random.default_rng(6)
    drawn = rng.integers(0, 0x7C00, (3, 4000)) | rng.integers(0, 2, (3, 4000)) << 15
    corners = np.stack([grid.ravel() for grid in np.meshgrid(VALUES, VALUES, VALUES)])
    return list(np.hstack([corners, drawn.astype(np.uint16).view(np.float16)]))


def to_odd(exact: Fraction) -> float:
    """Truncate to 53 bits and set the last one where something was cut off: integers, and no sum of floats."""
    power = 0 if not exact else math.floor(math.log2(abs(exact))) - 55
    scaled = abs(exact) / Fraction(2) ** power
    kept = int(scaled)
    extra = max(0, kept.bit_length() - 53)
    cut = scaled != kept or kept & (1 << extra) - 1
    kept = (kept >> extra | bool(cut)) << extra
    return math.copysign(math.ldexp(kept, power), -1.0 if exact < 0 else 1.0)


def test_a_product_and_an_addend_are_summed_to_odd() -> None:
    columns = triples()
    given = peers.numpy_exact("fma", columns, "rtz")
    fractions = ([Fraction(value) for value in column.tolist()] for column in columns)
    wanted = [to_odd(a * b + c) for a, b, c in zip(*fractions, strict=True)]
    assert np.array_equal(given, wanted)
    plain = np.multiply(*columns[:2], dtype=np.float64) + columns[2]
    assert np.count_nonzero(given != plain) > 100


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", ["add", "subtract", "fma", "multiply"])
def test_an_exact_sum_of_zero_has_the_sign_that_the_standard_gives_it(name: str, mode: str) -> None:
    columns = triples()[: 3 if name == "fma" else 2]
    given = peers.numpy_exact(name, columns, mode)
    zeros = given == 0
    assert np.count_nonzero(zeros) > 10
    mine = getattr(hs, name)(*columns, rounding=mode)
    assert np.array_equal(np.signbit(given[zeros]), np.signbit(mine[zeros]))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", ["add", "subtract", "fma", "divide", "multiply"])
def test_a_peer_is_right_where_it_rounds_what_it_is_given(name: str, mode: str) -> None:
    pytest.importorskip("gfloat")
    some = [column[:: 3 if name == "fma" else 5] for column in triples()[: 3 if name == "fma" else 2]]
    if name == "divide":
        some = [column[some[1] != 0] for column in some]
    # It works on a tenth of what it is given.
    columns: list[NDArray[Any]] = [np.tile(column, MANY) for column in some]
    peer = peers.gfloat(name, columns, mode)
    if mode == "odd":
        assert peer is None
        return
    assert isinstance(peer, Contender)
    compared, differ = _check(getattr(hs, name)(*columns, rounding=mode), peer)
    assert (compared, differ) == (some[0].size, 0)
