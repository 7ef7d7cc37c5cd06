"""Recording, resuming and reading back, against a machine that answers with the simulator."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from halfsim.capture import DeviceError, LostError, UnsupportedError, capture, functions, libraries, read
from halfsim.capture.groups import GROUPS
from halfsim.capture.libraries import LibraryCall, _torch_matmul, matrices
from halfsim.capture.program import select_groups
from halfsim.capture.recorder import MANIFEST
from tests.capture.machine import Machine

SOME = ("experiments.mma.m16n8k16.f", "mma.m16n8k8.tf32", "mma.m16n8k8", "comparisons", "cvt.s16", "cvt.rs")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return capture(tmp_path, Machine(), only=SOME)


def manifest(folder: Path) -> dict[str, Any]:
    return json.loads((folder / MANIFEST).read_text())


def test_decisive_groups_come_first() -> None:
    names = [group.name for group in GROUPS]
    order = [
        names.index(name)
        for name in (
            "experiments.mma.m16n8k16.f32",
            "mma.m16n8k16",
            "wgmma.m64n8k16",
            "arithmetic",
            "cvt.f32",
            "functions",
            "library.m128n128k128",
        )
    ]
    assert order == sorted(order) and len(set(names)) == len(names)


def test_every_result_has_its_provenance(folder: Path) -> None:
    assert folder.parts[-2:] == ("9.0", "nvidia-paper-1")
    found = manifest(folder)
    assert (found["gpu"], found["compute_capability"], found["seed"]) == ("NVIDIA Paper 1", "9.0", 1)
    entry = found["groups"]["mma.m16n8k8"]
    assert entry["driver"] == "580.0" and entry["cuda"] == "13.0" and entry["date"].startswith("20")
    details = entry["instructions"]["mma.m16n8k8.f32"]
    assert details["opcode"] == "mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32"
    assert details["machine_code"] == "PAPER" and details["results"] == 13 * 12 * 128
    rounded = found["groups"]["cvt.rs"]["instructions"]
    assert {item["status"] for item in rounded.values()} == {"unsupported"}
    (only,) = read(folder)
    records = list(only.records())
    assert all(record.gpu == "NVIDIA Paper 1" and record.capability == (9, 0) for record in records)
    by_name = {(record.group, record.instruction): record for record in records}
    exhaustive = by_name["cvt.s16", "cvt.rz.f16.s16"]
    assert np.array_equal(exhaustive.operands["a"], np.arange(65536)) and exhaustive.result.size == 65536
    named = by_name["experiments.mma.m16n8k16.f32", "mma.m16n8k16.f32"]
    assert named.labels[0] == "cancel" and named.result.shape == (1, len(named.labels), 16, 8)


def test_random_bits_are_the_third_operand_of_stochastic_conversions(tmp_path: Path, monkeypatch: Any) -> None:
    given: dict[str, list[Any]] = {}

    def launch(self: Machine, kernel: Any, blocks: int, operands: Any, result: Any, numbers: Any = ()) -> Any:
        given[kernel.opcode] = list(operands)
        return np.zeros(*result)

    monkeypatch.setattr(Machine, "launch", launch)
    made = capture(tmp_path, Machine((10, 0), "NVIDIA Paper 100"), only=["cvt.rs"])
    entries = manifest(made)["groups"]["cvt.rs"]["instructions"]
    assert {item["status"] for item in entries.values()} == {"recorded"}
    assert sorted(given) == sorted(entries) and len(given) == 3
    with np.load(made / "cvt.rs.npz") as stored:
        for arrays in given.values():
            assert all(np.array_equal(stored[name], array) for name, array in zip("abr", arrays, strict=True))
        assert not np.array_equal(stored["r"], stored["b"])


def test_the_same_seed_gives_the_same_files(tmp_path: Path) -> None:
    one, two = (capture(tmp_path / name, Machine(), only=SOME) for name in "ab")
    digests = [{name: entry["sha256"] for name, entry in manifest(item)["groups"].items()} for item in (one, two)]
    assert digests[0] == digests[1]
    other = capture(tmp_path / "c", Machine(), only=SOME, seed=2)
    assert manifest(other)["groups"]["mma.m16n8k8"]["sha256"] != digests[0]["mma.m16n8k8"]


def test_finished_groups_are_skipped_and_damaged_ones_captured_again(folder: Path) -> None:
    machine, lines = Machine(), []
    (folder / "comparisons.npz").write_bytes(b"half a file")
    capture(folder.parents[1], machine, only=SOME, progress=lines.append)
    assert sum("already recorded" in line for line in lines) == len(select_groups(SOME)) - 1
    assert all(opcode.startswith("setp.") for opcode in machine.launches) and machine.launches
    assert len(list(read(folder)[0].records())) > 30


def test_a_run_cut_off_by_time_leaves_whole_files_and_continues(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(10_000))
    monkeypatch.setattr("halfsim.capture.program.time.monotonic", lambda: float(next(clock)))
    lines: list[str] = []
    folder = capture(tmp_path, Machine(), only=SOME, time_limit=20, progress=lines.append)
    done = manifest(folder)["groups"]
    assert 0 < len(done) < len(select_groups(SOME)) and all(entry["finished"] for entry in done.values())
    assert "the same command continues with" in lines[-1]
    monkeypatch.undo()
    capture(tmp_path, Machine(), only=SOME)
    assert len(manifest(folder)["groups"]) == len(select_groups(SOME))


def test_a_kill_between_files_loses_one_group_at_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kill after the archive and before the manifest: the manifest still tells the truth."""
    import halfsim.capture.recorder as recorder

    whole, count = recorder._replace, iter(range(100))

    def killed(path: Path, content: bytes) -> None:
        if next(count) == 5:
            raise KeyboardInterrupt
        whole(path, content)

    monkeypatch.setattr(recorder, "_replace", killed)
    with pytest.raises(KeyboardInterrupt):
        capture(tmp_path, Machine(), only=SOME)
    monkeypatch.undo()
    (found,) = read(tmp_path)
    (found.folder / ".comparisons.npz.123").write_bytes(b"half a file")
    assert len(found.manifest["groups"]) == 2 and list(found.records())
    capture(tmp_path, Machine(), only=SOME)
    assert len(read(tmp_path)[0].manifest["groups"]) == len(select_groups(SOME))
    assert not list(tmp_path.rglob(".*npz*"))


