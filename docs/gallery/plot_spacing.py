r"""
The spacing of binary16
=======================

**Claim.** From :math:`2^{-14}` on, the next binary16 number is a relative step of at most :math:`2^{-10}` away;
below, the gap stays at :math:`2^{-24}` and the relative step grows to 1. From 2048 on the gap is at least 2: odd
integers are missing.

All 31,744 finite numbers that are not negative are listed by their bit patterns; a gap is the distance from one to the
next.
"""

import matplotlib.pyplot as plt
import numpy as np

import halfsim as hs

numbers = hs.from_bits(np.arange(0x7C00, dtype=np.uint16)).astype(np.float64)
gap, x = np.diff(numbers)[1:], numbers[1:-1]  # without the step from zero, which has no relative size

# %%
# The claim.

normal = x >= 2.0**-14
assert np.all((gap / x)[normal] <= 2.0**-10)
assert np.all(gap[~normal] == 2.0**-24)
assert (gap / x).max() == 1.0
assert np.all((gap >= 2) == (x >= 2048))

# %%
# The figure. Powers of two hold the jumps: within one, the gap is the same.

plt.style.use("halfsim.plotting.slide")
figure, axes = plt.subplots()
axes.step(x, gap, where="post", label="gap to the next number")
axes.plot(x, gap / x, label="gap, relative to the number")
axes.axvspan(x[0], 2.0**-14, color="#ef8a62", alpha=0.18, linewidth=0)
axes.text(2.0**-19, 2.0**5.5, "subnormal", ha="center")
axes.text(1, 2.0**5.5, "normal", ha="center")
axes.plot(2048, 2, "o", color="black")
axes.text(2.0**10, 3, "2048: odd integers\nare missing from here on", ha="right")
axes.set_xscale("log", base=2)
axes.set_yscale("log", base=2)
axes.set_xlabel("binary16 number")
axes.set_ylabel("gap")
axes.set_title("binary16: a constant gap below, a constant ratio above")
axes.legend(loc="lower right")
plt.show()
