r"""
Order matters, and how much depends on the accumulator
======================================================

**Claim.** The same 512 terms in 1,000 orders give one result if they are summed exactly, dozens of different ones in
a sequential binary16 sum, and several on a tensor core with binary32 results, which scatters 10,000 times less.

The terms are normal numbers of both signs. Only their order changes, from point to point. Compensated summation is
Kahan's; it scatters less, and does not stop scattering.
"""

import matplotlib.pyplot as plt
import numpy as np

import halfsim as hs

rng = np.random.default_rng(512)
terms = rng.normal(size=512).astype(np.float16)
orders = np.stack([rng.permutation(terms) for _ in range(1000)])
accumulators = {
    "binary16, sequential": hs.Sequential(format=hs.BINARY16),
    "binary16, pairwise": hs.Pairwise(format=hs.BINARY16),
    "binary16, compensated": hs.Compensated(format=hs.BINARY16),
    "binary32, sequential": hs.Sequential(format=hs.BINARY32),
    "V100, binary32": "v100:f32",
    "A100, binary32": "a100:f32",
    "H100, binary32": "h100:f32",
    "exact": hs.Exact(rounding="rne"),
}
exact = float(terms.astype(np.float64).sum())  # 52 bits hold every sum of these
error = {
    name: hs.sum(orders, axis=1, accumulator=accumulator).astype(np.float64) - exact
    for name, accumulator in accumulators.items()
}

# %%
# The claim.

different = {name: len(set(found)) for name, found in error.items()}
assert different["exact"] == 1
assert different["binary16, sequential"] >= 24
assert all(different[f"{gpu}, binary32"] > 2 for gpu in ("V100", "A100", "H100"))
scatter = {name: found.std() for name, found in error.items()}
assert all(scatter[f"{gpu}, binary32"] < 1e-4 * scatter["binary16, sequential"] for gpu in ("V100", "A100", "H100"))

# %%
# The figure: a point for each order, with a little vertical noise; between the dotted lines the axis is linear.

plt.style.use("halfsim.plotting.slide")
figure, axes = plt.subplots()
for i, (name, found) in enumerate(error.items()):
    axes.plot(found, i + rng.uniform(-0.3, 0.3, 1000), ".", markersize=3, alpha=0.6)
    axes.text(1.02, i, f"{different[name]}", transform=axes.get_yaxis_transform(), va="center")
axes.text(1.02, -0.9, "results", transform=axes.get_yaxis_transform(), va="center", fontsize=10)
axes.set_xscale("symlog", linthresh=1e-6)
axes.set_xlim(-2, 2)
axes.set_xticks([-1, -1e-3, -1e-6, 0, 1e-6, 1e-3, 1])
for edge in (-1e-6, 1e-6):
    axes.axvline(edge, color="#24292f", linewidth=0.8, linestyle=":")
axes.set_yticks(range(len(error)), error)
axes.set_ylim(len(error) - 0.5, -0.5)
axes.set_xlabel("sum − exact sum")
axes.set_title("512 terms, 1,000 orders")
plt.show()
