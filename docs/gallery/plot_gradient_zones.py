r"""
Gradients on the scale of binary16
==================================

**Claim.** In this detector more than 95 % of the activation gradients that are not zero lie below :math:`2^{-25}` and
would be stored as zero in binary16. Multiplied by a loss scale of 1024, fewer than 5 % are lost.

A small network finds the digits on canvases of 2,560 positions; the loss is the mean over all of them, so gradients are
small. They are counted in binary32, where none is lost, over eight steps of training. The zones follow Figure 3 of
:cite:t:`micikevicius2018`.
"""

import math

import matplotlib.pyplot as plt

from halfsim.plotting import gradient_histogram
from halfsim.policy import named
from halfsim.studies.report.gradients import shares
from halfsim.training.experiment import Settings
from halfsim.training.models import Perceptron
from halfsim.training.optim import Adam
from halfsim.training.tasks import HeatMap
from halfsim.training.trainer import train

settings = Settings(
    model=Perceptron(sizes=(64, 16, 10), head=0.1, bias=-math.log(999)),
    optimizer=Adam(rate=3e-2),
    batch=128,
    steps=8,
    evaluate_every=8,
    sample_every=1,
)
ledger = train(HeatMap(), named("binary32"), settings, seed=0).ledger
counts = {kind: ledger["histograms"][kind] for kind in ("activation gradient", "weight gradient")}

# %%
# The claim. A loss scale of 1024 moves every gradient ten bins to the right.

lowest, activation = ledger["lowest_exponent"], counts["activation gradient"]
scaled = [activation[0], *[0] * 10, *activation[1:-11], activation[-1]]
assert sum(scaled) == sum(activation)  # nothing reaches infinity
assert shares(activation, lowest)["lost"] > 0.95
assert shares(scaled, lowest)["lost"] < 0.05

# %%
# The figure.

plt.style.use("halfsim.plotting.slide")
figure, axes = plt.subplots()
gradient_histogram(axes, list(counts.items()), lowest=lowest, scale=1024.0)
axes.set_title("A loss scale of 1024 moves gradients out of the zone of zeros")
plt.show()
