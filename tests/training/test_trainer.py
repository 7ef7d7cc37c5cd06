"""Whole runs: the effects that training in binary16 must show, and the same bits whatever runs them."""

from __future__ import annotations

import io
import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")

import halfsim as hs
from halfsim.policy import DynamicScale, LayerScale, Policy, StaticScale, named
from halfsim.training.models import MODELS, Perceptron
from halfsim.training.optim import SGD, Adagrad, Adam
from halfsim.training.record import Record
from halfsim.training.registry import row_of
from halfsim.training.tasks import TASKS, Classification, HeatMap
from halfsim.training.trainer import Experiment, Settings, Trainer, train

DIGITS = Classification(dataset="digits")
SMALL = Settings(
    model=Perceptron(sizes=(64, 128, 10)), optimizer=Adam(2e-5), batch=8, steps=900, evaluate_every=900, sample_every=90
)
BRIEF = replace(SMALL, steps=12, evaluate_every=6, sample_every=3)
DENSE = Settings(
    model=Perceptron(sizes=(64, 16, 10), head=0.1, bias=-np.log(999.0)),
    optimizer=Adam(3e-2), batch=128, steps=10, evaluate_every=10, sample_every=5,
)  # fmt: skip


def digits_run(name: str, settings: Settings = SMALL, seed: int = 0) -> Record:
    return train(DIGITS, named(name), settings, seed)


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
        record = train(HeatMap(), policy, DENSE, 0)
        losses[policy.name], flushed[policy.name] = record.measures["loss"][-1], record.ledger["gradients_flushed"]
    assert losses["mixed"] > losses["binary32"] + 1
    assert losses["scaled"] == pytest.approx(losses["binary32"], rel=0.01)
    assert flushed["mixed"] > 0.9
    assert flushed["binary32"] == 0


def test_a_dynamic_scale_recovers_from_overflow() -> None:
    policy = named("mixed").scaled(DynamicScale(initial=2.0**24, interval=4), "dynamic")
    record = train(DIGITS, policy, replace(BRIEF, steps=40, evaluate_every=40), 0)
    assert record.skipped[:3] == [0, 1, 2]
    first = "step 0: the activation gradient of loss overflowed first: step skipped"
    assert record.log[0] == f"{first}, scale 1.67772e+07 -> 8.38861e+06"
    assert any("finite steps" in line for line in record.log)
    assert np.isfinite(record.measures["loss"]).all()
    assert record.measures["loss"][-1] < record.measures["loss"][0]


def test_a_static_scale_that_is_too_large_gives_nan() -> None:
    policy = named("mixed").scaled(StaticScale(scale=2.0**24), "too large")
    record = train(DIGITS, policy, BRIEF, 0)
    assert np.isnan(record.measures["loss"][-1])
    assert record.skipped == []


def test_a_power_of_two_scale_changes_no_bit_where_nothing_is_flushed() -> None:
    # Without a scale a few gradients are flushed or subnormal here; from 2^6 on, none.
    scales = [named("mixed").scaled(StaticScale(scale=2.0**i), f"2^{i}") for i in (6, 10, 13)]
    runs = [train(DIGITS, policy, replace(BRIEF, sample_every=1), 0) for policy in scales]
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
            records.append(train(HeatMap(), policy, brief, 0))
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
            digests.append(train(DIGITS, policy, replace(BRIEF, steps=4), seed).weights_sha256)
    finally:
        hs.set_num_threads(before)
    assert digests[0] == digests[1] != digests[2]
    # How often the network is tested changes nothing.
    often = train(DIGITS, policy, replace(BRIEF, steps=4, evaluate_every=1), 0)
    assert often.weights_sha256 == digests[0]


def test_curves_have_one_point_per_evaluation() -> None:
    steps: list[int] = []
    record = train(DIGITS, named("mixed"), replace(BRIEF, optimizer=SGD(0.1, 0.9)), 0, progress=steps.append)
    assert steps == list(range(1, 13))
    assert record.steps == [0, 6, 12]
    assert {len(curve) for curve in (*record.measures.values(), record.reported)} == {3}
    assert record.scale == [[0, 1.0]]
    assert sum(record.ledger["histograms"]["weight gradient"]) == 4 * (64 * 128 + 128 + 1280 + 10)


@pytest.mark.parametrize("field", ["batch", "steps", "evaluate_every", "sample_every", "clip_norm"])
def test_settings_are_positive(field: str) -> None:
    with pytest.raises(ValueError, match=f"Settings: {field}=0"):
        replace(BRIEF, **{field: 0})


def rows(model: dict[str, Any], task: dict[str, Any], **changes: Any) -> tuple[Any, Settings]:
    given = {"optimizer": Adam(1e-3), "batch": 4, "steps": 7, "evaluate_every": 3, "sample_every": 2, **changes}
    return row_of(TASKS, task), Settings(model=row_of(MODELS, model), **given)


