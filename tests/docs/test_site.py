"""The site has every public name, and what checks a built site finds what is wrong with one."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
import zlib
from pathlib import Path

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


def test_paths_that_lead_nowhere_are_no_code() -> None:
    site = pytest.importorskip("docs._ext.site")
    assert site.is_there("halfsim.add")
    assert site.is_there("halfsim.policy.Policy.accumulator")  # a method
    assert site.is_there("halfsim.accumulators.FusedDotAdd.terms")  # a field without a default
    assert site.is_there("halfsim.training.tape.Tape.training")  # an attribute
    for nothing in ("halfsim.ad", "halfsim.nothing.add", "halfsim.training.tape.Tape.train", "halfsim.policy.Polic.a"):
        assert not site.is_there(nothing)


def test_names_of_pages_exist_and_stand_on_one_page() -> None:
    defined = [entry for page in public.PAGES for entry in public.of_page(page)]
    assert len(defined) == len(set(defined)) > 200
    for module, name in defined:
        if module != "halfsim.torch":  # PyTorch need not be here
            assert hasattr(importlib.import_module(module), name), f"{module}.{name}"


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
    assert "Format(" not in tables["policies"] + tables["accumulators"]
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


def test_the_reference_is_built_without_pytorch() -> None:
    """`halfsim.torch` asks PyTorch for nothing that it needs when it is imported: a stand-in takes its place."""
    pytest.importorskip("docs._ext.site")
    code = (
        "from docs._ext import site\n"
        "with site._mocking.mock(['torch']):\n"
        "    import halfsim.torch\n"
        "print(halfsim.torch.simulate.__name__)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stdout == "simulate\n", done.stderr[-2000:]