def test_a_failed_instruction_is_named_the_others_recorded_and_the_group_tried_again(tmp_path: Path) -> None:
    machine, lines = Machine(), []
    machine.failing.add("setp.lt.f16")
    folder = capture(tmp_path, machine, only=("comparisons",), progress=lines.append)
    assert "27 recorded, 1 failed (capture: setp.lt.f16 failed on purpose)" in lines[-1] and machine.resets == 1
    assert "setp.lt.f16" not in {record.instruction for record in read(folder)[0].records()}
    capture(tmp_path, Machine(), only=("comparisons",))
    assert len(list(read(folder)[0].records())) == 28


def test_a_gpu_that_stops_answering_leaves_whole_files_and_the_next_run_begins_elsewhere(tmp_path: Path) -> None:
    class Dying(Machine):
        def reset(self) -> None:
            raise LostError("capture: gone")

    machine, lines = Dying(), []
    machine.failing.add("setp.lt.f16")
    with pytest.raises(LostError, match="gone; everything so far is written, and the same command continues"):
        capture(tmp_path, machine, only=SOME, progress=lines.append)
    (found,) = read(tmp_path)
    entries = found.manifest["groups"]["comparisons"]["instructions"]
    assert entries["setp.lt.f16"]["status"] == "failed" and entries["setp.eq.f16"]["status"] == "recorded"
    before = set(found.manifest["groups"])
    with pytest.raises(LostError):
        capture(tmp_path, machine, only=SOME)
    after = set(read(tmp_path)[0].manifest["groups"])
    assert before < after == {group.name for group in select_groups(SOME)}
    capture(tmp_path, Machine(), only=SOME)
    assert len([item for item in read(tmp_path)[0].records() if item.group == "comparisons"]) == 28


def test_a_librarys_own_mistake_costs_one_instruction(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def mistaken(self: Any, device: Any, operands: Any) -> Any:
        raise AttributeError("no such switch")

    monkeypatch.setattr(LibraryCall, "probed", lambda self, device: self)
    monkeypatch.setattr(LibraryCall, "measure", mistaken)
    folder = capture(tmp_path, Machine(), only=("library.m128",))
    entries = manifest(folder)["groups"]["library.m128n128k128"]["instructions"].values()
    assert {entry["status"] for entry in entries} == {"failed"}
    assert all("no such switch" in entry["detail"] for entry in entries)


def test_a_package_that_is_not_whole_is_as_good_as_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str) -> Any:
        raise OSError("libcudart.so: cannot open shared object file")

    monkeypatch.setattr("halfsim.capture.libraries.importlib.import_module", broken)
    call = LibraryCall("torch", "default", _torch_matmul)
    assert call.opcode == "torch (not installed)"
    with pytest.raises(UnsupportedError, match="not whole"):
        call.probed(Machine())


def test_a_layout_that_fails_its_probe_is_not_recorded(tmp_path: Path) -> None:
    machine = Machine()
    machine.broken = True
    folder = capture(tmp_path, machine, only=("wgmma.m64n8k16",))
    entries = manifest(folder)["groups"]["wgmma.m64n8k16"]["instructions"]
    assert {entry["status"] for entry in entries.values()} == {"failed"}
    assert not list(read(folder)[0].records())
    machine.broken, machine.swapped = False, True
    capture(tmp_path, machine, only=("wgmma.m64n8k16",))
    assert manifest(folder)["groups"]["wgmma.m64n8k16"]["instructions"]["wgmma.m64n8k16.f32"]["strides"] == [256, 128]


def test_two_gpus_of_one_capability_have_their_own_folders(tmp_path: Path) -> None:
    for name in ("NVIDIA H100 80GB HBM3", "NVIDIA H200"):
        capture(tmp_path, Machine(gpu=name), only=("experiments.mma.m16n8k8",))
    assert [found.folder.name for found in read(tmp_path)] == ["nvidia-h100-80gb-hbm3", "nvidia-h200"]


