"""Runs are kept, found again, continued, and the same however they were made."""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")
pytest.importorskip("tomli_w")
pytest.importorskip("pyarrow")

from halfsim.studies import runner, runs
from halfsim.studies.folder import RunFolder
from halfsim.studies.grid import Part, RunJob, Table, Variant, jobs_of
from halfsim.training.data import digits
from halfsim.training.tasks import Classification
from halfsim.training.trainer import Trainer
from tests.studies.grids import LONG, contents, grid, part

ROOT = Path(__file__).resolve().parents[2]
_CLOCK = ("seconds", "provenance")


def bits(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Summaries without what depends on the clock."""
    return [{key: value for key, value in result.items() if key not in _CLOCK} for result in results]


def stamps(folder: Path) -> dict[str, int]:
    return {f"{path.parent.name}/{path.name}": path.stat().st_mtime_ns for path in folder.glob("*/*")}


def until(condition: Callable[[], bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.02)


def under_way(folder: Path) -> list[Path]:
    """Folders of runs that have finished a few steps, and not all."""
    return [path.parent for path in folder.glob("*/journal.1") if path.stat().st_size]


def last_whole_step(run: Path) -> int:
    """The last step whose line a run has finished writing."""
    lines = (run / "events.jsonl").read_bytes().rpartition(b"\n")[0].splitlines()
    return max(event["step"] for event in map(json.loads, lines) if "loss" in event)


def kept_step(run: Path) -> int:
    """How many steps of a run are kept."""
    folder = RunFolder(run)
    with folder.events() as events, folder.journal() as journal:
        found = folder.last_state(events, journal)
    assert found is not None
    return int(found[0]["step"])


Whole = tuple[Path, list[dict[str, Any]]]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    folder = tmp_path_factory.mktemp("runs")
    return folder, runner.execute(grid(), folder, processes=1, progress=False)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    """Runs that are long enough to be killed under way."""
    folder = tmp_path_factory.mktemp("undisturbed")
    return folder, runner.execute(grid(LONG, 1), folder, processes=1, progress=False)


def test_records_come_in_the_order_of_the_jobs(whole: Whole) -> None:
    folder, results = whole
    wanted = [(job.part, job.variant, job.experiment.seed) for job in grid() if isinstance(job, RunJob)]
    assert [(result["part"], result["variant"], result["seed"]) for result in results] == wanted
    assert len({result["weights_sha256"] for result in results}) == 6
    for result in results:
        found = {path.name for path in (folder / result["id"]).iterdir()}
        assert found == {"config.toml", "events.jsonl", "hist.parquet", "summary.json", "checkpoint.npz"}


def test_events_say_what_happened_at_every_step(whole: Whole) -> None:
    folder, results = whole
    events = list(RunFolder(folder / results[1]["id"]).read_events())
    losses = [event for event in events if "loss" in event]
    assert [event["step"] for event in losses] == list(range(6))
    assert all(event.keys() == {"step", "phase", "loss", "scale", "skipped", "why"} for event in losses)
    assert {event["scale"] for event in losses} == {1024.0}
    assert [event["step"] for event in events if "evaluation" in event] == [0, 3, 6] == results[1]["steps"]
    assert [event["step"] for event in events if "ledger" in event] == [0, 2, 4]
    evaluated = [event["evaluation"]["loss"] for event in events if "evaluation" in event]
    assert evaluated == results[1]["measures"]["loss"]


def test_histograms_of_events_table_and_summary_agree(whole: Whole) -> None:
    from pyarrow import parquet

    folder, results = whole
    rows = parquet.read_table(folder / results[1]["id"] / "hist.parquet").to_pylist()
    for kind, bins in results[1]["ledger"]["histograms"].items():
        counted = np.zeros(79, np.int64)
        for row in rows:
            counted[row["bin"]] += row["count"] * (row["kind"] == kind)
        assert counted.tolist() == bins, kind
    assert {row["step"] for row in rows} == {0, 2, 4}


def test_the_checkpoint_of_a_finished_run_holds_its_weights(whole: Whole) -> None:
    import hashlib

    folder, results = whole
    with np.load(folder / results[1]["id"] / "checkpoint.npz") as archive:
        stored = archive["side 0:weights stored"]
    assert hashlib.sha256(stored.tobytes()).hexdigest() == results[1]["weights_sha256"]


def test_two_processes_give_the_bits_of_one(whole: Whole, tmp_path: Path) -> None:
    results = runner.execute(grid(), tmp_path, processes=2, progress=False)
    assert bits(results) == bits(whole[1])
    assert contents(tmp_path) == contents(whole[0])


def test_finished_runs_are_not_run_again(whole: Whole) -> None:
    folder, results = whole
    before = stamps(folder)
    assert len(before) == 6 * 5
    assert runner.execute(grid(), folder, processes=2, progress=False) == results
    assert stamps(folder) == before


@pytest.mark.parametrize("damaged", ["summary.json", "checkpoint.npz", "events.jsonl"])
def test_what_is_missing_or_damaged_is_made_again(whole: Whole, tmp_path: Path, damaged: str) -> None:
    folder, results = whole
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    first, second = sorted(path for path in tmp_path.iterdir())[:2]
    for mine in (first, second):
        (mine / "summary.json").unlink()
    (first / damaged).unlink(missing_ok=True)
    (second / damaged).write_bytes((folder / second.name / damaged).read_bytes()[:-7])
    before = stamps(tmp_path)
    assert bits(runner.execute(grid(), tmp_path, processes=1, progress=False)) == bits(results)
    assert contents(tmp_path) == contents(folder)
    changed = {name.split("/")[0] for name, stamp in stamps(tmp_path).items() if before.get(name) != stamp}
    assert changed == {first.name, second.name}


def test_every_step_is_kept_in_a_checkpoint_or_in_the_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[str] = []
    checkpoint, note = RunFolder.save_checkpoint, RunFolder.note
    monkeypatch.setattr(RunFolder, "save_checkpoint", lambda *args: (kept.append("checkpoint"), checkpoint(*args))[1])
    monkeypatch.setattr(RunFolder, "note", lambda *args: (kept.append("note"), note(*args))[1])
    for longest, expected in ((0.0, ["checkpoint"] * 6), (1e9, [*["note"] * 5, "checkpoint"])):
        kept.clear()
        monkeypatch.setattr(runs, "_LONGEST", longest)
        grid()[0].perform(tmp_path / str(longest))
        assert kept == expected
    assert contents(tmp_path / "0.0") == contents(tmp_path / "1000000000.0")


@pytest.mark.parametrize("longest", [0.0, 1e9], ids=["checkpoints", "journal"])
def test_a_stop_at_any_write_loses_nothing(
    whole: Whole, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, longest: float
) -> None:
    """As a kill at the worst moments: before a file is in its place, and in the middle of a line or a slot."""
    job = grid()[2]
    monkeypatch.setattr(runs, "_LONGEST", longest)
    replaced, written = os.replace, os.write
    stops = 0
    for moment in range(0, 40, 3):
        folder = tmp_path / str(moment)
        left = [moment]

        def stop(left: list[int] = left) -> None:
            left[0] -= 1
            if left[0] < 0:
                raise KeyboardInterrupt

        def replace_(source: Any, target: Any) -> None:
            stop()
            replaced(source, target)

        def write(file: int, content: Any) -> int:
            try:
                stop()
            except KeyboardInterrupt:
                written(file, bytes(content)[:20])
                raise
            return written(file, content)

        with monkeypatch.context() as patch:
            patch.setattr(os, "replace", replace_)
            patch.setattr(os, "write", write)
            try:
                job.perform(folder)
            except KeyboardInterrupt:
                stops += 1
                assert RunFolder(folder / job.id).summary() is None
        job.perform(folder)
        mine = {name: content for name, content in contents(whole[0]).items() if name.startswith(job.id)}
        assert contents(folder) == mine, moment
        assert RunFolder(folder / job.id).summary()["weights_sha256"] == whole[1][2]["weights_sha256"]  # type: ignore[index]
    assert 5 <= stops <= 13, "the moments should reach to the end of the run, and beyond"


def run_script(folder: Path, processes: int) -> subprocess.Popen[bytes]:
    line = [sys.executable, "-m", "tests.studies.grids", str(folder), str(processes)]
    return subprocess.Popen(line, cwd=ROOT, env={**os.environ, "PYTHONPATH": "."})


@pytest.mark.parametrize("processes", [1, 2])
def test_a_killed_runner_goes_on_to_the_same_bits(
    undisturbed: Whole, tmp_path: Path, processes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = run_script(tmp_path, processes)
    try:
        until(lambda: bool(under_way(tmp_path)) or process.poll() is not None)
        assert process.poll() is None, "it ended by itself: nothing was killed"
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    time.sleep(0.5)
    before = contents(tmp_path)
    time.sleep(0.2)
    assert contents(tmp_path) == before, "a worker outlived the runner"
    stopped, finished = under_way(tmp_path), list(tmp_path.glob("*/summary.json"))
    assert stopped
    # A step counts as finished when its line is there; the one in flight may have written it already.
    whole = {run: last_whole_step(run) for run in stopped}
    kept = {run: kept_step(run) for run in stopped}
    assert all(whole[run] <= kept[run] <= whole[run] + 1 for run in stopped), "more than the step in flight is lost"
    steps: list[int] = []
    advance = Trainer.advance

    def counted(trainer: Trainer) -> Any:
        steps.append(trainer.step)
        return advance(trainer)

    monkeypatch.setattr(Trainer, "advance", counted)
    monkeypatch.setattr(runs, "_LONGEST", 0.2)  # checkpoints and journal in turns
    assert bits(runner.execute(grid(LONG, 1), tmp_path, processes=1, progress=False)) == bits(undisturbed[1])
    assert contents(tmp_path) == contents(undisturbed[0])
    assert len(steps) == LONG * (3 - len(finished)) - sum(kept.values()), "it began anew"


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="needs process groups")
def test_an_interrupt_ends_the_study_and_its_workers_at_once(tmp_path: Path) -> None:
    """Ctrl-C reaches the whole group of processes, as a terminal sends it."""
    script = "import sys; from halfsim.cli import main; sys.argv[0] = 'halfsim'; main()"
    study = ["study", "run", "quickstart", "--seeds", "2", "--jobs", "2", "--out", str(tmp_path)]
    process = subprocess.Popen(
        [sys.executable, "-c", script, *study],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    until(lambda: bool(under_way(tmp_path / "runs")) or process.poll() is not None)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130, said
    assert "halfsim: interrupted" in said
    assert "Traceback" not in said
    assert _ends(process.pid), "a process of the group is left"


def _ends(group: int) -> bool:
    """Whether nobody is left in a group of processes, within seconds."""
    for _ in range(100):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    return False


def test_a_killed_worker_is_replaced_and_its_run_goes_on(undisturbed: Whole, tmp_path: Path) -> None:
    killed = []

    def kill() -> None:
        until(lambda: bool(under_way(tmp_path)))
        worker = multiprocessing.active_children()[0]
        killed.append(worker.pid)
        os.kill(worker.pid or 0, signal.SIGKILL)

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    results = runner.execute(grid(LONG, 1), tmp_path, processes=2, progress=False)
    killer.join()
    assert killed, "no worker was killed"
    assert bits(results) == bits(undisturbed[1])
    assert contents(tmp_path) == contents(undisturbed[0])


def test_a_killed_dask_worker_changes_no_bit(undisturbed: Whole, tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed")
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None, "silence_logs": 50}
    with distributed.LocalCluster(**options) as cluster:
        worker = next(iter(cluster.workers.values())).pid

        def kill() -> None:
            until(lambda: bool(under_way(tmp_path)))
            os.kill(worker, signal.SIGKILL)

        killer = threading.Thread(target=kill, daemon=True)
        killer.start()
        results = runner.execute(grid(LONG, 1), tmp_path, progress=False, scheduler=cluster.scheduler_address)
        killer.join()
    assert bits(results) == bits(undisturbed[1])
    assert contents(tmp_path) == contents(undisturbed[0])


def test_a_cluster_that_writes_elsewhere_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RunJob, "perform", lambda job, folder: None)
    with pytest.raises(FileNotFoundError, match="pass an output folder that all workers and this machine share"):
        runner.execute(grid(), tmp_path, processes=1, progress=False)


def test_the_name_of_a_run_changes_with_what_decides_it() -> None:
    names = [job.id for job in grid()] + [job.id for job in grid(steps=7)]
    assert len(set(names)) == 12


def test_the_name_of_a_run_changes_with_data_and_code(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [grid()[0].id]
    with monkeypatch.context() as patch:
        other = replace(digits(), sha256="0" * 64)
        patch.setattr(Classification, "data", property(lambda task: other))
        names.append(grid()[0].id)
    monkeypatch.setattr("halfsim.studies.grid.source_digest", lambda: "0" * 64)
    names.append(grid()[0].id)
    assert len(set(names)) == 3


@pytest.mark.parametrize("processes", [1, 2])
def test_equal_runs_of_two_parts_are_made_once(
    tmp_path: Path, processes: int, capsys: pytest.CaptureFixture[str]
) -> None:
    first = part(steps=2)
    other = replace(first, name="other", policies=(replace(first.policies[0], name="renamed"),), shown=("renamed",))
    jobs = jobs_of([first, other], [0])
    results = runner.execute(jobs, tmp_path, processes=processes)
    assert [(found["part"], found["variant"]) for found in results] == [(job.part, job.variant) for job in jobs]
    assert results[0]["id"] == results[3]["id"]
    assert len(list(tmp_path.iterdir())) == 3
    assert capsys.readouterr().err.endswith("3 of 3 runs, about 0 s left\n")


def test_a_variant_may_change_settings_and_task() -> None:
    first = part()
    longer = replace(first.settings, steps=9)
    fewer = Classification(dataset="digits", train=800)
    policy = first.policies[1]
    rows = (
        Variant(name="longer", policy=policy, settings=longer),
        Variant(name="fewer", policy=policy, task=fewer),
    )
    jobs = jobs_of([replace(first, variants=rows)], [0])
    assert [job.variant for job in jobs] == [*(policy.name for policy in first.policies), "longer", "fewer"]
    assert [job.steps for job in jobs] == [6, 6, 6, 9, 6]
    assert jobs[4].config["task"]["train"] == 800
    assert len({job.id for job in jobs}) == 5


def squares(numbers: list[int], power: int = 2) -> list[dict[str, float]]:
    return [{"n": n, "power": float(n**power)} for n in numbers]


def test_a_table_is_computed_once_and_kept(tmp_path: Path) -> None:
    table = Table(
        name="powers",
        title="Powers",
        claim="They grow.",
        function=f"{__name__}:squares",
        arguments={"numbers": [1, 2, 3], "power": 3},
        columns=("n", "power"),
    )
    (job,) = jobs_of([table], [0, 1])
    (found,) = runner.execute([job], tmp_path, processes=1, progress=False)
    assert found["rows"] == [{"n": 1, "power": 1.0}, {"n": 2, "power": 8.0}, {"n": 3, "power": 27.0}]
    assert (found["part"], found["variant"]) == ("powers", "")
    before = stamps(tmp_path)
    assert runner.execute([job], tmp_path, processes=1, progress=False) == [found]
    assert stamps(tmp_path) == before
    assert jobs_of([replace(table, arguments={"numbers": [1]})], [0])[0].id != job.id
    summary = tmp_path / job.id / "summary.json"
    summary.write_text(summary.read_text().replace("27.0", "28.0"))
    assert runner.execute([job], tmp_path, processes=1, progress=False)[0]["rows"] == found["rows"]


def test_a_stopped_table_that_trains_loses_the_step_in_flight_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from halfsim.studies.tables.rates import lost_updates

    arguments: dict[str, Any] = {"rates": [1e-3], "steps": 30, "seeds": 1, "sizes": [64, 4, 10]}
    function = "halfsim.studies.tables.rates:lost_updates"
    table = Table(name="rates", title="Rates", claim="Some.", function=function, arguments=arguments, trains=True)
    (job,) = jobs_of([table], [0])
    whole, stopped_in = 4 * 30, 75
    calls = 0
    advance = Trainer.advance

    def counted(trainer: Trainer) -> Any:
        nonlocal calls
        calls += 1
        if calls == stopped_in:
            raise KeyboardInterrupt
        return advance(trainer)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "advance", counted)
        with pytest.raises(KeyboardInterrupt):
            job.perform(tmp_path)
        assert RunFolder(tmp_path / job.id).summary() is None
        (found,) = runner.execute([job], tmp_path, processes=1, progress=False)
        assert calls == whole + 1
    assert found["rows"] == lost_updates(**arguments)
    assert "runs" not in found["config"]["arguments"]


def test_progress_goes_to_standard_error(whole: Whole, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    runner.execute(grid(), whole[0], progress=True)
    assert capsys.readouterr() == ("", "6 of 6 runs are already there\n")
    runner.execute(grid(seeds=1), tmp_path, processes=1, progress=True)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.endswith("3 of 3 runs, about 0 s left\n")


def test_progress_counts_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from halfsim.studies import progress

    monkeypatch.setattr(progress, "_LOOK", 0.01)
    monkeypatch.setattr(progress, "_SAY", 0.05)
    with progress.Progress(tmp_path, {"a": 10, "b": 10}, 2, True) as bar:
        time.sleep(1)  # as if it compiled
        with RunFolder(tmp_path / "a").events() as events:
            events.append([{"step": 1}])
            time.sleep(0.4)
            events.append([{"step": 6}])
            time.sleep(0.1)
        said = capsys.readouterr().err
        bar.advance("a", "first")
        bar.advance("b", "second")
    # Half a run in about 0.45 s, and 1.4 to go; were the second before the first step counted, it would be 4 s.
    times = [float(found) for found in re.findall(r"^0 of 2 runs, about (\d+) s left$", said, re.M)]
    assert times
    assert times[-1] in (1, 2)
    assert "about ? left" in said
    assert capsys.readouterr().err.endswith("2 of 2 runs, about 0 s left\n")


@pytest.mark.parametrize("seeds", [0, -1, [], [1, 1], [-1]])
def test_seeds_are_checked(seeds: int | list[int]) -> None:
    with pytest.raises(ValueError, match="seeds="):
        runner.check_seeds(seeds)


def test_seeds_are_a_number_or_a_list() -> None:
    assert runner.check_seeds(3) == [0, 1, 2]
    assert runner.check_seeds((7, 5)) == [7, 5]


def test_a_grid_names_what_is_wrong_with_it() -> None:
    tiny = part()
    with pytest.raises(ValueError, match="differ in name"):
        Part(**{**_fields(tiny), "policies": tiny.policies[:1] * 2})
    with pytest.raises(ValueError, match="include those shown"):
        Part(**{**_fields(tiny), "shown": ("other",)})
    with pytest.raises(ValueError, match="neither policies nor variants"):
        Part(**{**_fields(tiny), "policies": (), "shown": ()})
    assert len(jobs_of([tiny], [4, 5])) == 6


def _fields(value: Part) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__dataclass_fields__}


def test_configurations_make_the_same_experiment_again() -> None:
    from halfsim.training.experiment import Experiment

    for job in grid():
        assert isinstance(job, RunJob)
        config = json.loads(json.dumps(job.experiment.config()))
        assert Experiment.from_config(config) == job.experiment
