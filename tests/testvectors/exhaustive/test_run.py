"""Runs go on after kills of any kind, and digests tell runs apart."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from click.testing import Result

from halfsim import executors
from halfsim.executors import Workers, dask_executor, processes
from halfsim.testvectors.exhaustive import (
    Block,
    Digests,
    Job,
    Mismatch,
    Store,
    check,
    compare,
    compute,
    load,
    ordered,
    save,
    summary,
)
from tests.cli.running import invoke, process

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
    lines = store.path.read_text().splitlines()
    assert [json.loads(line)["number"] for line in lines if line.strip()] == [1, 2]


@pytest.mark.parametrize("damage", [b"\0", b'{"num\rber": ', b"7", b"null"])
def test_a_damaged_line_costs_its_own_block_alone(tmp_path, damage):
    with Store(tmp_path, JOB) as store:
        for number in range(9):
            store.add(fake(JOB, number))
    lines = store.path.read_bytes().splitlines(keepends=True)
    lines[4] = damage + b"\n"
    store.path.write_bytes(b"".join(lines))
    with Store(tmp_path, JOB) as again:
        assert again.unreadable == 1
        assert again.done.keys() == {0, 1, 2, 3, 5, 6, 7, 8}
        again.add(fake(JOB, 4))
    healed = Store(tmp_path, JOB)
    assert healed.unreadable == 0
    assert healed.done == {number: fake(JOB, number) for number in range(9)}


@pytest.mark.parametrize("change", [{"number": 4096}, {"number": "3"}, {"digest": 7}])
def test_a_line_of_no_block_of_the_job_is_none(tmp_path, change):
    with Store(tmp_path, JOB) as store:
        store.add(fake(JOB, 3))
    record = json.loads(store.path.read_text())
    store.path.write_text(json.dumps({**record, **change}) + "\n")
    again = Store(tmp_path, JOB)
    assert (again.done, again.unreadable) == ({}, 1)


def test_two_stores_of_one_log_keep_all_blocks(tmp_path):
    with Store(tmp_path, JOB) as first, Store(tmp_path, JOB) as second:
        for number in range(0, 8, 2):
            first.add(fake(JOB, number))
            second.add(fake(JOB, number + 1))
        with Store(tmp_path, JOB) as third:  # opening cuts nothing off
            third.add(fake(JOB, 8))
        first.add(fake(JOB, 9))
        first.refresh()
    assert first.done.keys() == set(range(10))
    again = Store(tmp_path, JOB)
    assert (again.done.keys(), again.unreadable) == (set(range(10)), 0)


def test_a_line_is_appended_when_nobody_else_holds_the_lock(tmp_path):
    fcntl = pytest.importorskip("fcntl")
    with Store(tmp_path, JOB) as store, store.path.open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        thread = threading.Thread(target=store.add, args=(fake(JOB, 1),))
        thread.start()
        thread.join(0.3)
        assert thread.is_alive(), "it did not wait"
        assert store.path.read_bytes() == b""
        fcntl.flock(other, fcntl.LOCK_UN)
        thread.join(10)
    assert Store(tmp_path, JOB).done.keys() == {1}


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


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return process("verify", "exhaustive", *arguments)


def exhaustive(*arguments: str) -> Result:
    """The command in this process; its workers are processes of their own, or threads."""
    return invoke("verify", "exhaustive", *arguments)


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


def test_two_shards_in_one_folder_at_once_keep_all_blocks(tmp_path):
    script = (
        "from concurrent.futures import ThreadPoolExecutor\n"
        "from halfsim import executors; executors.processes = ThreadPoolExecutor\n"
        "from halfsim.cli import main; main()"
    )
    arguments = ("--op", "less", "--blocks", "12", "-j", "1", "-o", str(tmp_path), "--no-progress")
    line = [sys.executable, "-c", script, "verify", "exhaustive", *arguments]
    with contextlib.ExitStack() as stack:
        shards = [
            stack.enter_context(
                subprocess.Popen(
                    [*line, "--shard", shard], env={**os.environ, "PYTHONPATH": ROOT}, stdout=subprocess.PIPE, text=True
                )
            )
            for shard in ("1/2", "2/2")
        ]
        shown = [shard.communicate(timeout=300)[0] for shard in shards]
    assert [shard.returncode for shard in shards] == [0, 0]
    job = Job("less")
    again = Store(tmp_path, job)
    assert again.done.keys() == {*ordered(job, (1, 2))[:12], *ordered(job, (2, 2))[:12]}
    assert again.unreadable == 0
    assert any("24 of 4096 blocks agree" in text for text in shown)


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads in place of processes, which would compile the witness again each."""
    monkeypatch.setattr(executors, "processes", ThreadPoolExecutor)


@pytest.mark.usefixtures("threads")
def test_unreadable_lines_are_told(tmp_path):
    job = Job("less")
    with Store(tmp_path, job) as store:
        store.add(fake(job, ordered(job)[5]))
    with store.path.open("ab") as file:
        file.write(b"nothing\n")
    arguments = ("--op", "less", "--blocks", "1", "-j", "1", "-o", str(tmp_path))
    shown = exhaustive(*arguments)
    assert shown.exit_code == 0, shown.stderr
    assert "2 of 4096 blocks agree" in shown.stdout
    assert f"{store.path}: lines that could not be read: 1; their blocks count as not done" in shown.stdout
    again = exhaustive(*arguments)
    assert again.exit_code == 0, again.stderr
    assert "could not be read" not in again.stdout


@pytest.mark.usefixtures("threads")
def test_a_part_that_is_of_other_results_is_told_as_far_as_it_can_be(tmp_path):
    job, table = Job("less"), tmp_path / "table.toml"
    with Store(tmp_path, job) as store:
        for number in range(64):
            store.add(check(job, number))
    digests = Digests(1 << 32, "0" * 64, ("0" * 64,) * 64, "0")
    save(table, {job.name: digests})
    shown = exhaustive("--op", "less", "--blocks", "1", "-j", "2", "-o", str(tmp_path), "--digests", str(table))
    assert shown.exit_code == 1, shown.stderr
    assert (
        f"blocks 0 to 63 differ from {table}, but agree with the witness: the table is of other results; "
        "it has one digest for the part, so which of its blocks differ cannot be told"
    ) in shown.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--op", "sqrt"), "unknown operation 'sqrt'; known are add"),
        (("--op", "ad"), "unknown operation 'ad'; did you mean add?"),
        (("--op", "add", "--scheduler", ""), "an empty text is no address"),
        (("--op", "add", "--shard", "3/2"), "'3/2' is not I/N with 1 <= I <= N, such as 1/4"),
        (("--op", "add", "--rounding", "nearest"), "has no job with rounding 'nearest'"),
        (("--op", "add", "--sign"), "--sign needs --digests FILE"),
        ((), "Missing option '--op'"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    shown = exhaustive(*arguments)
    assert shown.exit_code == 2
    assert message in shown.stderr
    assert len(shown.stderr.splitlines()) == 1


def gone() -> None:
    raise ConnectionError("this worker is gone")


def broken() -> None:
    raise LookupError("this worker lacks something")


def test_a_worker_that_dies_at_the_start_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None
    ) as cluster:
        monkeypatch.setattr(executors, "one_thread", gone)
        with dask_executor(cluster.scheduler_address) as executor:
            assert executor.submit(abs, -3).result() == 3
        monkeypatch.setattr(executors, "one_thread", broken)
        with pytest.raises(LookupError, match="lacks something"), dask_executor(cluster.scheduler_address):
            pass
