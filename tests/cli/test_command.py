"""The command itself: help, versions, exit status, and that every error is one line."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from typing import Any

import click
import pytest

from halfsim._version import __version__
from halfsim.cli import main
from tests.cli.running import ROOT, RUN, invoke


def commands() -> list[tuple[str, ...]]:
    return [
        (),
        ("explain",),
        ("explore",),
        ("models",),
        ("study",),
        ("study", "list"),
        ("study", "run"),
        ("study", "report"),
        ("warmup",),
        ("bench",),
    ]


@pytest.mark.parametrize("command", commands(), ids=" ".join)
@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_has_examples(command: tuple[str, ...], option: str) -> None:
    shown = invoke(*command, option)
    assert shown.exit_code == 0
    assert re.search(r"^  Examples:\n    halfsim ", shown.stdout, re.MULTILINE)
    assert max(map(len, shown.stdout.splitlines())) <= 100


def test_only_finished_verbs_exist() -> None:
    assert main.list_commands(click.Context(main)) == [
        "bench",
        "dpi",
        "explain",
        "explore",
        "models",
        "study",
        "train",
        "vectors",
        "verify",
        "warmup",
    ]
    assert "Exit status: 0 success, 1 failure or disagreement, 2 wrong usage" in invoke("--help").stdout


def test_the_examples_of_the_help_run() -> None:
    shown = invoke("explain", "--help").stdout + invoke("models", "--help").stdout
    examples = re.findall(r"^    halfsim (.+)$", shown, re.MULTILINE)
    assert len(examples) >= 9
    for example in examples:
        assert invoke(*example.split()).exit_code == 0, example


def test_version() -> None:
    assert invoke("--version").stdout == f"halfsim {__version__}\n"


def test_the_package_runs_as_a_module() -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "halfsim", "explain", "0x3c00", "--brief"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert (shown.returncode, shown.stdout) == (2, "")
    assert shown.stderr.startswith("halfsim explain: ")
    shown = subprocess.run(
        [sys.executable, "-m", "halfsim", "--version"], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert __version__ in shown.stdout


def test_no_arguments_show_the_help_and_fail() -> None:
    for command in ((), ("study",)):
        shown = invoke(*command)
        assert (shown.exit_code, shown.stdout) == (2, "")
        assert shown.stderr.startswith("Usage: ")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("bogus",), "halfsim: unknown command 'bogus'; known are bench, dpi, explain, "),
        (("exlpain",), "halfsim: unknown command 'exlpain'; did you mean explain?"),
        (("vector", "check"), "halfsim: unknown command 'vector'; did you mean vectors?"),
        (("study", "lst"), "halfsim study: unknown command 'lst'; did you mean list?"),
        (("models", "Amper"), "unknown name 'Amper'; did you mean ampere?"),
        (("--bogus",), "No such option"),
        (("explain",), "Missing argument 'OPERATION'"),
        (("explain", "ad", "1", "2"), "did you mean add"),
        (("explain", "mul", "1", "2"), "unknown operation 'mul'; did you mean multiply?"),
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
        (
            ("explain", "add", "1", "2", "--roundin", "rne"),
            "No such option '--roundin'. Did you mean '--rounding'? (see halfsim explain --help)",
        ),
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
        (("explain", "dot"), "dot takes --accumulator for every step of one sum, or --models"),
        (
            ("explain", "dot", "--accumulator", "fp32", "--models", "fp16", "--case", "cancel"),
            "--accumulator for every",
        ),
        (("explain", "dot", "--accumulator", "fp32", "--a", "1"), "dot takes --a and --b"),
        (("explain", "dot", "--accumulator", "fp32"), "or --case NAME (see --list-cases)"),
        (("explain", "dot", "--accumulator", "fp32", "--case", "tie", "--a", "1"), "drop --a, or --case"),
        (("explain", "dot", "--accumulator", "fp32", "--case", "cansel"), "unknown case 'cansel'; did you mean cancel"),
        (("explain", "dot", "--models", "fp32,a101", "--case", "tie"), "unknown accumulator 'a101'; did you mean"),
        (("explain", "dot", "--models", "h100:f64", "--case", "tie"), "unknown output of h100 'f64'; known are"),
        (("explain", "dot", "1", "2", "--accumulator", "fp32"), "dot takes no operands such as '1'"),
        (
            ("explain", "dot", "--models", "h100,h100:f32:bf16", "--a", "1", "--b", "1"),
            "equal factors, not of binary16",
        ),
        (("explain", "dot", "--models", "h100:f32:bf16", "--case", "cancel"), "takes bfloat16"),
        (
            ("explain", "dot", "--accumulator", "h100:f32:e4m3", "--a", "inf", "--b", "1"),
            "E4M3 has no inf; its largest",
        ),
        (("explain", "add", "1", "2", "--all"), "--all does not apply to add"),
        (("explain", "add", "1", "2", "--format", "html"), "'html' is not one of"),
        (("explain", "dot", "--accumulator", "h101:f32", "--a", "1", "--b", "1"), "unknown accumulator 'h101:f32'"),
        (("explain", "dot", "--accumulator", "kulisch", "--a", "1", "--b", "1"), "unknown accumulator 'kulisch'"),
        (("explain", "dot", "--accumulator", "h100:f32", "--a", "1,2", "--b", "1"), "one length"),
        (("explain", "dot", "--accumulator", "h100:f32", "--a", "1,,2", "--b", "1,2,3"), "operand a[1]: ''"),
        (("models", "h1"), "unknown name 'h1'; did you mean h100?"),
        (("models", "v100", "wgmma"), "no row is v100 and wgmma at once"),
        (("study", "run", "nothing"), "unknown study 'nothing'; known are quickstart"),
        (("study", "run", "quickstart", "--seeds", "0"), "--seeds"),
        (("warmup", "nothing"), "unknown operation 'nothing'; known are add"),
        (("warmup", "sqr"), "unknown operation 'sqr'; did you mean sqrt?"),
    ],
)
def test_wrong_usage_is_one_line_and_status_2(arguments: tuple[str, ...], words: str) -> None:
    shown = invoke(*arguments)
    assert shown.exit_code == 2
    assert shown.stdout == ""
    assert words in shown.stderr
    assert shown.stderr.count("\n") == 1
    assert shown.stderr.startswith("halfsim")


@pytest.mark.parametrize(
    "arguments", [("explain", "add", "1", "2"), ("warmup", "add"), ("vectors", "check", "none.tv")]
)
def test_wrong_variables_of_the_environment_are_one_line_and_status_2(
    arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HALFSIM_CPU", "pentium")
    shown = invoke(*arguments)
    assert (shown.exit_code, shown.stderr.count("\n")) == (2, 1)
    assert "HALFSIM_CPU='pentium' is no processor known here; set it to generic" in shown.stderr
    monkeypatch.delenv("HALFSIM_CPU")
    monkeypatch.setenv("HALFSIM_NUM_THREADS", "many")
    monkeypatch.setattr("halfsim.kernels.threads._threads", 0)
    shown = invoke(*arguments)
    assert (shown.exit_code, shown.stderr.count("\n")) == (2, 1)
    assert "HALFSIM_NUM_THREADS='many' must be a positive integer" in shown.stderr


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


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_ctrl_c_is_one_line_and_status_130() -> None:
    program = (
        "import os, signal, sys, threading\n"
        "from halfsim.cli import main\n"
        "from halfsim.explanation import elementwise\n"
        "def wait(*a, **k):\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    threading.Event().wait(10)\n"
        "elementwise.explain = wait\n"
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


def test_a_terminal_without_the_characters_gets_question_marks() -> None:
    program = """
import sys
from halfsim.cli import main, study
class Study:
    def report(self, folder):
        return "3 \u00b1 1 \u0394"
study._one = lambda name: Study()
main(["study", "report", "quickstart"])
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "cp1252"},
        capture_output=True,
        encoding="cp1252",
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "3 \u00b1 1 ?\n", "")
