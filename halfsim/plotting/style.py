"""What all figures share: colours that can be told apart without colour vision, and how a name is written."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "BLANK",
    "COLOURS",
    "FAINT",
    "INK",
    "PAPER",
    "ZONES",
    "Look",
    "below",
    "looks_of",
    "palette",
    "tidy",
    "wrapped",
    "written",
]

COLOURS = ("#4d4d4d", "#0072b2", "#d55e00", "#cc79a7", "#009e73", "#e69f00", "#56b4e9", "#8c564b")
"""Distinguishable without colour vision (Okabe and Ito), the baseline's grey first."""

INK, FAINT, PAPER, BLANK = "#24292f", "#d0d4d9", "#ffffff", "#fcfcfc"
"""Text and axes, grid lines, background, cells without a value: colours that nothing else has, so that a page in
another colour scheme can replace them."""

ZONES = {"zero": "#b2182b", "subnormal": "#ef8a62", "infinite": "#762a83"}
"""Where binary16 stores a number as zero, imprecisely, or as infinity."""

_DASHES: tuple[Any, ...] = ("-", (0, (6, 2)), (0, (1.5, 1.5)), (0, (5, 1.5, 1, 1.5)))
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "h")
_MOST = 6  # lines of a name


@dataclass(frozen=True, slots=True)
class Look:
    """How one policy or accumulator is drawn.

    Parameters
    ----------
    colour : str
        As ``#rrggbb``.
    dash : object
        Line style as matplotlib takes it.
    marker : str
        Marker as matplotlib names it.

    Examples
    --------
    >>> from halfsim.plotting import Look
    >>> Look("#0072b2", "-", "o").colour
    '#0072b2'
    """

    colour: str
    dash: Any
    marker: str


def palette(names: Iterable[str]) -> dict[str, Look]:
    """Return a look for every name, the first (the baseline) grey; no two are the same up to 28 names besides it.

    Parameters
    ----------
    names : iterable of str
        In the order of the study; a name that comes again keeps its look.

    Examples
    --------
    >>> from halfsim.plotting import palette
    >>> looks = palette(["binary32", "mixed", "binary32", "binary16 weights"])
    >>> list(looks), looks["binary32"].colour
    (['binary32', 'mixed', 'binary16 weights'], '#4d4d4d')
    """
    looks: dict[str, Look] = {}
    for name in names:
        if name in looks:
            continue
        if not looks:
            looks[name] = Look(COLOURS[0], "-", _MARKERS[0])
            continue
        turn, place = divmod(len(looks) - 1, len(COLOURS) - 1)
        # Neighbours in the list differ in their dashes too: curves that lie on each other are both seen.
        dash = _DASHES[(place // 3 + turn) % len(_DASHES)]
        looks[name] = Look(COLOURS[1 + place], dash, _MARKERS[(1 + place + turn) % len(_MARKERS)])
    return looks


def looks_of(names: Iterable[str], looks: Mapping[str, Look] | None) -> dict[str, Look]:
    """Return the given looks with those of names that they lack."""
    return palette([*(looks or {}), *names]) | dict(looks or {})


def written(name: object) -> str:
    """Return a name as matplotlib shows it letter by letter: no mathematics, and in legends even behind a ``_``."""
    text = " ".join(str(name).split()).replace("$", r"\$")
    return f" {text}" if text.startswith("_") or not text else text


def wrapped(name: object, width: int = 50) -> str:
    """Return a name as `written`, in lines of at most `width` letters; of very many lines, the first and the last.

    Parameters
    ----------
    name : object
        Broken between its words; a word longer than a line, behind ``= . , : /`` or, if need be, anywhere.
    width : int
        Letters of a line; 50 fit in a legend.

    Examples
    --------
    >>> print(wrapped("policy.update=kahan, steps=4", 20))
    policy.update=kahan,
    steps=4
    """
    lines = [""]
    for word in str(name).split():
        short = len(word) <= width
        pieces = [word] if short else re.findall(rf"[^=.,:/]{{1,{width - 1}}}[=.,:/]?|[=.,:/]", word)
        for i, piece in enumerate(pieces):
            space = " " if lines[-1] and i == 0 else ""
            if len(lines[-1] + space + piece) <= width:
                lines[-1] += space + piece
            elif lines[-1]:
                lines.append(piece)
            else:
                lines[-1] = piece
    if len(lines) > _MOST:
        lines = [*lines[: _MOST // 2], "…", *lines[-(_MOST // 2) :]]
    return "\n".join(map(written, lines))


def tidy(axes: Axes, *, grid: Literal["both", "x", "y", "none"] = "both") -> Axes:
    """Give the axes the common look: ink for what is read, faint grid lines, no frame above and to the right."""
    axes.set_axisbelow(True)
    if grid == "none":
        axes.grid(visible=False)
    else:
        axes.grid(axis=grid, color=FAINT, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    for spine in axes.spines.values():
        spine.set_color(INK)
    axes.tick_params(which="both", color=INK, labelcolor=INK)
    for text in (axes.xaxis.label, axes.yaxis.label, axes.title):
        text.set_color(INK)
    return axes


def below(axes: Axes, *, columns: int = 2) -> None:
    """Put the legend under the axes, where it covers nothing."""
    found, names = axes.get_legend_handles_labels()
    if not found:
        return
    columns = min(columns, len(found)) if max(map(len, names)) < 32 else 1
    axes.legend(
        found,
        names,
        loc="upper center",
        bbox_to_anchor=(0.5, -0.17),
        ncols=columns,
        frameon=False,
        fontsize=9,
        labelcolor=INK,
        handlelength=3.2,
    )
