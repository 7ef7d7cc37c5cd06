"""Blocks cover the range once, whatever the thread count, the caller or the process."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from halfsim.kernels import threads


@pytest.fixture(autouse=True)
def restore():
    before = threads.get_num_threads()
    yield
    threads.set_num_threads(before)


@pytest.mark.parametrize("count", [1, 2, 3, 7])
@pytest.mark.parametrize("size", [0, 1, 5, 64, 1001])
def test_blocks_cover_the_range_exactly_once(count, size):
    threads.set_num_threads(count)
    hits = np.zeros(size, np.int64)

    def visit(start, stop):
        hits[start:stop] += 1

    threads.run_blocks(visit, size, 5)
    assert np.array_equal(hits, np.ones(size))


def test_small_work_stays_on_the_calling_thread():
    threads.set_num_threads(4)
    seen = []
    threads.run_blocks(lambda start, stop: seen.append((threading.get_ident(), start, stop)), 19, 10)
    assert seen == [(threading.get_ident(), 0, 19)]


def test_numpy_integers_are_integers():
    threads.set_num_threads(np.int64(3))
    assert type(threads.get_num_threads()) is int
    assert threads.get_num_threads() == 3
    for wrong in (True, np.int64(0), 2.0, "2"):
        with pytest.raises(ValueError, match="must be a positive integer"):
            threads.set_num_threads(wrong)


def test_large_work_is_split_in_blocks_of_at_least_the_minimum():
    threads.set_num_threads(4)
    seen = []
    threads.run_blocks(lambda start, stop: seen.append((start, stop)), 35, 10)
    assert sorted(seen) == [(0, 11), (11, 23), (23, 35)]


def test_the_first_error_reaches_the_caller_after_all_blocks_ended():
    threads.set_num_threads(3)
    ended = []

    def fail(start, stop):
        ended.append(start)
        if start:
            raise RuntimeError(f"block {start}")

    with pytest.raises(RuntimeError, match="block 10"):
        threads.run_blocks(fail, 30, 10)
    assert sorted(ended) == [0, 10, 20]


def test_nested_and_concurrent_callers_finish():
    threads.set_num_threads(2)
    total = []

    def outer(start, stop):
        threads.run_blocks(lambda a, b: total.append(b - a), stop - start, 1)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: threads.run_blocks(outer, 100, 10), range(20)))
    assert sum(total) == 2000


def test_changing_the_count_while_others_run_loses_nothing():
    hits = []

    def churn(_):
        for count in (1, 2, 3):
            threads.set_num_threads(count)
            threads.run_blocks(lambda start, stop: hits.append(stop - start), 64, 8)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(churn, range(20)))
    assert sum(hits) == 20 * 3 * 64


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
def test_a_forked_child_gets_a_pool_of_its_own():
    code = """
import os
from halfsim.kernels import threads
threads.set_num_threads(2)
threads.run_blocks(lambda a, b: None, 100, 1)
child = os.fork()
if child == 0:
    seen = []
    threads.run_blocks(lambda a, b: seen.append(b - a), 100, 1)
    os._exit(0 if seen == [50, 50] else 1)
raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    assert subprocess.run([sys.executable, "-W", "ignore", "-c", code], timeout=60).returncode == 0


@pytest.mark.parametrize("bad", [0, -1, 2.0, True, "2"])
def test_a_bad_count_is_refused(bad):
    with pytest.raises(ValueError, match="set_num_threads: threads="):
        threads.set_num_threads(bad)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("3", "3"),
        ("zero", "HALFSIM_NUM_THREADS='zero' must be"),
        # What is shown is what is wrong: whole, or seen to be cut.
        ("9" * 11, "HALFSIM_NUM_THREADS='99999999999' must be"),
        ("9" * 5000, "HALFSIM_NUM_THREADS='99999999999999999999'... (5000 characters) must be"),
    ],
)
def test_the_environment_chooses_the_default(value, expected):
    code = "from halfsim.kernels import threads; print(threads.get_num_threads())"
    run = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "HALFSIM_NUM_THREADS": value}, capture_output=True, text=True
    )
    assert expected in run.stdout + run.stderr


def test_a_thread_that_outlives_the_main_one_computes_alone():
    script = """
import threading, time
import numpy as np, halfsim as hs
hs.set_num_threads(2)
ones = np.ones(400_000, np.float16)
hs.add(ones, ones)
def late():
    threading.main_thread().join()
    print(float(hs.add(ones, ones)[-1]))
threading.Thread(target=late).start()
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "2.0\n", "")
