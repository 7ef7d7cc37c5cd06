"""Every example in a docstring, on the front page and on the pages of the site runs; tables tell what is."""

from __future__ import annotations

import csv
import doctest
import importlib
import importlib.util
import pkgutil
import re
from pathlib import Path

import pytest
from _pytest.mark.structures import ParameterSet

import halfsim as hs
from tests.processes import python

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
GLANCE = (ROOT / "docs" / "start" / "at-a-glance.md").read_text()
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
def test_examples_of_a_page(folder: Path, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    libraries = re.findall(r"^>>> (?:import|from) (\w+)", text, re.MULTILINE)
    for library in libraries:
        if library in PEERS:
            pytest.importorskip(library)
    # The fence that closes a block is no output.
    text = re.sub(r"^```$", "", text, flags=re.MULTILINE)
    if "distributed" in libraries:
        # Its event loop and threads outlive the examples: they are those of another process.
        page = tmp_path / "page.txt"
        page.write_text(text)
        assert re.search(r"\b[1-9]\d* passed", python("-m", "doctest", "-v", str(page)))
        return
    monkeypatch.syspath_prepend(str(folder))  # a page may import the script beside it
    found = doctest.DocTestParser().get_doctest(text, {}, "page", None, 0)
    assert found.examples
    run(found)


def test_readme_has_examples() -> None:
    (readme,) = (text for _, text in (param.values for param in EXAMPLES) if text.startswith("# halfsim\n"))
    assert readme.count(">>> ") > 5


def test_links_of_the_front_page_lead_somewhere() -> None:
    for page, text in ((ROOT / "README.md", README), (ROOT / "docs" / "start" / "at-a-glance.md", GLANCE)):
        links = re.findall(r"\]\(([^)\s]+)\)", text)
        assert len(links) > 5
        for link in links:
            path, _, anchor = link.partition("#")
            target = page.parent / path
            assert target.exists(), f"{page.name} links to {link}"
            headings = re.findall(r"^#+ (.+)$", target.read_text(), re.MULTILINE) if anchor else []
            assert not anchor or anchor in {heading.lower().replace(" ", "-") for heading in headings}, link


def test_readme_counts_the_gpus() -> None:
    named = {gpu for row in hs.tensorcores.TABLE for gpu in row.gpus}
    assert f"[{len(named)} named GPUs]" in README


def test_the_figure_of_the_front_page_shows_the_committed_numbers(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    spec = importlib.util.spec_from_file_location("front_page", ROOT / "docs" / "front_page.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.main(tmp_path / "drawn.svg")
    drawn, kept = (path.read_text() for path in (tmp_path / "drawn.svg", ROOT / "docs" / "front-page.svg"))
    words = re.compile(r"<text [^>]*>([^<]+)</text>")
    assert words.findall(drawn) == words.findall(kept)
    assert set(module.LINES) < set(words.findall(kept))
    with module.DATA.open(newline="") as file:
        error = {row["accumulator"]: float(row["error"]) for row in csv.DictReader(file) if row["K"] == "32768"}
    assert min(error[name] for name in module.LINES) == error["h100 f32"] == pytest.approx(7e-5, rel=0.05)
    assert max(error[name] for name in module.LINES) == error["binary16"] == pytest.approx(0.32, abs=0.005)


def test_a_table_names_every_operation() -> None:
    table = GLANCE.split("## Operations")[1].split("Roundings:")[0]
    named = set(re.findall(r"`(\w+)`", table)) - {"flagged"}
    assert set(OPERATIONS) <= named
    assert all(callable(getattr(hs, name, None)) for name in named)


def test_readme_names_targets_that_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"`make ([a-z]+)|^make ([a-z]+)", README + GLANCE, re.MULTILINE))
    assert {"study", "test"} <= {first or second for first, second in named} <= targets


def test_table_of_tensor_cores() -> None:
    text = GLANCE.replace("−", "-")
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


def test_table_of_matrix_cores() -> None:
    shown = re.findall(r"^\| (CDNA\d) \| ([\w, ]+) \| `(\w+)` \| (\d+) \| (\d+) \|", GLANCE, re.MULTILINE)
    assert len(shown) == len({row.generation for row in hs.tensorcores.TABLE if row.generation.startswith("cdna")})
    for generation, gpus, kind, terms, wide_terms in shown:
        for key in (generation.lower(), *gpus.lower().split(", ")):
            narrow, wide = (hs.tensorcores.row(key, inputs=inputs) for inputs in ("f16", "bf16"))
            assert type(narrow).__name__ == type(wide).__name__ == kind
            assert (narrow.terms, wide.terms) == (int(terms), int(wide_terms))
