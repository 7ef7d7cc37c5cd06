r"""
When does a result underflow?
=============================

**Claim.** Environments that detect tininess before and after rounding deliver the same numbers, and, rounding to
nearest, disagree about the underflow flag only for exact results in :math:`[2^{-14} - 2^{-26}, 2^{-14})`: those that
round up to the smallest normal number whichever way one looks, but are smaller than it.

IEEE 754 :cite:p:`ieee754-2019`, clause 7.5, leaves the choice to the implementation. Arm detects before rounding
:cite:p:`arm-arm`, RISC-V :cite:p:`riscv-unprivileged` and x86 :cite:p:`intel-sdm` after: what counts there is the
result as it would be rounded with an unbounded exponent.
"""

import matplotlib.pyplot as plt
import numpy as np

import halfsim as hs

normal, gap = 2.0**-14, 2.0**-24
distance = np.arange(-160, 65) / 64  # of the exact results from the smallest normal number, in gaps
exact = normal + gap * distance
result, before = hs.convert.flagged(exact, hs.BINARY16, environment=hs.ARM)
same, after = hs.convert.flagged(exact, hs.BINARY16, environment=hs.RISCV)
underflow = {
    "before rounding (Arm)": before & hs.Flags.underflow,
    "after rounding (RISC-V, x86)": after & hs.Flags.underflow,
}

# %%
# The claim.

disputed = (exact >= normal - 2.0**-26) & (exact < normal)
assert np.array_equal(result, same)
assert np.array_equal(before != after, disputed)
assert np.all(result[disputed] == normal)

# %%
# The figure.

plt.style.use("halfsim.plotting.slide")
figure, (top, bottom) = plt.subplots(2, sharex=True, height_ratios=(2, 1))
top.plot(distance, distance, color="#d0d4d9", linewidth=6, label="exact")
top.step(distance, (result.astype(np.float64) - normal) / gap, label="rounded to binary16")
top.set_ylabel("result")
top.legend(loc="upper left")
top.set_title("Results near the smallest normal number, $2^{-14}$")
for i, raised in enumerate(underflow.values()):
    bottom.plot(
        distance[raised > 0], np.full((raised > 0).sum(), i), "s", markersize=5, color=("#d55e00", "#0072b2")[i]
    )
bottom.set_yticks((0, 1), [f"underflow\n{name}" for name in underflow])
bottom.set_ylim(1.6, -0.6)
bottom.grid(axis="y", visible=False)
bottom.set_xlabel("exact result minus $2^{-14}$, in gaps of $2^{-24}$")
for axes in (top, bottom):
    axes.axvspan(-0.25, 0, color="#cc79a7", alpha=0.35, linewidth=0)
plt.show()
