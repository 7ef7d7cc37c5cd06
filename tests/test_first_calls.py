"""First calls made in another direction of rounding than the default: what they compute once is used ever after."""

import ctypes
import json
import marshal
import platform
import sys
from pathlib import Path
from types import CodeType

import pytest

import halfsim
from tests.processes import python

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux") or platform.machine() not in ("x86_64", "AMD64"),
    reason="calls fesetround with its numbers on x86-64",
)
DIRECTIONS = {"down": 0x400, "up": 0x800, "toward zero": 0xC00}
PACKAGE = Path(halfsim.__file__).parent
MODULES = sorted([*PACKAGE.glob("*.py"), *(PACKAGE / "core").glob("*.py"), *(PACKAGE / "kernels").glob("*.py")])


def results(direction, **environment):
    found = json.loads(python("-m", "tests.first_calls", hex(direction), **environment))
    assert found["direction"] == direction
    return found["calls"]


@pytest.fixture(scope="module")
def expected():
    return results(0)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_first_calls_are_those_of_the_default_direction(direction, expected):
    assert len(expected) > 250
    for got, want in zip(results(DIRECTIONS[direction]), expected, strict=True):
        assert got == want


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("direction", ["down", "up"])
def test_what_they_compile_is_right_for_other_processes(direction, expected, tmp_path):
    """Nothing is compiled yet: neither Python's code nor the kernels' that later processes load."""
    nothing = {"HALFSIM_CACHE_DIR": str(tmp_path / "kernels"), "PYTHONPYCACHEPREFIX": str(tmp_path / "bytecode")}
    assert results(DIRECTIONS[direction], **nothing) == expected
    assert results(0, **nothing) == expected


CONSTANTS = """
import ctypes, sys
ctypes.CDLL(None).fesetround(int(sys.argv[1], 0))
from halfsim.policy import DynamicScale, named
from halfsim.training.optim import Adam, _TINY
from halfsim.training.nn import batch_norm
from halfsim.training import functions
import numpy as np
zero = functions.sin(np.zeros(1)).tobytes().hex()
ctypes.CDLL(None).fesetround(0)
print(zero, Adam(1e-3), batch_norm.__defaults__, DynamicScale(), named("apex-O2"), _TINY)
"""


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_modules_are_read_and_run_in_the_default_state(direction, tmp_path):
    """Those too that are imported by their own names; what Python has written of them serves the second process."""
    want = python("-c", CONSTANTS, "0")
    for word in (DIRECTIONS[direction], 0):
        assert python("-c", CONSTANTS, hex(word), PYTHONPYCACHEPREFIX=str(tmp_path), PYTHONDONTWRITEBYTECODE="") == want


def constants(code):
    """Return the numbers of a code object and of the functions in it, as bytes."""
    nested = [constants(x) for x in code.co_consts if isinstance(x, CodeType)]
    return [marshal.dumps(x) for x in code.co_consts if isinstance(x, (int, float, tuple))] + nested


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_python_folds_nothing_that_depends_on_the_direction(direction):
    library = ctypes.CDLL(None)
    for path in MODULES:
        text = path.read_text()
        want = constants(compile(text, str(path), "exec"))
        library.fesetround(DIRECTIONS[direction])
        try:
            got = constants(compile(text, str(path), "exec"))
        finally:
            library.fesetround(0)
        assert got == want, path.name


def test_the_direction_matters_where_nothing_guards():
    """The test above would find a power of two that Python computes."""
    library, found = ctypes.CDLL(None), set()
    for direction in (0, *DIRECTIONS.values()):
        library.fesetround(direction)
        try:
            found.add(eval("2.0**-24"))
        finally:
            library.fesetround(0)
    assert len(found) > 1
