"""The cache of compiled kernels: kept by all that determines the code, and never trusted further than that."""

from __future__ import annotations

import compileall
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from py_compile import PycInvalidationMode

import pytest
from numba.core.registry import cpu_target

from halfsim.core import _cache
from halfsim.kernels import elementwise
from tests.processes import ROOT, environment, python

# The general loop with the least to compile.
NEGATIVE = """
import numpy as np
from halfsim.kernels import elementwise
z, flags = np.zeros(1, np.uint16), np.zeros(1, np.uint8)
elementwise.negative(np.array([0x3C00], np.uint16), z, flags, 0, 0, 0)
print(hex(int(z[0])))
"""
ANSWER = "0xbc00"
HONEST = "return a + (1 - 2 * signbit(a, fields)) * fields.sign_bit"
WRONG, WRONG_ANSWER = "return a + 1", "0x3c01"


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package whose cache holds the loop."""
    folder = tmp_path_factory.mktemp("warm")
    shutil.copytree(ROOT / "halfsim", folder / "halfsim", ignore=shutil.ignore_patterns("__pycache__"))
    # Bytecode by the digests of its sources, as they are edited within the second; the processes write none.
    assert compileall.compile_dir(folder, quiet=1, invalidation_mode=PycInvalidationMode.CHECKED_HASH)
    assert ask(folder) == ANSWER
    assert len(cached(folder)) == 1, "nothing was cached: a stale cache could not show"
    return folder


@pytest.fixture
def copied(warm: Path, tmp_path: Path) -> Path:
    """A copy of the package that a test may edit, and of its cache."""
    return Path(shutil.copytree(warm, tmp_path / "copy"))


@pytest.fixture
def bare(copied: Path) -> Path:
    """A copy of the package without a cache."""
    shutil.rmtree(copied / "cache")
    return copied


def places(folder: Path) -> dict[str, str]:
    return {"HALFSIM_CACHE_DIR": str(folder / "cache"), "PYTHONDONTWRITEBYTECODE": "1"}


def ask(copied: Path, before: str = "", **changes: str) -> str:
    program = f"{before}\nimport halfsim; print(halfsim.__file__)\n{NEGATIVE}"
    file, answer = python("-c", program, package=copied, **places(copied), **changes).splitlines()
    assert Path(file).is_relative_to(copied), "the copy is not what was imported"
    return answer


def cached(copied: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in (copied / "cache").rglob("*") if path.is_file()}


def edit(copied: Path, old: str, new: str) -> None:
    signs = copied / "halfsim" / "core" / "sign.py"
    source = signs.read_text()
    assert source.count(old) == 1
    signs.write_text(source.replace(old, new))


# -------------------------------------------------------------------------------------------------------- stale code


def test_an_edit_of_the_core_is_seen_by_the_next_process(copied: Path) -> None:
    first = cached(copied)
    assert ask(copied) == ANSWER
    assert cached(copied) == first, "the second process compiled again"
    edit(copied, HONEST, WRONG)
    assert ask(copied) == WRONG_ANSWER
    edit(copied, WRONG, HONEST)
    assert ask(copied) == ANSWER


def test_an_edit_under_a_running_process_is_not_kept_as_the_new_code(bare: Path) -> None:
    # The process has the old core in memory; the digest of the new sources must not name what it compiles.
    edit_now = (
        "import halfsim, pathlib\nfrom halfsim.kernels import elementwise\n"
        "path = pathlib.Path(halfsim.__file__).parent / 'core' / 'sign.py'\n"
        f"path.write_text(path.read_text().replace({HONEST!r}, {WRONG!r}))"
    )
    assert ask(bare, edit_now) == ANSWER
    assert not cached(bare)
    assert ask(bare) == WRONG_ANSWER


def test_an_edit_under_a_running_process_is_not_answered_from_the_cache(copied: Path) -> None:
    # Nor must it read the old code's file once a module of the new sources may have been imported.
    files = cached(copied)
    edit_now = (
        "import halfsim, pathlib\nfrom halfsim.core import _jit\n"
        "path = pathlib.Path(halfsim.__file__).parent / 'core' / 'sign.py'\n"
        f"path.write_text(path.read_text().replace({HONEST!r}, {WRONG!r}))"
    )
    assert ask(copied, edit_now) == WRONG_ANSWER
    assert cached(copied) == files


# -------------------------------------------------------------------------------------------------------- bad files


def _flipped(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


def test_damaged_files_are_misses_and_are_replaced(bare: Path) -> None:
    # A file for each kind of damage: the types of the flags name them.
    program = """
import numpy as np
from halfsim.kernels import elementwise
a, z = np.arange(32, dtype=np.uint16), np.empty(32, np.uint16)
for kind in (np.uint8, np.uint16, np.uint32, np.uint64, np.int32):
    elementwise.negative(a, z, np.empty(32, kind), 0, 0, 0)
    print(hex(int(z[5])))
