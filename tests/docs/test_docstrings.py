"""The docstrings of the reference say what is taken and raised, where an arithmetic comes from, and show an example."""

from __future__ import annotations

import importlib.util
import inspect
import re
from collections.abc import Iterable, Iterator
from enum import Enum
from typing import Any, Protocol

import pytest

from docs._ext import public
from docs._ext.api import comment, members
from tests.docs.raising import raised

ARITHMETIC = (
    "operations",
    "predicates",
    "conversion",
    "sums",
    "accumulators",
    "formats",
    "environments",
    "tensorcores",
)
"""The pages whose names all are arithmetic."""

NAMES_OF_ROWS = {f"halfsim.tensorcores.{name}" for name in ("AccumulatorLike", "SUMS", "as_accumulator", "names")}
"""What finds rows, which say where they come from themselves."""

CANNOT_RAISE = {
    "halfsim.policy.Policy.accumulator": "the fields are rows since the policy was made",
    "halfsim.studies.tables.rates.lost_updates": "its networks and optimizers are made here",
    "halfsim.testvectors.formats.Header.lines": "the order of the flags was looked up when the header was made",
    "halfsim.testvectors.tiles.product": "the formats are those of the header",
    "halfsim.training.config.experiment": "settings are made of what was validated; else it is a ConfigError",
    "halfsim.training.optim.OptimizerState.as_binary32": "its format is binary32",
    "halfsim.training.tasks.Adversarial.loss": "its targets are 0 and 1",
    "halfsim.training.tasks.Classification.loss": "labels are read as integers",
    "halfsim.training.tasks.Language.loss": "symbols are integers",
}
"""What calls a function that raises with arguments for which it does not, and why."""

SOURCE = re.compile(r"§\d|\[@[\w-]+\]")


def entries(pages: Iterable[public.Page] = public.PAGES) -> Iterator[tuple[str, Any]]:
    """Yield what pages of the reference describe: functions, classes and their public methods."""
    for module, name in (entry for page in pages for entry in public.of_page(page)):
        if module == "halfsim.torch" and importlib.util.find_spec("torch") is None:
            continue
        value = public.found(module, name)
        yield f"{module}.{name}", value
        for key, member in vars(value).items() if inspect.isclass(value) else ():
            function = getattr(member, "__func__", member)  # of class methods
            if not key.startswith("_") and inspect.isfunction(function):
                yield f"{module}.{name}.{key}", function


def is_function(path: str, value: Any) -> bool:
    """Whether a name of the reference is called as a function, with a docstring of its own; methods are not."""
    name = path.rpartition(".")[2]
    if inspect.isroutine(value):
        return value.__qualname__ == value.__name__
    return str(value.__doc__).strip().startswith(f"{name}(")


def without_parameters(found: Iterable[tuple[str, Any]]) -> list[str]:
    """Return what numpydoc says of functions, classes and methods that do not describe exactly what they take.

    Members of enumerations are listed, not made; protocols are implemented; and the attributes of a record that the
    package makes are described as such.
    """
    docscrape = pytest.importorskip("numpydoc.docscrape")
    validate = pytest.importorskip("numpydoc.validate")
    problems = []
    for path, value in found:
        if inspect.isclass(value):
            if issubclass(value, Enum) or is_protocol(value) or is_record(value):
                continue
        elif not inspect.isroutine(value):
            continue
        errors = validate.Validator(docscrape.get_doc_object(value)).parameter_mismatches
        problems += [f"{path}: {text}" for code, text in errors if code in ("PR01", "PR02")]
    return problems


def is_protocol(value: Any) -> bool:
    return bool(getattr(value, "_is_protocol", False))


def is_record(value: Any) -> bool:
    """Whether a class describes all that it is made of as attributes: the package makes it, and callers read it."""
    attributes = re.split(r"\n\n\w+\n-+\n", section(value, "Attributes"))[0]
    told = set(re.findall(r"\w+", " ".join(re.findall(r"^(\S.*?) :", attributes, re.MULTILINE))))
    return bool(told) and told >= set(inspect.signature(value).parameters)


def test_every_function_of_the_reference_has_an_example() -> None:
    lacking = [
        path
        for path, value in entries()
        if is_function(path, value) and "\n>>> " not in inspect.cleandoc(str(value.__doc__))
    ]
    assert lacking == []


def test_every_docstring_of_the_reference_says_what_is_taken() -> None:
    assert without_parameters(entries()) == []


def test_a_parameter_that_is_not_described_is_noticed() -> None:
    def taking(a: int, b: int) -> int:
        """Return the sum.

        Parameters
        ----------
        a, c : int
            Numbers.
        """
        return a + b

    assert without_parameters([("taking", taking)]) == [
        "taking: Parameters {'b'} not documented",
        "taking: Unknown parameters {'c'}",
    ]
    taking.__doc__ = "Return the sum."
    assert len(without_parameters([("taking", taking)])) == 1


def section(value: Any, name: str) -> str:
    """Return a section of a docstring, or "" where it has none."""
    found = re.search(rf"\n{name}\n-+\n(.*?)(?=\n\n[A-Z]\w+\n-+\n|\Z)", inspect.cleandoc(str(value.__doc__)), re.DOTALL)
    return found[1] if found else ""


# --- Examples of classes ----------------------------------------------------------------------------------------------