def test_bad_input_gets_one_sentence(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(ValueError, match=r"no group begins with 'nothing'; groups are experiments\.mma"):
        capture(tmp_path, Machine(), only=("nothing",))
    with pytest.raises(DeviceError, match="has seed 1, not 9; pass another --out or --seed 1"):
        capture(folder.parents[1], Machine(), seed=9)
    (tmp_path / "file").write_text("")
    with pytest.raises(DeviceError, match="cannot be written"):
        capture(tmp_path / "file", Machine())
    with pytest.raises(ValueError, match=r"no group begins with 'experimental'; did you mean experiments"):
        capture(tmp_path, Machine(), only=("experimental",))
    with pytest.raises(ValueError, match="does not exist"):
        read(tmp_path / "absent")
    with pytest.raises(ValueError, match="is not a folder"):
        read(tmp_path / "file")
    archive = folder / "comparisons.npz"
    archive.write_bytes(archive.read_bytes() + b" ")
    with pytest.raises(ValueError, match="differs from the digest"):
        list(read(folder)[0].records())
    archive.unlink()
    with pytest.raises(ValueError, match="is missing though its manifest lists it"):
        list(read(folder)[0].records())
    (folder / MANIFEST).write_text("{}")
    with pytest.raises(ValueError, match="is damaged"):
        read(folder)
    with pytest.raises(DeviceError, match="is damaged"):
        capture(folder.parents[1], Machine())
    (folder / MANIFEST).write_text('{"schema": 99}')
    with pytest.raises(ValueError, match="has schema 99"):
        read(folder)


def test_libraries_are_recorded_with_their_versions() -> None:
    pytest.importorskip("torch")
    call = LibraryCall("torch", "no-reduced-precision", _torch_matmul, place="cpu")
    operands = matrices(1, (8, 4, 32))
    D = call.probed(Machine()).measure(Machine(), operands).view(np.float16)
    A, B = (operands[name].view(np.float16).astype(np.float64) for name in "AB")
    assert D.shape == (8, 4) and np.allclose(D, A @ B, atol=0.05)
    assert call.opcode.startswith("torch 2.")


class _Distribution:
    def __init__(self, name: str, version: str) -> None:
        self.metadata, self.version = {"Name": name}, version


def _library(monkeypatch: pytest.MonkeyPatch, module: Any, *distributions: _Distribution) -> str:
    call = LibraryCall(module.__name__, "default", _torch_matmul)
    with monkeypatch.context() as patched:
        patched.setattr(libraries.metadata, "distributions", lambda: distributions)
        patched.setattr(libraries.importlib, "import_module", lambda name: module)
        return call.opcode


def test_the_cublas_behind_a_library_is_recorded_or_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = ModuleType("torch")
    torch.__version__, torch.version = "9.1", SimpleNamespace(cuda="12.8")  # type: ignore[attr-defined]
    wheel, other = _Distribution("nvidia-cublas-cu12", "12.8.4.1"), _Distribution("nvidia-cudnn-cu12", "9.9")
    text = _library(monkeypatch, torch, other, wheel)
    assert text == "torch 9.1 for CUDA 12.8, cuBLAS of nvidia-cublas-cu12 12.8.4.1: matmul, default"
    assert _library(monkeypatch, torch, other) == "torch 9.1 for CUDA 12.8, cuBLAS unknown: matmul, default"


def test_cupy_is_asked_for_its_cublas(monkeypatch: pytest.MonkeyPatch) -> None:
    cupy = ModuleType("cupy")
    cublas = SimpleNamespace(getVersion={77: 120803}.__getitem__)
    device = SimpleNamespace(get_cublas_handle=lambda: 77)
    cupy.__version__, cupy.cuda = "14.0", SimpleNamespace(cublas=cublas, device=device)  # type: ignore[attr-defined]
    wheel = _Distribution("nvidia-cublas", "13.0.0.19")
    assert _library(monkeypatch, cupy, wheel) == "cupy 14.0, cuBLAS 120803: matmul, default"

    def no_gpu() -> int:
        raise RuntimeError("cudaErrorNoDevice")

    device.get_cublas_handle = no_gpu
    assert _library(monkeypatch, cupy, wheel) == "cupy 14.0, cuBLAS of nvidia-cublas 13.0.0.19: matmul, default"
    assert _library(monkeypatch, cupy) == "cupy 14.0, cuBLAS unknown: matmul, default"


def test_functions_without_a_compiler_are_unsupported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_by_bindings", "_by_cupy", "_by_nvcc"):
        monkeypatch.setattr(functions, name, lambda *arguments: None)
    functions.compile_cuda.cache_clear()
    folder = capture(tmp_path, Machine(), only=("quotients",))
    entry = manifest(folder)["groups"]["quotients"]["instructions"]["__hdiv"]
    assert entry["status"] == "unsupported" and "need NVRTC" in entry["detail"]
    functions.compile_cuda.cache_clear()