"""

    def answers() -> list[str]:
        return python("-c", program, package=bare, **places(bare)).split()

    assert answers() == ["0x8005"] * 5
    good = sorted(cached(bare))
    damages: list[Callable[[bytes], bytes]] = [
        lambda data: b"",
        lambda data: b"not a kernel",
        lambda data: data[: len(data) // 2],
        lambda data: data[1:],
        _flipped,
    ]
    for path, damage in zip(good, damages, strict=True):
        path.write_bytes(damage(path.read_bytes()))
    damaged = cached(bare)
    assert answers() == ["0x8005"] * 5
    written = cached(bare)
    assert sorted(written) == good
    assert all(written[path] > damaged[path] for path in good), "a damaged file was not replaced"
    assert answers() == ["0x8005"] * 5
    assert cached(bare) == written, "it was not replaced by a good one"


def test_a_file_under_the_name_of_another_is_a_miss(copied: Path) -> None:
    (mine,) = cached(copied)
    python("-c", NEGATIVE.replace("elementwise.negative", "elementwise.absolute"), package=copied, **places(copied))
    (other,) = cached(copied).keys() - {mine}
    mine.write_bytes(other.read_bytes())
    assert ask(copied) == ANSWER


def test_a_symbol_that_is_not_to_be_had_is_a_miss() -> None:
    # The linker would end the process.
    context = cpu_target.target_context
    assert not _cache._linkable(["halfsim_no_such_symbol"], context)
    assert _cache._linkable(["NRT_adapt_ndarray_from_python", "PyErr_SetString"], context)


# --------------------------------------------------------------------------------------------------------- bad disks


def test_a_cache_that_cannot_be_made_costs_no_result(bare: Path) -> None:
    (bare / "cache").write_text("a file stands where the directory should be")
    assert ask(bare) == ANSWER


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="permissions bind no administrator")
def test_a_read_only_home_costs_no_result(bare: Path) -> None:
    (bare / "cache").mkdir(mode=0o500)
    assert ask(bare) == ANSWER
    assert not cached(bare)


@pytest.mark.skipif(os.name != "posix", reason="limits of file sizes are a thing of POSIX")
def test_a_full_disk_costs_no_result_and_leaves_no_file(bare: Path) -> None:
    limited = (
        "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        f" resource.setrlimit(resource.RLIMIT_FSIZE, (4096, {resource.RLIM_INFINITY}))"
    )
    assert ask(bare, limited) == ANSWER
    assert not cached(bare)


def test_processes_at_once_leave_only_good_files(bare: Path) -> None:
    # Each compiles the same loop for two layouts of arguments, as the index of Numba's cache loses entries over it.
    program = """
import numpy as np
from halfsim.kernels import elementwise
a = np.arange(64, dtype=np.uint16)
z = np.empty(32, np.uint16)
for kind in (np.uint8, np.uint16):
    elementwise.negative(a[::2], z, np.empty(32, kind), 0, 0, 0)
    elementwise.negative(a[:32], z, np.empty(32, kind), 0, 0, 0)
    print(hex(int(z[5])))
"""
    keywords = {"cwd": bare, "env": environment(bare, **places(bare)), "text": True}
    started = [
        subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, **keywords)
        for _ in range(3)
    ]
    for process in started:
        out, errors = process.communicate(timeout=300)
        assert (process.returncode, out.split()) == (0, ["0x8005"] * 2), errors
    files = cached(bare)
    assert len(files) == 4
    assert all(path.suffix == ".nbc" for path in files)
    assert python("-c", program, package=bare, **places(bare)).split() == ["0x8005"] * 2
    assert cached(bare) == files, "a file was no good"


# --------------------------------------------------------------------------------------------------------------- key


def test_code_for_another_processor_or_by_other_options_has_a_file_of_its_own(
    bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # These tests may run for another processor themselves.
    for name in ("HALFSIM_CPU", "NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES"):
        monkeypatch.delenv(name, raising=False)
    assert ask(bare) == ANSWER
    native = cached(bare)
    others = (
        {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": "+avx2"},
        {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""},
        {"NUMBA_OPT": "1"},
        {"NUMBA_BOUNDSCHECK": "1"},
    )
    for number, changes in enumerate(others, 2):
        assert ask(bare, **changes) == ANSWER
        assert len(cached(bare)) == number * len(native), changes
    all_of_them = cached(bare)
    for changes in ({}, *others):
        assert ask(bare, **changes) == ANSWER
        assert cached(bare) == all_of_them, changes


def test_the_digest_covers_every_source_that_reaches_compiled_code() -> None:
    named = {path.relative_to(ROOT / "halfsim").as_posix() for path in _cache._sources()}
    users = [
        path.relative_to(ROOT / "halfsim").as_posix()
        for path in (ROOT / "halfsim").rglob("*.py")
        if "import kernel" in path.read_text() or "import scalar" in path.read_text()
    ]
    assert len(users) > 20
    assert set(users) - {"interop/machine_code.py"} <= named  # which keeps nothing
    assert {"core/round.py", "rounding.py", "formats.py"} <= named


def test_a_flushed_cache_compiles_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HALFSIM_CACHE_DIR", str(tmp_path))
    directory = _cache.cache_directory()
    directory.mkdir(parents=True)
    mine, other = directory / "kernels.elementwise.sqrt-0.nbc", directory / "kernels.elementwise.sqrt2-0.nbc"
    for path in (mine, other):
        path.write_bytes(b"")
    elementwise.sqrt._cache.flush()
    assert (mine.exists(), other.exists()) == (False, True)
    assert elementwise.sqrt._cache.cache_path == str(directory)
