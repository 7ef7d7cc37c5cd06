"""The house rules that no linter checks: sizes, names and documentation."""

from __future__ import annotations

import ast
import inspect
import re
import tomllib
from pathlib import Path

import pytest

import halfsim as hs
from halfsim._version import __version__
from tests.processes import ROOT, python

PACKAGE = ROOT / "halfsim"
MODULES = sorted(PACKAGE.rglob("*.py"))


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


# ---------------------------------------------------------------------------------------------------- documentation


def public_callables() -> list[str]:
    return sorted(name for name in hs.__all__ if callable(getattr(hs, name)))


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
