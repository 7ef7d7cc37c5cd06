"""The figures of a study on its page, with the words that its report has below them."""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import NamedTuple

__all__ = ["Captioned", "captions", "section"]

_FIGURE = re.compile(
    r'<figure(?P<wide> class="wide")?>(?:(?!</figure>).)*?<figcaption><b>Figure (?P<number>\d+)\.</b> (?P<text>.*?) '
    r'<span class="file">figures/(?P<name>[\w-]+)\.csv</span></figcaption>',
    re.DOTALL,
)
_MARKUP, _ESCAPED = re.compile(r"([\\`*_{}$<>[\]])"), r"\\\1"


class Captioned(NamedTuple):
    """A figure of a report.

    Parameters
    ----------
    name : str
        Of its files.
    number : int
        On the page.
    text : str
        Its title and its caption, sentences.
    wide : bool
        Whether it takes the whole width of a page.
    """

    name: str
    number: int
    text: str
    wide: bool


def captions(report: str) -> list[Captioned]:
    """Return the figures of a report in HTML, in their order."""
    return [
        Captioned(
            found["name"],
            int(found["number"]),
            " ".join(html.unescape(re.sub("<[^>]*>", "", found["text"])).split()),
            bool(found["wide"]),
        )
        for found in _FIGURE.finditer(report)
    ]


def section(folder: Path) -> str:
    """Return a section with the figures of a study, as a page of MyST; "" where it has none."""
    figures = captions((folder / "report.html").read_text(encoding="utf-8"))
    whole = f'<a href="../../reports/{folder.name}.html">report with figures</a>'
    lines = ["", "## Figures", "", f"The {whole} has them in place."]
    for figure in figures:
        heading = figure.name.replace("-", " ")
        lines += ["", f"### {heading}", "", f"```{{figure}} figures/{figure.name}.svg"]
        lines += [f":alt: {heading[:1].upper()}{heading[1:]}, figure {figure.number}. {figure.text}"]
        lines += [":figclass: wide"] if figure.wide else []
        # What matplotlib and the report show as it is must not become markup.
        lines += ["", f"Figure {figure.number}. {_MARKUP.sub(_ESCAPED, figure.text)}", "```"]
    return "\n".join(lines) + "\n" if figures else ""
