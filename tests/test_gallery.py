"""Every script of the gallery states a claim, checks it before it draws, and draws a figure that a slide can show."""

from __future__ import annotations

import ast
import runpy
from pathlib import Path

import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("sklearn")

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.text import Text

from tests.processes import ROOT

SCRIPTS = sorted((ROOT / "docs" / "gallery").glob("plot_*.py"))
ids = pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)


def test_there_are_at_least_a_dozen() -> None:
    assert len(SCRIPTS) >= 12


@ids
def test_a_script_states_its_claim_first_and_checks_it_before_it_draws(script: Path) -> None:
    tree = ast.parse(script.read_text())
    title, rule, nothing, claim, *_ = (ast.get_docstring(tree) or "").split("\n")
    assert len(rule) >= len(title) > 0
    assert set(rule) == {"="}
    assert not nothing
    assert claim.startswith("**Claim.** ")
    checks = [node for node in ast.walk(tree) if isinstance(node, ast.Assert)]
    # A check that names nothing computed could not fail.
    assert checks
    assert all(any(isinstance(node, ast.Name) for node in ast.walk(check.test)) for check in checks)
    (drawing,) = (node.lineno for node in tree.body if ast.unparse(node).startswith("plt.style.use"))
    assert all(check.lineno < drawing for check in checks)


@ids
def test_a_script_draws_a_figure_for_a_slide(script: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(script.parent)
    monkeypatch.setattr(plt, "show", lambda: None)
    with mpl.rc_context():
        runpy.run_path(str(script))
    try:
        (number,) = plt.get_fignums()
        figure = plt.figure(number)
        assert any(axes.has_data() for axes in figure.axes)
        sizes = [text.get_fontsize() for text in figure.findobj(Text) if text.get_text()]
        assert min(sizes) / 72 >= figure.get_figheight() / 40
    finally:
        plt.close("all")
