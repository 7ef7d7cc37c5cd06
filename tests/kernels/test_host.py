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


PLACES = {
    # How `out` and an operand lie in the same numbers, and whether a call needs a copy of either.
    "exact": (lambda x: (x[:BIG], x[:BIG]), False),
    "backward": (lambda x: (x[BIG - 1 :: -1], x[BIG - 1 :: -1]), False),
    "every second": (lambda x: (x[: 2 * BIG : 2], x[: 2 * BIG : 2]), False),
    "between each other": (lambda x: (x[: 2 * BIG : 2], x[1 : 2 * BIG : 2]), False),
    "transposed": (lambda x: (x[:BIG].reshape(2048, -1).T,) * 2, False),
    "a row": (lambda x: (x[:BIG].reshape(2048, -1), x[:2048]), False),
    "a scalar": (lambda x: (x[:BIG], x[7]), False),
    "a scalar of a view": (lambda x: (x[:BIG], x[BIG // 2 : BIG // 2 + 1].reshape(())), False),
    "one further": (lambda x: (x[:BIG], x[1 : BIG + 1]), True),
    "one before": (lambda x: (x[1 : BIG + 1], x[:BIG]), True),
    "reversed": (lambda x: (x[:BIG], x[BIG - 1 :: -1]), True),
    "in its own way": (
        lambda x: (np.lib.stride_tricks.as_strided(x, (BIG // 2, 2), (2, 2)), x[:BIG].reshape(-1, 2)),
        True,
    ),
}
CALLS_IN_PLACE = {
    # Some loops read operands again for NaNs, when they have written.
    "add": lambda a, b, out: hs.add.flagged(a, b, out=out),
    "values": lambda a, b, out: (hs.multiply(b, a, out=out), np.zeros(1)),
    "extremum": lambda a, b, out: hs.minimum.flagged(b, a, out=out),
    "stochastic": lambda a, b, out: hs.divide.flagged(a, b, rounding=RANDOM, out=out),
    "twice": lambda a, b, out: hs.fma.flagged(a, b, a, rounding="rup", out=out),
    "table": lambda a, b, out: hs.round_to_integral.flagged(np.broadcast_to(a, out.shape), out=out),
}


@pytest.mark.parametrize("call", CALLS_IN_PLACE)
@pytest.mark.parametrize("place", PLACES)
def test_out_in_the_memory_of_an_operand(place, call):
    put, size = PLACES[place][0], 2 * BIG + 2
    start = RNG.integers(0, 1 << 16, size, dtype=np.uint16).view(np.float16)
    compute = CALLS_IN_PLACE[call]
    for count in (1, 2):
        threads.set_num_threads(count)
        got, want = start.copy(), start.copy()
        out, a = put(got)
        b = WIDE.reshape(-1)[: 1 << 20].repeat(4).reshape(out.shape)
        _, flags = compute(a, b, out)
        out, a = put(want)
        value, expected = compute(a.copy(), b, np.empty(out.shape, np.float16))
        out[...] = value
        np.testing.assert_array_equal(flags, expected)
        np.testing.assert_array_equal(got.view(np.uint16), want.view(np.uint16))


@pytest.mark.parametrize("place", PLACES)
def test_memory_where_out_shares_it(place):
    threads.set_num_threads(2)
    put, copies = PLACES[place]
    out, a = put(np.ones(2 * BIG + 2, np.float16))
    b = HALVES.reshape(out.shape)
    assert (peak(lambda: hs.add(a, b, out=out)) > SCRATCH) == copies


def test_formats_of_results_written_over_their_operand():
    x = RNG.standard_normal(BIG).astype(np.float32)
    want, wide = hs.convert(x, hs.BFLOAT16), hs.convert(x.astype(np.float16), hs.BINARY32)
    hs.convert(x, hs.BFLOAT16, out=x)
    np.testing.assert_array_equal(x, want)
    # Narrower numbers at the same place: every second of them is written before it is read.
    y = np.zeros(BIG, np.float32)
    y.view(np.float16)[:BIG] = RNG.standard_normal(BIG)
    wide = hs.convert(y.view(np.float16)[:BIG].copy(), hs.BINARY32)
    hs.convert(y.view(np.float16)[:BIG], hs.BINARY32, out=y)
    np.testing.assert_array_equal(y, wide)


def test_results_in_another_order_of_bytes():
    threads.set_num_threads(2)
    for shape in ((BIG,), (2048, 2048)):
        out, x = np.empty(shape, ">f2"), FLOATS.reshape(shape) * np.float32(1.1)
        want = hs.convert(x, hs.BINARY16)
        assert peak(lambda out=out, x=x: hs.convert(x.astype(">f4"), hs.BINARY16, out=out)) < SCRATCH + x.nbytes
        np.testing.assert_array_equal(out, want)
        assert peak(lambda out=out, want=want: hs.add(want, out, out=out)) < SCRATCH
    bits = RNG.integers(0, 1 << 16, BIG, dtype=np.uint16)
    a, swapped = bits.view(np.float16), bits.byteswap().view(">f2")
    for call in (lambda x: hs.minimum.flagged(x, a[::-1]), lambda x: hs.convert.flagged(x, hs.BFLOAT16)):
        for got, expected in zip(words(call(swapped)), words(call(a)), strict=True):
            assert np.array_equal(got, expected)
    assert hs.add(np.float16([1, 2]).astype(">f2"), np.float16(1)).tolist() == [2, 3]


def test_read_only_and_empty_operands():
    a = LAYOUTS["contiguous"].copy()
    a.flags.writeable = False
    np.testing.assert_array_equal(hs.to_bits(hs.sqrt(a)), hs.to_bits(hs.sqrt(a.copy())))
    assert hs.add(a[:0], a[:1]).shape == (0, a.shape[1])
    assert hs.add.flagged(a[:, :0], a[:, :1]).flags.shape == (1000, 0)
    assert hs.convert(np.zeros((0, 3)), hs.BINARY16).shape == (0, 3)


GRID = OUT.reshape(2048, -1)
SWAPPED = HALVES.astype(">f2")
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
    "other byte order": lambda: hs.fma(SWAPPED, SWAPPED, HALVES, out=OUT),
    "other byte order, transposed": lambda: hs.add(SWAPPED.reshape(2048, -1).T, GRID, out=GRID),
    "narrowed, other byte order": lambda: hs.convert(FLOATS.view(">f4"), hs.BINARY16, out=OUT),
    "backward": lambda: hs.add(HALVES, HALVES, out=OUT[::-1]),
    "columns": lambda: hs.add(HALVES[: BIG // 2].reshape(2048, -1), HALVES[0], out=GRID[:, 512:1536]),
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
