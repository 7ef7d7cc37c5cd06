"""A whole check: totals, explanations of differences, and damaged files that do not stop it."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from halfsim.capture import Damage, capture, check
from halfsim.capture.conformance import Conformance, conform
from halfsim.capture.recorder import MANIFEST
from tests.capture.machine import Machine

GROUPS = ("experiments.mma.m16n8k16.f", "comparisons", "cvt.f32")
FOLDER = "8.0/nvidia-paper-a100"


def record(path: Path, planted: dict[str, int] | None = None, only: tuple[str, ...] = GROUPS) -> Path:
    """Capture from a machine that flips the last bit of one result per opcode in `planted`."""
    machine = Machine((8, 0), "NVIDIA Paper A100")

    def flip(opcode: str, words: Any) -> Any:
        if opcode not in (planted or {}) or (words.ndim == 3 and len(words) == 8):
            return words
        wrong = np.ascontiguousarray(words).copy()
        wrong.reshape(-1)[(planted or {})[opcode]] ^= wrong.dtype.type(1)
        return wrong

    machine.planted = flip
    return capture(path, machine, only=only)


def checked(path: Path, **options: Any) -> tuple[Conformance, str]:
    lines: list[str] = []
    found = conform(path, lines.append, **options)
    return found, "\n".join(lines)


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("clean")
    record(root)
    return root


def test_a_clean_capture_agrees_with_totals(clean: Path) -> None:
    found, text = checked(clean)
    assert found.status == 0 and found.agrees
    total = sum(item.count for item in check(clean) if not isinstance(item, Damage))
    assert f"{total:,} of {total:,} results equal on 1 GPU(s)" in text
    assert "tells the row from" not in text and "DIFFER" not in text
    one, _ = checked(clean / FOLDER / MANIFEST)
    assert [item.count for item in one.agreements] == [item.count for item in found.agreements]


def test_differences_are_counted_and_explained(tmp_path: Path) -> None:
    record(
        tmp_path,
        {
            "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32": 2 * 128 + 3,  # the third experiment: truncation
            "cvt.rz.f16.f32": 300,
            "setp.lt.f16": 5,
        },
    )
    found, text = checked(tmp_path)
    assert found.status == 1 and sum(item.count - item.equal for item in found.agreements) == 3
    assert text.count("1 DIFFER") == 3
    lines = text.splitlines()
    at = next(number for number, line in enumerate(lines) if "truncation, not floor" in line)
    assert "GPU 3f7ffffe, simulator 3f7fffff" in lines[at]
    # -3 * 2^-16 * 2^-12 loses half a unit of 2^-24, and the sum is 2^24 - 1 units.
    assert "k = 0 to 7: largest exponent 0, unit 2^-24; a[1]*b[1] loses 0x1p-25; sum 16777215 units" in lines[at + 1]
    at = next(number for number, line in enumerate(lines) if "cvt.rz.f16.f32: 16,383 of 16,384" in line)
    assert (
        "GPU" in lines[at + 1]
        and lines[at + 2].strip().startswith("exact ")
        and "the rule always cuts" in lines[at + 2]
    )
    assert checked(tmp_path, limit=0)[1].count("GPU ") < text.count("GPU ")


def test_what_the_results_tell_is_reported(clean: Path) -> None:
    found, text = checked(clean, discriminate=True)
    power = {item.instruction: item.discrimination for item in found.agreements if item.discrimination}
    assert power.keys() == {"mma.m16n8k16.f32", "mma.m16n8k16.f16"}
    assert "mma.m16n8k16.f32 tells the row from: F - 1 (" in text
    assert "    cannot tell z - 1: no product of binary16 factors is as small as z" in text


def test_json_holds_everything(clean: Path) -> None:
    found, _ = checked(clean, discriminate=True)
    plain = json.loads(json.dumps(found.to_dict()))
    assert plain["agrees"] is True and plain["damaged"] == []
    assert plain["compared"] == plain["equal"] == sum(item["count"] for item in plain["results"])
    assert {"neighbour", "told", "outputs", "reason"} == plain["results"][0]["discrimination"][0].keys()


def test_a_folder_without_captures_says_so(tmp_path: Path) -> None:
    found, text = checked(tmp_path)
    assert found.status == 1 and not found.agrees
    assert "holds no capture, so nothing was compared" in text


# ---------------------------------------------------------------------------------------------------------- damage


def rewrite(folder: Path, group: str, change: Any) -> None:
    """Change a group's archive and keep its digest true."""
    manifest = json.loads((folder / MANIFEST).read_text())
    path = folder / manifest["groups"][group]["file"]
    content = change(path)
    path.write_bytes(content)
    manifest["groups"][group]["sha256"] = hashlib.sha256(content).hexdigest()
    (folder / MANIFEST).write_text(json.dumps(manifest))


def arrays(path: Path, change: Any) -> bytes:
    with np.load(path) as file:
        held = {name: file[name] for name in file.files}
    stored = io.BytesIO()
    np.savez(stored, **change(held))
    return stored.getvalue()


def manifest_entry(folder: Path, change: Any) -> None:
    manifest = json.loads((folder / MANIFEST).read_text())
    change(manifest)
    (folder / MANIFEST).write_text(json.dumps(manifest))


def unknown(folder: Path) -> None:
    def rename(manifest: Any) -> None:
        entry = manifest["groups"]["comparisons"]["instructions"]
        entry["setp.between.f16"] = entry.pop("setp.lt.f16")

    manifest_entry(folder, rename)
    rewrite(
        folder,
        "comparisons",
        lambda path: arrays(path, lambda held: {**held, "D.setp.between.f16": held["D.setp.lt.f16"]}),
    )


