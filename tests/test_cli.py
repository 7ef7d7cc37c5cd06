"""The command line: what it prints, its exit status, and that every error is one line."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

import halfsim as hs
from halfsim._version import __version__
from halfsim.cli import main
from halfsim.cli.literals import parse
from halfsim.formats import BINARY16, BINARY32, BINARY64
from tests.oracles import rational

ROOT = Path(__file__).resolve().parent.parent
RUN = (sys.executable, "-c", "from halfsim.cli import main; main(prog_name='halfsim')")
EXAMPLE = ("explain", "fma", "0x3c01", "0x3c01", "0x8001", "--rounding", "rtz")


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


def process(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*RUN, *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )


# ---------------------------------------------------------------------------------------------------- help and status


def commands() -> list[tuple[str, ...]]:
    return [
        (),
        ("explain",),
        ("models",),
        ("study",),
        ("study", "list"),
        ("study", "run"),
        ("study", "report"),
        ("warmup",),
    ]


@pytest.mark.parametrize("command", commands(), ids=" ".join)
@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_has_examples(command: tuple[str, ...], option: str) -> None:
    shown = invoke(*command, option)
    assert shown.exit_code == 0
    assert re.search(r"^  Examples:\n    halfsim ", shown.stdout, re.MULTILINE)
    assert max(map(len, shown.stdout.splitlines())) <= 100


def test_only_finished_verbs_exist() -> None:
    assert sorted(main.commands) == ["explain", "models", "study", "warmup"]
    assert "Exit status: 0 success, 1 failure or disagreement, 2 wrong usage" in invoke("--help").stdout


def test_the_examples_of_the_help_run() -> None:
    shown = invoke("explain", "--help").stdout + invoke("models", "--help").stdout
    examples = re.findall(r"^    halfsim (.+)$", shown, re.MULTILINE)
    assert len(examples) >= 9
    for example in examples:
        assert invoke(*example.split()).exit_code == 0, example


def test_version() -> None:
    assert invoke("--version").stdout == f"halfsim {__version__}\n"


def test_no_arguments_show_the_help_and_fail() -> None:
    for command in ((), ("study",)):
        shown = invoke(*command)
        assert (shown.exit_code, shown.stdout) == (2, "")
        assert shown.stderr.startswith("Usage: ")


# ----------------------------------------------------------------------------------------------------------- explain


def test_explain_in_a_process() -> None:
    shown = process(*EXAMPLE)
    assert (shown.returncode, shown.stderr) == (0, "")
    x = hs.from_bits(0x3C01)
    want = hs.to_bits(hs.fma(x, x, hs.from_bits(0x8001), rounding="rtz"))
    for fact in (f"{want:#06x}", "0x1.00800fp+0", "kept", "guard 0", "decision", "flags     inexact"):
        assert fact in shown.stdout


def test_explain_compiles_nothing() -> None:
    program = f"""
import sys, time
from halfsim.cli import main
start = time.process_time()
try:
    main({list(EXAMPLE)!r})
except SystemExit as end:
    assert end.code == 0
assert time.process_time() - start < 2
compiled = [
    name
    for module, values in list(sys.modules.items()) if module.startswith("halfsim")
    for name, value in vars(values).items() if getattr(value, "overloads", None)
]
print(compiled, file=sys.stderr)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "[]\n")


def test_explain_as_json() -> None:
    record = json.loads(invoke(*EXAMPLE, "--json").stdout)
    assert record["result"]["pattern"] == "0x3c02"
    assert record["flags"] == ["inexact"]
    assert record["decision"]["discarded"] == "15/16384"
    dot = invoke(
        "explain", "dot", "--accumulator", "a100:f32", "--a", "4096,4096,0.25", "--b", "2048,-2048,1", "--json"
    )
    record = json.loads(dot.stdout)
    assert record["blocks"][0]["terms"][3]["lost"] == "1/4"
    assert record["accumulator"]["fraction_bits"] == 24


