"""What a process pays before its first result, and that names which are found late are found as any other."""

from __future__ import annotations

import importlib
import os
import pickle
import re
from pathlib import Path

import pytest

import halfsim as hs
from tests.processes import ROOT, python

STUB = (ROOT / "halfsim" / "__init__.pyi").read_text()
MODULES = "import sys; print(*sorted({name.split('.')[0] for name in sys.modules}))"
OPTIONAL = {"matplotlib", "ml_dtypes", "pyarrow", "pydantic", "rich", "scipy", "sklearn", "torch"}
FIRST = {
    "add": "hs.add(x, x)",
    "flagged": "hs.add.flagged(x, x)",
    "convert": "hs.convert(x.astype(np.float32), hs.BINARY16)",
    "convert to bfloat16": "hs.convert(x.astype(np.float32), hs.BFLOAT16)",
    "convert binary64 to E4M3": "hs.convert(x.astype(np.float64), hs.E4M3)",
    "convert stochastically": "hs.convert(x.astype(np.float32), hs.BINARY16, rounding=hs.Stochastic(bits=32, seed=1))",
    "sum": "hs.sum(x)",
    "matmul": "hs.matmul(np.ones((16, 16), np.float16), np.ones((16, 16), np.float16), accumulator='h100:f32')",
}


# -------------------------------------------------------------------------------------------------------------- cost


def test_the_help_loads_neither_numpy_nor_numba() -> None:
    program = "from halfsim.cli import main\ntry: main(['--help'], prog_name='halfsim')\nexcept SystemExit: pass"
    assert not {"numpy", "numba"} & set(python("-c", f"{program}\n{MODULES}").split())


def test_import_loads_neither_numpy_nor_numba() -> None:
    assert not {"numpy", "numba", "click", *OPTIONAL} & set(python("-c", f"import halfsim; {MODULES}").split())


def test_studies_are_listed_without_optional_packages() -> None:
    """As in an environment that has what halfsim depends on, and nothing else."""
    program = """
import sys
sys.modules |= dict.fromkeys(["matplotlib", "pyarrow", "rich", "scipy", "torch"])
from halfsim.cli import main
main(["study", "list"], prog_name="halfsim")
"""
    assert "master-weights" in python("-c", program)


def test_the_vocabulary_needs_no_compiler() -> None:
    program = """
import halfsim as hs
row = hs.tensorcores.row("h100", "f32")
values = hs.BINARY16, hs.Rounding.roundTowardZero, hs.Stochastic(bits=8, seed=0), hs.RISCV, hs.Flags.inexact, row
"""
    assert not {"numpy", "numba"} & set(python("-c", f"{program}\n{MODULES}").split())


@pytest.mark.parametrize("name", FIRST)
def test_a_first_call_from_the_cache_loads_no_compiler(name: str) -> None:
    before = "import numpy as np, halfsim as hs\nx = np.ones(8, np.float16)"
    program = f"{before}\n{FIRST[name]}"
    python("-c", program)
    # The modules of Numba that its compiler alone needs take longer to load than the kernel.
    assert python("-c", f"{program}\nimport sys; print('numba.np.arraymath' in sys.modules)").strip() == "False"