_DIGITS = {"name": "classification", "dataset": "digits", "test": 40}
_PERCEPTRON = {"name": "perceptron", "sizes": [64, 8, 10]}
_STOCHASTIC = hs.Sequential(format=hs.BINARY16, rounding=hs.Stochastic(bits=16, seed=1))

CASES: dict[str, tuple[Policy, tuple[Any, Settings]]] = {
    **{
        f"{name}-{kind}": (named(name), rows(_PERCEPTRON, _DIGITS, optimizer=optimizer, clip_norm=0.5))
        for name in ("binary32", "binary16-stochastic", "binary16-kahan", "binary16-pure", "apex-O3")
        for kind, optimizer in (("adam", Adam(1e-3)), ("sgd", SGD(0.1, 0.9)), ("adagrad", Adagrad(0.01)))
    },
    "plain sgd": (named("mixed"), rows(_PERCEPTRON, _DIGITS, optimizer=SGD(0.1))),
    "dynamic": (
        named("mixed").scaled(DynamicScale(initial=2.0**26, interval=2, hysteresis=2), "dynamic"),
        rows(_PERCEPTRON, _DIGITS),
    ),
    "per layer": (named("mixed").scaled(LayerScale(), "per layer"), rows(_PERCEPTRON, _DIGITS)),
    "stochastic sums": (named("mixed").accumulating(_STOCHASTIC, "sums"), rows(_PERCEPTRON, _DIGITS)),
    "stochastic everywhere": (
        named("binary16-pure").rounded(hs.Stochastic(bits=9, seed=2), "all"),
        rows(_PERCEPTRON, _DIGITS),
    ),
    "epochs": (named("mixed"), rows(_PERCEPTRON, {**_DIGITS, "train": 10})),
    "statistics": (
        named("mixed-scaled"),
        rows({"name": "batch-norm-net", "image": [8, 8, 1], "channels": [3, 4], "classes": 10}, _DIGITS),
    ),
    "recurrent": (
        named("mixed-dynamic"),
        rows(
            {"name": "lstm", "vocabulary": 96, "embedding": 4, "hidden": 6},
            {
                "name": "language",
                "text": "pydoc",
                "unit": "char",
                "vocabulary": 96,
                "length": 8,
                "train": 4000,
                "test": 500,
            },
            clip_norm=1.0,
        ),
    ),
    "game": (
        named("binary16-stochastic").scaled(DynamicScale(initial=2.0**24, interval=2), "game"),
        rows(
            {"name": "adversaries", "latent": 4, "generator": [8], "discriminator": [8]},
            {"name": "adversarial", "latent": 4, "components": 3, "samples": 50},
            batch=16,
        ),
    ),
}