@pytest.mark.parametrize(
    ("arguments", "pattern", "flags"),
    [
        (("add", "-0", "-0"), "0x8000", []),
        (("add", "-0x1p-3", "-1.5"), "0xbe80", []),
        (("add", "-1e-3", "inf"), "0x7c00", []),
        (("subtract", "-inf", "-infinity"), "0x7e00", ["invalid"]),
        (("add", "nan", "1"), "0x7e00", []),
        (("add", "snan", "1"), "0x7e01", ["invalid"]),
        (("add", "-nan(0x3ff)", "1"), "0xffff", []),
        (("add", "nan", "1", "--environment", "cuda"), "0x7fff", []),
        (("add", "nan", "1", "--environment", "RISCV"), "0x7e00", []),
        (("multiply", "0x0400", "0x3bff", "--rounding", "rup"), "0x0400", ["inexact", "underflow"]),
        (("multiply", "0x3c01", "0x03ff", "--tininess", "before"), "0x0400", ["inexact", "underflow"]),
        (("multiply", "0x3c01", "0x03ff"), "0x0400", ["inexact"]),
        (("add", "0x0001", "0x0001", "--flush-inputs"), "0x0000", []),
        (("add", "0x0001", "0x0001", "--flush-results"), "0x0000", ["inexact", "underflow"]),
        (("round_to_integral", "2.5", "--exact"), "0x4000", ["inexact"]),
        (("scaleb", "1.5", "-3"), "0x3200", []),
        (("convert", "0.3", "--from", "binary32", "--to", "E4M3"), "0x2a", ["inexact"]),
        (("convert", "1000", "--to", "E4M3"), "0x7f", ["inexact", "overflow"]),
        (("convert", "1000", "--to", "e4m3", "--saturate"), "0x7e", ["inexact", "overflow"]),
        (("convert", "-2.5", "--to", "int8"), "-0x2", []),
        (("less", "1", "nan"), "0x0", ["invalid"]),
    ],
)
def test_operands_and_options(arguments: tuple[str, ...], pattern: str, flags: list[str]) -> None:
    shown = invoke("explain", *arguments, "--json")
    assert shown.exit_code == 0, shown.stderr
    record = json.loads(shown.stdout)
    assert (record["result"]["pattern"], record["flags"]) == (pattern, flags)


def test_stochastic_rounding_from_the_command_line() -> None:
    record = json.loads(invoke("explain", "add", "1", "0x1p-12", "-r", "stochastic:8:42", "--json").stdout)
    want = hs.add(np.float16(1), np.float16(2**-12), rounding=hs.Stochastic(bits=8, seed=42))
    assert record["result"]["bits"] == hs.to_bits(want)
    assert record["rounding"] == {"bits": 8, "seed": 42, "offset": 0}


@pytest.mark.parametrize(
    "accumulator", ["h100:f32", "h100:f16:wgmma", "FP16", "FP32", "Exact", "Pairwise", "Compensated"]
)
def test_dot_accumulators(accumulator: str) -> None:
    shown = invoke(
        "explain", "dot", "--accumulator", accumulator, "--a", "1,2", "--b", "3,0x4400", "--c", "-0.5", "--json"
    )
    assert json.loads(shown.stdout)["result"]["value"] == "21/2"


# ---------------------------------------------------------------------------------------------------------- literals


def test_a_number_that_is_rounded_is_said_to_be() -> None:
    shown = invoke("explain", "add", "0.1", "1", "--json")
    assert shown.stderr == (
        "note: a = 0.1 is not a binary16 number; rounded once, to nearest even, "
        "to 0x2e66 = 0x1.998p-4 = 0.0999755859375\n"
    )
    json.loads(shown.stdout)
    assert invoke("explain", "add", "0.5", "0x1.ffcp+15").stderr == ""
    assert "to 0x7c00 = inf" in invoke("explain", "add", "65520", "1").stderr


