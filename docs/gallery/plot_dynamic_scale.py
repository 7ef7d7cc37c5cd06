r"""
A loss scale that finds its own size
====================================

**Claim.** A dynamic loss scale started at :math:`2^{32}` and one started at 1 end within a factor of four of each
other. The first skips its first fifteen steps, one for each factor of two that it must give up; later, fewer than one
step in ten is skipped while they try whether more is possible, and both runs learn as in binary32, within two points
of accuracy.

The scale halves when a gradient is not finite, and doubles after 25 finite steps; the state machine is that of
PyTorch's ``GradScaler``. A perceptron learns scikit-learn's digits.
"""

import matplotlib.pyplot as plt

from halfsim.plotting import loss_scale
from halfsim.policy import DynamicScale, named
from halfsim.training.experiment import Settings
from halfsim.training.models import Perceptron
from halfsim.training.optim import Adam
from halfsim.training.tasks import Classification
from halfsim.training.trainer import train

settings = Settings(
    model=Perceptron(sizes=(64, 32, 10)), optimizer=Adam(rate=3e-3), batch=8, steps=600, evaluate_every=600
)
digits = Classification(dataset="digits")
records = {
    f"from 2^{exponent}": train(
        digits, named("mixed").scaled(DynamicScale(initial=2.0**exponent, interval=25), "dynamic"), settings, seed=0
    )
    for exponent in (32, 0)
}
wide = train(digits, named("binary32"), settings, seed=0)

# %%
# The claim.

large, small = records.values()
assert large.skipped[:15] == list(range(15))
assert 1 / 4 <= large.scale[-1][1] / small.scale[-1][1] <= 4
for record in records.values():
    assert sum(step >= 20 for step in record.skipped) < 0.1 * 580
    assert abs(record.measures["accuracy"][-1] - wide.measures["accuracy"][-1]) < 0.02

# %%
# The figure. Ticks at the foot are skipped steps.

plt.style.use("halfsim.plotting.slide")
figure, axes = plt.subplots()
curves = [(name, [record.scale]) for name, record in records.items()]
loss_scale(axes, curves, last=600, skipped={name: record.skipped for name, record in records.items()})
axes.set_title("Two dynamic loss scales find the same size")
plt.show()
