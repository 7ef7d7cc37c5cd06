"""Type checkers and editors see what runs: the types of calls, the names of operands, the documentation."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

import halfsim as hs
from halfsim.operation import Operation
from halfsim.tensorcores import gpus
from tests.processes import ROOT, environment, python
from tests.typing.stub import STUB, written

SCRIPT = Path(__file__).with_name("script.py")
OPERATIONS = {name: getattr(hs, name) for name in hs.__all__ if isinstance(getattr(hs, name), Operation)}


def test_the_stub_is_what_the_operations_say() -> None:
    assert STUB.read_text() == written(), "run: python -m tests.typing.stub"


def test_every_public_object_is_documented_where_editors_look() -> None:
    """Objects that are no function, class or module need a string below their assignment: editors run nothing."""
    sources = {name: module for module, name in re.findall(r"^from (\S+) import (\w+) as \2$", STUB.read_text(), re.M)}
    bare = []
    for name in (each for each in hs.__all__ if not inspect.ismodule(getattr(hs, each))):
        path = STUB if name not in sources else (ROOT / sources[name].replace(".", "/")).with_suffix(".py")
        if name in sources and not path.is_file():
            path = path.with_suffix("") / "__init__.py"
        body = ast.parse(path.read_text()).body
        if any(isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name for node in body):
            continue
        for node, below in zip(body, [*body[1:], None], strict=True):
            targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
            if any(isinstance(target, ast.Name) and target.id == name for target in targets):
                documented = isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant)
                bare += [] if documented else [name]
                break
        else:
            # Imported from a package's module: a function or a class.
            bare += [] if callable(getattr(hs, name)) else [name]
    assert not bare


def test_keywords_of_the_stub_are_those_of_operations() -> None:
    tree = ast.parse((ROOT / "halfsim" / "_callables.pyi").read_text())
    common = [name for name, p in inspect.signature(hs.add.__call__).parameters.items() if p.kind is p.KEYWORD_ONLY]
    assert len(common) == 5
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    shown = dict(re.findall(r"^(\w+): _(\w+)\[np", STUB.read_text(), re.M))
    assert shown.keys() == OPERATIONS.keys()
    others = {"Cast": hs.convert, "Product": hs.matmul, "Sum": hs.sum}
    assert set(shown.values()) | others.keys() == classes.keys()
    for kind, value in others.items():
        for method in (node for node in classes[kind].body if isinstance(node, ast.FunctionDef)):
            names = list(inspect.signature(getattr(type(value), method.name)).parameters)
            assert [each.arg for each in (*method.args.args, *method.args.kwonlyargs)] == names
    for name, kind in shown.items():
        operation = OPERATIONS[name]
        methods = [node for node in classes[kind].body if isinstance(node, ast.FunctionDef)]
        assert [method.name for method in methods] == ["__call__"] * 3 + ["flagged"] * 3
        for method in methods:
            assert len(method.args.posonlyargs) == 1 + operation.arity
            assert [argument.arg for argument in method.args.kwonlyargs] == [*common, *operation.options]


def test_the_script_uses_every_public_name() -> None:
    used = set(re.findall(r"hs\.(\w+)", SCRIPT.read_text()))
    assert set(hs.__all__) <= used


def test_types_name_the_gpus_of_the_table() -> None:
    kinds = {
        hs.FusedDotAdd: [name for part in get_args(gpus.Nvidia) for name in get_args(part)],
        hs.ExactDotAdd: get_args(gpus.Cdna1),
        hs.PairwiseDotAdd: get_args(gpus.Cdna2),
        hs.TwoStageDotAdd: get_args(gpus.Cdna3),
    }
    for kind, named in kinds.items():
        rows = [entry for entry in hs.tensorcores.TABLE if type(entry.accumulator) is kind]
        assert set(named) == {name for entry in rows for name in (*entry.gpus, entry.generation)}
    assert {type(entry.accumulator) for entry in hs.tensorcores.TABLE} == kinds.keys()


def test_the_script_runs() -> None:
    python(str(SCRIPT))


def checked(path: Path, cache: Path) -> list[str]:
    """What mypy, in strict mode and outside the repository, says of a user's script."""
    pytest.importorskip("mypy")
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(cache), str(path)],
        cwd=path.parent,
        env=environment(MYPYPATH=str(ROOT)),
        capture_output=True,
        text=True,
    )
    return [line for line in (done.stdout + done.stderr).splitlines() if path.name in line]


@pytest.mark.slow
def test_a_checker_finds_the_types_and_the_mistakes(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.py", tmp_path / "bad.py"
    good.write_text(SCRIPT.read_text())
    assert checked(good, tmp_path / "cache") == []
    # A script whose types are wrong, and a name that is none: `assert_type` is no empty word here.
    bad.write_text(
        SCRIPT.read_text()
        .replace("hs.sqrt(x), NDArray[np.float16]", "hs.sqrt(x), NDArray[np.float32]")
        .replace("hs.dot(vector, vector)[0],  # type: ignore[index]", "hs.dot(vector, vector)[0],")
        .replace("assert_type(hs.get_num_threads(), int)", "hs.nonsense")
    )
    found = checked(bad, tmp_path / "cache")
    assert len(found) == 3
    assert "[assert-type]" in found[0]
    assert "is not indexable" in found[1]
    assert 'has no attribute "nonsense"' in found[2]


HOVERED = {
    "add": ("add(a, b, *, rounding='rne'", "Sum a + b, rounded once."),
    "matmul": ("matmul(A, B, C=None, *, accumulator=FP32", "every element summed as an accumulator says"),
    "convert": ("convert(x, to, *, rounding='rne'", "with one rounding whatever the width"),
    "Sequential": ("Sequential(format: Format=BINARY32", "One term after the other"),
    "RISCV": ("RISC-V: tininess after rounding",),
    "from_bits": ("from_bits(bits:", "Read 16-bit patterns"),
}


@pytest.mark.parametrize("name", HOVERED)
def test_an_editor_shows_signature_and_documentation(name: str) -> None:
    jedi = pytest.importorskip("jedi")
    source = f"import halfsim\nhalfsim.{name}"
    project = jedi.Project(ROOT, added_sys_path=[str(ROOT)])
    (shown,) = {one.docstring() for one in jedi.Script(source, project=project).help(2, len("halfsim.") + 1)}
    for part in HOVERED[name]:
        assert part in shown