@pytest.mark.parametrize("fmt", [BINARY16, BINARY32, BINARY64], ids=lambda fmt: fmt.name)
def test_literals_are_rounded_once(fmt: hs.Format) -> None:
    rng = np.random.default_rng(7)
    texts = ["65519.999999999999999999", "65520", "1e400", "-1e-400", "1e99999999", "2.98023223876953125e-8"]
    texts += ["2.980232238769531250000000000000000001e-8", "0x1.002p0", "0x1.00200000000000000001p0"]
    texts += ["-0x.8p-24", "-.0"]
    texts += [f"{digits[0]}.{digits[1:]}e{rng.integers(-10, 6)}" for digits in _digits(rng, 60)]
    for text in texts:
        if text == "1e99999999":
            want = (rational.infinity(0, fmt), 5)
        else:
            want = rational.round_fraction(_exact(text), fmt, zero_sign=int(text.startswith("-")))
        literal = parse(text, "x", fmt)
        assert literal.bits == want[0], text
        assert bool(literal.note) == bool(want[1]), text


def _digits(rng: np.random.Generator, count: int) -> list[str]:
    return ["".join(map(str, rng.integers(1, 10, 30))) for _ in range(count)]


def _exact(text: str) -> Any:
    """Exact value of a literal: Fraction reads decimals; of a hex-float the digits are an integer."""
    if "0x" not in text:
        return rational.Fraction(text)
    sign = -1 if text.startswith("-") else 1
    significand, power = text.lstrip("-")[2:].split("p")
    whole, _, fraction = significand.partition(".")
    return sign * rational.Fraction(int(whole + fraction, 16), 16 ** len(fraction)) * rational.Fraction(2) ** int(power)


def test_patterns_are_kept_and_printed_forms_are_read() -> None:
    for bits in (*range(0, 65536, 251), 0x7C01, 0xFDFF, 0xFFFF, 0x8000):
        assert parse(f"{bits:#06x}", "a", BINARY16).bits == bits
        shown = hs.explain("absolute", hs.from_bits(bits)).operands[0]
        assert parse(shown.hexadecimal.replace("0x0p+0", "0x0p0"), "a", BINARY16).bits == bits
        if shown.value is not None:
            assert parse(shown.decimal, "a", BINARY16).bits == bits


# ------------------------------------------------------------------------------------------------------------ errors


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("bogus",), "No such command 'bogus'"),
        (("--bogus",), "No such option"),
        (("explain",), "Missing argument 'OPERATION'"),
        (("explain", "ad", "1", "2"), "did you mean add"),
        (("explain", "xyz", "1", "2"), "known are add, subtract"),
        (("explain", "add", "1"), "takes 2 operand"),
        (("explain", "add", "1", "2", "3"), "takes 2 operand"),
        (("explain", "add", "1", "2e"), "operand b: '2e' is not a bit pattern"),
        (("explain", "add", "1", ""), "operand b: '' is not a bit pattern"),
        (("explain", "add", "1", "."), "is not a bit pattern"),
        (("explain", "add", "0x12345", "1"), "wider than the 16 bits"),
        (("explain", "add", "0x3c0g", "1"), "is not a bit pattern"),
        (("explain", "add", "-0x3c00", "1"), "is not a bit pattern"),
        (("explain", "add", "nan(0x1)", "1"), "no such fraction field"),
        (("explain", "add", "9" * 2000, "1"), "2000 characters"),
        (("explain", "add", "1", "2", "--rounding", "up"), "known are roundTiesToEven ('rne')"),
        (("explain", "add", "1", "2", "--rounding", "stochastic"), "write stochastic:BITS:SEED"),
        (("explain", "add", "1", "2", "--rounding", "stochastic:40:1"), "bits=40 must be an integer from 1 to 32"),
        (("explain", "add", "1", "2", "--roundin", "rne"), "no such option: --roundin"),
        (("explain", "add", "1", "2", "--environment", "mips"), "'mips' is not one of"),
        (("explain", "add", "1", "2", "--exact"), "--exact does not apply to add"),
        (("explain", "add", "1", "2", "--to", "E4M3"), "--to does not apply to add"),
        (("explain", "add", "1", "2", "--from", "binary32"), "--from does not apply to add"),
        (("explain", "convert", "0.3", "--to", "zz"), "unknown target 'zz'"),
        (
            ("explain", "dot", "--accumulator", "FP32", "--a", "1", "--b", "1", "-r", "zz"),
            "--rounding does not apply to dot",
        ),
        (("explain", "add", "1", "2", "--a", "1"), "--a does not apply to add"),
        (("explain", "scaleb", "1", "0.5"), "'0.5' is not an integer"),
        (("explain", "scaleb", "1", "9223372036854775808"), "has more than 64 bits; scaleb takes an exponent"),
        (("explain", "convert", "1"), "--to FORMAT"),
        (("explain", "convert", "1", "--to", "E4M9"), "unknown target 'E4M9'; known are"),
        (("explain", "convert", "1", "--from", "E4M3", "--to", "E5M2"), "unknown format"),
        (("explain", "dot"), "--accumulator, --a and --b"),
        (("explain", "dot", "--accumulator", "h101:f32", "--a", "1", "--b", "1"), "unknown GPU 'h101'"),
        (("explain", "dot", "--accumulator", "kulisch", "--a", "1", "--b", "1"), "unknown accumulator 'kulisch'"),
        (("explain", "dot", "--accumulator", "h100:f32", "--a", "1,2", "--b", "1"), "one length"),
        (("explain", "dot", "--accumulator", "h100:f32", "--a", "1,,2", "--b", "1,2,3"), "operand a[1]: ''"),
        (("models", "h1"), "unknown name 'h1'; known are volta"),
        (("models", "v100", "wgmma"), "no row is v100 and wgmma at once"),
        (("study", "run", "nothing"), "unknown study 'nothing'; known are quickstart"),
        (("study", "run", "quickstart", "--seeds", "0"), "--seeds"),
        (("warmup", "nothing"), "unknown operation 'nothing'; known are add"),
    ],
)
def test_wrong_usage_is_one_line_and_status_2(arguments: tuple[str, ...], words: str) -> None:
    shown = invoke(*arguments)
    assert shown.exit_code == 2
    assert shown.stdout == ""
    assert words in shown.stderr
    assert shown.stderr.count("\n") == 1
    assert shown.stderr.startswith("halfsim")


