r"""
Stochastic rounding is right on average
=======================================

**Claim.** To nearest, a number between two binary16 neighbours always becomes the nearer one; stochastically, with 13
random bits, the average of 20,000 roundings is the number itself, to within 2 % of the gap. With two random bits the
average is a staircase of four steps, and nearly a quarter of a gap too low at worst.

The chance to round up is the discarded fraction of the gap, cut to the random bits. Seeds and element numbers
decide the random bits, so the figure is the same on every machine.
"""

import matplotlib.pyplot as plt
import numpy as np

import halfsim as hs

gap = 2.0**-10
fraction = np.arange(0, 1, 1 / 128)
x = np.broadcast_to(1 + gap * fraction, (20_000, fraction.size))


def average(rounding):
    """Return the mean of the rounded numbers, in gaps above 1."""
    return (hs.convert(x, hs.BINARY16, rounding=rounding).astype(np.float64).mean(axis=0) - 1) / gap


means = {
    "to nearest": average("rne"),
    "stochastic, 2 bits": average(hs.Stochastic(bits=2, seed=3)),
    "stochastic, 13 bits": average(hs.Stochastic(bits=13, seed=3)),
}

# %%
# The claim. The spread of a mean of 20,000 is at most 0.5 / √20,000 = 0.0035 gaps.

assert np.array_equal(means["to nearest"], fraction > 0.5)
assert np.abs(means["stochastic, 13 bits"] - fraction).max() < 0.02
assert np.abs(means["stochastic, 2 bits"] - np.floor(4 * fraction) / 4).max() < 0.02

# %%
# The figure.

plt.style.use("halfsim.plotting.slide")
figure, axes = plt.subplots()
axes.plot(fraction, fraction, color="#d0d4d9", linewidth=7, label="the number itself")
for (name, mean), marker in zip(means.items(), ("", "s", "o"), strict=True):
    axes.plot(fraction, mean, marker=marker, markersize=3, label=name)
axes.set_xlabel("number, in gaps above 1")
axes.set_ylabel("average of 20,000 roundings")
axes.set_title("From 1 to the next binary16 number")
axes.legend()
plt.show()
