r"""
GPUs disagree
=============

**Claim.** The same product of matrices, with binary32 results, differs in more than three quarters of its elements
between any two generations of tensor or matrix cores that sum differently. T4 and A100, and H100 and B200, sum alike,
to the last bit.

The factors are 64 × 1024 normal numbers each, the same for everybody. Nobody changed the order of a sum: it is the
hardware's. The marks of evidence for each row are in the table of tensor cores.
"""

from itertools import combinations

import matplotlib.pyplot as plt
import numpy as np

import halfsim as hs
from halfsim.plotting import disagreement

rng = np.random.default_rng(64)
a, b = rng.normal(size=(64, 1024)).astype(np.float16), rng.normal(size=(1024, 64)).astype(np.float16)
units = ("V100", "T4", "A100", "H100", "B200", "MI100", "MI250X", "MI300X")
results = {unit: hs.matmul(a, b, accumulator=f"{unit.lower()}:f32") for unit in units}
rows = [
    {"first": one, "second": other, "share": float((results[one] != results[other]).mean())}
    for one, other in combinations(units, 2)
]

# %%
# The claim.

alike = [{"T4", "A100"}, {"H100", "B200"}]
for row in rows:
    assert row["share"] == 0 if {row["first"], row["second"]} in alike else row["share"] > 0.75

# %%
# The figure.

plt.style.use("halfsim.plotting.slide")
figure, axes = plt.subplots()
disagreement(axes, rows, title="results that differ in some bit, K = 1024")
plt.show()
