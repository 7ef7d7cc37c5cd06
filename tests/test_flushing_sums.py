"""Sums that flush subnormals against chains of the elementwise operations in a flushing environment."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import halfsim as hs
from halfsim.policy import named
from halfsim.training.machine import Machine

FLUSHING = replace(hs.IEEE, flush_inputs=True, flush_results=True)
ROUNDINGS = ["rne", "rtz", "rup", "rdn", "rna", "odd"]


def operands(terms: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(terms)

    def tiny(*shape: int) -> np.ndarray:
        return (random.normal(0, 1, shape) * 2.0 ** random.integers(-13, 0, shape)).astype(np.float16)

    return tiny(5, terms), tiny(terms, 6)


def by_hand(a: np.ndarray, b: np.ndarray, c: np.ndarray, rounding: str, fused: bool) -> np.ndarray:
    how = {"rounding": rounding, "environment": FLUSHING}
    total = c
    for k in range(a.shape[1]):
        x, y = a[:, k : k + 1], b[k : k + 1]
        total = hs.fma(x, y, total, **how) if fused else hs.add(total, hs.multiply(x, y, **how), **how)
    return np.asarray(total)


@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize("fused", [False, True])
def test_sequential_sums(rounding: str, fused: bool) -> None:
    a, b = operands(40)
    c = np.full((5, 6), 2**-20, np.float16)
    row = hs.Sequential(format=hs.BINARY16, rounding=rounding, fused=fused, flush_to_zero=True)
    z = hs.matmul(a, b, c, accumulator=row)
    assert np.array_equal(hs.to_bits(z), hs.to_bits(by_hand(a, b, c, rounding, fused)))
    assert not ((z != 0) & (np.abs(z) < 2**-14)).any()
    assert not np.array_equal(z, hs.matmul(a, b, c, accumulator=replace(row, flush_to_zero=False)))


def test_pairwise_and_compensated_sums() -> None:
    a, b = operands(4)
    how = {"environment": FLUSHING}
    p = [hs.multiply(a[:, k : k + 1], b[k : k + 1], **how) for k in range(4)]
    tree = hs.add(hs.add(p[0], p[1], **how), hs.add(p[2], p[3], **how), **how)
    z = hs.matmul(a, b, accumulator=hs.Pairwise(format=hs.BINARY16, flush_to_zero=True))
    assert np.array_equal(z, hs.add(tree, np.float16(0), **how))
    total = error = np.zeros((5, 6), np.float16)
    for product in p:
        change = hs.subtract(product, error, **how)
        moved = hs.add(total, change, **how)
        error = hs.subtract(hs.subtract(moved, total, **how), change, **how)
        total = moved
    z = hs.matmul(a, b, accumulator=hs.Compensated(format=hs.BINARY16, flush_to_zero=True))
    assert np.array_equal(z, total)


def test_other_formats_do_not_flush() -> None:
    with pytest.raises(ValueError, match="format=BINARY16"):
        hs.Sequential(flush_to_zero=True)


def test_an_explanation_shows_what_is_flushed() -> None:
    a, b = operands(40)
    row = hs.Sequential(format=hs.BINARY16, flush_to_zero=True)
    record = hs.explain_dot(a[0], b[:, 0], accumulator=row)
    assert "flushed" in str(record)


def test_a_policy_that_flushes_does_so_in_binary16_sums() -> None:
    a, b = operands(40)
    for policy in (named("binary16-pure"), replace(named("binary16-pure"), flush_to_zero=True)):
        flushes = policy.flush_to_zero
        row = replace(hs.FP16, flush_to_zero=flushes)
        y = Machine(policy).forward(a, b)
        expected = hs.matmul(a, b, accumulator=row)
        assert np.array_equal(y, expected) == (
            not flushes or bool(((expected == 0) | (np.abs(expected) >= 2**-14)).all())
        )
        sums = Machine(policy).bias_gradient(b)
        by_rows = np.zeros(6, np.float16)
        for row_of_b in b:
            by_rows = hs.add(by_rows, row_of_b, environment=FLUSHING if flushes else hs.IEEE)
        assert np.array_equal(sums, by_rows)
