"""The dynamic loss scale, beside PyTorch's and at its edges."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from halfsim.policy import DynamicScale, NoScale, StaticScale
from halfsim.training.loss_scale import loss_scaler

RANDOM = np.random.default_rng(25)
SEQUENCES = {
    "all finite": np.ones(60, bool),
    "all overflow": np.zeros(60, bool),
    "one late overflow": np.arange(60) != 41,
    "overflow just before growth": (np.arange(60) % 5) != 4,
    "rare": RANDOM.random(400) > 0.05,
    "often": RANDOM.random(400) > 0.4,
}


@pytest.mark.parametrize("sequence", SEQUENCES)
@pytest.mark.parametrize(
    ("initial", "growth", "backoff", "interval"),
    [(65536.0, 2.0, 0.5, 2000), (65536.0, 2.0, 0.5, 5), (2.0**120, 2.0, 0.5, 3), (3.0, 1.7, 0.3, 4)],
)
def test_the_scale_moves_as_that_of_pytorch(
    sequence: str, initial: float, growth: float, backoff: float, interval: int
) -> None:
    torch = pytest.importorskip("torch")
    theirs = torch.amp.GradScaler(
        "cpu", init_scale=initial, growth_factor=growth, backoff_factor=backoff, growth_interval=interval
    )
    parameter = torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.SGD([parameter], lr=1.0)
    theirs.scale(torch.zeros(1))
    # PyTorch's scale has no bounds and can reach zero; the comparison ends before.
    mine = loss_scaler(
        DynamicScale(initial=initial, growth=growth, backoff=backoff, interval=interval, floor=2.0**-149, ceiling=3e38)
    )
    compared = 0
    for finite in SEQUENCES[sequence]:
        if mine.scale < 2.0**-100:
            break
        compared += 1
        parameter.grad = torch.tensor([theirs.get_scale() if finite else float("inf")])
        before = parameter.detach().clone()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs.step(optimizer)
            theirs.update()
        skipped = bool((parameter == before).all())
        assert mine.skips(bool(finite)) == skipped
        mine, _ = mine.adjust(bool(finite))
        assert mine.scale == theirs.get_scale()
        assert mine.good == theirs._get_growth_tracker()
    assert compared >= 50


def test_unscaling_takes_the_reciprocal_in_binary64() -> None:
    scaler = loss_scaler(StaticScale(scale=3.0))
    gradient = np.float16([1, 10, 65504])
    expected = gradient.astype(np.float32) * np.float32(1 / 3)
    assert scaler.unscale(gradient).tolist() == expected.tolist()
    assert scaler.unscale(gradient).dtype == np.float32


@pytest.mark.parametrize(("row", "scale"), [(NoScale(), 1.0), (StaticScale(scale=8.0), 8.0)])
def test_fixed_scales_stay_and_skip_nothing(row: NoScale | StaticScale, scale: float) -> None:
    scaler = loss_scaler(row)
    for finite in (True, False):
        assert scaler.scale == scale
        assert not scaler.skips(finite)
        scaler, why = scaler.adjust(finite)
        assert why == ""


def test_the_floor_holds_and_says_so() -> None:
    scaler = loss_scaler(DynamicScale(initial=4.0, floor=1.0))
    moves = []
    for _ in range(4):
        scaler, why = scaler.adjust(False)
        moves.append((scaler.scale, why))
    assert [scale for scale, _ in moves] == [2, 1, 1, 1]
    assert moves[0][1] == "a gradient overflowed: step skipped, scale 4 -> 2"
    assert moves[2][1].endswith("scale 1 -> 1 (its floor)")


def test_the_ceiling_holds() -> None:
    scaler = loss_scaler(DynamicScale(initial=4.0, interval=1, ceiling=8.0))
    scales = []
    for _ in range(3):
        scaler, why = scaler.adjust(True)
        scales.append((scaler.scale, bool(why)))
    assert scales == [(8.0, True), (8.0, False), (8.0, False)]


def test_growth_needs_consecutive_finite_steps() -> None:
    scaler = loss_scaler(DynamicScale(initial=8.0, interval=3))
    scales = []
    for finite in (True, True, False, True, True, True):
        scaler, why = scaler.adjust(finite)
        scales.append(scaler.scale)
    assert scales == [8, 8, 4, 4, 4, 8]
    assert why == "3 finite steps: scale 4 -> 8"