def without_example(found: Iterable[tuple[str, Any]]) -> list[str]:
    """Return the classes that no example shows: how one makes, gets, implements or meets one."""
    return [
        path for path, value in found if inspect.isclass(value) and "\n>>> " not in f"\n{section(value, 'Examples')}"
    ]


def test_every_class_of_the_reference_has_an_example() -> None:
    assert without_example(entries()) == []


def test_a_class_without_an_example_is_noticed() -> None:
    class Shown:
        """A class.

        Examples
        --------
        >>> 1 + 1
        2
        """

    class ToldError(ValueError):
        """An error; ``>>> 1 + 1`` is no example.

        Attributes
        ----------
        a : int
            As in >>> 1 + 1.
        """

    class Spoken(Protocol):
        """A protocol.

        Examples
        --------
        Call it.
        """

    named = [("Shown", Shown), ("ToldError", ToldError), ("Spoken", Spoken), ("entries", entries)]
    assert without_example(named) == ["ToldError", "Spoken"]


# --- Members of enumerations ------------------------------------------------------------------------------------------


def without_text(found: Iterable[tuple[str, Any]]) -> list[str]:
    """Return the members of enumerations with no string below them, which the reference leaves out."""
    return [
        f"{path}.{name}"
        for path, value in found
        if inspect.isclass(value) and issubclass(value, Enum)
        for name, text in members(value).items()
        if not text
    ]


def test_every_member_of_an_enumeration_is_described() -> None:
    assert without_text(entries()) == []


def test_a_member_that_is_not_described_is_noticed() -> None:
    class Turn(Enum):
        """A turn."""

        left = 1
        """Against the clock."""
        right = 2
        none = 3
        """None."""
        last = 4

    assert without_text([("Turn", Turn), ("entries", entries)]) == ["Turn.right", "Turn.last"]


# --- Constants and aliases --------------------------------------------------------------------------------------------


def test_every_constant_and_alias_is_described() -> None:
    bare = [
        path
        for path, value in entries()
        if not inspect.isclass(value)
        and not is_function(path, value)
        and not inspect.isroutine(value)
        and not comment(*path.rsplit(".", 1))
    ]
    assert bare == []


# --- Errors -----------------------------------------------------------------------------------------------------------


def without_errors(found: Iterable[tuple[str, Any]]) -> list[str]:
    """Return what raises an error that no ``Raises`` names, nor a kind of error that it is."""
    problems, classes = [], {}
    for path, value in found:
        if inspect.isclass(value):
            classes[path] = value
        if not callable(value):
            continue
        told = set(re.findall(r"\w+", section(value, "Raises")))
        for error in raised(value, classes.get(path.rpartition(".")[0])):
            if not told & {base.__name__ for base in error.__mro__}:
                problems.append(f"{path}: {error.__name__}")
    return sorted(problems)


def test_every_docstring_of_the_reference_says_what_is_raised() -> None:
    problems = without_errors(entries())
    assert [text for text in problems if text.split(":")[0] not in CANNOT_RAISE] == []
    assert {text.split(":")[0] for text in problems} == set(CANNOT_RAISE)


def test_an_error_that_is_not_told_is_noticed() -> None:
    def check(a: int) -> None:
        if a < 0:
            raise ValueError(a)

    def caught(a: int) -> None:
        """Check."""
        try:
            raise KeyError(a)
        except KeyError:
            pass

    class Row:
        """A row."""

        def __init__(self, a: int) -> None:
            self.check(a)

        def check(self, a: int) -> None:
            """Check."""
            check_integer(a)

    assert without_errors([("check", check), ("caught", caught)]) == ["check: ValueError"]
    assert without_errors([("Row", Row), ("Row.check", Row.check)]) == ["Row.check: TypeError", "Row: TypeError"]
    check.__doc__ = "Check.\n\nRaises\n------\nTypeError\n    If it is none."
    assert without_errors([("check", check)]) == ["check: ValueError"]
    check.__doc__ = check.__doc__.replace("TypeError", "TypeError, ValueError")
    assert without_errors([("check", check)]) == []


def check_integer(a: object) -> None:
    if not isinstance(a, int):
        raise TypeError(a)


# --- Sources ----------------------------------------------------------------------------------------------------------


def texts() -> Iterator[tuple[str, str]]:
    """Yield the names on the pages of arithmetic, and what the pages say of them."""
    for page in public.PAGES:
        for module, name in public.of_page(page) if page.name in ARITHMETIC else ():
            value = public.found(module, name)
            own = inspect.isclass(value) or is_function(f"{module}.{name}", value)
            yield f"{module}.{name}", str(value.__doc__) if own else comment(module, name)


def without_source(found: Iterable[tuple[str, str]]) -> list[str]:
    """Return the names whose text has neither a clause of IEEE 754 nor a key of the bibliography."""
    return [name for name, text in found if not SOURCE.search(text)]


def test_every_arithmetic_has_a_clause_or_a_source() -> None:
    assert len(list(texts())) > 100
    assert set(without_source(texts())) == NAMES_OF_ROWS


def test_an_arithmetic_without_a_source_is_noticed() -> None:
    told = [("a", "Sum (IEEE 754-2019 §5.4.1)."), ("b", "Kahan's sum [@kahan1965]."), ("c", "A sum as of IEEE 754.")]
    assert without_source(told) == ["c"]
