"""The examples of the reference run as they are pasted: with nothing but what they import."""

from __future__ import annotations

import doctest
import importlib.util
import inspect
import re
from collections.abc import Iterable
from typing import Any

import pytest

from docs._ext import public
from tests.docs.test_docstrings import entries
from tests.test_documentation import OPTIONS

OF_PACKAGE = re.compile(r"^\s*>>> (?:from|import) (\w+)", re.MULTILINE)
"""The package that an example imports from."""


def run(found: Iterable[tuple[str, Any]]) -> tuple[str, int]:
    """Return the report of the examples that fail with globals of their own, and how many ran.

    A docstring is run once, whatever has it, and not at all where it imports a package that is not installed.
    """
    report: list[str] = []
    texts = {inspect.cleandoc(str(value.__doc__)): path for path, value in found}
    runner = doctest.DocTestRunner(optionflags=OPTIONS, verbose=False)
    for text, path in texts.items():
        if all(importlib.util.find_spec(package) for package in OF_PACKAGE.findall(text)):
            runner.run(
                doctest.DocTestParser().get_doctest(text, {"__name__": "__main__"}, path, None, 0), out=report.append
            )
    return "".join(report), runner.tries


@pytest.mark.parametrize("page", [pytest.param(page, id=page.name) for page in public.PAGES])
def test_examples_run_as_pasted(page: public.Page) -> None:
    try:
        found = list(entries([page]))
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("halfsim"):
            raise
        pytest.skip(f"{page.name} needs {error.name}, which is not installed")
    report, tries = run(found)
    assert not report, report
    assert tries or not found  # without PyTorch its page has no names


def test_an_import_that_is_lacking_is_noticed() -> None:
    def leaning() -> None:
        """
        >>> OPTIONS > 0
        True
        """

    report, tries = run([("leaning", leaning)])
    assert tries == 1
    assert "NameError: name 'OPTIONS' is not defined" in report
    leaning.__doc__ = f">>> from tests.test_documentation import OPTIONS\n{inspect.cleandoc(str(leaning.__doc__))}"
    assert run([("leaning", leaning)]) == ("", 2)