def test_an_unexpected_error_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise KeyError("some\nthing")

    monkeypatch.setattr(sys.modules["halfsim.explanation.elementwise"], "explain", broken)
    monkeypatch.delenv("HALFSIM_DEBUG", raising=False)
    shown = invoke("explain", "add", "1", "2")
    assert shown.exit_code == 1
    assert shown.stderr == "halfsim: KeyError: 'some\\nthing' (HALFSIM_DEBUG=1 shows where)\n"
    monkeypatch.setenv("HALFSIM_DEBUG", "1")
    assert isinstance(invoke("explain", "add", "1", "2").exception, KeyError)


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("halfsim.studies")]:
        monkeypatch.delitem(sys.modules, name)

    class Missing:
        def find_spec(self, name: str, *_: Any) -> None:
            if name == "halfsim.studies":
                raise ModuleNotFoundError("No module named 'sklearn'", name="sklearn")

    monkeypatch.setattr(sys, "meta_path", [Missing(), *sys.meta_path])
    shown = invoke("study", "list")
    assert shown.exit_code == 1
    assert shown.stderr == "halfsim: studies need sklearn, which is not installed: pip install 'halfsim[studies]'\n"


def test_a_report_needs_a_run(tmp_path: Path) -> None:
    shown = invoke("study", "report", "quickstart", "--out", str(tmp_path / "none"))
    assert shown.exit_code == 1
    assert "run halfsim study run quickstart first" in shown.stderr
    assert shown.stderr.count("\n") == 1


