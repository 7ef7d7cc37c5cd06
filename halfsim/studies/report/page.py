"""A report as one self-contained HTML file: no script, no request, light and dark, on a phone and on paper."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

from halfsim.studies.report import grids
from halfsim.studies.report.drawing import Drawing, inline
from halfsim.studies.report.text import NOTES, cited, grids_of, origin

__all__ = ["page"]


def page(study: Mapping[str, Any], drawn: Sequence[Sequence[tuple[Drawing, str]]]) -> str:
    """Return the report of a study as HTML.

    Parameters
    ----------
    study : mapping
        As ``results.json`` holds it.
    drawn : sequence of sequence of (Drawing, str)
        The figures of each part, with their SVG.
    """
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    number = 0
    sections = []
    for part, made in zip(study["parts"], drawn, strict=True):
        figures = []
        for drawing, svg in made:
            number += 1
            figures.append({"drawing": drawing, "number": number, "svg": Markup(inline(svg, number, drawing.title))})
        sections.append({"part": part, "tables": grids_of(part), "origin": origin(part), "figures": figures})
    folder = resources.files("halfsim.studies.report")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["pretty"] = lambda value: json.dumps(value, indent=1, ensure_ascii=False)
    environment.filters["cited"] = cited
    template = environment.from_string((folder / "template.html").read_text(encoding="utf-8"))
    return template.render(
        study=study,
        sections=sections,
        notes=NOTES,
        checks=grids.checks(study["checks"]) if study["checks"] else None,
        tally=grids.tally(study["checks"]),
        missed=any(check["passed"] is False for check in study["checks"]),
        style=Markup((folder / "style.css").read_text(encoding="utf-8")),
    )
