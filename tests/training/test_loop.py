"""Whole runs: the effects that training in binary16 must show, and the same bits whatever runs them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("sklearn")

import halfsim as hs
from halfsim.policy import DynamicScale, StaticScale, named
from halfsim.training.loop import Record, Settings, train
from halfsim.training.models import Perceptron
from halfsim.training.optim import SGD
from halfsim.training.tasks import task

SMALL = Settings(
    model=Perceptron(sizes=(64, 128, 10)), rate=2e-5, batch=8, steps=900, evaluate_every=900, sample_every=90
)
BRIEF = replace(SMALL, steps=12, evaluate_every=6, sample_every=3)
DENSE = Settings(
    model=Perceptron(sizes=(64, 16, 10), head=0.1, bias=-np.log(999.0)),
    rate=3e-2, batch=128, steps=10, evaluate_every=10, sample_every=5,
)  # fmt: skip


def digits_run(name: str, settings: Settings = SMALL, seed: int = 0) -> Record:
    return train(task("digits"), named(name), settings, seed)


def test_small_updates_need_a_master_copy_or_its_equals() -> None:
    baseline = digits_run("binary32")
    progress = baseline.measures["loss"][0] - baseline.measures["loss"][-1]
    assert progress > 0.3
    for name in ("mixed", "binary16-stochastic", "binary16-kahan"):
        assert abs(digits_run(name).measures["loss"][-1] - baseline.measures["loss"][-1]) < 0.03 * progress, name
    for name in ("binary16-weights", "binary16-pure"):
        record = digits_run(name)
        assert record.measures["loss"][0] - record.measures["loss"][-1] < 0.35 * progress, name
        assert record.ledger["updates_lost"] > 0.9, name
    assert baseline.ledger["updates_lost"] < 0.1


def test_a_dense_mean_loss_needs_a_scale() -> None:
    mixed = named("mixed")
    losses, flushed = {}, {}
    for policy in (named("binary32"), mixed, mixed.scaled(StaticScale(scale=1024.0), "scaled")):
        record = train(task("heat-map"), policy, DENSE, 0)
        losses[policy.name], flushed[policy.name] = record.measures["loss"][-1], record.ledger["gradients_flushed"]
    assert losses["mixed"] > losses["binary32"] + 1
    assert losses["scaled"] == pytest.approx(losses["binary32"], rel=0.01)
    assert flushed["mixed"] > 0.9
    assert flushed["binary32"] == 0


def test_a_dynamic_scale_recovers_from_overflow() -> None:
    policy = named("mixed").scaled(DynamicScale(initial=2.0**24, interval=4), "dynamic")
    record = train(task("digits"), policy, replace(BRIEF, steps=40, evaluate_every=40), 0)
    assert record.skipped[:3] == [0, 1, 2]
    assert record.log[0] == "step 0: a gradient overflowed: step skipped, scale 1.67772e+07 -> 8.38861e+06"
    assert any("finite steps" in line for line in record.log)
    assert np.isfinite(record.measures["loss"]).all()
    assert record.measures["loss"][-1] < record.measures["loss"][0]


def test_a_static_scale_that_is_too_large_gives_nan() -> None:
    policy = named("mixed").scaled(StaticScale(scale=2.0**24), "too large")
    record = train(task("digits"), policy, BRIEF, 0)
    assert np.isnan(record.measures["loss"][-1])
    assert record.skipped == []


def test_a_power_of_two_scale_changes_no_bit_where_nothing_is_flushed() -> None:
    # Without a scale a few gradients are flushed or subnormal here; from 2^6 on, none.
    scales = [named("mixed").scaled(StaticScale(scale=2.0**i), f"2^{i}") for i in (6, 10, 13)]
    runs = [train(task("digits"), policy, replace(BRIEF, sample_every=1), 0) for policy in scales]
    assert [run.ledger["gradients_flushed"] for run in runs] == [0, 0, 0]
    assert len({run.weights_sha256 for run in runs}) == 1


@pytest.mark.parametrize("name", ["binary32", "mixed", "binary16-pure", "binary16-stochastic"])
def test_runs_repeat_to_the_bit(name: str) -> None:
    first, second = digits_run(name, BRIEF, seed=5), digits_run(name, BRIEF, seed=5)
    assert first == second
    assert len(first.weights_sha256) == 64
    assert digits_run(name, BRIEF, seed=6).weights_sha256 != first.weights_sha256


def test_policies_of_a_seed_start_alike() -> None:
    starts = {digits_run(name, BRIEF).measures["loss"][0] for name in ("mixed", "binary16-weights", "binary16-kahan")}
    assert len(starts) == 1


def test_threads_change_no_bit() -> None:
    policy = named("mixed").accumulating("h100:f16", "x")
    brief = replace(DENSE, steps=2)
    before = hs.get_num_threads()
    try:
        records = []
        for threads in (1, 2):
            hs.set_num_threads(threads)
            records.append(train(task("heat-map"), policy, brief, 0))
    finally:
        hs.set_num_threads(before)
    assert records[0] == records[1]


def test_runs_with_stochastic_sums_repeat_for_any_threads_and_differ_by_seed() -> None:
    sums = hs.Sequential(format=hs.BINARY16, rounding=hs.Stochastic(bits=16, seed=1))
    policy = named("mixed").accumulating(sums, "x")
    before = hs.get_num_threads()
    try:
        digests = []
        for threads, seed in ((1, 0), (2, 0), (2, 1)):
            hs.set_num_threads(threads)
            digests.append(train(task("digits"), policy, replace(BRIEF, steps=4), seed).weights_sha256)
    finally:
        hs.set_num_threads(before)
    assert digests[0] == digests[1] != digests[2]
    # How often the network is tested changes nothing.
    often = train(task("digits"), policy, replace(BRIEF, steps=4, evaluate_every=1), 0)
    assert often.weights_sha256 == digests[0]


def test_curves_have_one_point_per_evaluation() -> None:
    steps: list[int] = []
    record = train(task("digits"), named("mixed"), BRIEF, 0, optimizer=SGD(0.1, 0.9), progress=steps.append)
    assert steps == list(range(1, 13))
    assert record.steps == [0, 6, 12]
    assert {len(curve) for curve in (*record.measures.values(), record.reported, record.scale)} == {3}
    assert sum(record.ledger["histograms"]["weight gradient"]) == 4 * (64 * 128 + 128 + 1280 + 10)


@pytest.mark.parametrize("field", ["rate", "batch", "steps", "evaluate_every", "sample_every"])
def test_settings_are_positive(field: str) -> None:
    with pytest.raises(ValueError, match=f"Settings: {field}=0"):
        replace(BRIEF, **{field: 0})


@pytest.mark.slow
def test_the_flagship_configuration() -> None:
    """Digits, 64-32-10, Adam 1e-5, batch 4, 40 epochs: the table of the study that the quickstart shortens."""
    settings = Settings(
        model=Perceptron(sizes=(64, 32, 10)), rate=1e-5, batch=4, steps=14_000, evaluate_every=14_000, sample_every=1000
    )
    for seed in range(3):
        runs = {
            name: digits_run(name, settings, seed)
            for name in ("binary32", "mixed", "binary16-weights", "binary16-stochastic", "binary16-kahan")
        }
        accuracy = {name: run.measures["accuracy"][-1] for name, run in runs.items()}
        for name in ("mixed", "binary16-stochastic", "binary16-kahan"):
            assert abs(accuracy[name] - accuracy["binary32"]) <= 0.015, (seed, accuracy)
        assert accuracy["binary16-weights"] <= 0.2, (seed, accuracy)
        assert runs["binary16-weights"].ledger["updates_lost"] >= 0.95
