r"""
How many bits a tensor core carries
===================================

**Claim.** Beside a large pair of products that cancel, a term of 1 survives while the pair is at most :math:`2^{23}`
on V100, :math:`2^{24}` on A100, :math:`2^{25}` on H100, and only :math:`2^{13}` for the FP8 inputs of H100. A
binary32 sum keeps it to :math:`2^{23}`, an exact one always, and MI100's unit sums exactly.

The dot product is :math:`2^e + 1 - 2^e`. A tensor core aligns the terms of a block to the largest and cuts what lies
more than F bits below: the fraction bits of its row.
"""

import matplotlib.pyplot as plt
import numpy as np

import halfsim as hs

e = np.arange(31)
units = {
    "V100": "v100:f32",
    "A100": "a100:f32",
    "H100": "h100:f32",
    "H100, FP8": "h100:f32:e4m3",
    "MI100": "mi100:f32",
    "MI250X": "mi250x:f32",
    "MI300X": "mi300x:f32",
    "binary32": hs.FP32,
    "exact": hs.Exact(rounding="rne"),
}
left, right, one = 2.0 ** (e // 2), 2.0 ** (e - e // 2), np.ones(31)
a, b = np.stack([left, one, -left], axis=1)[:, None, :], np.stack([right, one, right], axis=1)[:, :, None]


def remains(name, accumulator):
    """Return what remains of the 1 for every e; NaN where the format of the factors does not reach so far."""
    inputs = hs.E4M3 if "FP8" in name else hs.BINARY16
    return hs.matmul(hs.convert(a, inputs), hs.convert(b, inputs), accumulator=accumulator).ravel()


kept = np.array([remains(name, accumulator) for name, accumulator in units.items()])
largest = {name: int(e[row == 1].max()) for name, row in zip(units, kept, strict=True)}

# %%
# The claim.

for name in ("V100", "A100", "H100"):
    assert largest[name] == hs.tensorcores.row(name.lower(), "f32").fraction_bits
assert [largest[name] for name in ("V100", "A100", "H100", "H100, FP8", "binary32")] == [23, 24, 25, 13, 23]
assert largest["MI100"] == largest["exact"] == 30

# %%
# The figure.

plt.style.use("halfsim.plotting.slide")
figure, axes = plt.subplots()
for i, row in enumerate(kept):
    axes.barh(i, np.isfinite(row).sum(), left=-0.5, color="#d55e00", alpha=0.35, label="lost" if i == 0 else None)
    axes.barh(i, (row == 1).sum(), left=-0.5, color="#0072b2", label="kept" if i == 0 else None)
axes.set_yticks(range(len(units)), units)
axes.set_ylim(len(units) - 0.5, -0.5)
axes.set_xlim(-0.5, 30.5)
axes.grid(axis="y", visible=False)
axes.set_xlabel("e")
axes.set_title("Is the 1 in $2^e + 1 - 2^e$ kept?")
axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
plt.show()
