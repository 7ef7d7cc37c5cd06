r"""
Lost updates against the learning rate
======================================

**Claim.** The smaller the learning rate, the more updates of binary16 weights vanish: with Adam more than 90 % of
them at a rate of :math:`10^{-5}`, less than 40 % at :math:`10^{-3}`. At :math:`10^{-4}` this costs more than five
points of accuracy.

An update is lost when weight plus update rounds back to the weight: when it is less than half a gap. A small perceptron
learns scikit-learn's digits for 600 steps at each rate, once with binary32 weights and once with binary16 weights; all
else is the same.
"""

from itertools import pairwise

import matplotlib.pyplot as plt

from halfsim.policy import named
from halfsim.training.experiment import Settings
from halfsim.training.models import Perceptron
from halfsim.training.optim import Adam
from halfsim.training.tasks import Classification
from halfsim.training.trainer import train

rates = (1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3)
lost, accuracy = [], {"binary32": [], "binary16-weights": []}
for rate in rates:
    settings = Settings(
        model=Perceptron(sizes=(64, 32, 10)), optimizer=Adam(rate=rate), batch=8, steps=600, evaluate_every=600
    )
    for policy, found in accuracy.items():
        record = train(Classification(dataset="digits"), named(policy), settings, seed=0)
        found.append(100 * record.measures["accuracy"][-1])
    lost.append(100 * record.ledger["updates_lost"])

# %%
# The claim.

assert all(more > less for more, less in pairwise(lost))
assert lost[0] > 90
assert lost[rates.index(1e-3)] < 40
wide, narrow = (found[rates.index(1e-4)] for found in accuracy.values())
assert wide - narrow > 5

# %%
# The figure.

plt.style.use("halfsim.plotting.slide")
figure, axes = plt.subplots()
axes.plot(rates, lost, "D-", color="#24292f", label="updates lost")
axes.plot(rates, accuracy["binary32"], "o-", label="accuracy, binary32 weights")
axes.plot(rates, accuracy["binary16-weights"], "s--", label="accuracy, binary16 weights")
axes.set_xscale("log")
axes.set_ylim(0, 100)
axes.set_xlabel("learning rate of Adam")
axes.set_ylabel("%")
axes.set_title("Small steps vanish in binary16 weights")
axes.legend(loc="center right")
plt.show()
