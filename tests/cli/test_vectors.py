"""`halfsim vectors generate` and `check`: what goes out comes back, and every kind of bad input gets one line."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

import halfsim as hs
from tests.cli.running import invoke
from tests.oracles import softfloat


def generate(path: Path, *arguments: str, operation: str = "multiply") -> None:
    shown = invoke("vectors", "generate", operation, "-o", str(path), "--count", "100", *arguments)
    assert shown.exit_code == 0, shown.stderr


@pytest.mark.parametrize("name", ["x.tv", "x.txt", "x.mem", "x.csv", "x.jsonl", "x.npz", "x.tv.gz"])
def test_what_is_generated_agrees(tmp_path, name):
    generate(tmp_path / name, "--rounding", "rup", "--environment", "arm", operation="divide")
    extra = ["--operation", "divide", "--rounding", "rup", "--environment", "arm"] if name == "x.txt" else []
    shown = invoke("vectors", "check", str(tmp_path / name), *extra)
    assert shown.exit_code == 0, shown.output
    assert "divide, roundTowardPositive, ARM: all 6" in shown.stdout


def test_the_same_command_gives_the_same_bytes(tmp_path):
    for name in ("a.tv", "b.tv", "c.tv"):
        generate(tmp_path / name, "--seed", "5" if name < "c" else "6")
    first, second, third = ((tmp_path / name).read_bytes() for name in ("a.tv", "b.tv", "c.tv"))
    assert first == second != third


def test_shards_make_the_whole(tmp_path):
    generate(tmp_path / "all.txt")
    parts = []
    for i in (1, 2, 3):
        generate(tmp_path / f"{i}.txt", "--shard", f"{i}/3")
        parts.append((tmp_path / f"{i}.txt").read_bytes())
    assert b"".join(parts) == (tmp_path / "all.txt").read_bytes()


@pytest.mark.parametrize("mode", ["rne", "rna", "rup"])
def test_a_pipe_of_testfloat_rows_agrees_with_softfloat(mode, tmp_path):
    generate(tmp_path / "x.txt", "--rounding", mode, "--families", "halfway,uniform", operation="f16_mulAdd")
    rows = np.array(
        [[int(word, 16) for word in line.split()] for line in (tmp_path / "x.txt").read_text().splitlines()]
    )
    value, flags = softfloat.operate("fma", *(rows[:, i].astype(np.uint16) for i in range(3)), mode=mode)
    assert np.array_equal(value, rows[:, 3])
    assert np.array_equal(flags, rows[:, 4])
    arguments = ("--operation", "f16_mulAdd", "--format", "testfloat", "--rounding", mode)
    shown = invoke("vectors", "check", "-", *arguments, stdin=(tmp_path / "x.txt").read_text())
    assert shown.exit_code == 0, shown.output
    assert f"standard input: fma, {hs.Rounding(hs.rounding.ALIASES[mode]).name}, RISCV: all" in shown.stdout


def test_a_wrong_row_is_named_and_explained(tmp_path):
    generate(tmp_path / "x.tv", "--families", "halfway")
    lines = (tmp_path / "x.tv").read_text().splitlines()
    head = sum(line.startswith("//") for line in lines)
    a, b, z, flags = lines[head + 20].split("_")
    lines[head + 20] = f"{a}_{b}_{int(z, 16) ^ 0x8000:04X}_{flags}"
    (tmp_path / "x.tv").write_text("\n".join(lines) + "\n")
    shown = invoke("vectors", "check", str(tmp_path / "x.tv"), "--junit", str(tmp_path / "report.xml"))
    assert shown.exit_code == 1
    assert f"line {head + 21}: multiply(0x{a.lower()}, 0x{b.lower()}): file" in shown.stdout
    assert "wrong sign" in shown.stdout
    assert "multiply(a, b), multiplication, binary16" in shown.stdout
    failure = ElementTree.parse(tmp_path / "report.xml").find(".//failure")
    assert failure is not None
    assert failure.get("message") == "1 rows"
    record = json.loads(invoke("vectors", "check", str(tmp_path / "x.tv"), "--json").stdout)
    assert record[0]["wrong"] == record[0]["wrong_values"] == 1
    assert record[0]["first"][0]["line"] == head + 21


def test_options_say_otherwise_than_the_header(tmp_path):
    generate(tmp_path / "x.tv")
    for arguments, mistake in (
        (("--rounding", "rtz"), "rounded to nearest, ties to even"),
        (("--tininess", "before"), "tininess after rounding instead of before rounding"),
        (("--flush-inputs",), "subnormal operands were not flushed to zero"),
        (("--environment", "x86"), "wrong NaN"),
    ):
        shown = invoke("vectors", "check", str(tmp_path / "x.tv"), "--limit", "0", *arguments)
        assert shown.exit_code == 1
        assert mistake in shown.stdout


def test_masks_let_any_nan_pass(tmp_path):
    generate(tmp_path / "x.tv", "--nan", "any", "--environment", "x86")
    assert invoke("vectors", "check", str(tmp_path / "x.tv"), "--environment", "riscv").exit_code == 0
    generate(tmp_path / "y.tv", "--environment", "x86")
    assert invoke("vectors", "check", str(tmp_path / "y.tv"), "--environment", "riscv").exit_code == 1


def test_coverage_is_reported(tmp_path):
    shown = invoke("vectors", "generate", "sqrt", "-o", str(tmp_path / "x.tv"), "--coverage")
    assert "reachable bins hit (100.00%)" in shown.stderr
    assert "all operands were tried" in shown.stderr
    shown = invoke("vectors", "check", str(tmp_path / "x.tv"), "--coverage")
    assert "coverage: 100.00% of" in shown.stdout


def test_lists(tmp_path):
    operations = invoke("vectors", "generate", "list").stdout
    assert "fma" in operations
    assert "f16_mulAdd" in operations
    families = invoke("vectors", "generate", "fma", "--list").stdout
    assert "cancellation" in families
    assert list(tmp_path.iterdir()) == []


def test_damage_is_one_line(tmp_path):
    generate(tmp_path / "x.tv")
    whole = (tmp_path / "x.tv").read_bytes()
    (tmp_path / "cut.tv").write_bytes(whole[:-3])
    (tmp_path / "cut.tv.gz").write_bytes(gzip.compress(whole)[:-20])
    for name in ("cut.tv", "cut.tv.gz"):
        shown = invoke("vectors", "check", str(tmp_path / name), str(tmp_path / "x.tv"))
        assert shown.exit_code == 1
        assert len(shown.stderr.splitlines()) == 1
        assert str(tmp_path / name) in shown.stderr
        assert "rows agree" in shown.stdout  # the other file is compared all the same


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("generate", "dividd", "-o", "x.tv"), "unknown operation 'dividd'; did you mean divide"),
        (("generate", "add"), "-o FILE is missing; write e.g. -o add.tv"),
        (("generate", "add", "-o", "x.doc"), "the suffix '.doc' names no format"),
        (("generate", "mul", "-o", "x.tv"), "unknown operation 'mul'; did you mean multiply?"),
        (("generate", "fused", "-o", "x.tv"), "unknown operation 'fused'; known are add, "),
        (("generate", "add", "-o", "-"), "standard input and output have no suffix; name the format (--format): tv"),
        (("generate", "add", "-o", "x.hex"), "known are .tv (tv), "),
        (("generate", "add", "-o", "x.tv", "--families", "ties"), "--families: unknown family 'ties'; known are"),
        (("generate", "add", "-o", "x.tv", "--rounding", "1"), "roundToOdd ('odd'), and stochastic:BITS:SEED"),
        (("generate", "add", "-o", "x.tv", "--rounding", "nearest"), "unknown rounding 'nearest'"),
        (("generate", "add", "-o", "x.tv", "--flags", "vax"), "unknown order 'vax'; known are testfloat"),
        (("generate", "add", "-o", "x.tv", "--exact"), "--exact does not apply to add"),
        (("generate", "add", "-o", "x.txt", "--nan", "any"), "neither masks nor another order of flags"),
        (("generate", "add", "-o", "x.tv", "--shard", "4/3"), "'4/3' is not I/N with 1 <= I <= N, such as 1/4"),
        (("check", "-", "--format", "tv", "--operation", "ad"), "unknown operation 'ad'"),
        (("check",), "Missing argument 'FILE...'"),
    ],
)
def test_wrong_usage_is_one_line(tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    shown = invoke("vectors", *arguments)
    assert shown.exit_code == 2
    assert message in shown.stderr
    assert len(shown.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_missing_file_is_one_line(tmp_path):
    shown = invoke("vectors", "check", str(tmp_path / "none.tv"))
    assert shown.exit_code == 1
    assert shown.stderr.count("\n") == 1
    assert "none.tv" in shown.stderr


def test_one_bad_file_does_not_stop_the_others(tmp_path):
    generate(tmp_path / "x.tv")
    text = (tmp_path / "x.tv").read_text()
    (tmp_path / "odd.tv").write_text(text.replace("// operation:", "// options: sparkle\n// operation:", 1))
    names = [str(tmp_path / name) for name in ("none.tv", "odd.tv", "x.tv")]
    shown = invoke("vectors", "check", *names, "--junit", str(tmp_path / "report.xml"))
    assert shown.exit_code == 1
    assert len(shown.stderr.splitlines()) == 2
    assert "odd.tv" in shown.stderr
    assert "sparkle" in shown.stderr
    assert "rows agree" in shown.stdout
    assert len(ElementTree.parse(tmp_path / "report.xml").findall(".//error")) == 2


def odd_files(folder: Path) -> dict[str, str]:
    """Files that no one should give, and what is said of each."""
    generate(folder / "x.tv")
    generate(folder / "x.npz")
    whole = (folder / "x.tv").read_bytes()
    rows = whole.count(b"\n") - whole.count(b"//")
    contents = {
        "empty.tv": (b"", "is empty"),
        "garbage.tv": (bytes(range(256)) * 40, "line 1: is not text"),
        "late.tv": (b"a\nb\n" + bytes(range(256)) * 40, "line 1: is not text"),
        "garbage.npz": (bytes(range(256)) * 40, "is no readable npz file"),
        "garbage.parquet": (bytes(range(256)) * 40, "cannot be read"),
        "garbage.tv.gz": (b"\x1f\x8b" + bytes(range(256)), "cannot be decompressed"),
        "cut.tv.gz": (gzip.compress(whole)[:-30], "cannot be decompressed"),
        "cut.npz": ((folder / "x.npz").read_bytes()[:-300], "is no readable npz file"),
        "packed.npz.gz": (gzip.compress((folder / "x.npz").read_bytes()), "the format npz has no .gz"),
        "huge.tv": (whole.replace(b"rows: %d" % rows, b"rows: %d" % (1 << 31)), "but its header says 2147483648"),
        "nan.tv": (whole.replace(b"nan: exact", b"nan: quiet"), "line 9: the header cannot be read: nan='quiet'"),
        "rule.tv": (whole.replace(b": RISCV", b": RISCV nan.operand=last"), "has no 'nan.operand=last'"),
        "two.tv": (whole + whole, "stands behind the SHA-256 of the rows"),
        "mac.tv": (whole.replace(b"\n", b"\r"), "lines that end with CR alone"),
        "wide.tv": (whole.decode().encode("utf-16"), "is text in UTF-16"),
        "add.tv": (whole.replace(b"operation: multiply (f16_mul)", b"operation: plus"), "unknown operation 'plus'"),
        "headless.tv": (b"3C00_3C00_3C00_00\n", "its rows are of: --operation, --rounding"),
        "deep.jsonl": (b'{"header": ' + b"[" * 200_000 + b"\n", "nested too deeply"),
        "key.jsonl": (b'{"header": ["operation: add", "operation: add"]}\n', "the header has operation twice"),
    }  # fmt: skip
    for name, (content, _) in contents.items():
        (folder / name).write_bytes(content)
    return {name: said for name, (_, said) in contents.items()}


def test_odd_files_get_one_sentence_each(tmp_path):
    pytest.importorskip("pyarrow")
    for name, said in odd_files(tmp_path).items():
        shown = invoke("vectors", "check", str(tmp_path / name), "--json")
        assert shown.exit_code == 1, name
        assert shown.stderr.count("\n") == 1, shown.stderr
        assert shown.stderr.startswith(f"halfsim vectors check: {tmp_path / name}: "), shown.stderr
        assert said in shown.stderr, shown.stderr
        assert "Traceback" not in shown.output
        assert json.loads(shown.stdout)[-1]["file"] == str(tmp_path / name)


@pytest.mark.parametrize(
    "name", ["none.tv", "none.npz", "none.mem", "none.parquet", "none/x.tv", "none/MANIFEST.json", "-.tv"]
)
def test_absent_paths_all_exit_with_1(tmp_path, name):
    pytest.importorskip("pyarrow")
    shown = invoke("vectors", "check", str(tmp_path / name))
    assert shown.exit_code == 1
    assert shown.stderr.count("\n") == 1
    assert name.partition(".mem")[0] in shown.stderr
    assert "check the path" in shown.stderr


def test_a_file_that_may_not_be_read_and_a_folder(tmp_path):
    generate(tmp_path / "x.tv")
    (tmp_path / "dir.tv").mkdir()
    shown = invoke("vectors", "check", str(tmp_path / "dir.tv"))
    assert shown.exit_code == 1
    assert "holds no capture, so nothing was compared" in shown.output
    (tmp_path / "x.tv").chmod(0)
    shown = invoke("vectors", "check", str(tmp_path / "x.tv"))
    if shown.exit_code:  # the superuser may read everything
        assert shown.stderr == f"halfsim vectors check: {tmp_path / 'x.tv'}: Permission denied; check the path\n"


def test_rows_that_were_moved_fail_though_all_agree(tmp_path):
    generate(tmp_path / "x.tv")
    lines = (tmp_path / "x.tv").read_text().splitlines(keepends=True)
    lines[-3], lines[-9] = lines[-9], lines[-3]
    (tmp_path / "x.tv").write_text("".join(lines))
    shown = invoke("vectors", "check", str(tmp_path / "x.tv"), "--junit", str(tmp_path / "report.xml"))
    assert shown.exit_code == 1
    assert "rows agree" in shown.stdout
    problem = f"line {len(lines)}: the rows are not those that the SHA-256 at the end was made of"
    assert f"  damaged: {problem}" in shown.stdout
    assert f"{tmp_path / 'x.tv'}: {problem}" in shown.stderr
    error = ElementTree.parse(tmp_path / "report.xml").find(".//error")
    assert error is not None
    assert problem in error.get("message", "")
    (report, _) = json.loads(invoke("vectors", "check", str(tmp_path / "x.tv"), "--json").stdout)
    assert (report["wrong"], report["digest"]) == (0, "differs")


def test_what_could_not_be_verified_is_said(tmp_path):
    generate(tmp_path / "x.tv")
    generate(tmp_path / "x.txt")
    said = "the file has no SHA-256 of its rows: that they are all there, in order, could not be verified"
    assert said not in invoke("vectors", "check", str(tmp_path / "x.tv")).stdout
    shown = invoke("vectors", "check", str(tmp_path / "x.txt"), "--operation", "multiply")
    assert shown.exit_code == 0
    assert said in shown.stdout
    text = (tmp_path / "x.tv").read_text()
    (tmp_path / "x.tv").write_text(text[: text.index("// sha256")])
    shown = invoke("vectors", "check", str(tmp_path / "x.tv"))
    assert shown.exit_code == 1
    assert "has no SHA-256 of its rows, but its header says that halfsim" in shown.stderr
    assert "its end was lost" in shown.stderr
    # The way out that it says, for a file that was edited.
    (way_out,) = re.findall("delete '(.*?)' from its header", shown.stderr)
    (tmp_path / "x.tv").write_text(text[: text.index("// sha256")].replace(way_out, ""))
    shown = invoke("vectors", "check", str(tmp_path / "x.tv"), "--junit", str(tmp_path / "report.xml"))
    assert shown.exit_code == 0
    assert said in shown.stdout
    assert said in (tmp_path / "report.xml").read_text()


@pytest.mark.parametrize(
    ("name", "text"),
    [("x.tv", "// a remark\n\n"), ("x.csv", "A,B,Z,FF\n"), ("x.jsonl", "\n")],
)
def test_a_file_without_rows_fails(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    report = tmp_path / "report.xml"
    shown = invoke("vectors", "check", str(tmp_path / name), "--operation", "add", "--junit", str(report))
    assert shown.exit_code == 1
    assert shown.stderr == (
        f"halfsim vectors check: {tmp_path / name}: holds no rows: nothing can be compared; "
        "was its writer stopped early?\n"
    )
    assert ElementTree.parse(report).find(".//error") is not None