def test_import_compiles_nothing() -> None:
    program = """
import sys
import halfsim
from halfsim import *
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


# ------------------------------------------------------------------------------------------------------------- names


def test_every_name_of_the_stub_is_found_and_nothing_else() -> None:
    imported = re.findall(r"^from (\S+) import \w+ as ([A-Za-z]\w*|__version__)$", STUB, re.MULTILINE)
    called = re.findall(r"^(\w+): .+  # from (\S+)$", STUB, re.MULTILINE)
    names = [*imported, *((module, name) for name, module in called)]
    assert len(imported) > 40
    assert len(called) > 60
    assert sorted({*hs.__all__, "__version__"}) == sorted(name for _, name in names)
    assert set(hs.__all__) <= set(dir(hs))
    for module, name in names:
        if module != "halfsim":
            assert getattr(hs, name) is getattr(importlib.import_module(module), name)


@pytest.mark.parametrize(
    "statement",
    [
        "from halfsim import add; assert add.name == 'add'",
        "from halfsim import *; assert add.name == 'add' and tensorcores.row('v100', 'f32').terms == 4",
        "import halfsim.tensorcores as t; assert t.row('v100', 'f32').terms == 4",
        "import halfsim as hs; assert hs.tensorcores.row('v100', 'f32').terms == 4",
        "import halfsim as hs; assert hs.linalg.matmul is hs.matmul",
        "import halfsim as hs; assert 'add' in dir(hs); assert hs.add is hs.operations.add",
        "import halfsim as hs, typing; assert hs.__version__ and not hasattr(hs, 'nonsense')",
    ],
)
def test_a_new_process_finds_names_in_every_way(statement: str) -> None:
    python("-c", statement)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'halfsim' has no attribute 'nonsense'"):
        hs.nonsense  # type: ignore[attr-defined]  # noqa: B018
    with pytest.raises(ImportError, match="cannot import name 'nonsense'"):
        exec("from halfsim import nonsense", {})


def test_optional_names_are_found_but_not_by_a_star(tmp_path: Path) -> None:
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").write_text(
        "from halfsim._lazy import lazily\n__getattr__, __dir__, __all__ = lazily(__name__)\n"
    )
    (package / "__init__.pyi").write_text(
        "from package import plain as plain\n"
        "from package.plain import value as value\n"
        "called: _Kind[int]  # from package.plain\n"
        "from package import bridge as bridge  # optional\n"
        "from package import private as _private\n"
    )
    (package / "plain.py").write_text("value = 3\ncalled = abs")
    (package / "bridge.py").write_text("import package_that_is_not_installed")
    paths = {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    python("-c", "from package import *; assert value == 3 and plain.value == 3 and called(-1) == 1", **paths)
    python(
        "-c",
        "import package; assert package.__all__ == ['plain', 'value', 'called']; assert 'bridge' in dir(package)",
        **paths,
    )
    ask = "import package\ntry: package.bridge\nexcept AttributeError as error: print(error)"
    assert python("-c", ask, **paths) == (
        "package.bridge needs package_that_is_not_installed, which is not installed: pip install 'package[bridge]'\n"
    )
    ask = "try: from package import bridge\nexcept ModuleNotFoundError as error: print(error.name)"
    assert python("-c", ask, **paths) == "package_that_is_not_installed\n"
    shown = python("-c", "import package, pydoc; print(pydoc.render_doc(package, renderer=pydoc.plaintext))", **paths)
    assert "value = 3" in shown


@pytest.mark.parametrize("statement", ["import halfsim.torch", "from halfsim.torch import simulate", "hs.torch"])
def test_the_bridge_without_pytorch_says_what_to_install(statement: str) -> None:
    ask = f"import sys; sys.modules['torch'] = None\nimport halfsim as hs\ntry: {statement}\nexcept "
    ask += "(ImportError, AttributeError) as error: print(error)"
    assert python("-c", ask) == "halfsim.torch needs torch, which is not installed: pip install 'halfsim[torch]'\n"


@pytest.mark.parametrize("name", ["add", "isnan", "BINARY16", "Rounding", "FP32", "explain"])
def test_pickles_find_names_in_a_new_process(name: str, tmp_path: Path) -> None:
    file = tmp_path / "value"
    file.write_bytes(pickle.dumps(getattr(hs, name)))
    program = f"import pickle; value = pickle.loads(open({str(file)!r}, 'rb').read())\nimport halfsim as hs"
    python("-c", f"{program}\nassert value == hs.{name}")


def test_the_package_runs_from_an_archive(tmp_path: Path) -> None:
    archive = tmp_path / "archive.zip"
    program = """
import pathlib, sys, zipfile
with zipfile.ZipFile(sys.argv[1], "w") as file:
    for path in pathlib.Path("halfsim").rglob("*.py*"):
        if path.suffix in (".py", ".pyi"):
            file.write(path)
"""
    python("-c", program, str(archive))
    ask = "import numpy as np, halfsim as hs; print(hs.__file__, hs.add(np.float16(1), np.float16(2)))"
    shown = python("-c", ask, package=tmp_path, PYTHONPATH=str(archive), HALFSIM_CACHE_DIR=str(tmp_path / "cache"))
    assert shown.split()[0].startswith(str(archive))
    assert shown.split()[1] == "3.0"
    # No source can be stamped there, so nothing may be kept.
    assert not list((tmp_path / "cache").rglob("*.nbc"))
