"""The exhaustive check itself: it resumes, shards, and finds a planted error; some blocks of every job run here."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner

import halfsim as hs
from tests import exhaustive
from tests.oracles import corners, native, rational


@pytest.fixture
def run(tmp_path):
    def invoke(*arguments):
        return CliRunner().invoke(
            exhaustive.main, [*arguments, "--progress-file", str(tmp_path / "progress.json"), "--workers", "2"]
        )

    before = hs.get_num_threads()
    yield invoke
    hs.set_num_threads(before)


@pytest.mark.parametrize("mode", native.MODES)
@pytest.mark.parametrize("name", ["add", "subtract", "multiply", "divide", "remainder"])
def test_the_native_oracle_equals_the_rational_one(name, mode):
    a, b = corners.pairs(300, seed=95)
    machine = rational.MACHINES["RISCV"]
    for x, y in zip(a[::5].tolist(), b[::5].tolist(), strict=True):
        z, flags = native.pairs(name, x << 16 | y, 1, mode, seed=3, bits=13)
        word = int(native._word(x << 16 | y, np.uint64(3)))
        want = getattr(rational, name)(x, y, rational.Context(mode, machine, random=word, random_bits=13))
        assert (z[0], flags[0]) == want, (hex(x), hex(y))


@pytest.mark.parametrize("job", [*exhaustive.JOBS, exhaustive.Job("multiply", "stochastic")], ids=str)
def test_some_blocks_of_every_job(job):
    for unit in (0x039, 0x3C0, 0xFBF):  # subnormal, about one, negative and large first operands
        assert exhaustive.check_unit(job, unit) == []


def test_a_run_resumes_where_it_stopped(run, tmp_path):
    first = run("add", "--units", "2")
    assert first.exit_code == 0, first.output
    assert "2 of 4096 blocks agree" in first.output
    done = json.loads((tmp_path / "progress.json").read_text())["done"]["add rne after"]
    assert int(done, 16).bit_count() == 2
    second = run("add", "--units", "1")
    assert "3 of 4096 blocks agree" in second.output
    assert "1 of 4096" in run("add", "--units", "1", "--restart").output
    assert not list(tmp_path.glob("*.tmp"))


def test_shards_are_disjoint_and_complete(tmp_path):
    progress = exhaustive.Progress(tmp_path / "none.json", restart=False)
    shards = [exhaustive._ordered(exhaustive.Job("add"), (i, 3), progress) for i in (1, 2, 3)]
    assert sorted(unit for shard in shards for unit in shard) == list(range(exhaustive.UNITS))


def test_a_change_of_the_sources_starts_anew(run, tmp_path):
    run("add", "--units", "1")
    path = tmp_path / "progress.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "sources": "of yesterday"}))
    assert "1 of 4096" in run("add", "--units", "1").output


def test_a_planted_error_is_found(run, monkeypatch, tmp_path):
    honest = native.pairs

    def lying(name, start, count, *rest):
        z, flags = honest(name, start, count, *rest)
        flags[77] ^= 1
        return z, flags

    monkeypatch.setattr(native, "pairs", lying)
    result = run("subtract", "--rounding", "rup", "--units", "1")
    assert result.exit_code == 1
    assert "subtract rup after: (0x0000, 0x004d) expected 0x804d flags 1, got 0x804d flags 0" in result.output
    assert json.loads((tmp_path / "progress.json").read_text())["done"] == {}


def test_wrong_arguments_are_refused(run):
    for arguments in (["fma"], ["add", "--shard", "3/2"], ["add", "--rounding", "nearest"]):
        result = run(*arguments)
        assert result.exit_code == 2
        assert "Error" in result.output
