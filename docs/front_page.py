"""Draw the figure of the README from the committed results: `python docs/front_page.py` writes `front-page.svg`."""

from __future__ import annotations

import csv
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from halfsim.plotting.style import palette
from halfsim.plotting.tables import error_against_length

DOCS = Path(__file__).resolve().parent
DATA = DOCS / "results" / "accumulation" / "figures" / "positive.csv"
LINES = (
    "binary16",
    "binary16, stochastic",
    "v100 f16",
    "h100 f16",
    "binary16, exact",
    "v100 f32",
    "a100 f32",
    "h100 f32",
)
TITLE = "The same dot product of K pixels with pixels, added by different rules"
STYLE = {"svg.hashsalt": "front page", "svg.fonttype": "none", "font.family": "sans-serif"}


def main(out: Path = DOCS / "front-page.svg") -> None:
    """Draw the figure."""
    with DATA.open(newline="") as file:
        rows = [{**row, "K": int(row["K"]), "error": float(row["error"])} for row in csv.DictReader(file)]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8.4, 4.3), layout="constrained")
        axes = figure.add_subplot()
        error_against_length(axes, rows, only=LINES, looks=palette(LINES))
        axes.set_title(TITLE, loc="left", fontsize=11)
        figure.savefig(out, metadata={"Date": None})


if __name__ == "__main__":
    main()
