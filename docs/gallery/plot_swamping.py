r"""
Swamping in a running sum
=========================

**Claim.** A binary16 running sum of ones stops at 2048, however many follow. A tensor core that adds L products at
once stops at 2048 L: V100 at 8192, A100 at 16384, H100 at 32768. Kahan's compensation goes on to the end, 61,440,
and stochastic rounding stays within 5 % of the truth.

At 2048 the gap between binary16 numbers is 2, so adding 1 is a tie, and the tie goes to the even neighbour: 2048.
The compensated sum is that of :cite:t:`kahan1965`.
"""

import matplotlib.pyplot as plt
import numpy as np

import halfsim as hs
from halfsim.plotting import palette

lengths = np.unique(np.rint(np.geomspace(512, 61440, 64) / 16) * 16).astype(int)
ones = np.ones(lengths[-1], np.float16)
accumulators = {
    "binary16, compensated": hs.Compensated(format=hs.BINARY16),
    "binary16, stochastic rounding": hs.Sequential(format=hs.BINARY16, rounding=hs.Stochastic(bits=13, seed=1)),
    "H100, binary16": "h100:f16",
    "A100, binary16": "a100:f16",
    "V100, binary16": "v100:f16",
    "binary16, to nearest": hs.Sequential(format=hs.BINARY16),
}
sums = {
    name: np.array([float(hs.sum(ones[:k], accumulator=accumulator)) for k in lengths])
    for name, accumulator in accumulators.items()
}

# %%
# The claim. Sums of sixteens are binary16 numbers up to 32768; above, the nearest one is meant.

for unit in ("v100", "a100", "h100"):
    stop = 2048 * hs.tensorcores.row(unit, "f16").terms
    assert sums[f"{unit.upper()}, binary16"].max() == stop
assert np.all(sums["binary16, to nearest"] == np.minimum(lengths, 2048))
assert np.all(sums["binary16, compensated"] == lengths.astype(np.float16))
assert np.abs(sums["binary16, stochastic rounding"] / lengths - 1).max() < 0.05

# %%
# The figure.

plt.style.use("halfsim.plotting.slide")
figure, axes = plt.subplots()
for i, (name, look) in enumerate(palette(accumulators).items()):
    axes.plot(lengths, sums[name], color=look.colour, linestyle=look.dash, linewidth=2 if i else 7, label=name)
for stop in (2048, 8192, 16384, 32768):
    axes.text(64000, stop, f"{stop}", va="center")
axes.set_xscale("log", base=2)
axes.set_yscale("log", base=2)
axes.set_xlim(512, 61440)
axes.set_xlabel("ones added")
axes.set_ylabel("running sum")
axes.set_title("1 + 1 + 1 + … in binary16 stops at 2048 × the terms added at once")
axes.legend()
plt.show()
