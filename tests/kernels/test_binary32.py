"""Elementwise binary32 against the core's general arithmetic, pattern by pattern."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import halfsim as hs
from halfsim.core import arithmetic, division
from halfsim.core._jit import kernel, scalar
from halfsim.core.fields import bit_length, layout
from halfsim.core.round import round_pack
from halfsim.kernels import binary32
from halfsim.kernels.updates import sum_of_squares, truncated_sums
from halfsim.options import rounding_control

F32, CONTROL = layout(hs.BINARY32), rounding_control("add", hs.Rounding.roundTiesToEven, hs.IEEE)[0]
OPERATIONS = ("add", "subtract", "multiply", "divide")


@scalar
def quotient(x, y, fields, control):
    """The exact quotient of numbers that are neither zero nor special, rounded by the core; else -1."""
    sign_x, exponent_x, significand_x, kind_x = arithmetic.read(x, fields, control)
    sign_y, exponent_y, significand_y, kind_y = arithmetic.read(y, fields, control)
    if kind_x != 0 or kind_y != 0 or significand_x == 0 or significand_y == 0:
        return -1
    shift = 60 - bit_length(significand_x)
    whole = (significand_x << shift) // significand_y
    rest = (significand_x << shift) - whole * significand_y
    exponent = exponent_x - shift - exponent_y
    return round_pack(sign_x ^ sign_y, exponent, whole, 1 if rest else 0, fields, control, 0)[0]


@kernel
def general(which, a, b, z, fields, control):
    for i in range(z.size):
        x, y = np.int64(a[i]), np.int64(b[i])
        if which == 0:
            z[i], _ = arithmetic.add(x, y, fields, control, 0)
        elif which == 1:
            z[i], _ = arithmetic.subtract(x, y, fields, control, 0)
        elif which == 2:
            z[i], _ = arithmetic.multiply(x, y, fields, fields, control, 0)
        elif which == 3:
            z[i] = quotient(x, y, fields, control)
        else:
            z[i], _ = division.sqrt(x, fields, control, 0)


def patterns() -> tuple[np.ndarray, np.ndarray]:
    """Pairs of every class with every class, near ones that cancel, and any."""
    random = np.random.default_rng(30)
    corners = [0, 1, 2, 0x7FFFFF, 0x800000, 0x800001, 0x3F800000, 0x3F7FFFFF, 0x3F800001, 0x7F7FFFFF]
    special = [0x7F800000, 0x7FC00000, 0x7FC12345, 0x7F800001]
    signed = np.array([s | p for p in (*corners, *special) for s in (0, 0x80000000)], np.uint32)
    any_a, any_b = random.integers(0, 1 << 32, (2, 400_000), dtype=np.uint64).astype(np.uint32)
    tiny = random.integers(0, 1 << 24, (2, 100_000)).astype(np.uint32) | (
        random.integers(0, 2, (2, 100_000)).astype(np.uint32) << 31
    )
    near = any_a[:100_000] + random.integers(-3, 4, 100_000).astype(np.uint32)
    a = [np.repeat(signed, signed.size), any_a, tiny[0], any_a[:100_000], any_a[:100_000]]
    b = [np.tile(signed, signed.size), any_b, tiny[1], near ^ np.uint32(0x80000000), tiny[1]]
    return np.concatenate(a), np.concatenate(b)


@pytest.mark.parametrize("which", range(5), ids=[*OPERATIONS, "sqrt"])
def test_every_operation_is_that_of_the_core(which: int) -> None:
    a, b = patterns()
    want = np.empty(a.size, np.int64)
    general(which, a, b, want, F32, CONTROL)
    x, y = a.view(np.float32), b.view(np.float32)
    with np.errstate(all="ignore"):
        # Quotients of zeros, infinities and NaNs are no question of rounding.
        plain = np.divide(x.astype(np.float64), y.astype(np.float64)).astype(np.float32).view(np.uint32)
    want = np.where((which == 3) & (want == -1), plain, want)
    got = binary32.sqrt(x) if which == 4 else getattr(binary32, OPERATIONS[which])(x, y)
    found = got.view(np.uint32).astype(np.int64)
    both = np.isnan(x) & np.isnan(y) if which < 4 else np.zeros(a.size, bool)
    # Of two NaNs the processor may return either; where none came in, the sign of the new one is its choice.
    new = np.isnan(got) & ~np.isnan(x) & (~np.isnan(y) | (which == 4))
    assert np.array_equal(np.isnan(got), (want & 0x7FFFFFFF) > 0x7F800000)
    assert np.array_equal(found[~(both | new)], want[~(both | new)])
    assert (found[new] & 0x7FFFFFFF == 0x7FC00000).all()
    kept = a[both].astype(np.int64) | 0x400000, b[both].astype(np.int64) | 0x400000
    assert ((found[both] == kept[0]) | (found[both] == kept[1])).all()


def test_rounding_to_binary32_is_that_of_the_core() -> None:
    random = np.random.default_rng(31)
    words = random.integers(0, 1 << 32, 100_000, dtype=np.uint64).astype(np.uint32)
    with np.errstate(all="ignore"):
        near = words.view(np.float32).astype(np.float64)
        x = near * (1 + random.integers(-4, 5, near.size) * 2.0**-25)
    any_number = random.integers(0, 1 << 63, 100_000).view(np.float64)
    x = np.concatenate([x, any_number, [2.0**-149 / 2, 2.0**-150 * 1.001, 0.0]])
    x = x[~np.isnan(x)]
    assert np.array_equal(binary32.narrow(x).view(np.uint32), np.asarray(hs.convert(x, hs.BINARY32)).view(np.uint32))
    assert binary32.narrow(np.float64(0.1)).shape == ()


SHAPES = [
    ((), ()),
    ((7,), ()),
    ((), (3, 5)),
    ((4, 5), (5,)),
    ((4, 5), (4, 1)),
    ((1, 5), (4, 1)),
    ((4, 1), (1,)),
    ((2, 3, 4), (3, 1)),
    ((2, 3, 4), (2, 1, 4)),
    ((0, 4), (1, 4)),
    ((3, 0), (3, 1)),
    ((1, 1), (1, 1)),
]


@pytest.mark.parametrize(("first", "second"), SHAPES)
@pytest.mark.parametrize("order", ["C", "F"])
def test_operands_are_broadcast(first: tuple[int, ...], second: tuple[int, ...], order: Any) -> None:
    random = np.random.default_rng(len(first))
    a, b = (np.asarray(random.normal(1, 1, shape), np.float32, order=order) for shape in (first, second))
    for name in OPERATIONS:
        turned = a[..., ::-1] if a.ndim else a
        for x, y in ((a, b), (b, a), (a, np.array(b, order="C")), (turned, b)):
            want = getattr(np, name)(x, y)
            got = getattr(binary32, name)(x, y)
            assert got.shape == want.shape and got.dtype == np.float32
            assert np.array_equal(got, want)
    if a.ndim > 1 and a.shape == np.broadcast_shapes(first, second):
        assert binary32.add(a, b).strides == (a + b).strides
    assert np.array_equal(binary32.sqrt(np.abs(a)), np.sqrt(np.abs(a)))


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="broadcast"):
        binary32.add(np.ones((2, 3), np.float32), np.ones((3, 2), np.float32))


def test_squares_are_added_by_ascending_index() -> None:
    x = np.float32([2.0**27, 1.0, 1.0, 1.0, 1.0])
    assert sum_of_squares(x) == 2.0**54
    assert sum_of_squares(x[::-1].copy()) == 2.0**54 + 4
    assert sum_of_squares(np.zeros(0, np.float32)) == 0


def test_sums_are_cut_toward_zero() -> None:
    x = np.array([1.0, -1.0, 1.0, 1.0, np.inf, np.inf, 0.0, 1.0])
    y = np.array([2.0**-80, 2.0**-80, -(2.0**-80), 0.5, 1.0, -np.inf, -0.0, -1.0])
    z = np.empty(x.size)
    truncated_sums(x, y, z)
    below = np.nextafter(1.0, 0.0)
    assert np.array_equal(z, [1.0, -below, below, 1.5, np.inf, np.nan, 0.0, 0.0], equal_nan=True)