def short(held: dict[str, Any]) -> dict[str, Any]:
    return {name: array[:-1] if name == "D.setp.lt.f16" else array for name, array in held.items()}


def without(*names: str) -> Any:
    return lambda held: {name: array for name, array in held.items() if name not in names}


DAMAGES = {
    "digest": (lambda folder: (folder / "comparisons.npz").write_bytes(b"x"), "differs from the digest", 1),
    "missing": (lambda folder: (folder / "comparisons.npz").unlink(), "is missing though its manifest lists it", 1),
    "truncated": (
        lambda folder: rewrite(folder, "comparisons", lambda path: path.read_bytes()[:-1000]),
        "is not a whole archive",
        1,
    ),
    "middle": (
        lambda folder: rewrite(
            folder, "comparisons", lambda path: path.read_bytes()[:3000] + b"?" * 60 + path.read_bytes()[3060:]
        ),
        "is not a whole archive",
        1,
    ),
    "shape": (
        lambda folder: rewrite(folder, "comparisons", lambda path: arrays(path, short)),
        "results of setp.lt.f16 of shape",
        1,
    ),
    "results": (
        lambda folder: rewrite(folder, "comparisons", lambda path: arrays(path, without("D.setp.lt.f16"))),
        "holds no results of setp.lt.f16",
        1,
    ),
    "operands": (
        lambda folder: rewrite(folder, "comparisons", lambda path: arrays(path, without("b"))),
        "operands and results do not fit",
        None,
    ),
    "matrix": (
        lambda folder: rewrite(folder, "experiments.mma.m16n8k16.f32", lambda path: arrays(path, without("C.f32"))),
        "operands and results do not fit",
        1,
    ),
    "instruction": (unknown, "does not know the instruction", 1),
    "entry": (
        lambda folder: manifest_entry(folder, lambda manifest: manifest["groups"]["comparisons"].pop("sha256")),
        "is damaged at comparisons",
        1,
    ),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_is_one_line_and_the_rest_is_checked(name: str, tmp_path: Path) -> None:
    damage, text, count = DAMAGES[name]
    folder = record(tmp_path)
    whole = len(checked(tmp_path)[0].agreements)
    damage(folder)
    found, printed = checked(tmp_path)
    assert found.status == 1 and found.damages
    assert all(text in item.message and "\n" not in item.message for item in found.damages)
    if count is not None:
        assert len(found.damages) == count
    # Every instruction of the other groups is still compared, and agrees.
    others = {item.group for item in found.agreements}
    assert {"cvt.f32", "experiments.mma.m16n8k16.f16"} <= others and all(item.agrees for item in found.agreements)
    assert whole - len(found.agreements) >= 1
    assert printed.count("DAMAGED:") == len(found.damages) and f"{len(found.damages)} damaged" in printed


def test_archives_without_a_manifest_are_named(tmp_path: Path) -> None:
    folder = record(tmp_path, only=("comparisons", "cvt.s16"))
    (folder / MANIFEST).unlink()
    found, text = checked(tmp_path)
    assert found.status == 1 and not found.agreements and len(found.damages) == 1
    assert f"{folder} holds comparisons.npz but no {MANIFEST}" in text and "holds no capture" not in text


@pytest.mark.parametrize("part", ["", f"{FOLDER}/{MANIFEST}"])
def test_an_archive_that_no_manifest_lists_is_one_line(part: str, tmp_path: Path) -> None:
    folder = record(tmp_path, only=("comparisons", "cvt.s16"))
    assert checked(tmp_path / part)[0].status == 0
    (folder / "zzz.npz").write_bytes((folder / "comparisons.npz").read_bytes())
    found, text = checked(tmp_path / part)
    assert found.status == 1 and all(item.agrees for item in found.agreements)
    (damage,) = found.damages
    assert damage.message.startswith(f"read: {folder / 'zzz.npz'} is not listed in the {MANIFEST} beside it")
    assert text.count("zzz.npz") == 1


def test_a_difference_shows_the_operands_that_the_instruction_takes(tmp_path: Path) -> None:
    """The group holds a second operand for cvt.f16x2 alone."""
    record(tmp_path, {"cvt.rz.f16.f32": 300, "cvt.rz.f16x2.f32": 301}, only=("cvt.f32",))
    first = {item.instruction: item.first for item in checked(tmp_path)[0].agreements if item.first}
    assert {name: list(items[0].operands) for name, items in first.items()} == {
        "cvt.rz.f16.f32": ["a"],
        "cvt.rz.f16x2.f32": ["a", "b"],
    }
    assert ", b = " not in str(first["cvt.rz.f16.f32"][0])


def test_a_damaged_manifest_does_not_hide_another(clean: Path, tmp_path: Path) -> None:
    for broken in ("{", "[]", '{"schema": 1}', '{"schema": 1, "gpu": "x", "compute_capability": "9", "groups": {}}'):
        root = tmp_path / hashlib.sha256(broken.encode()).hexdigest()[:8]
        record(root, only=("experiments.mma.m16n8k16.f16",))
        (root / "9.0" / "broken").mkdir(parents=True)
        (root / "9.0" / "broken" / MANIFEST).write_text(broken)
        found, text = checked(root)
        assert len(found.damages) == 1 and found.agreements and "is damaged; restore it or capture again" in text
