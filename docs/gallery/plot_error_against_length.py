r"""
Error against length, for every accumulator
===========================================

**Claim.** Of dot products of 16,384 positive terms a sequential binary16 sum loses about half, because it stalls,
while pairwise and compensated binary16 sums are wrong by less than :math:`2^{-10}`. NVIDIA's tensor cores cut where a
processor rounds: their binary32 results are at least 32 times as wrong as a sequential binary32 sum. AMD's matrix cores
are less wrong than it.

The factors are uniform random numbers between 0 and 1. The error is the root mean square over sixteen dot products,
relative to the exact sums. Tensor cores are named by GPU and format of the result; those that are not drawn sum
binary16 factors as one that is (see :doc:`/tensor-cores`): T4, A10 and L40S as the A100, H200, B200 and RTX 5090 as the
H100, the MI210 as the MI250X, the MI300A as the MI300X.
"""

import matplotlib.pyplot as plt
import numpy as np

import halfsim as hs
from halfsim.plotting import error_against_length, palette
from halfsim.studies.tables.accumulation import ACCUMULATORS, relative_error
from halfsim.studies.tables.operands import exact_product

MORE = {name: f"{name}:f32" for name in ("pairwise", "compensated", "exact", "mi100", "mi250x", "mi300x")}
ROWS = {**ACCUMULATORS, **MORE}
drawn = {hs.tensorcores.as_accumulator(rule) for rule in ROWS.values()}
assert {hs.tensorcores.row(gpu, "f32") for unit in hs.tensorcores.TABLE for gpu in unit.gpus} < drawn

rng = np.random.default_rng(2018)
rows = []
for length in 4 ** np.arange(2, 8):
    a, b = rng.random((4, length)).astype(np.float16), rng.random((length, 4)).astype(np.float16)
    exact = exact_product(a, b)
    for name, accumulator in ROWS.items():
        error = relative_error(hs.matmul(a, b, accumulator=accumulator), exact)
        rows.append({"accumulator": name, "K": length, "error": error})

# %%
# The claim.

longest = {row["accumulator"]: row["error"] for row in rows if row["K"] == 16384}
units = [longest[f"{gpu} f32"] for gpu in ("v100", "a100", "h100")]
assert 0.4 < longest["binary16"] < 0.6
assert max(longest["binary16, pairwise"], longest["binary16, compensated"]) < 2.0**-10
assert min(units) >= 32 * longest["binary32"]
assert max(longest[gpu] for gpu in ("mi100", "mi250x", "mi300x")) < longest["binary32"]

# %%
# The figure: sums that end in binary16 on the left, in binary32 on the right.

plt.style.use("halfsim.plotting.slide")
figure, panels = plt.subplots(1, 2, sharey=True)
looks = palette(ROWS)
wide = [name for name in ROWS if "32" in name or name in MORE]
narrow = [name for name in ROWS if name not in wide]
for axes, names, title in zip(panels, (narrow, wide), ("results in binary16", "results in binary32"), strict=True):
    error_against_length(axes, rows, only=names, looks=looks).set_title(title)
panels[1].set_ylabel("")
plt.show()
