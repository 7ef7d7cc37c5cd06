"""Runs are kept, found again, and the same however they were made."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("sklearn")

from halfsim.studies import runner
from halfsim.studies.grid import Part, jobs_of
from halfsim.training.data import digits
from halfsim.training.tasks import TASKS, Classification
from tests.studies.grids import Deadly, grid, part

ROOT = Path(__file__).resolve().parents[2]


def bits(results: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(result["id"], result["record"]["weights_sha256"]) for result in results]


def stamps(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]]]:
    folder = tmp_path_factory.mktemp("runs")
    return folder, runner.execute(grid(), folder, processes=1, progress=False)


def test_records_come_in_the_order_of_the_jobs(whole: tuple[Path, list[dict[str, Any]]]) -> None:
    _, results = whole
    assert [(result["policy"], result["seed"]) for result in results] == [(job.policy.name, job.seed) for job in grid()]
    assert len({digest for _, digest in bits(results)}) == 6


def test_two_processes_give_the_bits_of_one(whole: tuple[Path, list[dict[str, Any]]], tmp_path: Path) -> None:
    results = runner.execute(grid(), tmp_path, processes=2, progress=False)
    assert bits(results) == bits(whole[1])
    records = [[result["record"] for result in found] for found in (results, whole[1])]
    assert records[0] == records[1]


def test_finished_runs_are_not_run_again(whole: tuple[Path, list[dict[str, Any]]]) -> None:
    folder, results = whole
    before = stamps(folder)
    assert len(before) == 6
    assert runner.execute(grid(), folder, processes=2, progress=False) == results
    assert stamps(folder) == before


def test_a_missing_and_a_damaged_record_are_made_again(
    whole: tuple[Path, list[dict[str, Any]]], tmp_path: Path
) -> None:
    folder, results = whole
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    names = sorted(stamps(tmp_path))
    (tmp_path / names[0]).unlink()
    (tmp_path / names[1]).write_text("{")
    before = stamps(tmp_path)
    assert bits(runner.execute(grid(), tmp_path, processes=1, progress=False)) == bits(results)
    after = stamps(tmp_path)
    assert {name for name in names if before.get(name) != after[name]} == set(names[:2])


def test_a_killed_runner_loses_only_the_run_in_flight(whole: tuple[Path, list[dict[str, Any]]], tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.studies.grids", str(tmp_path)], cwd=ROOT, env={**os.environ, "PYTHONPATH": "."}
    )
    try:
        deadline = time.monotonic() + 120
        while len(list(tmp_path.glob("*.json"))) < 6 and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        assert process.poll() is None, "it ended by itself: nothing was killed"
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    before = stamps(tmp_path)
    assert bits(runner.execute(grid(), tmp_path, processes=1, progress=False)) == bits(whole[1])
    assert stamps(tmp_path) == before, "a finished run was made again"


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="needs process groups")
def test_an_interrupt_ends_the_study_and_its_workers_at_once(tmp_path: Path) -> None:
    """Ctrl-C reaches the whole group of processes, as a terminal sends it."""
    script = "import sys; from halfsim.cli import main; sys.argv[0] = 'halfsim'; main()"
    study = ["study", "run", "quickstart", "--seeds", "2", "--jobs", "2", "--out", str(tmp_path)]
    process = subprocess.Popen(
        [sys.executable, "-c", script, *study],
        cwd=ROOT,
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 120
    while not list(tmp_path.rglob("runs/*.json")) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
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


def test_a_killed_worker_does_not_stop_the_others(whole: tuple[Path, list[dict[str, Any]]], tmp_path: Path) -> None:
    marker = tmp_path / "died"
    jobs = grid()
    jobs[2] = Deadly.of(jobs[2], marker)
    results = runner.execute(jobs, tmp_path / "runs", processes=2, progress=False)
    assert marker.exists(), "no worker was killed"
    assert bits(results) == bits(whole[1])


def test_the_name_of_a_run_changes_with_what_decides_it() -> None:
    names = [job.name() for job in grid()] + [job.name() for job in grid(steps=7)]
    assert len(set(names)) == 12


def test_the_name_of_a_run_changes_with_data_and_code(monkeypatch: pytest.MonkeyPatch) -> None:
    job = grid()[0]
    names = [job.name()]
    other = replace(digits(), sha256="0" * 64)
    with monkeypatch.context() as patch:
        patch.setitem(TASKS, "digits", lambda: Classification(other))
        names.append(job.name())
    monkeypatch.setattr("halfsim.studies.grid.source_digest", lambda: "0" * 64)
    names.append(job.name())
    assert len(set(names)) == 3


@pytest.mark.parametrize("processes", [1, 2])
def test_equal_runs_of_two_parts_are_made_once(
    tmp_path: Path, processes: int, capsys: pytest.CaptureFixture[str]
) -> None:
    first = part(steps=2)
    other = replace(first, name="other", policies=(replace(first.policies[0], name="renamed"),), shown=("renamed",))
    jobs = jobs_of([first, other], [0])
    results = runner.execute(jobs, tmp_path, processes=processes)
    assert [(found["part"], found["policy"]) for found in results] == [(job.part, job.policy.name) for job in jobs]
    assert results[0]["id"] == results[3]["id"]
    assert len(list(tmp_path.iterdir())) == 3
    assert capsys.readouterr().err.endswith("3 of 3 runs, about 0 s left\n")


def test_progress_goes_to_standard_error(
    whole: tuple[Path, list[dict[str, Any]]], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    runner.execute(grid(), whole[0], progress=True)
    assert capsys.readouterr() == ("", "6 of 6 runs are already there\n")
    runner.execute(grid(seeds=1), tmp_path, processes=1, progress=True)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.endswith("3 of 3 runs, about 0 s left\n")


@pytest.mark.parametrize("seeds", [0, -1, [], [1, 1], [-1]])
def test_seeds_are_checked(seeds: int | list[int]) -> None:
    with pytest.raises(ValueError, match="seeds="):
        runner.check_seeds(seeds)


def test_seeds_are_a_number_or_a_list() -> None:
    assert runner.check_seeds(3) == [0, 1, 2]
    assert runner.check_seeds((7, 5)) == [7, 5]


def test_a_grid_names_what_is_wrong_with_it() -> None:
    tiny = part()
    with pytest.raises(ValueError, match="known are digits"):
        Part(**{**_fields(tiny), "task": "imagenet"})
    with pytest.raises(ValueError, match="differ in name"):
        Part(**{**_fields(tiny), "policies": tiny.policies[:1] * 2})
    with pytest.raises(ValueError, match="include those shown"):
        Part(**{**_fields(tiny), "shown": ("other",)})
    assert len(jobs_of([tiny], [4, 5])) == 6


def _fields(value: Part) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__dataclass_fields__}
