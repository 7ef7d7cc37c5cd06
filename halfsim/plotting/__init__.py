"""Figures, one function each: Axes in, Axes out. Needs matplotlib (extra ``studies``).

Figures of runs take series: a name and numbers. Figures of computed tables take the rows of the table. Both take a
`palette`, so that a policy or an accumulator looks the same in every figure of a study. The same look for figures of
one's own, 16 to 9, is ``plt.style.use("halfsim.plotting.slide")``.
"""

from halfsim.plotting.bars import memory_bars, required_scale
from halfsim.plotting.curves import learning_curves, loss_scale
from halfsim.plotting.histogram import gradient_histogram
from halfsim.plotting.layers import layer_errors, ledger_map
from halfsim.plotting.roofline import roofline
from halfsim.plotting.style import COLOURS, Look, palette
from halfsim.plotting.tables import disagreement, error_against_length, lost_updates

__all__ = [
    "COLOURS",
    "Look",
    "disagreement",
    "error_against_length",
    "gradient_histogram",
    "layer_errors",
    "learning_curves",
    "ledger_map",
    "loss_scale",
    "lost_updates",
    "memory_bars",
    "palette",
    "required_scale",
    "roofline",
]