def test_studies_are_listed() -> None:
    assert re.search(r"^quickstart  \w", invoke("study", "list").stdout)


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_ctrl_c_is_one_line_and_status_130() -> None:
    program = (
        "import os, signal, sys, threading\n"
        "from halfsim.cli import main\n"
        "def wait(*a, **k):\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    threading.Event().wait(10)\n"
        "sys.modules['halfsim.explanation.elementwise'].explain = wait\n"
        "main(['explain', 'add', '1', '2'])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "halfsim: interrupted\n")
    assert signal.getsignal(signal.SIGINT) is not None


def test_a_broken_pipe_is_silent() -> None:
    reader = subprocess.Popen(
        [*RUN, "models", "--json"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert reader.stdout is not None
    assert reader.stderr is not None
    reader.stdout.close()
    shown = reader.stderr.read()
    reader.stderr.close()
    reader.wait(timeout=60)
    assert shown == b""


# ------------------------------------------------------------------------------------------------------------ models


def models(*names: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(invoke("models", *names, "--json").stdout)
    return rows


def test_the_table_of_models() -> None:
    rows = models()
    assert len(rows) == len(hs.tensorcores.TABLE)
    # Terms and fraction bits of the three rule sets.
    rules = {
        (name, row["accumulator"]["terms"], row["accumulator"]["fraction_bits"])
        for name in ("v100", "t4", "a100", "a10", "l40s", "h100", "h200", "b200", "rtx5090")
        for row in models(name, "f32")[:1]
    }
    assert rules == {
        *(("v100", 4, 23), ("t4", 8, 24), ("a100", 8, 24), ("a10", 8, 24), ("l40s", 8, 24)),
        *(("h100", 16, 25), ("h200", 16, 25), ("b200", 16, 25), ("rtx5090", 16, 25)),
    }
    for row in rows:
        accumulator = row["accumulator"]
        assert accumulator["source"]
        assert accumulator["evidence"]
        assert row["confidence"] in ("A", "B", "C")
        # z = 19 - F - bias of the accumulator's format.
        bias = {"binary16": 15, "binary32": 127}[accumulator["output"]]
        assert accumulator["zero_exponent"] == 19 - accumulator["fraction_bits"] - bias
        assert accumulator["rounding"] == {"f32": "roundTowardZero", "f16": "roundTiesToEven"}[row["output"]]


def test_models_as_text() -> None:
    shown = invoke("models", "volta").stdout
    assert re.search(r"^volta +sm_70 +v100 +m8n8k4 +f32 +4 +23 +-131 +roundTowardZero +A +\[1\]$", shown, re.MULTILINE)
    assert "arXiv:2512.07004" in shown
    assert "captured outputs agree (V100)" in shown
    assert max(map(len, shown.splitlines())) <= 120
    assert len(models("ampere", "f16")) == sum(
        row.generation == "ampere" and row.output == "f16" for row in hs.tensorcores.TABLE
    )


# ------------------------------------------------------------------------------------------------------------ warmup


def test_warmup_fills_the_cache(tmp_path: Path) -> None:
    cache = {"HALFSIM_CACHE_DIR": str(tmp_path)}
    first = process("warmup", "sqrt", "negative", **cache)
    assert first.returncode == 0, first.stderr
    assert re.search(r"^2 operation\(s\) ready in [\d.]+ s$", first.stdout, re.MULTILINE)
    files = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    assert files
    size = sum(path.stat().st_size for path in files)
    assert re.search(
        rf"^cache: {re.escape(str(tmp_path))}.*, {len(files)} file\(s\), {size / 1e6:.1f} MB$", first.stdout, re.M
    )
    start = time.process_time()
    again = process("warmup", "sqrt", "negative", **cache)
    assert again.returncode == 0
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()} == files
    assert time.process_time() - start < 5


@pytest.mark.slow
def test_warmup_reaches_every_loop(tmp_path: Path) -> None:
    program = """
import sys
from halfsim.cli import main
from halfsim.core._jit import _Cache
main(["warmup"], standalone_mode=False)
for module, values in list(sys.modules.items()):
    if module.startswith("halfsim.kernels."):
        for name, value in vars(values).items():
            if isinstance(getattr(value, "_cache", None), _Cache) and value.py_func.__module__ == module:
                print("LOOP", module, name, len(value.overloads))
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(ROOT), "HALFSIM_CACHE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    loops = re.findall(r"^LOOP (\S+) (\S+) (\d+)$", done.stdout, re.MULTILINE)
    assert len(loops) > 40
    assert [loop for loop in loops if loop[2] == "0"] == []


def test_a_terminal_without_the_characters_gets_question_marks() -> None:
    program = """
import sys
from halfsim.cli import main
class Study:
    def report(self, folder):
        return "3 \u00b1 1 \u0394"
sys.modules["halfsim.cli.study"]._one = lambda name: Study()
main(["study", "report", "quickstart"])
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "cp1252"},
        capture_output=True,
        encoding="cp1252",
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "3 \u00b1 1 ?\n", "")
