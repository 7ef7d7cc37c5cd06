"""Pages of the reference, written from docstrings before Sphinx reads its sources."""

from __future__ import annotations

import ast
import importlib
import inspect
import itertools
import re
import textwrap
from enum import Enum
from pathlib import Path

from docs._ext.public import PAGES, Page, found, of_page, sources, undocumented

__all__ = ["comment", "members", "write", "write_pages"]

_LONG = 100  # a longer value is left out: it is a table, and has a page of its own


def write_pages(folder: Path) -> None:
    """Write a page for each row of `PAGES`, and touch none whose text is the same."""
    forgotten = undocumented()
    if forgotten:
        raise ValueError(f"docs/_ext/public.py: no page of the reference has {', '.join(forgotten)}; add their modules")
    folder.mkdir(parents=True, exist_ok=True)
    for old in {path.name for path in folder.glob("*.rst")} - {f"{page.name}.rst" for page in PAGES}:
        (folder / old).unlink()
    for page in PAGES:
        write(folder / f"{page.name}.rst", _text(page))


def write(path: Path, text: str) -> None:
    """Write a file unless it holds the same already: Sphinx reads what is new."""
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


def _text(page: Page) -> str:
    lines = [page.title, "=" * len(page.title), "", page.intro, ""]
    entries = of_page(page)
    modules = list(dict.fromkeys(module for module, _ in entries))
    for module in modules:
        members = [name for owner, name in entries if owner == module]
        if module != "halfsim":
            summary = _first(inspect.getdoc(importlib.import_module(module)) or "")
            if len(modules) > 1:
                lines += [module, "-" * len(module), ""]
            # `halfsim` is described on several pages; every other module on one.
            lines += [f".. py:module:: {module}", "", summary, ""]
        lines += [f".. py:currentmodule:: {module}", ""]
        lines += [".. list-table::", "   :widths: 30 70", "   :class: summary", ""]
        for name in members:
            lines += [f"   * - :py:obj:`{name} <{module}.{name}>`", f"     - {_summary(module, name)}"]
        lines.append("")
        for name in members:
            lines += _entry(module, name)
    return "\n".join(lines) + "\n"


def _entry(module: str, name: str) -> list[str]:
    """Return the directive of one name."""
    value = found(module, name)
    if inspect.isclass(value):
        return [f".. autoclass:: {module}.{name}", "   :members:", ""]
    if inspect.isroutine(value):
        return [f".. autofunction:: {module}.{name}", ""]
    if _is_function(value, name):
        return _function(module, name, str(value.__doc__).strip())
    shown = repr(value)
    lines = [f".. py:data:: {name}"]
    if type(value).__name__ in sources() or type(value) in (dict, int, str, tuple):
        lines.append(f"   :type: {type(value).__name__}")
    if len(shown) <= _LONG and " object at 0x" not in shown:
        lines.append(f"   :value: {shown}")
    return [*lines, "", f"   {comment(module, name)}", ""]


def _is_function(value: object, name: str) -> bool:
    """Whether an object is called as a function, with a docstring of its own that begins with its signature."""
    return (value.__doc__ or "").strip().startswith(f"{name}(")


def _function(module: str, name: str, doc: str) -> list[str]:
    """Return the entry of such an object; what all operations have in common is folded away."""
    # Here, as the names of the package can be listed without numpydoc.
    from numpydoc.docscrape_sphinx import SphinxDocString

    signature, body = doc.split("\n", 1)
    lines = [f".. py:function:: {signature}", ""]
    if type(found(module, name)).__name__ != "Operation":
        return [*lines, *_indented(str(SphinxDocString(body, config={})), 3)]
    summary, rest = body.split("\nParameters\n", 1)
    common, special = rest.split("\nNotes\n", 1)
    for part in (summary, f"\nNotes\n{special}"):
        lines += _indented(str(SphinxDocString(part, config={})), 3)
    lines += ["   .. dropdown:: Parameters, result and errors", ""]
    return [*lines, *_indented(str(SphinxDocString(f"\nParameters\n{common}", config={})), 6)]


def _indented(text: str, width: int) -> list[str]:
    return [*(" " * width + line if line.strip() else "" for line in text.splitlines()), ""]


def _summary(module: str, name: str) -> str:
    value = found(module, name)
    if _is_function(value, name):
        return _first(str(value.__doc__).strip().split("\n", 1)[1])
    if inspect.isclass(value) or inspect.isroutine(value):
        return _first(inspect.getdoc(value) or "")
    return _first(comment(module, name)) or f"``{type(value).__name__}``"


def _first(text: str) -> str:
    """Return the first sentence or paragraph, on one line."""
    paragraph = " ".join(text.strip().split("\n\n")[0].split())
    return re.split(r"(?<=\.)\s(?=[A-Z])", paragraph)[0]


def comment(module: str, name: str) -> str:
    """Return the string below an assignment, in the module where it is made, on one line."""
    origin = sources()[name] if module == "halfsim" else module
    for source in (origin, *_imports(origin, name)):
        text = _below(ast.parse(inspect.getsource(importlib.import_module(source))).body).get(name)
        if text:
            return text
    return ""


def members(kind: type[Enum]) -> dict[str, str]:
    """Return the string below each member of an enumeration, on one line, or "" where there is none."""
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    assert isinstance(definition, ast.ClassDef)
    texts = _below(definition.body)
    return {name: texts.get(name, "") for name in kind.__members__}


def _below(body: list[ast.stmt]) -> dict[str, str]:
    """Return the strings below assignments by what they assign, each on one line."""
    texts = {}
    for statement, after in itertools.pairwise(body):
        targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
        value = after.value if isinstance(after, ast.Expr) else None
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            texts |= {target.id: " ".join(value.value.split()) for target in targets if isinstance(target, ast.Name)}
    return texts


def _imports(module: str, name: str) -> list[str]:
    """Return the modules that a module imports a name from."""
    tree = ast.parse(inspect.getsource(importlib.import_module(module)))
    return [
        node.module
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and node.module and name in {alias.name for alias in node.names}
    ]
