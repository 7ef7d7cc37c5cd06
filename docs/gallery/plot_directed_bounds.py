r"""
Directed roundings enclose the truth
====================================

**Claim.** A binary16 dot product rounded downward at every step and one rounded upward enclose the exact value at
every length, for each of 64 dot products. The enclosure of 512 terms is more than ten times as wide as the error of
rounding to nearest, whose mistakes partly cancel.

This is interval arithmetic by hand: one keyword, ``rounding``, of the accumulator. Terms have both signs.
"""

import matplotlib.pyplot as plt
import numpy as np

import halfsim as hs

rng = np.random.default_rng(4)
lengths = np.arange(8, 513, 8)
a, b = rng.normal(size=(64, 1, 512)).astype(np.float16), rng.normal(size=(64, 512, 1)).astype(np.float16)
exact = np.cumsum(a[:, 0] * b[..., 0].astype(np.float64), axis=1)[:, lengths - 1]  # 53 bits hold these sums


def sums(rounding):
    """Return the 64 dot products at every length."""
    chain = hs.Sequential(format=hs.BINARY16, fused=True, rounding=rounding)
    return np.stack([hs.matmul(a[..., :k], b[:, :k], accumulator=chain)[:, 0, 0] for k in lengths], axis=1)


low, nearest, high = (sums(rounding).astype(np.float64) - exact for rounding in ("rdn", "rne", "rup"))

# %%
# The claim.

assert np.all(low <= 0)
assert np.all(high >= 0)
width, error = (high - low)[:, -1], np.abs(nearest[:, -1])
assert np.median(width) > 10 * np.median(error)

# %%
# The figure: the first dot product.

plt.style.use("halfsim.plotting.slide")
figure, axes = plt.subplots()
axes.fill_between(
    lengths, low[0], high[0], color="#56b4e9", alpha=0.3, linewidth=0, label="between downward and upward"
)
axes.plot(lengths, high[0], "^-", markersize=4, markevery=8, label="every step upward")
axes.plot(lengths, nearest[0], "o-", markersize=4, markevery=8, label="every step to nearest")
axes.plot(lengths, low[0], "v-", markersize=4, markevery=8, label="every step downward")
axes.axhline(0, color="#24292f", linewidth=1)
axes.set_xlim(0, 512)
axes.set_xlabel("terms of the dot product")
axes.set_ylabel("computed − exact")
axes.set_title("One dot product in binary16, enclosed")
axes.legend(loc="upper left")
plt.show()
