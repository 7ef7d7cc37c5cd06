"""Blocks of every job agree with the witness, the witness with exact fractions, and a planted error is found."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

import halfsim as hs
from halfsim.operation import Operation
from halfsim.testvectors.exhaustive import JOBS, SIZE, Job, check, jobs, ordered, witness
from tests.oracles import corners, ordering, rational


@pytest.mark.parametrize("mode", witness.MODES)
@pytest.mark.parametrize("name", ["add", "subtract", "multiply", "divide", "remainder"])
def test_the_witness_equals_exact_fractions(name, mode):
    a, b = corners.pairs(300, seed=95)
    machine = rational.MACHINES["RISCV"]
    for x, y in zip(a[::5].tolist(), b[::5].tolist(), strict=True):
        z, flags = witness.pairs(name, x << 16 | y, 1, mode, seed=3, bits=13)
        word = int(witness._word(x << 16 | y, np.uint64(3)))
        want = getattr(rational, name)(x, y, rational.Context(mode, machine, random=word, random_bits=13))
        assert (z[0], flags[0]) == want, (hex(x), hex(y))


@pytest.mark.parametrize("name", [*ordering.COMPARISONS, *ordering.EXTREMA, "total_order", "total_order_mag"])
def test_the_witness_orders_as_the_reference_does(name):
    a, b = corners.pairs(400, seed=98)
    b = np.where(np.arange(a.size) % 3 == 0, a ^ 0x8000, b)  # equal magnitudes of opposite signs
    context = rational.Context("rne", rational.MACHINES["RISCV"])
    for x, y in zip(a.tolist(), b.tolist(), strict=True):
        z, flags = witness.pairs(name, x << 16 | y, 1)
        if name in ordering.COMPARISONS:
            want = ordering.compare(x, y, name, context)
        elif name in ordering.EXTREMA:
            want = ordering.extremum(x, y, name, context)
        else:
            mask = 0x7FFF if name.endswith("mag") else 0xFFFF
            want = ordering.total_order(x & mask, y & mask), 0
        assert (z[0], flags[0]) == want, (hex(x), hex(y))


def test_every_operation_with_two_binary16_operands_has_a_job():
    public = [getattr(hs, name) for name in hs.__all__]
    pairs = {item.name for item in public if isinstance(item, Operation) and item.arity == 2 and item.integers < 0}
    assert len(pairs) == 5 + 14 + 22 + 3  # arithmetic, extrema, comparisons, sign and total orders
    assert pairs == {job.operation for job in JOBS} - {"fma", witness.NARROWING}


@pytest.mark.parametrize("mode", [mode for mode in witness.MODES if mode != "stochastic"])
def test_the_witness_of_triples_equals_exact_fractions(mode):
    a, b = corners.pairs(600, seed=96)
    c = np.random.default_rng(97).permutation(a)
    # Addends that all but cancel the product, or lie just beside half an ulp of it.
    with np.errstate(all="ignore"):
        near = hs.to_bits((-hs.from_bits(a).astype(np.float32) * hs.from_bits(b).astype(np.float32)).astype(np.float16))
    c = np.where(np.arange(c.size) % 3 == 0, near, c).astype(np.uint16)
    z, flags = witness.triples(a, b, c, mode)
    context = rational.Context(mode, rational.MACHINES["RISCV"])
    for i in range(0, a.size, 5):
        want = rational.fma(int(a[i]), int(b[i]), int(c[i]), context)
        assert (z[i], flags[i]) == want, (hex(a[i]), hex(b[i]), hex(c[i]))


@pytest.mark.parametrize("step", [3, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("job", [*JOBS, Job("multiply", "stochastic")], ids=lambda job: job.name)
def test_some_blocks_of_every_job(job, step):
    blocks = (0x039, 0x3C0, 0xFBF)  # subnormal, about one, negative and large first operands
    for number in blocks[len(job.name) % step :: step]:
        block = check(job, number)
        assert block.wrong == 0, [str(mismatch) for mismatch in block.first[:3]]
        assert block.number == number
        assert len(block.digest) == 64


def test_a_digest_is_of_patterns_and_flags():
    numbers = np.arange(5 * SIZE, 6 * SIZE)
    a, b = (hs.from_bits((numbers >> shift & 0xFFFF).astype(np.uint16)) for shift in (16, 0))
    value, flags = hs.add.flagged(a, b, rounding="rup", environment=hs.RISCV)
    content = hs.to_bits(value).astype("<u2").tobytes() + flags.tobytes()
    assert check(Job("add", "rup"), 5).digest == hashlib.sha256(content).hexdigest()


def test_triples_differ_from_block_to_block():
    from halfsim.testvectors.exhaustive.jobs import _pieces

    first, second = (np.hstack([operands for _, operands in _pieces(Job("fma"), number)]) for number in (0, 1))
    assert np.mean(first == second) < 1e-3
    assert [len(np.unique(row)) > 60_000 for row in first] == [True] * 3


def test_planted_errors_are_counted_and_shown(monkeypatch):
    honest = witness.pairs

    def lying(name, start, count, *rest):
        z, flags = honest(name, start, count, *rest)
        if start % SIZE == 0:
            flags[77] ^= 1
            z[1000:1040] ^= 1
        return z, flags

    monkeypatch.setattr(witness, "pairs", lying)
    block = check(Job("subtract", "rup"), 0)
    assert block.wrong == 41
    assert str(block.first[0]) == "(0x0000, 0x004d): halfsim 0x804d flags 0x00, witness 0x804d flags 0x01"
    assert block.first[1].operands == (0, 1000)


def test_jobs_are_chosen_by_name():
    assert len(jobs("multiply")) == 12
    assert jobs("multiply", "rup", "before") == (Job("multiply", "rup", "before"),)
    assert jobs("add", "stochastic") == (Job("add", "stochastic"),)
    assert jobs("all") == JOBS
    assert len({job.name for job in JOBS}) == len(JOBS)
    with pytest.raises(ValueError, match="unknown operation 'sqrt'; known are add, subtract"):
        jobs("sqrt")
    with pytest.raises(ValueError, match=r"add has no job with rounding 'rne' and tininess 'before'; it has roundings"):
        jobs("add", "rne", "before")


def test_shards_are_disjoint_and_complete():
    shards = [ordered(Job("add"), (i, 3)) for i in (1, 2, 3)]
    assert sorted(number for shard in shards for number in shard) == list(range(4096))
