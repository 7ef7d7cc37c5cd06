"""The driver's calls, against a library built from the CUDA headers: its compiler checks every prototype."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from halfsim.capture import DeviceError, LostError, UnsupportedError, driver
from halfsim.capture.matrix import MATRIX_INSTRUCTIONS
from halfsim.capture.ptx import Kernel

SOURCE = Path(__file__).with_name("driver_stub.c")


@pytest.fixture(scope="module")
def stub(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("cc")
    home = Path(os.environ.get("CUDA_PATH", "/usr/local/cuda"), "include")
    if compiler is None or not (home / "cuda.h").is_file():
        pytest.skip(f"a C compiler or {home}/cuda.h is absent")
    folder = tmp_path_factory.mktemp("driver")
    command = [compiler, "-shared", "-fPIC", "-w", f"-I{home}", str(SOURCE), "-o", str(folder / "stub.so")]
    subprocess.run(command, check=True)
    return folder / "stub.so"


@pytest.fixture
def device(stub: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    library = ctypes.CDLL(str(stub))
    monkeypatch.setattr(driver, "_library", lambda: library)
    return driver.CudaDevice(1)


def test_facts_come_from_the_driver(device: Any) -> None:
    assert (device.facts.gpu, device.facts.capability, device.facts.cuda) == ("Stub 41", (9, 0), "13.2")


def test_a_launch_copies_both_ways_and_frees(device: Any) -> None:
    a = np.arange(64, dtype=np.uint32)
    kernel = Kernel("add", "// text", 32)
    got = device.launch(kernel, 2, [a], ((64,), np.uint32), [(5, 32), (7 << 32, 64)])
    assert np.array_equal(got, a + 12)
    assert device._cuda.stub_live() == 0
    assert device.machine_code(kernel).startswith("unavailable")


def test_a_refused_kernel_is_unsupported_and_says_why(device: Any) -> None:
    with pytest.raises(UnsupportedError, match=r"CUDA_ERROR_INVALID_PTX \(218\): line 1: no such instruction$"):
        device.launch(Kernel("x", "nonsense", 32), 1, [np.zeros(32, np.uint32)], ((32,), np.uint32), [(0, 32), (0, 64)])


def test_a_fault_is_an_error_and_a_reset_recovers(device: Any) -> None:
    arguments = 1, [np.zeros(32, np.uint32)], ((32,), np.uint32), [(1, 32), (0, 64)]
    with pytest.raises(DeviceError, match="cuCtxSynchronize failed"):
        device.launch(Kernel("x", "fault", 32), *arguments)
    device.reset()
    assert (device.launch(Kernel("x", "fine", 32), *arguments) == 1).all()


ARGUMENTS = 1, [np.zeros(32, np.uint32)], ((32,), np.uint32), [(1, 32), (0, 64)]


def test_a_kernel_for_one_architecture_is_assembled_for_exactly_that(device: Any) -> None:
    """The library refuses sm_90a without its explicit target; there is no toolkit to help."""
    kernel = Kernel("x", ".target sm_90a\n", 32)
    assert (device.launch(kernel, *ARGUMENTS) == 1).all()
    assert device._binaries[kernel.ptx]


def test_ptx_that_the_linker_refuses_may_still_load(device: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "_by_ptxas", lambda kernel, capability: None)
    kernel = Kernel("x", "old driver", 32)
    assert (device.launch(kernel, *ARGUMENTS) == 1).all()
    assert device.machine_code(kernel) == "unavailable: the driver loaded the PTX and keeps its machine code"


def test_the_toolkits_assembler_helps_an_old_driver(device: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "_by_ptxas", lambda kernel, capability: b"cubin\0")
    device.launch(Kernel("x", "old driver", 32), *ARGUMENTS)
    assert device._binaries == {"old driver": b"cubin\0"}
    if shutil.which("ptxas"):
        monkeypatch.undo()
        item = MATRIX_INSTRUCTIONS["wgmma.m64n8k32.e4m3.f32"]
        assert (driver._by_ptxas(item.kernel, (9, 0)) or b"").startswith(b"\x7fELF")
        assert driver._by_ptxas(item.kernel, (8, 0)) is None


def test_a_kernel_that_hangs_or_a_context_that_stays_broken_is_lost(
    stub: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(driver, "_PATIENCE", 0.01)
    for ptx in ("endless", "fault, fatal"):
        own = shutil.copy(stub, tmp_path / f"{len(ptx)}.so")  # a library of its own, as nothing mends its state
        library = ctypes.CDLL(str(own))
        monkeypatch.setattr(driver, "_library", lambda library=library: library)
        device = driver.CudaDevice(0)
        with pytest.raises(LostError if ptx == "endless" else DeviceError):
            device.launch(Kernel("x", ptx, 32), *ARGUMENTS)
        if ptx != "endless":
            with pytest.raises(LostError, match="after a failed launch"):
                device.reset()


def test_a_healthy_context_is_not_reset(device: Any) -> None:
    """A library that shares it would lose its memory."""
    device.launch(Kernel("x", "fine", 32), *ARGUMENTS)
    device.reset()
    assert device._modules


def test_a_gpu_that_does_not_exist_is_named(device: Any) -> None:
    with pytest.raises(DeviceError, match=r"gpu=2 does not exist; the driver sees 2 GPU\(s\)"):
        driver.CudaDevice(2)


def test_without_a_driver_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> Any:
        raise OSError(name)

    monkeypatch.setattr(driver.ctypes, "CDLL", absent)
    with pytest.raises(DeviceError, match="no NVIDIA driver was found"):
        driver.CudaDevice()
    assert driver._driver_version() == "unavailable"
