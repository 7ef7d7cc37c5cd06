"""The same calls on the CPU and on a CUDA device, and the device's code.

What shows what: in Numba's simulator a kernel is plain Python, and so is the core, so the simulator's test shows that
the front door, the launches and the kernels give the CPU's bits. Every launch made there is then compiled to device
code, without a GPU or a driver, which shows that it is legal and computes with integers alone. Only the test marked
`gpu` shows both at once, on a GPU.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests import device_calls

ROOT = Path(__file__).resolve().parents[2]
SMALL, LARGE = 20, 1 << 16
FLOATING = re.compile(r"^\s*(?:@!?%p\d+\s+)?(?!ld|st|mov)[a-z][\w.]*\.(?:b?f16(?:x2)?|tf32|f32|f64)\b.*", re.MULTILINE)
PLAIN = {"NUMBA_ENABLE_CUDASIM": "1", "NUMBA_DISABLE_JIT": "1"}
COMPILED = {"NUMBA_ENABLE_CUDASIM": "0", "NUMBA_DISABLE_JIT": "0"}


def run(*arguments: object, **variables: str) -> str:
    """Run the module of calls in a process of its own and return what went wrong there, if anything."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.device_calls", *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=1500,
        check=False,
    )
    return done.stderr if done.returncode else ""


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("simulated")
    failure = run("simulator", folder, **PLAIN)
    assert not failure, failure[-2000:]
    return folder


def assert_bits(folder: Path, size: int) -> None:
    found = dict(np.load(folder / "results.npz"))
    wanted = device_calls.collect(size, lambda x: x)
    assert len(found) == 2 * len(wanted) > 1000
    for name, want in wanted.items():
        for place in ("host", "device"):
            got = found[f"{place}: {name}"]
            assert got.dtype == want.dtype and got.shape == want.shape, f"{name}, operands on the {place}"
            for index in np.argwhere(got != want)[:1]:
                where = tuple(map(int, index))
                pytest.fail(f"{name}, operands on the {place}, at {where}: {got[where]:#x} is not {want[where]:#x}")


def test_the_simulator_gives_the_bits_of_the_cpu(simulated: Path) -> None:
    assert_bits(simulated, SMALL)


@pytest.mark.gpu
@pytest.mark.timeout(1800)  # a hundred kernels to compile
def test_a_gpu_gives_the_bits_of_the_cpu(tmp_path: Path) -> None:
    failure = run("gpu", tmp_path, **COMPILED)
    if "device='cuda' cannot be used" in failure:
        pytest.skip(failure.splitlines()[-1])
    assert not failure, failure[-2000:]
    assert_bits(tmp_path, LARGE)


@pytest.fixture(scope="module")
def toolkit() -> Path:
    """The folder of a CUDA toolkit, or of its part with libNVVM, libdevice and ptxas."""
    package = importlib.util.find_spec("nvidia")
    places = [Path(place) / "cuda_nvcc" for place in (package.submodule_search_locations or () if package else ())]
    places = [Path(os.environ.get("CUDA_HOME", "/usr/local/cuda")), *places]
    for place in places:
        if [*place.glob("nvvm/lib64/libnvvm.so*")] and [*place.glob("nvvm/libdevice/libdevice*.bc")]:
            return place
    pytest.skip(f"no libNVVM in {', '.join(map(str, places))}: pip install nvidia-cuda-nvcc-cu12 brings it")


def compiled(folder: Path, toolkit: Path, major: int, minor: int, which: str = "every") -> dict[str, str]:
    """Return the PTX of every launch, or of one for each loop; check that the search for floating point finds some."""
    failure = run("code", folder, which, major, minor, CUDA_HOME=str(toolkit), **COMPILED)
    if "libnvrtc" in failure:
        pytest.skip("numba-cuda compiles only where NVRTC is: pip install nvidia-cuda-nvrtc-cu12 brings it")
    if "NVVM_ERROR_INVALID_OPTION" in failure:
        pytest.skip(f"the libNVVM that Numba found compiles nothing for sm_{major}{minor}")
    assert not failure, failure[-2000:]
    ptx = dict(json.loads((folder / "ptx.json").read_text()))
    assert FLOATING.search(ptx.pop("floating")), "the search finds nothing"
    return ptx


def assemble(toolkit: Path, folder: Path, ptx: str, architecture: str) -> str:
    """Assemble a kernel and return what is said against it, by the last of the assemblers old enough or new enough."""
    assemblers = {toolkit / "bin" / "ptxas", Path(shutil.which("ptxas") or "ptxas")}
    usable = [path for path in sorted(assemblers) if path.exists()]
    if not usable:
        pytest.skip(f"no ptxas in {toolkit} or the PATH: pip install nvidia-cuda-nvcc-cu12 brings it")
    (folder / "kernel.ptx").write_text(ptx)
    for path in usable:
        done = subprocess.run(
            [path, f"-arch={architecture}", "-o", folder / "kernel.cubin", folder / "kernel.ptx"],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode == 0:
            return ""
    return done.stderr


@pytest.mark.parametrize(
    ("which", "least"),
    [("each loop", 34), pytest.param("every", 80, marks=pytest.mark.slow)],
    ids=["loops", "launches"],
)
def test_every_launch_compiles_to_device_code_without_floating_point(
    which: str, least: int, simulated: Path, toolkit: Path
) -> None:
    ptx = compiled(simulated, toolkit, 8, 0, which)
    assert len(ptx) > least
    for name, text in ptx.items():
        assert ".visible .entry" in text, name
        assert "st.global" in text, name
        assert ".extern" not in text, f"{name} calls something"
        found = FLOATING.search(text)
        assert found is None, f"{name}: {found[0] if found else ''}"


@pytest.mark.slow
@pytest.mark.parametrize("capability", [(7, 0), (7, 5), (8, 0), (8, 6), (8, 9), (9, 0), (10, 0), (12, 0)], ids=str)
def test_every_launch_assembles(capability: tuple[int, int], simulated: Path, toolkit: Path, tmp_path: Path) -> None:
    for name, text in compiled(simulated, toolkit, *capability).items():
        failure = assemble(toolkit, tmp_path, text, "sm_{}{}".format(*capability))
        assert not failure, f"{name}: {failure[:2000]}"
