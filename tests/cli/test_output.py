"""Records on a terminal: everything is there at any width, in colour where rich is installed and plain elsewhere."""

from __future__ import annotations

import builtins
import io
import re
import sys
from typing import Any

import numpy as np
import pytest

import halfsim as hs
from halfsim.cli import output
from halfsim.explanation.parts import Gap, Table
from halfsim.explanation.values import Printed

rich_console = pytest.importorskip("rich.console", reason="rich is not installed")

RNG = np.random.default_rng(3)
A, B = (np.float16(RNG.normal(size=100) * 2.0 ** RNG.integers(-12, 12, 100)) for _ in range(2))
NAMES = ["v100:f32", "a100:f32", "h100:f16", "fp32", "fp16", "compensated:f16", "exact"]
RECORDS = {
    "blocks": lambda: hs.explain_dot(A, B, accumulator="a100:f32"),
    "steps": lambda: hs.explain_dot(A, B, accumulator="fp16"),
    "comparison": lambda: hs.compare_dot(A[:20], B[:20], accumulators=NAMES),
    "exact blocks": lambda: hs.explain_dot(
        np.float32([2.0**90, 1, 2**-100]), np.float32([2**100, -1, 2**-20]), accumulator="mi100:f32:bf16"
    ),
    "stages": lambda: hs.explain_dot(A[:12], B[:12], np.float32(1e-3), accumulator="mi300x:f32"),
    "products": lambda: hs.explain_dot(A[:12], B[:12], np.float32(1e-3), accumulator="mi250x:f32"),
    "elementwise": lambda: hs.explain("fma", np.float16(0.1), np.float16(0.3), np.float16(-0.03)),
}


def drawn(record: Printed, width: int) -> str:
    console = rich_console.Console(width=width, file=io.StringIO(), highlight=False)
    console.print(output.render(record.parts(), width), end="")
    return str(console.file.getvalue())


@pytest.mark.parametrize("width", [80, 120, 200])
@pytest.mark.parametrize("name", RECORDS)
def test_no_number_is_cut_at_any_width(name: str, width: int) -> None:
    record: Printed = RECORDS[name]()
    text = drawn(record, width)
    assert max(map(len, text.splitlines())) <= width
    for part in record.parts():
        if isinstance(part, Table):
            for row in part.rows:
                words = [word for cell in row for word in cell.split() if re.search(r"\d", word)]
                missing = [word for word in words if word not in text]
                assert not missing


def test_brackets_are_not_markup() -> None:
    assert "a[k]*b[k]" in drawn(hs.explain_dot(A[:2], B[:2], accumulator="fp16"), 120)
    loss = hs.compare_dot(np.float16([1, 2**-14]), np.float16([1, 2**-14]), accumulators=["v100:f32"])
    assert "a[1]*b[1] loses" in drawn(loss, 160)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_colours_and_a_pipe_none(monkeypatch: pytest.MonkeyPatch) -> None:
    record = hs.explain_dot(A[:20], B[:20], accumulator="v100:f32")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("NO_COLOR", raising=False)
    screen = Terminal()
    monkeypatch.setattr(sys, "stdout", screen)
    output.show(record, "a title", "text", False, None)
    assert "\x1b[33m" in screen.getvalue() and "a title" in screen.getvalue()
    pipe = io.StringIO()
    monkeypatch.setattr(sys, "stdout", pipe)
    output.show(record, "", "text", False, None)
    assert pipe.getvalue() == str(record) + "\n"


def test_a_terminal_without_rich_gets_plain_text(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *arguments: Any, **keywords: Any) -> Any:
        if name.startswith("rich"):
            raise ImportError(name)
        return real(name, *arguments, **keywords)

    record = hs.explain_dot(A[:20], B[:20], accumulator="v100:f32")
    screen = Terminal()
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setattr(builtins, "__import__", without)
    output.show(record, "", "text", False, None)
    monkeypatch.undo()
    assert screen.getvalue() == str(record) + "\n"


def test_gaps_are_blank_lines() -> None:
    console = rich_console.Console(width=80, file=io.StringIO())
    console.print(output.render([Gap()], 80), end="")
    assert console.file.getvalue() == "\n"
