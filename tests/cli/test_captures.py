"""`halfsim vectors check` of captures: what it prints, and its exit status."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from halfsim.capture import capture
from tests.capture.machine import Machine
from tests.cli.running import ROOT, invoke


@pytest.fixture(scope="module")
def captured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("captured")
    capture(root, Machine((8, 0), "NVIDIA Paper A100"), only=("experiments.mma.m16n8k16.f",))
    return root


def test_captures_that_agree(captured: Path) -> None:
    done = invoke("vectors", "check", str(captured))
    assert done.exit_code == 0
    assert "mma.m16n8k16.f32" in done.stdout and "agrees" in done.stdout
    shown = invoke("vectors", "check", str(captured), "--discriminate").stdout
    assert "tells the row from: F - 1 (" in shown and "cannot tell z + 1: " in shown


def test_json(captured: Path) -> None:
    plain: dict[str, Any] = json.loads(invoke("vectors", "check", str(captured), "--json").stdout)
    assert plain["agrees"] and [item["instruction"] for item in plain["results"]] == [
        "mma.m16n8k16.f32",
        "mma.m16n8k16.f16",
    ]


def test_captures_that_differ(tmp_path: Path) -> None:
    machine = Machine((8, 0), "NVIDIA Paper A100")
    machine.planted = lambda name, words: words if len(words) == 8 else words ^ words.dtype.type(1)
    capture(tmp_path, machine, only=("experiments.mma.m16n8k16.f32",))
    done = invoke("vectors", "check", str(tmp_path), "--limit", "2")
    assert done.exit_code == 1
    assert "DIFFER" in done.stdout and done.stdout.count("simulator ") == 2 and "largest exponent" in done.stdout
    assert json.loads(invoke("vectors", "check", str(tmp_path), "--json").stdout)["agrees"] is False


def test_nothing_to_compare_is_no_success(tmp_path: Path) -> None:
    done = invoke("vectors", "check", str(tmp_path))
    assert done.exit_code == 1 and "holds no capture, so nothing was compared" in done.stdout


@pytest.mark.parametrize(
    "name", ["absent", "absent.tv", "absent.npz", "absent.doc", "absent/below", "absent/MANIFEST.json"]
)
def test_a_path_that_does_not_exist_is_said_to(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = invoke("vectors", "check", name)
    assert done.exit_code == 1
    assert done.stderr.splitlines() == [f"halfsim vectors check: {name}: does not exist; check the path"]


def test_archives_without_their_manifest(captured: Path, tmp_path: Path) -> None:
    (archive, *_) = sorted(captured.rglob("*.npz"))
    (tmp_path / archive.name).write_bytes(archive.read_bytes())
    done = invoke("vectors", "check", str(tmp_path))
    assert done.exit_code == 1 and f"holds {archive.name} but no MANIFEST.json" in done.stdout
    assert "holds no capture" not in done.stdout


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["vectors/cuda", "add.tv"], "a folder of captures is checked alone"),
        (["vectors/cuda", "--junit", "x.xml"], "without --junit"),
        (["add.tv", "--discriminate"], "--discriminate is for a folder of captures"),
        (["vectors/cuda", "--limit", "-1"], "is not in the range x>=0"),
    ],
)
def test_wrong_usage_is_one_line(arguments: list[str], text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    done = invoke("vectors", "check", *arguments)
    assert done.exit_code == 2
    assert text in done.stderr and len(done.stderr.strip().splitlines()) == 1
