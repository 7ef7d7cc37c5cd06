"""Runs go on after kills of any kind, and digests tell runs apart."""

from __future__ import annotations

import functools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from halfsim.executors import Workers, dask_executor, processes
from halfsim.testvectors.exhaustive import (
    Block,
    Job,
    Mismatch,
    Store,
    compare,
    compute,
    load,
    save,
    summary,
)

JOB = Job("add")
ROOT = str(Path(__file__).parents[3])


def fake(job: Job, number: int) -> Block:
    return Block(number, f"{number:064x}")


def dying(flag: Path, job: Job, number: int) -> Block:
    """Kill the worker the first time that block 5 comes."""
    if number == 5 and not flag.exists():
        flag.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return fake(job, number)


def always_dying(job: Job, number: int) -> Block:
    os.kill(os.getpid(), signal.SIGKILL)
    return fake(job, number)


def test_finished_blocks_are_remembered(tmp_path):
    wrong = Block(3, "ab", 7, (Mismatch((1, 2), 3, 4, 5, 6),))
    with Store(tmp_path, JOB) as store:
        store.add(fake(JOB, 1))
        store.add(wrong)
    again = Store(tmp_path, JOB)
    # A wrong block is to be computed again.
    assert again.done == {1: fake(JOB, 1)}
    assert again.wrong == [3]
    assert Store(tmp_path, Job("subtract")).done == {}


@pytest.mark.parametrize("tail", [b'{"number": 9, "dig', b'{"number": 9}\n', b"\0\0\0\n", b"[]\n"])
def test_a_line_cut_by_a_kill_is_done_again(tmp_path, tail):
    with Store(tmp_path, JOB) as store:
        store.add(fake(JOB, 1))
    with store.path.open("ab") as file:
        file.write(tail)
    with Store(tmp_path, JOB) as again:
        assert again.done.keys() == {1}
        again.add(fake(JOB, 2))
    assert Store(tmp_path, JOB).done.keys() == {1, 2}
    assert all(json.loads(line) for line in store.path.read_text().splitlines())


def test_other_sources_begin_anew(tmp_path, monkeypatch):
    with Store(tmp_path, JOB) as store:
        store.add(fake(JOB, 1))
    monkeypatch.setattr("halfsim.testvectors.exhaustive.store.source_digest", lambda: "0" * 16)
    assert Store(tmp_path, JOB).done == {}


def test_a_killed_process_loses_nothing(tmp_path):
    work = functools.partial(dying, tmp_path / "died")
    with Workers(functools.partial(processes, 2), 4) as workers:
        numbers = [block.number for block in compute(workers, JOB, range(12), work)]
        again = [block.number for block in compute(workers, JOB, range(3), work)]
    assert (tmp_path / "died").exists()
    assert sorted(numbers) == list(range(12))
    assert sorted(again) == [0, 1, 2]


def test_workers_that_always_die_are_an_error():
    with (
        Workers(functools.partial(processes, 1), 2) as workers,
        pytest.raises(RuntimeError, match="workers died 4 times on add-rne-after; look for a lack of memory"),
    ):
        list(compute(workers, JOB, [0], always_dying))


def slow(folder: Path, job: Job, number: int) -> Block:
    (folder / f"{number}-{os.getpid()}").touch()
    time.sleep(0.2)
    return fake(job, number)


def test_a_killed_dask_worker_loses_nothing(tmp_path):
    distributed = pytest.importorskip("distributed")
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None, "silence_logs": 50}
    with distributed.LocalCluster(**options) as cluster:
        workers_of_cluster = [worker.pid for worker in cluster.workers.values()]
        killed = False
        numbers = []
        make = functools.partial(dask_executor, cluster.scheduler_address)
        with Workers(make, 8) as workers:
            for block in compute(workers, JOB, range(16), functools.partial(slow, tmp_path)):
                numbers.append(block.number)
                if not killed:
                    os.kill(workers_of_cluster[0], signal.SIGKILL)
                    killed = True
    assert sorted(numbers) == list(range(16))
    assert len({path.name.split("-")[1] for path in tmp_path.iterdir()}) >= 2


def test_no_scheduler_is_an_error_of_one_line():
    pytest.importorskip("distributed")
    shown = command("--op", "add", "--blocks", "1", "--scheduler", "tcp://127.0.0.1:9")
    assert shown.returncode == 1
    assert shown.stderr.strip().splitlines()[-1].startswith("halfsim: no Dask scheduler answers at tcp://127.0.0.1:9")
    assert "Traceback" not in shown.stderr


def full(change: int | None = None) -> dict[int, Block]:
    return {n: Block(n, f"{n + (n == change):064x}") for n in range(JOB.blocks)}


def test_digests_tell_runs_apart(tmp_path):
    digests = summary(JOB, full())
    assert digests is not None
    assert digests.rows == 1 << 32
    assert summary(JOB, {**full(), 7: Block(7, "x", 1)}) is None
    assert summary(JOB, dict(list(full().items())[1:])) is None
    save(tmp_path / "table.toml", {JOB.name: digests})
    table = load(tmp_path / "table.toml")
    assert table == {JOB.name: digests}
    assert compare(JOB, full(), digests) == []
    assert compare(JOB, full(100), digests) == [range(64, 128)]
    assert compare(JOB, {n: block for n, block in full(100).items() if n != 65}, digests) == []
    (tmp_path / "table.toml").write_text("[a]\nrows = 1\n")
    with pytest.raises(ValueError, match="is no table of digests"):
        load(tmp_path / "table.toml")


def command(*arguments: str, **options) -> subprocess.CompletedProcess[str]:
    script = "from halfsim.cli import main; main()"
    line = [sys.executable, "-c", script, "verify", "exhaustive", *arguments]
    environment = {**os.environ, "PYTHONPATH": ROOT}
    return subprocess.run(line, capture_output=True, text=True, env=environment, check=False, **options)


def test_the_command_goes_on_after_a_kill(tmp_path):
    arguments = ("--op", "add", "--rounding", "rup", "-j", "1", "-o", str(tmp_path))
    script = "from halfsim.cli import main; main()"
    line = [sys.executable, "-c", script, "verify", "exhaustive", *arguments]
    with subprocess.Popen(
        line, env={**os.environ, "PYTHONPATH": ROOT}, stderr=subprocess.DEVNULL, start_new_session=True
    ) as process:
        store = Store(tmp_path, Job("add", "rup"))
        deadline = time.monotonic() + 120
        while not (store.path.exists() and store.path.read_bytes().count(b"\n") >= 3):
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGKILL)
    done = len(Store(tmp_path, Job("add", "rup")).done)
    assert done >= 3
    shown = command(*arguments, "--blocks", "2")
    assert shown.returncode == 0, shown.stderr
    assert f"add-rup-after                    {done + 2} of 4096 blocks agree with the witness" in shown.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--op", "sqrt"), "unknown operation 'sqrt'; known are add"),
        (("--op", "add", "--shard", "3/2"), "'3/2' is not of the form 1/4"),
        (("--op", "add", "--rounding", "nearest"), "has no job with rounding 'nearest'"),
        (("--op", "add", "--sign"), "--sign needs --digests FILE"),
        ((), "Missing option '--op'"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    shown = command(*arguments)
    assert shown.returncode == 2
    assert message in shown.stderr
    assert len(shown.stderr.splitlines()) == 1
