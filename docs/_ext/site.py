"""What Sphinx must be told about these sources: pages to write, citations to read, names to find."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.util import docname_join
from sphinx.util.matching import patfilter

from docs._ext.api import write_pages
from docs._ext.figures import section
from docs._ext.tables import write_tables

__all__ = ["is_there", "setup"]

_mocking = importlib.import_module("sphinx.ext.autodoc.mock")  # the package has a function of that name
# A stand-in for torch.Tensor takes part in `torch.Tensor | float`.
_mocking._MockObject.__or__ = lambda self, other: self

_GLOB = re.compile(r"^[\w./-]+\*(?:/\w+)?$", re.MULTILINE)
_PATH = re.compile(r"halfsim(\.\w+)*")
_STARS = re.compile(r"(?<!\*)\*(?!\*)|(?<=\w)\*\*(?=\w)")
_CITATION = re.compile(r"\[@([\w-]+)\]")
_REPORT = re.compile(r"\[([^\]]+)\]\(([\w-]+)/report\.html\)")

_WIDE = "---\nhtml_theme.sidebar_secondary.remove: true\n---\n"
_CONTENTS = "\n\n```{contents}\n:local:\n:depth: 1\n:backlinks: none\n```\n"


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the extension."""
    app.connect("builder-inited", _write)
    app.connect("source-read", _rewrite)
    app.connect("autodoc-process-docstring", _cite, priority=900)  # after numpydoc
    for part in ("description", "options", "epilog"):
        app.connect(f"sphinx-click-process-{part}", _escape)
    app.connect("missing-reference", _resolve)
    app.connect("autodoc-skip-member", _skip)
    app.add_html_math_renderer("mathml", (_formula, None), (_formula, None))
    return {"parallel_read_safe": True}


def _write(app: Sphinx) -> None:
    reference = Path(app.srcdir) / "reference"
    with _mocking.mock(app.config.autodoc_mock_imports):
        write_pages(reference / "api")
    write_tables(reference / "generated")


def _rewrite(app: Sphinx, docname: str, source: list[str]) -> None:
    """Turn what GitHub shows too into what only this site has."""
    text = source[0]
    if Path(app.env.doc2path(docname)).suffix == ".rst":
        text = _CITATION.sub(r":cite:p:`\1`", text)
    else:
        text = _CITATION.sub(r"{cite:p}`\1`", text)
    if docname == "tensor-cores":
        text = _WIDE + text
    if docname == "results/README":
        entries = [f"{name} <{name}/report>" for _, name in _REPORT.findall(text)]
        text = _REPORT.sub(r'<a href="../reports/\2.html">\1</a>', text)
        text = "\n".join([text, "```{toctree}", ":hidden:", *entries, "../performance", "../comparison", "```", ""])
    if re.fullmatch(r"results/[\w-]+/report", docname):
        # In the place of the list of contents at the side, which takes the room of tables and figures.
        text = _WIDE + text.replace("\n", _CONTENTS, 1) + section(Path(app.srcdir) / Path(docname).parent)
    source[0] = _GLOB.sub(lambda line: _present(app, docname, line[0]), text)


def _present(app: Sphinx, docname: str, pattern: str) -> str:
    """Return a line of a toctree, or nothing where it stands for no page: Sphinx warns of it."""
    return pattern if patfilter(app.env.found_docs, docname_join(docname, pattern)) else ""


def _formula(translator: Any, node: nodes.Element) -> None:
    """Write a formula as MathML, which browsers draw without a script from elsewhere."""
    translator.body.append(tex2mathml(node.astext(), as_block=isinstance(node, nodes.math_block)))
    raise nodes.SkipNode


def _cite(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    lines[:] = [_CITATION.sub(r":cite:p:`\1`", line) for line in lines]


def _skip(app: Sphinx, what: str, name: str, obj: Any, skip: bool, options: Any) -> bool | None:
    """Leave out the fields of a named tuple whose text is Python's own: the class describes them."""
    return True if str(getattr(obj, "__doc__", "")).startswith("Alias for field number") else None


def _escape(app: Sphinx, context: Any, lines: list[str]) -> None:
    """Keep a help text as it is: neither 2**32 nor ``out/*.tv`` is emphasis."""
    lines[:] = [_STARS.sub(lambda stars: stars[0].replace("*", r"\*"), line) for line in lines]


def _resolve(app: Sphinx, env: Any, node: Any, contnode: Any) -> Any:
    """Find a name that a docstring puts in backticks, wherever the reference defines it.

    Arguments and internal names become plain code. A role that says what it names, a path that leads nowhere and an
    attribute that a documented class does not have stay warnings.
    """
    target = node.get("reftarget", "").removesuffix("()")
    if node.get("refdomain") != "py":
        return None
    domain = env.domains.python_domain
    best = _ending(domain.objects, target)
    if best and (target[:1].isupper() or "." in target):
        return domain.resolve_xref(env, node["refdoc"], app.builder, "obj", best, node, contnode)
    if node.get("reftype") != "obj":
        return None
    kind, _, name = target.rpartition(".")
    owner = _ending(domain.objects, kind) if kind[:1].isupper() else ""
    path = f"{owner}.{name}" if owner else target
    if _PATH.fullmatch(path) and not is_there(path):
        return None
    return nodes.literal(contnode.astext(), contnode.astext(), classes=["code"])


def _ending(objects: Iterable[str], target: str) -> str:
    """Return the name of the reference that ends in a target, the nearest to the top of the package, or ""."""
    ends = [name for name in objects if name == target or name.endswith(f".{target}")]
    return min(ends, key=lambda name: (name.count("."), name), default="")


def is_there(path: str) -> bool:
    """Whether a path leads to something: a name, or a field or attribute that the docstring of its class describes."""
    owner, _, last = path.rpartition(".")
    try:
        pkgutil.resolve_name(path)
    except (ImportError, AttributeError):
        try:
            text = inspect.getdoc(pkgutil.resolve_name(owner)) or ""
        except (ImportError, AttributeError):
            return False
        return re.search(rf"^(\w+, )*{last}(, \w+)* :", text, re.MULTILINE) is not None
    return True
