from __future__ import annotations

import csv
import html.parser
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("scipy")
pytest.importorskip("matplotlib")
pytest.importorskip("jinja2")

from halfsim.studies import report
from halfsim.studies.report.page import page
from halfsim.studies.report.text import markdown
from halfsim.studies.report.writing import describe
from tests.studies.report import records, sample

# What a page can hold; "_" is shown as a blank in the names of measures.
TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="_"), max_size=20)


@pytest.fixture(scope="module")
def made(sampled: Path) -> tuple[Path, dict[str, Any]]:
    return sampled, json.loads((sampled / "results.json").read_text())


class Reader(html.parser.HTMLParser):
    """Collects tags, their attributes, and text."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.identifiers: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.identifiers += [value or "" for name, value in attrs if name == "id"]

    def handle_data(self, data: str) -> None:
        self.text += data


def read(text: str) -> Reader:
    reader = Reader()
    reader.feed(text)
    reader.close()
    return reader


def test_everything_is_written(made: tuple[Path, dict[str, Any]]) -> None:
    out, _ = made
    assert {path.name for path in out.iterdir()} == {
        "results.json", "results.csv", "results.parquet", "report.md", "report.html", "figures", "runs", "tables"
    }  # fmt: skip
    names = {
        "digits-loss", "digits-accuracy", "digits-gradients", "digits-scale", "digits-ledger", "digits-memory",
        "words-loss", "error", "sweep", "scales", "pairs",
    }  # fmt: skip
    files = {f"{name}.{kind}" for name in names for kind in ("png", "svg", "csv")}
    assert {path.name for path in (out / "figures").iterdir()} == files
    assert all(path.stat().st_size for path in (out / "figures").iterdir())


def test_the_same_results_give_the_same_bytes(made: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    sample.make(tmp_path)
    for path in sorted(made[0].rglob("*")):
        if path.is_file():
            assert path.read_bytes() == (tmp_path / path.relative_to(made[0])).read_bytes(), path.name


def test_csv_and_parquet_hold_a_row_per_run(made: tuple[Path, dict[str, Any]]) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    out, results = made
    with (out / "results.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    wide = parquet.read_table(out / "results.parquet").to_pylist()
    assert len(table) == len(wide) == len(results["runs"]) == 17
    for text, numbers, run in zip(table, wide, results["runs"], strict=True):
        assert text["variant"] == numbers["variant"] == run["variant"]
        last = run["measures"]["loss"][-1]
        assert text["loss"] == ("" if last is None else str(last))
        assert (numbers["loss"] != numbers["loss"]) if last is None else numbers["loss"] == last


def test_the_text_can_be_read_again(made: tuple[Path, dict[str, Any]]) -> None:
    out, results = made
    text = report.read("sample", out)
    assert text == (out / "report.md").read_text() == markdown(results)
    with pytest.raises(FileNotFoundError, match="holds no results of other; halfsim study run other makes them"):
        report.read("other", out)


def test_the_text_says_what_was_found(made: tuple[Path, dict[str, Any]]) -> None:
    text = report.read("sample", made[0])
    lines = text.splitlines()
    assert any("NaN in 2 of 3 *" in line for line in lines)
    assert "1 of 3 met." in lines
    assert "## What the paper says" in lines and "## Limits" in lines
    assert "Data: digits, digits.csv.gz, sha256 " + "09" * 32 in " ".join(text.split())
    tables = [line for line in lines if line.startswith("|")]
    assert all(line.endswith("|") for line in tables)
    block = [line for line in lines[lines.index("Rows differ.") :] if line.startswith("|")][: 2 + len(sample.ROWS)]
    assert len({len(line) for line in block}) == 1


def test_the_page_has_every_section_and_no_way_out(made: tuple[Path, dict[str, Any]]) -> None:
    reader = read((made[0] / "report.html").read_text())
    assert not {"script", "iframe", "object", "img", "a"} & set(reader.tags)
    assert reader.tags.count("svg") == 11
    assert len(set(reader.identifiers)) == len(reader.identifiers) > 1000
    assert {"claim", "paper", "part-1", "notes", "checks", "limits", "provenance"} <= set(reader.identifiers)
    for words in ("<script>alert(1)</script>", "<b>(Table 1)</b>", 'pure | $x^2 & "q"', "ab" * 32, "Another processor"):
        assert words in reader.text


def test_one_seed_has_no_interval(tmp_path: Path) -> None:
    runs = [records.run("p", row, 0, {"loss": [2.0, 1.0]}) for row in ("a", "b")]
    results = report.write(records.study(records.part("p", ["a", "b"])), runs, [], tmp_path)
    assert results["parts"][0]["summary"][1]["measures"]["loss"]["difference"]["low"] is None
    assert "| b      | 1 | 1.000 |   +0.000 |" in report.read("tiny", tmp_path)


def test_runs_without_a_single_number_can_be_reported(tmp_path: Path) -> None:
    runs = [records.run("p", row, seed, {"loss": [None, None]}) for row in ("a", "b") for seed in (0, 1)]
    report.write(records.study(records.part("p", ["a", "b"])), runs, [], tmp_path)
    assert report.read("tiny", tmp_path).count("NaN in 2 of 2 *") == 2
    assert (tmp_path / "figures" / "p-loss.png").exists()


def test_what_runs_do_not_have_is_left_out(tmp_path: Path) -> None:
    bare = {"ledger": {}, "bytes": {}, "scale": [], "reported": []}
    runs = [records.run("p", "a", 0, {}, **bare), records.run("p", "b", 0, {"loss": [1.0]}, **bare)]
    report.write(records.study(records.part("p", ["a", "b", "never run"], shown=[])), runs, [], tmp_path)
    assert "| never run | 0 |" in report.read("tiny", tmp_path)
    assert [path.name for path in (tmp_path / "figures").glob("*.svg")] == ["p-loss.svg"]


def test_names_that_are_alike_in_files_do_not_collide(tmp_path: Path) -> None:
    runs = [
        records.run(part, "a", 0, {"loss": [2.0, 1.0 + i]}, ledger={}, bytes={}) for i, part in enumerate(("P?", "p!"))
    ]
    report.write(records.study(records.part("P?", ["a"]), records.part("p!", ["a"])), runs, [], tmp_path)
    assert {path.name for path in (tmp_path / "figures").glob("*.csv")} == {"P-loss.csv", "p-loss-2.csv"}


def test_games_show_a_scale_per_side(tmp_path: Path) -> None:
    phases = {
        side: {"reported": [], "scale": [[0, 16.0], [1, 8.0 * i]], "skipped": [0]}
        for i, side in enumerate(("D", "G"), 1)
    }
    runs = [records.run("p", "a", 0, {"loss": [2.0, 1.0]}, phases=phases)]
    report.write(records.study(records.part("p", ["a"])), runs, [], tmp_path)
    with (tmp_path / "figures" / "p-scale.csv").open(newline="") as file:
        rows = [tuple(row.values()) for row in csv.DictReader(file)]
    assert rows == [
        ("a, D", "0", "0", "16.0"),
        ("a, D", "0", "1", "8.0"),
        ("a, G", "0", "0", "16.0"),
        ("a, G", "0", "1", "16.0"),
    ]


@settings(max_examples=40, deadline=None)
@given(st.lists(TEXT, min_size=2, max_size=4, unique=True), TEXT, TEXT)
def test_no_text_breaks_the_page_or_the_tables(rows: list[str], measure: str, words: str) -> None:
    runs = [records.run(words, row, 0, {measure: [1.0]}) for row in rows]
    study = records.study(
        records.part(words, rows, title=words, claim=words),
        checks=(records.check(name=words, part=words, row=rows[0], measure=measure, low=0, high=1),),
        name=words, summary=words, claim=words, paper=words, limits=words,
    )  # fmt: skip
    results = json.loads(json.dumps(describe(study, runs, [])))
    plain = read(page({**results, "study": "s"}, [[]]))
    odd = read(page(results, [[]]))
    assert [tag for tag in odd.tags if tag != "p"] == [tag for tag in plain.tags if tag != "p"]
    squeezed = "".join(odd.text.split())
    assert all("".join(text.split()) in squeezed for text in (*rows, measure, words))
    table = [line for line in markdown(results).splitlines() if line.startswith("| policy")]
    assert len(table) == 3


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(row=TEXT, part=TEXT)
def test_no_text_breaks_the_figures(tmp_path: Path, row: str, part: str) -> None:
    runs = [records.run(part, row, 0, {"loss": [1.0, 0.5]}, ledger={})]
    report.write(records.study(records.part(part, [row])), runs, [], tmp_path)


def test_a_missing_package_costs_what_needs_it_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import sys

    for name in ("matplotlib", "pyarrow"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, "halfsim.plotting", raising=False)
    runs = [records.run("p", "a", 0, {"loss": [1.0]})]
    report.write(records.study(records.part("p", ["a"])), runs, [], tmp_path)
    said = capsys.readouterr().err
    assert "results.parquet: not written, pyarrow is not installed; pip install 'halfsim[studies]'" in said
    assert "matplotlib is not installed" in said
    assert {path.name for path in tmp_path.iterdir()} == {"results.json", "results.csv", "report.md"}


def test_a_table_says_what_computed_it_and_from_which_data(tmp_path: Path) -> None:
    pytest.importorskip("jinja2")
    data = [{"name": name, "file": f"{name}.gz", "sha256": digest * 32} for name, digest in (("a", "1a"), ("b", "2b"))]
    config = {"function": "some.module:rows", "arguments": {"steps": 5, "names": ["x"]}, "data": data}
    table = {"part": "t", "id": "77", "config": config, "rows": [{"n": 1}], "provenance": {"halfsim": "0"}}
    results = report.write(records.study(records.table("t")), [], [table], tmp_path)
    said = " ".join((tmp_path / "report.md").read_text().split())
    assert "Computed by some.module:rows(steps=5, names=['x']), from a; b." in said
    assert all(f"{one['file']}, sha256 {one['sha256']}" in said for one in data)
    shown = read((tmp_path / "report.html").read_text()).text
    assert "Computed by some.module:rows" in shown and all(one["sha256"] in shown for one in data)
    assert (results["parts"][0]["id"], results["parts"][0]["data"]) == ("77", ["a", "b"])
