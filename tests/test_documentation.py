"""Every example in a docstring, on the README page and on the pages of the site runs and prints what it says."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import re
from pathlib import Path

import pytest
from _pytest.mark.structures import ParameterSet

import halfsim as hs

ROOT = Path(__file__).resolve().parent.parent
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
MODULES = [found.name for found in pkgutil.walk_packages([str(ROOT / "halfsim")], "halfsim.")]

OPERATIONS = sorted(
    name for name in hs.__all__ if hasattr(getattr(hs, name), "flagged") and not isinstance(getattr(hs, name), type)
)
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
PEERS = ("apytypes", "distributed", "gfloat", "ml_dtypes", "mmasim", "pychop", "qtorch", "softfloatpy", "torch")


def examples() -> list[ParameterSet]:
    """Return the examples of every page that has any, and of every section of the page about other libraries."""
    found = []
    for page in PAGES:
        name, text = str(page.relative_to(ROOT)), page.read_text()
        sections = re.split(r"^## ", text, flags=re.MULTILINE) if page.stem == "comparison" else [text]
        for section in sections:
            if ">>> " in section:
                title = "" if section is text else f"-{section.splitlines()[0]}"
                found.append(pytest.param(page.parent, section, id=name + title))
    return found


EXAMPLES = examples()


def run(test: doctest.DocTest) -> None:
    report: list[str] = []
    results = doctest.DocTestRunner(optionflags=OPTIONS).run(test, out=report.append)
    assert results.failed == 0, "".join(report)


@pytest.mark.parametrize("name", MODULES)
def test_examples_of_a_module(name: str) -> None:
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("halfsim"):
            raise
        pytest.skip(f"{name} needs {error.name}, which is not installed")
    for test in doctest.DocTestFinder(exclude_empty=True).find(module, name):
        run(test)


@pytest.mark.parametrize("name", OPERATIONS)
def test_examples_of_an_operation(name: str) -> None:
    # Operations are instances; the finder above sees only functions and classes.
    examples = doctest.DocTestParser().get_doctest(getattr(hs, name).__doc__, {}, f"halfsim.{name}", None, 0)
    assert examples.examples
    run(examples)


@pytest.mark.parametrize(("folder", "text"), EXAMPLES)
def test_examples_of_a_page(folder: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for library in re.findall(r"^>>> (?:import|from) (\w+)", text, re.MULTILINE):
        if library in PEERS:
            pytest.importorskip(library)
    monkeypatch.syspath_prepend(str(folder))  # a page may import the script beside it
    # The fence that closes a block is no output.
    found = doctest.DocTestParser().get_doctest(re.sub(r"^```$", "", text, flags=re.MULTILINE), {}, "page", None, 0)
    assert found.examples
    run(found)


def test_readme_has_examples() -> None:
    (readme,) = (text for _, text in (param.values for param in EXAMPLES) if text.startswith("# halfsim\n"))
    assert readme.count(">>> ") > 10


def test_readme_names_every_operation() -> None:
    table = (ROOT / "README.md").read_text().split("## Operations")[1].split("Roundings:")[0]
    named = set(re.findall(r"`(\w+)`", table)) - {"flagged"}
    assert set(OPERATIONS) <= named
    assert all(callable(getattr(hs, name, None)) for name in named)


def test_readme_names_targets_that_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"make ([a-z]+)", (ROOT / "README.md").read_text()))
    assert {"study", "test"} <= named <= targets


def test_readme_table_of_tensor_cores() -> None:
    text = (ROOT / "README.md").read_text().replace("−", "-")
    rows = re.findall(r"^\| ([\w ]+) \| ([\w, ]+) \| (\d+) \| (\d+) \| (-\d+) \| (-\d+) \|$", text, re.MULTILINE)
    shown = {}
    for generation, gpus, terms, fraction_bits, zero32, zero16 in rows:
        for gpu in (generation, *gpus.split(", ")):
            key = gpu.lower().replace(" ", "_") if gpu == generation else gpu.lower().replace(" ", "")
            shown[key, "f32"] = int(terms), int(fraction_bits), int(zero32)
            shown[key, "f16"] = int(terms), int(fraction_bits), int(zero16)
    entries = [entry for entry in hs.tensorcores.TABLE if isinstance(entry.accumulator, hs.FusedDotAdd)]
    keys = {(key, entry.output) for entry in entries for key in (entry.generation, *entry.gpus)}
    assert shown.keys() == keys
    for key, output in keys:
        row = hs.tensorcores.row(key, output)
        assert shown[key, output] == (row.terms, row.fraction_bits, row.zero_exponent)


def test_readme_table_of_matrix_cores() -> None:
    text = (ROOT / "README.md").read_text()
    shown = re.findall(r"^\| (CDNA\d) \| ([\w, ]+) \| `(\w+)` \| (\d+) \| (\d+) \|", text, re.MULTILINE)
    assert len(shown) == len({row.generation for row in hs.tensorcores.TABLE if row.generation.startswith("cdna")})
    for generation, gpus, kind, terms, wide_terms in shown:
        for key in (generation.lower(), *gpus.lower().split(", ")):
            narrow, wide = (hs.tensorcores.row(key, inputs=inputs) for inputs in ("f16", "bf16"))
            assert type(narrow).__name__ == type(wide).__name__ == kind
            assert (narrow.terms, wide.terms) == (int(terms), int(wide_terms))
