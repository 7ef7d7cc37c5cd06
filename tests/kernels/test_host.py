"""Operands of any layout give the same bits, in memory for a few elements, however the work is split."""

from __future__ import annotations

import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import halfsim as hs
from halfsim.kernels import loops, threads

SIZE = 700_000  # more than two blocks of every loop but the fastest
RNG = np.random.default_rng(6)
RANDOM = hs.Stochastic(bits=17, seed=9, offset=2**32 - 1000)
WIDE = RNG.integers(0, 1 << 16, (1000, 2 * SIZE // 1000), dtype=np.uint16).view(np.float16)
LAYOUTS = {
    "contiguous": np.ascontiguousarray(WIDE[:, ::2]),
    "every second": WIDE[:, ::2],
    "transposed": np.asfortranarray(WIDE[:, ::2]),
    "backward": np.ascontiguousarray(WIDE[:, ::2][::-1, ::-1])[::-1, ::-1],
    "other byte order": WIDE[:, ::2].astype(">f2"),
}
CALLS = {
    "add": lambda a: hs.add.flagged(a, a[:, :1], rounding="rup"),
    "values alone": lambda a: (hs.multiply(a[:1], a), np.zeros(1)),
    "stochastic": lambda a: hs.add.flagged(a, a[:, :1], rounding=RANDOM),
    "general": lambda a: hs.round_to_integral.flagged(a, rounding=RANDOM),
    "general, no flags": lambda a: (hs.round_to_integral(a, rounding=RANDOM), np.zeros(1)),
    "table": lambda a: hs.logb.flagged(a),
    "integers": lambda a: hs.scaleb.flagged(a, np.arange(-7, a.shape[1] - 7, dtype=np.int16)),
    "comparison": lambda a: hs.less.flagged(a, a[:, :1]),
    "widened": lambda a: hs.convert.flagged(a, hs.BINARY64),
    "random integers": lambda a: hs.convert.flagged(a, np.int16, rounding=RANDOM, exact=True),
    "narrowed": lambda a: hs.convert.flagged(hs.convert(a, hs.BINARY32), hs.E4M3, rounding=RANDOM),
}


@pytest.fixture(autouse=True)
def restore():
    before = threads.get_num_threads()
    yield
    threads.set_num_threads(before)


def words(result):
    return [np.ascontiguousarray(part).view(np.uint8) for part in result]


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("name", CALLS)
def test_every_layout_and_number_of_threads(name, count):
    threads.set_num_threads(1)
    want = words(CALLS[name](LAYOUTS["contiguous"]))
    threads.set_num_threads(count)
    for layout, a in LAYOUTS.items():
        for got, expected in zip(words(CALLS[name](a)), want, strict=True):
            assert np.array_equal(got, expected), layout


def test_wide_operands_of_any_layout():
    x = RNG.standard_normal((700, 1000))
    for dtype in (np.float32, np.float64, np.int32, np.uint8):
        y = (100 * x).astype(dtype)
        for to in (hs.BINARY16, hs.BFLOAT16):
            want = hs.convert(y.T.copy(), to, rounding=RANDOM)
            np.testing.assert_array_equal(hs.convert(y.T, to, rounding=RANDOM), want)


def test_out_that_is_also_an_operand():
    a = LAYOUTS["contiguous"].copy()
    want = hs.to_bits(hs.add(a, a[::-1]))
    hs.add(a, a[::-1], out=a)
    np.testing.assert_array_equal(hs.to_bits(a), want)


def test_read_only_and_empty_operands():
    a = LAYOUTS["contiguous"].copy()
    a.flags.writeable = False
    np.testing.assert_array_equal(hs.to_bits(hs.sqrt(a)), hs.to_bits(hs.sqrt(a.copy())))
    assert hs.add(a[:0], a[:1]).shape == (0, a.shape[1])
    assert hs.add.flagged(a[:, :0], a[:, :1]).flags.shape == (1000, 0)
    assert hs.convert(np.zeros((0, 3)), hs.BINARY16).shape == (0, 3)


def peak(call):
    """Bytes that a call takes at most beyond what there was."""
    call()
    tracemalloc.start()
    call()
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return most


SCRATCH = 1 << 20
BIG = 1 << 22
FLOATS = np.ones(BIG, np.float32)
HALVES = np.ones(BIG, np.float16)
OUT = np.empty(BIG, np.float16)
GRID = OUT.reshape(2048, -1)
IN_PLACE = {
    "add": lambda: hs.add(HALVES, HALVES, out=OUT),
    "broadcast": lambda: hs.add(HALVES[:2048, None], HALVES[None, :2048], out=GRID),
    "strided": lambda: hs.multiply(HALVES.reshape(2048, -1).T, HALVES.reshape(2048, -1), out=GRID),
    "stochastic": lambda: hs.add(HALVES, HALVES, rounding=RANDOM, out=OUT),
    "general": lambda: hs.round_to_integral(HALVES, rounding=RANDOM, out=OUT),
    "powers": lambda: hs.scaleb(HALVES, np.ones(1, np.int8), out=OUT),
    "narrowed": lambda: hs.convert(FLOATS, hs.BINARY16, out=OUT),
    "narrowed, strided": lambda: hs.convert(np.broadcast_to(FLOATS[:2048], (2048, 2048)), hs.BINARY16, out=GRID),
    "held": lambda: hs.convert(HALVES, hs.E4M3, rounding=RANDOM, out=FLOATS),
    "integers": lambda: hs.convert(FLOATS, np.int16, out=OUT.view(np.int16)),
}


@pytest.mark.parametrize("name", IN_PLACE)
def test_no_copy_of_operands(name):
    threads.set_num_threads(2)
    assert peak(IN_PLACE[name]) < SCRATCH


def test_a_new_result_is_all_that_is_allocated():
    for call, bytes_each in (
        (lambda: hs.add(HALVES, HALVES), 2),
        (lambda: hs.add.flagged(HALVES, HALVES), 3),
        (lambda: hs.less(HALVES, HALVES), 1),
        (lambda: hs.convert(FLOATS, hs.BFLOAT16), 4),
    ):
        assert bytes_each * BIG <= peak(call) < bytes_each * BIG + SCRATCH


def test_blocks_are_some_tenths_of_a_millisecond(monkeypatch):
    """What is split is long enough, by the loop that runs."""
    seen = []
    monkeypatch.setattr("halfsim.kernels.host.run_blocks", lambda block, size, least: seen.append(least))
    threads.set_num_threads(4)
    x = HALVES[: 1 << 21]
    for call, least in (
        (lambda: hs.add.flagged(x, x), loops.VECTORISED),
        (lambda: hs.fma(x, x, x, rounding="odd"), loops.VECTORISED),
        (lambda: hs.add(x, x, rounding=RANDOM), loops.COMPUTED),
        (lambda: hs.round_to_integral(x[: 1 << 15], rounding=RANDOM), loops.GENERAL),
    ):
        call()
        assert seen.pop() == least
    hs.add.flagged(x[: loops.VECTORISED], x[: loops.VECTORISED])
    assert not seen


def test_several_python_threads_at_once():
    threads.set_num_threads(2)
    a, b = LAYOUTS["contiguous"], LAYOUTS["transposed"]
    settings = [{"rounding": mode} for mode in (*hs.Rounding, RANDOM)]
    want = [words(hs.add.flagged(a, b, **how)) for how in settings]
    barrier = threading.Barrier(4)

    def work(first):
        barrier.wait()
        for i in range(len(settings)):
            k = (first + i) % len(settings)
            for got, expected in zip(words(hs.add.flagged(a, b, **settings[k])), want[k], strict=True):
                assert np.array_equal(got, expected)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