def through_a_file(state: dict[str, Any]) -> dict[str, Any]:
    content = io.BytesIO()
    np.savez(content, allow_pickle=False, **state)
    content.seek(0)
    with np.load(content, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


@pytest.mark.parametrize("case", CASES)
def test_a_restored_run_has_the_bits_of_an_undisturbed_one(case: str) -> None:
    policy, (task, settings) = CASES[case]
    experiment = Experiment(task=task, settings=settings, policy=policy, seed=3)
    whole = Trainer(experiment)
    states, lines = [through_a_file(whole.state())], []
    while not whole.done:
        lines.append(json.dumps(whole.advance().lines, allow_nan=False))
        states.append(through_a_file(whole.state()))
    assert len(lines) == settings.steps
    for step in (0, 1, 4, settings.steps):
        again = Trainer(experiment)
        again.restore(states[step])
        assert again.step == step
        for line in lines[step:]:
            assert json.dumps(again.advance().lines, allow_nan=False) == line
        assert again.done
        assert repr(again.record()) == repr(whole.record())
        last, wanted = again.state(), whole.state()
        assert last.keys() == wanted.keys()
        assert all(np.asarray(last[name]).tobytes() == np.asarray(wanted[name]).tobytes() for name in last)


def test_a_checkpoint_is_not_changed_by_going_on() -> None:
    policy, (task, settings) = CASES["statistics"]
    trainer = Trainer(Experiment(task=task, settings=settings, policy=policy, seed=3))
    trainer.advance()
    state = trainer.state()
    before = {name: np.array(value) for name, value in state.items()}
    trainer.advance()
    assert all(np.array_equal(state[name], before[name]) for name in state)
    assert any(not np.array_equal(value, before[name]) for name, value in trainer.state().items())


def test_running_statistics_are_part_of_a_run() -> None:
    policy, (task, settings) = CASES["statistics"]
    trainer = Trainer(Experiment(task=task, settings=settings, policy=policy, seed=3))
    start = {name: value.copy() for name, value in trainer.state().items() if name.startswith("state:")}
    assert start and all((value == name.endswith("variance")).all() for name, value in start.items())
    trainer.advance()
    moved = trainer.state()
    assert all(not np.array_equal(moved[name], value) for name, value in start.items())


def test_a_game_has_a_scale_and_weights_per_side() -> None:
    policy, (task, settings) = CASES["game"]
    trainer = Trainer(Experiment(task=task, settings=settings, policy=policy, seed=3))
    lines = [line for _ in range(7) for line in trainer.advance().lines if "phase" in line]
    assert [line["phase"] for line in lines] == ["discriminator", "generator"] * 7
    record = trainer.record()
    assert set(record.phases) == {"discriminator", "generator"}
    assert record.summary()["phases"].keys() == record.phases.keys()
    sizes = {phase: trainer.state()[f"side {number}:weights stored"].size for number, phase in enumerate(record.phases)}
    shapes = settings.model.shapes
    for phase, size in sizes.items():
        assert size == sum(math.prod(shape) for name, shape in shapes.items() if name.startswith(phase)), phase
    assert all(line.startswith("step ") and line.split(": ")[1] in record.phases for line in record.log)


def test_the_log_and_the_events_name_what_overflowed_first() -> None:
    policy = named("mixed").scaled(DynamicScale(initial=2.0**24), "dynamic")
    trainer = Trainer(Experiment(task=DIGITS, settings=BRIEF, policy=policy, seed=0))
    (line,) = (line for line in trainer.advance().lines if "phase" in line)
    assert line["skipped"] is True
    assert line["nonfinite"] == {"layer": "loss", "tensor": "activation gradient", "step": 0}
    record = trainer.record()
    assert record.first_nonfinite == line["nonfinite"]
    assert record.log[0] == f"step 0: {line['why']}"
    assert line["why"].startswith(
        "the activation gradient of loss overflowed first: step skipped, scale 1.67772e+07 ->"
    )


def test_a_norm_is_clipped_after_unscaling() -> None:
    """Plain gradient descent from the same start: the step is along the same line, as long as the bound says."""
    steps = {}
    for clip_norm in (None, 0.25, 1e6):
        settings = replace(BRIEF, steps=1, optimizer=SGD(1.0), clip_norm=clip_norm)
        policy = named("binary32").scaled(StaticScale(scale=1024.0), "scaled")
        trainer = Trainer(Experiment(task=DIGITS, settings=settings, policy=policy, seed=0))
        before = trainer.state()["side 0:weights stored"].astype(np.float64)
        trainer.advance()
        steps[clip_norm] = before - trainer.state()["side 0:weights stored"].astype(np.float64)
    norms = {clip_norm: np.linalg.norm(step) for clip_norm, step in steps.items()}
    assert norms[None] > 1
    assert norms[0.25] == pytest.approx(0.25, rel=1e-4)
    assert np.allclose(steps[0.25], steps[None] * (0.25 / norms[None]), atol=1e-6)
    assert np.array_equal(steps[1e6], steps[None])


def test_memory_is_that_of_the_arrays() -> None:
    size = 64 * 128 + 128 + 1280 + 10
    found = {
        name: train(DIGITS, named(name), replace(BRIEF, steps=1), 0).memory
        for name in ("binary32", "mixed", "binary16-kahan")
    }
    for name, (stored, copies) in {"binary32": (4, 0), "mixed": (2, 4), "binary16-kahan": (2, 2)}.items():
        assert found[name]["weights"] == stored * size, name
        assert found[name]["copies"] == copies * size, name
        assert found[name]["gradients"] == stored * size, name
        assert found[name]["optimizer"] == 8 * size, name
    assert 0.4 < found["mixed"]["activations"] / found["binary32"]["activations"] < 0.6


def test_a_batch_may_be_all_there_is() -> None:
    policy, (task, settings) = CASES["epochs"]
    trainer = Trainer(Experiment(task=task, settings=replace(settings, batch="full"), policy=policy, seed=3))
    trainer.advance()
    assert trainer.state()["batches:start"] == 10


def test_an_experiment_is_its_configuration() -> None:
    for policy, (task, settings) in CASES.values():
        experiment = Experiment(task=task, settings=settings, policy=policy, seed=3)
        assert Experiment.from_config(json.loads(json.dumps(experiment.config()))) == experiment


@pytest.mark.parametrize("seed", [-1, 2**63, 1.5])
def test_seeds_are_words(seed: Any) -> None:
    with pytest.raises(ValueError, match="Experiment: seed="):
        Experiment(task=DIGITS, settings=BRIEF, policy=named("mixed"), seed=seed)


@pytest.mark.slow
def test_the_flagship_configuration() -> None:
    """Digits, 64-32-10, Adam 1e-5, batch 4, 40 epochs: the table of the study that the quickstart shortens."""
    settings = Settings(
        model=Perceptron(sizes=(64, 32, 10)),
        optimizer=Adam(1e-5),
        batch=4,
        steps=14_000,
        evaluate_every=14_000,
        sample_every=1000,
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
