r"""
How near the machine's limits the simulator works
=================================================

**Claim.** One thread converts binary32 to binary16, to nearest, at more than half the speed of copying memory; sums
products in binary32, in order, at more than 80 % of OpenBLAS's rate; and simulates the tensor cores of an H100 at a
quarter of that rate or more.

Drawn from a run of five families of ``halfsim bench`` on one thread of an AMD EPYC (Zen 4) processor, three rounds,
kept as :download:`bench.json </gallery/bench.json>`: 1,000,000 elements, products of 512 × 512 × 512, NumPy 2.4.6,
PyTorch 2.13.0. Another machine's own figure is drawn by ``halfsim bench``.
"""

import json
from dataclasses import fields
from pathlib import Path

import matplotlib.pyplot as plt

from halfsim.benchmarks import Against, Result
from halfsim.benchmarks.roof import series
from halfsim.plotting import roofline


def of(row, kind):
    """Return a row of the file as `kind`, without what that computes itself."""
    return kind(**{field.name: row[field.name] for field in fields(kind)})


results = [
    of({**row, "against": [of(peer, Against) for peer in row["against"]]}, Result)
    for row in json.loads(Path("bench.json").read_text())["rows"]
]
found = {(result.family, result.name): result for result in results}
copied, summed = (
    found[key] for key in (("convert", "float32 to binary16, to nearest"), ("binary32 sums", "fused, to nearest"))
)

# %%
# The claim. The roof of a conversion is a copy, in bytes per second, and that of a product OpenBLAS's.

assert copied.roof > 0.5
assert summed.roof > 0.8
assert all(result.roof > 0.25 for name, result in found.items() if "h100" in name[1])
assert max(result.roof for result in results) <= 1

# %%
# The figure. Both roofs follow from the rows that name them.

bandwidth = copied.rate / copied.intensity / copied.roof
peak = summed.rate / summed.roof
points, ours = series(results)
shown = points[:ours] + [(name, marks) for name, marks in points[ours:] if name in ("numpy", "torch half", "mmasim")]
plt.style.use("halfsim.plotting.slide")
figure, axes = plt.subplots(figsize=(7.2, 4.8))
roofline(axes, shown, bandwidth=bandwidth, peak=peak, ours=ours)
plt.show()
