"""The site has every public name, and what checks a built site finds what is wrong with one."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import re
import zlib
from collections.abc import Iterable, Iterator
from enum import Enum
from pathlib import Path
from typing import Any

import pytest

import halfsim as hs
from docs._ext import built, public
from docs._ext.tables import write_tables
from tests.processes import ROOT


def test_every_public_name_is_on_a_page() -> None:
    assert public.undocumented() == []
    assert set(hs.__all__) <= set(public.sources())


def test_a_new_name_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(public, "sources", lambda: {"add": "halfsim.operations", "brand_new": "halfsim.brand_new"})
    assert public.undocumented() == ["brand_new"]


def test_names_of_pages_exist_and_stand_on_one_page() -> None:
    defined = [entry for page in public.PAGES for entry in public.of_page(page)]
    assert len(defined) == len(set(defined)) > 200
    for module, name in defined:
        if module != "halfsim.torch":  # PyTorch need not be here
            assert hasattr(importlib.import_module(module), name), f"{module}.{name}"


def entries() -> Iterator[tuple[str, Any]]:
    """Yield what the pages of the reference describe: functions, classes and their public methods."""
    for module, name in (entry for page in public.PAGES for entry in public.of_page(page)):
        if module == "halfsim.torch" and importlib.util.find_spec("torch") is None:
            continue
        value = public.found(module, name)
        yield f"{module}.{name}", value
        for key, member in vars(value).items() if inspect.isclass(value) else ():
            function = getattr(member, "__func__", member)  # of class methods
            if not key.startswith("_") and inspect.isfunction(function):
                yield f"{module}.{name}.{key}", function


def is_function(path: str, value: Any) -> bool:
    """Whether a name of the reference is called as a function, with a docstring of its own; methods are not."""
    name = path.rpartition(".")[2]
    if inspect.isroutine(value):
        return value.__qualname__ == value.__name__
    return str(value.__doc__).strip().startswith(f"{name}(")


def without_parameters(found: Iterable[tuple[str, Any]]) -> list[str]:
    """Return what numpydoc says of functions, classes and methods that do not describe exactly what they take.

    Members of enumerations are listed, not made; protocols are implemented; and the attributes of a record that the
    package makes are described as such.
    """
    docscrape = pytest.importorskip("numpydoc.docscrape")
    validate = pytest.importorskip("numpydoc.validate")
    problems = []
    for path, value in found:
        if inspect.isclass(value):
            attributes = docscrape.NumpyDocString(inspect.cleandoc(str(value.__doc__)))["Attributes"]
            told = {name for entry in attributes for name in entry.name.split(", ")}
            if (
                issubclass(value, Enum)
                or is_protocol(value)
                or (told and told >= set(inspect.signature(value).parameters))
            ):
                continue
        elif not inspect.isroutine(value):
            continue
        errors = validate.Validator(docscrape.get_doc_object(value)).parameter_mismatches
        problems += [f"{path}: {text}" for code, text in errors if code in ("PR01", "PR02")]
    return problems


def is_protocol(value: Any) -> bool:
    return bool(getattr(value, "_is_protocol", False))


def test_every_function_of_the_reference_has_an_example() -> None:
    lacking = [
        path
        for path, value in entries()
        if is_function(path, value) and "\n>>> " not in inspect.cleandoc(str(value.__doc__))
    ]
    assert lacking == []


def test_every_docstring_of_the_reference_says_what_is_taken() -> None:
    assert without_parameters(entries()) == []


def test_a_parameter_that_is_not_described_is_noticed() -> None:
    def taking(a: int, b: int) -> int:
        """Return the sum.

        Parameters
        ----------
        a, c : int
            Numbers.
        """
        return a + b

    assert without_parameters([("taking", taking)]) == [
        "taking: Parameters {'b'} not documented",
        "taking: Unknown parameters {'c'}",
    ]
    taking.__doc__ = "Return the sum."
    assert len(without_parameters([("taking", taking)])) == 1


def test_every_public_page_is_in_the_reference() -> None:
    listed = re.findall(r"^api/(\w+)$", (ROOT / "docs" / "reference" / "index.md").read_text(), re.MULTILINE)
    assert sorted(listed) == sorted(page.name for page in public.PAGES)


def test_tables_hold_the_rows_of_the_package(tmp_path: Path) -> None:
    write_tables(tmp_path)
    tables = {path.stem: path.read_text() for path in tmp_path.glob("*.md")}
    listed = re.findall(r"^generated/(\w+)$", (ROOT / "docs" / "reference" / "index.md").read_text(), re.MULTILINE)
    assert sorted(listed) == sorted(tables)
    assert re.findall(r"^\| \{py:obj\}`~halfsim\.(\w+)`", tables["environments"], re.MULTILINE) == [
        name for name in public.sources() if isinstance(getattr(hs, name, None), hs.Environment)
    ]
    assert "| binary16 | 16 | 11 | -14 | 15 | ieee | 65504 |" in tables["formats"]
    assert len(re.findall(r"^\| \{py:obj\}", tables["operations"], re.MULTILINE)) == sum(
        isinstance(getattr(hs, name), hs.Operation) for name in hs.__all__
    )
    for name, table in tables.items():
        rows = [line for line in table.splitlines() if line.startswith("|")]
        assert len(rows) > 2, name
        assert len({line.replace("\\|", "").count("|") for line in rows}) == 1, name


@pytest.mark.parametrize(
    ("link", "problem"),
    [
        ('<a href="other.html#here">', None),
        ('<a href="other.html">', None),
        ('<a href="https://example.org/nothing">', None),
        ('<a href="other.html#there">', "names no place"),
        ('<a href="#there">', "names no place"),
        ('<a href="nothing.html">', "is not there"),
        ('<img src="nothing.png">', "is not there"),
        ('<script src="https://example.org/code.js"></script>', "loads https://example.org/code.js"),
        ('<link rel="stylesheet" href="//example.org/style.css">', "loads //example.org/style.css"),
    ],
)
def test_dead_links_are_found(tmp_path: Path, link: str, problem: str | None) -> None:
    (tmp_path / "page.html").write_text(f"<html><body>{link}</body></html>")
    (tmp_path / "other.html").write_text('<h1 id="here">Here</h1>')
    found = list(built.dead_links(tmp_path))
    assert [problem in line for line in found] == [True] if problem else found == []


def test_names_that_a_site_lacks_are_found(tmp_path: Path) -> None:
    names = [f"{module}.{name}" for page in public.PAGES for module, name in public.of_page(page)]
    names += [f"halfsim.{name}" for name in public.sources()]
    lines = "".join(f"{name} py:function 1 page.html#$ -\n" for name in names if name != "halfsim.add")
    head = b"# Sphinx inventory version 2\n# Project: halfsim\n# Version: 0\n# The rest is compressed using zlib.\n"
    (tmp_path / "objects.inv").write_bytes(head + zlib.compress(lines.encode()))
    assert built.missing_names(tmp_path) == ["halfsim.add"]
    assert built.main(tmp_path) == 1
