from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

import halfsim as hs
from halfsim.accumulators import FP16, FP32, Sequential
from halfsim.policy import POLICIES, DynamicScale, NoScale, Policy, StaticScale, WeightUpdate, named


def test_the_default_is_the_recipe_of_the_paper_without_a_scale() -> None:
    policy = Policy(name="x")
    assert policy.storage == hs.BINARY16
    assert policy.forward == policy.data_gradient == policy.weight_gradient == FP32
    assert policy.reductions == hs.BINARY32
    assert policy.update is WeightUpdate.master
    assert policy.loss_scale == NoScale()


def test_a_policy_is_frozen_hashable_and_compared_by_value() -> None:
    policy = named("mixed")
    with pytest.raises(FrozenInstanceError):
        policy.name = "other"  # type: ignore[misc]
    assert len({policy, Policy(name="mixed")}) == 1


def test_names_of_tensor_cores_become_rows() -> None:
    policy = Policy(name="x", weight_gradient="h100:f16")
    assert policy.weight_gradient == hs.tensorcores.row("h100", "f16")
    assert policy.accumulator("weight_gradient") == hs.tensorcores.row("h100", "f16")


def test_variants_change_what_they_say_and_no_more() -> None:
    policy = named("mixed").accumulating(FP16, "a").scaled(StaticScale(scale=8.0), "b")
    assert policy == Policy(
        name="b", forward=FP16, data_gradient=FP16, weight_gradient=FP16, loss_scale=StaticScale(scale=8.0)
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"storage": hs.BFLOAT16}, "storage"),
        ({"reductions": hs.BINARY64}, "reductions"),
        ({"update": "magic"}, "known are master, nearest, stochastic, kahan"),
        ({"storage": hs.BINARY32}, "store in binary16"),
        ({"forward": "h900:f16"}, "h900"),
        ({"forward": "h100:f32:bf16"}, "forward='h100:f32:bf16' takes other factors than binary16, in which netw"),
    ],
)
def test_a_wrong_field_is_named(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Policy(name="x", **arguments)  # type: ignore[arg-type]


def test_binary32_weights_have_one_update() -> None:
    plain = Sequential(format=hs.BINARY32)
    with pytest.raises(ValueError, match="needs 'master'"):
        Policy(name="x", storage=hs.BINARY32, forward=plain, data_gradient=plain, weight_gradient=plain, update="kahan")


@pytest.mark.parametrize("scale", [0.0, -1.0, float("inf"), float("nan")])
def test_a_static_scale_is_positive(scale: float) -> None:
    with pytest.raises(ValueError, match="positive and finite"):
        StaticScale(scale=scale)


@pytest.mark.parametrize(
    "arguments",
    [{"growth": 1.0}, {"backoff": 1.0}, {"interval": 0}, {"initial": 2.0, "floor": 4.0}, {"ceiling": 1.0}],
)
def test_a_dynamic_scale_has_sane_settings(arguments: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="DynamicScale"):
        DynamicScale(**arguments)  # type: ignore[arg-type]


def test_a_loss_scale_is_a_row() -> None:
    with pytest.raises(TypeError, match="StaticScale"):
        Policy(name="x", loss_scale=8.0)  # type: ignore[arg-type]


def test_named_policies() -> None:
    assert all(policy.name == name for name, policy in POLICIES.items())
    with pytest.raises(ValueError, match="binary16-pure"):
        named("fp16")
