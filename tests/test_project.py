"""The house rules that no linter checks: sizes, names, documentation, import cost, and the kernel cache."""

from __future__ import annotations

import ast
import inspect
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import halfsim as hs
from halfsim._version import __version__

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "halfsim"
MODULES = sorted(PACKAGE.rglob("*.py"))


def python(*arguments: str, package: Path = ROOT, **environment: str) -> str:
    """Run a new interpreter beside a package and return what it prints; its errors become the test's."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=package,
        env={**os.environ, "PYTHONPATH": str(package), **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_module_is_longer_than_300_lines(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 300


def test_every_module_lists_its_names_and_says_what_it_is() -> None:
    silent = []
    for path in MODULES:
        tree = ast.parse(path.read_text())
        has_code = any(isinstance(node, ast.FunctionDef | ast.ClassDef) for node in tree.body)
        names = {
            target.id
            for node in tree.body
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        if ast.get_docstring(tree) is None or (has_code and "__all__" not in names):
            silent.append(path.relative_to(ROOT).as_posix())
    assert not silent


def test_numba_options_are_in_one_place() -> None:
    pattern = re.compile(r"@(?:numba\.)?(?:njit|jit|vectorize|guvectorize)\b|numba\.njit\(")
    users = {path.relative_to(PACKAGE).as_posix() for path in MODULES if pattern.search(path.read_text())}
    assert users <= {"core/_jit.py", "testvectors/exhaustive/witness_rounding.py"}  # which share nothing


def test_version_is_the_newest_of_the_changelog() -> None:
    released = re.findall(r"^## \[(\d[^\]]*)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert released[0] == __version__
    citation = re.search(r"^version: (.+)$", (ROOT / "CITATION.cff").read_text(), re.MULTILINE)
    assert citation is not None
    assert citation[1] == __version__


def test_hard_dependencies_are_three() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert sorted(re.split(r"[<>=!~ ]", entry)[0] for entry in project["dependencies"]) == ["click", "numba", "numpy"]


# ----------------------------------------------------------------------------------------------------------- import


def test_import_compiles_nothing() -> None:
    program = """
import sys
import halfsim
found = compiled = 0
for name, module in list(sys.modules.items()):
    if name.split(".")[0] == "halfsim":
        for value in vars(module).values():
            if hasattr(value, "overloads") and hasattr(value, "py_func"):
                found += 1
                compiled += len(value.overloads)
