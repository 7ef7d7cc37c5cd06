"""`halfsim vectors tiles`, and `check` of what it writes."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.cli.running import invoke


def generate(path: Path, *arguments: str, accumulator: str = "h100:f32") -> str:
    shown = invoke("vectors", "tiles", accumulator, "-o", str(path), *arguments)
    assert shown.exit_code == 0, shown.stderr
    return shown.stdout


@pytest.mark.parametrize("name", ["x.npz", "x.mem", "x.tv", "x.tv.gz"])
def test_what_is_generated_agrees(name, tmp_path):
    path = tmp_path / name
    said = generate(path, "--shape", "4x8x32", "--count", "2", "--classes", "ties,carry", accumulator="H100:f32:bf16")
    assert said == f"4 tiles 4x8x32 of h100:f32:bf16: 128 dot products in {path}\n"
    shown = invoke("vectors", "check", str(path))
    assert shown.exit_code == 0, shown.output
    assert shown.stdout == f"{path}: h100:f32:bf16, 4 tiles 4x8x32: all 128 elements of D agree\n"


def test_sizes_stand_beside_the_words(tmp_path):
    generate(tmp_path / "x.tv", "--count", "1", accumulator="a100:f32:tf32")
    sizes = (tmp_path / "x_params.vh").read_text()
    named = {"TILES": 13, "M": 16, "N": 8, "K": 8, "ROWS": 1664, "A_BITS": 19, "C_BITS": 32, "ROW_BITS": 16 * 20 + 64}
    assert all(f"localparam {name} = {size};\n" in sizes for name, size in named.items())
    row = (tmp_path / "x.tv").read_text().splitlines()[-2]
    assert 4 * len(row.replace("_", "")) == named["ROW_BITS"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_stays_one_and_has_nothing_beside_it(tmp_path):
    plain, pipe = tmp_path / "plain.tv", tmp_path / "pipes" / "x.tv"
    pipe.parent.mkdir()
    os.mkfifo(pipe)
    generate(plain, "--count", "1")
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()), daemon=True)
    reader.start()
    generate(pipe, "--count", "1")
    assert list(pipe.parent.iterdir()) == [pipe]
    assert pipe.is_fifo()
    reader.join(10)
    assert got == [plain.read_bytes()]
    shown = invoke("vectors", "tiles", "h100:f32", "-o", str(pipe), "--format", "npz")
    assert shown.exit_code == 2
    assert f"{pipe} is a device or a pipe, and the format npz is written to files without .gz" in shown.stderr


def test_traces_say_of_how_many(tmp_path):
    said = generate(tmp_path / "x.jsonl", "--traces", "5", "--shape", "2x2x4", accumulator="fp16")
    assert f"the steps of 5 of 520 dot products in {tmp_path / 'x.jsonl'}" in said
    head, *records, seal = (tmp_path / "x.jsonl").read_text().splitlines()
    assert list(json.loads(seal)) == ["sha256"]
    assert "traces: 5 (of 520 dot products)" in json.loads(head)["header"]
    assert [len(json.loads(record)["trace"]["steps"]) for record in records] == [4] * 5
    shown = invoke("vectors", "check", str(tmp_path / "x.jsonl"))
    assert shown.exit_code == 0
    assert shown.stdout == f"{tmp_path / 'x.jsonl'}: fp16, 130 tiles 2x2x4: all 5 traces of steps agree\n"


@pytest.mark.parametrize(
    ("accumulator", "change", "step"),
    [
        (
            "h100:f32",
            lambda t: t["blocks"][1]["terms"][3].update(shift=77),
            "blocks 1, terms a[18]*b[18], shift: file 77",
        ),
        ("h100:f32", lambda t: t["blocks"][0].update(total=5), "blocks 0, total: file 5, halfsim "),
        ("h100:f32", lambda t: t["result"].update(bits=t["result"]["bits"] ^ 1), "result, bits: file "),
        ("h100:f32", lambda t: t["a"][2].update(value="1/3"), 'a a[2], value: file "1/3", halfsim '),
        ("h100:f32", lambda t: t["blocks"].pop(), "the number of blocks: file 1, halfsim 2"),
        ("h100:f32", lambda t: t["accumulator"].update(terms=8), "the accumulator, terms: file 8, halfsim 16"),
        ("mi300x:f32", lambda t: t["blocks"][0]["stages"][0].update(units=3), "blocks 0, stages "),
        ("fp32", lambda t: t["steps"][4]["result"].update(bits=1), "steps 4, result, bits: file 1, halfsim "),
        ("compensated", lambda t: t["steps"][-1].pop("exact"), "the keys of steps "),
        ("pairwise", lambda t: t.pop("flags"), "the keys of the trace: file a, accumulator, b, blocks"),
    ],
)
def test_the_first_step_that_differs_is_named(tmp_path, accumulator, change, step):
    path = tmp_path / "x.jsonl"
    generate(path, "--traces", "3", "--shape", "2x2x20", "--classes", "normal,ties", accumulator=accumulator)
    assert invoke("vectors", "check", str(path)).exit_code == 0
    lines = path.read_text().splitlines()
    record = json.loads(lines[2])
    change(record["trace"])
    lines[2] = json.dumps(record)
    path.write_text("\n".join(lines[:-1]) + "\n")
    shown = invoke("vectors", "check", str(path))
    assert shown.exit_code == 1
    assert "has no SHA-256 of its rows, but its header says that halfsim" in shown.stderr
    lines[0] = lines[0].replace("halfsim ", "my ")
    path.write_text("\n".join(lines[:-1]) + "\n")
    shown = invoke("vectors", "check", str(path), "--junit", str(tmp_path / "j.xml"))
    assert shown.exit_code == 1, shown.output
    assert "1 of 3 traces of steps disagree\n  the file has no SHA-256" in shown.stdout
    place = f"tile {record['tile']} row {record['row']} column {record['column']} ({record['class']})"
    assert f"line 3: {place}: first differs in {step}" in shown.stdout
    assert f"line 3: {place}" in "".join(ElementTree.parse(tmp_path / "j.xml").getroot().itertext())
    (report,) = json.loads(invoke("vectors", "check", str(path), "--json").stdout)
    assert (report["traces"], report["wrong"], report["classes"]) == (3, 1, {record["class"]: 1})
    assert report["first"][0]["line"] == 3


def edited(edit):
    def change(lines):
        record = json.loads(lines[2])
        edit(record)
        lines[2] = json.dumps(record)

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda lines: lines.pop(2), "line 3: the file ends after 2 traces but its header says 3; it may be cut"),
        (
            lambda lines: lines.insert(2, lines[2]),
            "line 4: is of a dot product that comes before that of the line above",
        ),
        (lambda lines: lines.insert(1, lines.pop(2)), "line 3: is of a dot product that comes before"),
        (lambda lines: lines.insert(2, "{"), "line 3: is not JSON"),
        (
            lambda lines: lines.insert(2, "[]"),
            "line 3: is not an object with the keys D, class, column, row, tile, trace",
        ),
        (edited(lambda record: record.update(tile=999)), "line 3: tile is 999, not a number from 0 to "),
        (edited(lambda record: record.update(row=True)), "line 3: row is true, not a number from 0 to 1"),
        (edited(lambda record: record.update({"class": "tie"})), 'line 3: class is "tie"; that of the tile is '),
        (edited(lambda record: record["trace"]["a"].pop()), "line 3: trace has not the 4 lanes of a"),
        (edited(lambda record: record["trace"]["b"][0].update(bits=1 << 16)), "line 3: trace has b with bits 65536"),
        (edited(lambda record: record["trace"]["b"][0].update(bits="1")), 'line 3: trace has b with bits "1"'),
        (edited(lambda record: record["trace"].pop("c")), "line 3: trace has c with bits null"),
        (edited(lambda record: record.update(trace=3)), "line 3: trace has not the 4 lanes of a"),
        (
            lambda lines: lines.insert(0, lines.pop(0).replace("traces: 3", "traces: x")),
            "line 1: the header does not say",
        ),
        (lambda lines: lines.append(lines.pop().replace("a", "b").replace("sh", "sh")), "line 5: "),
    ],
)
def test_damaged_traces_are_refused_with_their_line(tmp_path, change, said):
    path = tmp_path / "x.jsonl"
    generate(path, "--traces", "3", "--shape", "2x2x4")
    lines = path.read_text().splitlines()
    change(lines)
    path.write_text("\n".join(lines) + "\n")
    shown = invoke("vectors", "check", str(path))
    assert shown.exit_code == 1
    assert shown.stderr.count("\n") == 1
    assert f"{path}: {said}" in shown.stderr


def test_a_disagreement_is_explained_and_counted(tmp_path):
    path = tmp_path / "x.tv"
    generate(path, "--count", "1", "--classes", "normal,ties")
    lines = path.read_text().splitlines()
    lines[-2] = lines[-2][:-1] + ("1" if lines[-2][-1] == "0" else "0")
    path.write_text("\n".join(lines) + "\n")
    shown = invoke("vectors", "check", str(path), "--junit", str(tmp_path / "j.xml"))
    assert shown.exit_code == 1
    assert (
        "1 of 256 elements of D disagree\n  damaged: line 266: the rows are not those that the SHA-256" in shown.stdout
    )
    assert "\n          1  ties\n" in shown.stdout
    assert "tile 1 row 15 column 7 (ties): file 0x" in shown.stdout
    assert "largest exponent" in shown.stdout
    shown = invoke("vectors", "check", str(path), "--json")
    report, error = json.loads(shown.stdout)
    assert (report["elements"], report["wrong"], report["classes"]) == (256, 1, {"ties": 1})
    assert report["digest"] == "differs"
    assert error["file"] == str(path)
    assert report["first"][0]["row"] == 15
    suite = ElementTree.parse(tmp_path / "j.xml").getroot()[0]
    assert suite.get("failures") == "1"
    assert "tile 1 row 15 column 7" in "".join(suite.itertext())


def test_tiles_and_rows_are_checked_together(tmp_path):
    generate(tmp_path / "x.npz", "--count", "1")
    invoke("vectors", "generate", "add", "-o", str(tmp_path / "add.npz"), "--count", "10")
    shown = invoke("vectors", "check", str(tmp_path / "add.npz"), str(tmp_path / "x.npz"))
    assert shown.exit_code == 0, shown.output
    assert "add, roundTiesToEven" in shown.stdout
    assert "elements of D agree" in shown.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("h101:f32", "-o", "x.npz"), "vectors tiles: unknown GPU 'h101'"),
        (("fp33", "-o", "x.npz"), "accumulator='fp33' is not 'GPU:output'"),
        (("h100:f32", "-o", "x.csv"), "the format csv does not hold tiles; choose npz, mem, tv, jsonl"),
        (("h100:f32", "-o", "x.doc"), "the suffix '.doc' names no format"),
        (("h100:f32", "-o", "x.npz.gz"), "is written to files without .gz"),
        (("h100:f32", "-o", "-", "--format", "npz"), "is written to files without .gz"),
        (("h100:f32", "-o", "x.npz", "--shape", "16x8"), "shape '16x8' is not of the form MxNxK"),
        (("h100:f32", "-o", "x.npz", "--shape", "16x8x9999"), "each from 1 to 1024"),
        (("h100:f32", "-o", "x.npz", "--classes", "normal,tie"), "unknown class 'tie'; known are normal"),
        (("h100:f32",), "Missing option '-o'"),
    ],
)
def test_wrong_usage_is_one_line(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shown = invoke("vectors", "tiles", *arguments)
    assert shown.exit_code == 2
    assert message in shown.stderr
    assert len(shown.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_settings_of_operations_do_not_apply(tmp_path):
    generate(tmp_path / "x.tv", "--count", "1")
    shown = invoke("vectors", "check", str(tmp_path / "x.tv"), "--rounding", "rup")
    assert shown.exit_code == 1
    assert "whose header names the accumulator; drop --rounding" in shown.stderr
