"""Draw the roofline of the page on performance: writes `roofline.svg` from `roofline.json`, the marks of a run."""

from __future__ import annotations

import json
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from halfsim.plotting import roofline

HERE = Path(__file__).resolve().parent
STYLE = {"svg.hashsalt": "roofline", "svg.fonttype": "none", "font.family": "sans-serif"}


def main(out: Path = HERE / "roofline.svg", size: tuple[float, float] = (8, 6.5)) -> None:
    """Draw the figure, of a size in inches."""
    run = json.loads((HERE / "roofline.json").read_text())
    marks = [(series["name"], series["points"]) for series in run["series"]]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=size, layout="constrained")
        roofline(figure.subplots(), marks, bandwidth=run["bandwidth"], peak=run["peak"], ours=run["ours"])
        figure.savefig(out, metadata={"Date": None} if out.suffix == ".svg" else None)


if __name__ == "__main__":
    main()