print(found, compiled)
"""
    found, compiled = map(int, python("-c", program).split())
    assert found > 20, "no dispatchers found: the test would pass on anything"
    assert compiled == 0


def test_import_takes_less_than_800_ms_of_cpu() -> None:
    def cpu(statement: str) -> float:
        # The smallest of three: the first may have to write bytecode, and neighbours only ever add time.
        program = f"{statement}\nimport time; print(time.process_time())"
        return min(float(python("-c", program)) for _ in range(3))

    assert cpu("import halfsim") - cpu("pass") < 0.8


def test_import_loads_no_optional_package() -> None:
    program = "import sys, halfsim; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    optional = {"click", "matplotlib", "ml_dtypes", "pyarrow", "pydantic", "rich", "sklearn", "torch"}
    assert not optional & set(python("-c", program).split())


# ---------------------------------------------------------------------------------------------------- documentation


def public_callables() -> list[str]:
    public = {name: value for name, value in vars(hs).items() if not name.startswith("_")}
    return sorted(name for name, value in public.items() if callable(value) and not inspect.ismodule(value))


@pytest.mark.parametrize("name", public_callables())
def test_public_callables_have_a_docstring_with_an_example(name: str) -> None:
    documentation = inspect.getdoc(getattr(hs, name)) or ""
    assert ">>>" in documentation, f"hs.{name} shows no example"


def test_the_api_is_complete() -> None:
    names = """
        add subtract multiply divide sqrt fma remainder round_to_integral
        minimum maximum minimum_number maximum_number minimum_magnitude maximum_magnitude
        minimum_magnitude_number maximum_magnitude_number min_num max_num min_num_mag max_num_mag minsh maxsh
        equal not_equal greater greater_equal less less_equal equal_signaling not_equal_signaling
        greater_quiet greater_equal_quiet less_quiet less_equal_quiet not_greater not_greater_quiet
        less_unordered less_unordered_quiet not_less not_less_quiet greater_unordered greater_unordered_quiet
        unordered ordered negative absolute copysign nextup nextdown scaleb logb
        isnan isinf isfinite isnormal issubnormal iszero issignaling signbit iscanonical classify
        total_order total_order_mag convert from_bits to_bits matmul dot sum explain explain_dot
        Rounding Stochastic Flags Flagged Format Specials BINARY16 BINARY32 BINARY64 BFLOAT16 TF32 E5M2 E4M3
        Environment NaNRule Tininess DefaultNaN NaNOperand InvalidInteger IEEE RISCV ARM ARM_DEFAULT_NAN X86 CUDA Class
        Sequential Pairwise Compensated Exact FusedDotAdd FP16 FP32 tensorcores set_num_threads get_num_threads
    """
    missing = [name for name in names.split() if not hasattr(hs, name)]
    assert not missing


# ----------------------------------------------------------------------------------------------------- command line


def test_the_command_shows_its_help() -> None:
    shown = python("-c", "import sys; from halfsim.cli import main; sys.argv = ['halfsim', '--help']; main()")
    for command in ("explain", "models", "study", "warmup"):
        assert re.search(rf"^\s+{command}\b", shown, re.MULTILINE), f"--help does not list {command}"


# ----------------------------------------------------------------------------------------------------- kernel cache

# Stochastic rounding of 2.25 to an integer: only the core has it, so no other loop can answer.
ASK = """
import halfsim as hs
rounding = hs.Stochastic(bits=32, seed=2)
value, flags = hs.round_to_integral.flagged(hs.from_bits(0x4080), rounding=rounding, exact=True)
print(hex(int(hs.to_bits(value))), int(flags))
"""


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A copy of the package that a test may edit."""
    shutil.copytree(PACKAGE, tmp_path / "halfsim", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def ask(copied: Path) -> str:
    place = python(
        "-c",
        f"import halfsim; print(halfsim.__file__)\n{ASK}",
        package=copied,
        HALFSIM_CACHE_DIR=str(copied / "cache"),
        PYTHONDONTWRITEBYTECODE="1",
    )
    file, answer = place.splitlines()
    assert Path(file).is_relative_to(copied), "the copy is not what was imported"
    return answer


def cached(copied: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in (copied / "cache").rglob("*") if path.is_file()}


def test_an_edit_of_the_core_is_seen_by_the_next_process(copied: Path) -> None:
    assert ask(copied) == "0x4000 1"
    first = cached(copied)
    assert first, "nothing was cached: a stale cache could not show"
    assert ask(copied) == "0x4000 1"
    assert cached(copied) == first, "the second process compiled again"

    rounder = copied / "halfsim" / "core" / "round.py"
    source = rounder.read_text()
    honest = "up = (fraction >> drop) + (random >> drop) >= 1 << (32 - drop)"
    assert source.count(honest) == 1
    rounder.write_text(source.replace(honest, "up = True"))
    assert ask(copied) == "0x4201 1"

    rounder.write_text(source)
    assert ask(copied) == "0x4000 1"


def test_a_damaged_cache_is_a_miss(copied: Path) -> None:
    assert ask(copied) == "0x4000 1"
    good = {path: path.read_bytes() for path in cached(copied)}
    assert good
    for damage in (lambda data: b"", lambda data: b"not a kernel", lambda data: data[: len(data) // 2]):
        for path, data in good.items():
            path.write_bytes(damage(data))
        assert ask(copied) == "0x4000 1"


def test_a_cache_that_cannot_be_written_is_a_miss(copied: Path) -> None:
    (copied / "cache").write_text("a file stands where the directory should be")
    assert ask(copied) == "0x4000 1"
