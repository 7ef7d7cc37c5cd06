r"""
What fusing a multiply-add is worth
===================================

**Claim.** A fused multiply-add is never wrong by more than half an ulp. Multiplied and then added, the result is
wrong by at most one ulp while the addend is at least eight times as large as the product, and by more than 1,000 ulp
where product and addend cancel.

Every cell is the worst of 4,000 cases :math:`a \times b + c` with opposite signs, in units in the last place (ulp) of
the exact value; :math:`1 \le a < 2`.
"""

import matplotlib.pyplot as plt
import numpy as np

import halfsim as hs

rng = np.random.default_rng(754)
exponents = np.arange(-3, 14)


def significands(*shape):
    """Return random numbers of [1, 2), of eleven bits."""
    return 1 + rng.integers(0, 1024, shape) / 1024


a = significands(17, 1, 4000).astype(np.float16)
b = (significands(17, 1, 4000) * 2.0 ** exponents[:, None, None]).astype(np.float16)
c = (-significands(1, 17, 4000) * 2.0 ** exponents[:, None]).astype(np.float16)
exact = a.astype(np.float64) * b + c  # at most 40 bits: nothing is rounded
ulp = np.maximum(2.0 ** (np.frexp(exact)[1] - 11), 2.0**-24)
fused, parted = (np.abs(z - exact) / ulp for z in (hs.fma(a, b, c), hs.add(hs.multiply(a, b), c)))

# %%
# The claim.

larger = np.abs(c) >= 8 * (a.astype(np.float64) * b)
assert fused.max() <= 0.5
assert parted[larger].max() <= 1
assert parted.max() > 1000

# %%
# The figure: the diagonal is where digits cancel, and the rounding of the product is all that is left.

plt.style.use("halfsim.plotting.slide")
figure, panels = plt.subplots(1, 2, sharey=True)
for axes, error, title in zip(panels, (fused, parted), ("fused: one rounding", "two roundings"), strict=True):
    worst = np.log2(error.max(axis=2))
    image = axes.imshow(worst, origin="lower", extent=(-3.5, 13.5, -3.5, 13.5), vmin=-1, vmax=12)
    axes.set_title(title)
    axes.set_xlabel("exponent of c")
    axes.grid(visible=False)
panels[0].set_ylabel("exponent of b, nearly that of a × b")
ticks = (-1, 0, 2, 4, 6, 8, 10, 12)
bar = figure.colorbar(image, ax=panels, ticks=ticks, extend="max", label="largest error, ulp")
bar.set_ticklabels([f"{2.0**tick:g}" for tick in ticks])
plt.show()
