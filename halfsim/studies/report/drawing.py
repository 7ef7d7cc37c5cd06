"""A figure of a report: drawn to PNG and SVG, the numbers behind it as CSV, and the SVG again for a page."""

from __future__ import annotations

import html
import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from halfsim.plotting.style import COLOURS, FAINT, INK, PAPER
from halfsim.studies.store import save_table, write_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Drawing", "inline", "save_drawing", "slug"]

_DPI = 200
_LINE = 0.21
"""Inches of a name in a legend."""
_MORE = 0.15
"""Inches of every line of it after the first."""
_WARNING = "Glyph .* missing from font"
# Colours that follow the colour scheme of the page, by the name of their CSS property.
_SCHEME = {
    INK: "ink",
    FAINT: "faint",
    PAPER: "paper",
    **{colour: f"c{i}" for i, colour in enumerate(COLOURS)},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """What a figure shows, and how it is drawn.

    Parameters
    ----------
    name : str
        Of its files, letters, digits, ``-`` and ``_`` only, as `slug` returns.
    title, caption : str
        Above it, and below it.
    size : (float, float)
        Width and height in inches; one wider than 6 takes the whole width of a page, and a long legend adds height.
    draw : callable
        Draws onto a `matplotlib.figure.Figure`.
    rows : sequence of mapping
        The numbers that it shows.
    """

    name: str
    title: str
    caption: str
    size: tuple[float, float]
    draw: Callable[[Figure], None]
    rows: Sequence[Mapping[str, Any]]

    @property
    def wide(self) -> bool:
        """Whether it takes the whole width of a page."""
        return self.size[0] > 6


def slug(*names: str) -> str:
    """Return names as a file may be called on every system.

    Examples
    --------
    >>> slug("loss scale", "S(t)/<x>")
    'loss-scale-S-t-x'
    """
    return re.sub(r"[^A-Za-z0-9_]+", "-", "-".join(names)).strip("-") or "figure"


def save_drawing(drawing: Drawing, folder: Path) -> str:
    """Write ``NAME.png``, ``NAME.svg`` and ``NAME.csv``; return the SVG. The same drawing gives the same bytes."""
    import warnings

    import matplotlib as mpl
    from matplotlib import style
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    # The look is this package's, whatever the user's own settings are; identifiers in the SVG depend on the name.
    settings: Any = {"svg.hashsalt": drawing.name, "svg.fonttype": "path", "font.size": 9.5, "text.color": INK}
    with style.context("default"), mpl.rc_context(settings), warnings.catch_warnings():
        # Letters that the font lacks are drawn as boxes; the table beside the figure has them.
        warnings.filterwarnings("ignore", _WARNING, UserWarning)
        figure = Figure(figsize=drawing.size, dpi=_DPI, layout="constrained", facecolor=PAPER)
        drawing.draw(figure)
        figure.set_figheight(drawing.size[1] + _added(figure))
        svg, png = io.StringIO(), io.BytesIO()
        # The canvases are asked themselves: `savefig` draws everything twice, to lay it out and to write it.
        bitmap: Any = FigureCanvasAgg(figure)
        bitmap.print_png(png, metadata={"Software": None})
        # The layout is that of the PNG: once is enough.
        figure.set_layout_engine("none")
        vector: Any = FigureCanvasSVG(figure)
        vector.print_svg(svg, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    write_atomically(folder / f"{drawing.name}.svg", svg.getvalue())
    write_atomically(folder / f"{drawing.name}.png", png.getvalue())
    save_table(folder / f"{drawing.name}.csv", drawing.rows)
    return svg.getvalue()


def inline(svg: str, number: int, title: str) -> str:
    """Return an SVG file as an element of a page: no identifier twice, as wide as its box, in the page's colours.

    Parameters
    ----------
    svg : str
        As matplotlib writes it.
    number : int
        Of the figure on the page; identifiers get it as a prefix.
    title : str
        What a screen reader says.
    """
    body = re.sub(r"<!--.*?-->|<metadata>.*?</metadata>", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    seen: set[str] = set()
    body = re.sub(r'\bid="([^"]*)"', lambda found: f'id="f{number}-{_fresh(found[1], seen)}"', body)
    body = re.sub(r'(href="|url\()#', rf"\1#f{number}-", body)
    body = re.sub("|".join(_SCHEME), lambda found: f"var(--{_SCHEME[found[0]]})", body)
    body = re.sub(r"\n\s*", "\n", body)
    head, rest = body.split(">", 1)
    head = re.sub(r'\b(width|height)="[^"]*"', "", head)
    return f'{head} role="img" aria-label="{html.escape(title)}">{rest}'


def _added(figure: Figure) -> float:
    """Return the inches that the longest legend needs beyond the two lines that there is room for."""
    legends = [legend for axes in figure.axes if (legend := axes.get_legend()) is not None]
    return max([0.0, *(_height(legend) - 2 * _LINE for legend in legends)])


def _height(legend: Any) -> float:
    columns = _columns(legend)
    names: list[str] = [text.get_text() for text in legend.get_texts()]
    return -(-len(names) // columns) * _LINE + sum(name.count("\n") for name in names) / columns * _MORE


def _columns(legend: Any) -> int:
    # Matplotlib tells it nowhere else.
    return int(legend._ncols)


def _fresh(name: str, seen: set[str]) -> str:
    """Return an identifier that was not seen: matplotlib names an image by its bytes, and two may be equal."""
    fresh = name if name not in seen else f"{name}-{len(seen)}"
    seen.add(fresh)
    return fresh
