r"""
Where a product is accurate
===========================

**Claim.** A binary16 product is correct to a relative error of :math:`2^{-11}` only in a band of exponents: where the
exponents of the factors add up to −14 or more, and to 14 or less. Below the band every power of two costs a bit, from
−27 down nothing is left; from 16 up every product is infinite.

Every cell is the worst of 2,000 products of random numbers of two exponents, subnormal ones included.
"""

import matplotlib.pyplot as plt
import numpy as np

import halfsim as hs
from halfsim.plotting.style import ZONES

rng = np.random.default_rng(16)
numbers = hs.from_bits(np.arange(1, 0x7C00, dtype=np.uint16))
exponent = np.asarray(hs.logb(numbers)).astype(int)
exponents = np.arange(-24, 16)
drawn = np.stack([rng.choice(numbers[exponent == e], 2000) for e in exponents])
a, b = drawn[:, None], drawn[None, :, rng.permutation(2000)]
exact = a.astype(np.float64) * b.astype(np.float64)
error = np.abs(hs.multiply(a, b) - exact) / exact
worst = error.max(axis=2)  # infinite where a product is

# %%
# The claim. Exponents are those of the binary point behind the first digit, as ``logb`` gives them.

total = exponents[:, None] + exponents
assert worst[(total >= -14) & (total <= 14)].max() <= 2.0**-11
assert np.all(error[total <= -27] == 1)
assert np.all(np.isinf(error[total >= 16]))

# %%
# The figure. Correct bits are the logarithm of the relative error.

plt.style.use("halfsim.plotting.slide")
figure, axes = plt.subplots()
bits = np.where(np.isinf(worst), np.nan, -np.log2(np.clip(worst, 2.0**-11, 1)))
axes.set_facecolor(ZONES["infinite"])
image = axes.imshow(bits, origin="lower", extent=(-24.5, 15.5, -24.5, 15.5), vmin=0, vmax=11)
axes.text(9.5, 11, "∞", color="white", fontsize=20, ha="center", va="center")
axes.text(-16, -18, "stored as zero", color="white", ha="center")
figure.colorbar(image, label="correct bits, worst case")
axes.grid(visible=False)
axes.set_xlabel("exponent of b")
axes.set_ylabel("exponent of a")
axes.set_title("binary16 product a × b")
plt.show()
