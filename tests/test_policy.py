from __future__ import annotations

from dataclasses import FrozenInstanceError, replace

import pytest

import halfsim as hs
from halfsim.accumulators import FP16, FP32, Compensated, Exact, Pairwise, Sequential
from halfsim.policy import (
    ALIASES,
    POLICIES,
    REDUCTIONS,
    DynamicScale,
    LayerScale,
    NoScale,
    Policy,
    StaticScale,
    WeightUpdate,
    named,
)

SUM16, SUM32 = Sequential(format=hs.BINARY16), Sequential(format=hs.BINARY32)
UP = hs.Rounding.roundTowardPositive


def test_the_default_is_the_recipe_of_the_paper_without_a_scale() -> None:
    policy = Policy(name="x")
    assert policy.weights == policy.activations == policy.gradients == hs.BINARY16
    assert policy.forward == policy.data_gradient == policy.weight_gradient == FP32
    assert policy.batch_norm == policy.softmax == policy.bias == policy.loss == SUM32
    assert policy.update is WeightUpdate.master
    assert policy.optimizer_state == hs.BINARY32
    assert policy.rounding is hs.Rounding.roundTiesToEven
    assert not policy.flush_to_zero
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
    policy = named("mixed").accumulating(FP16, "a").scaled(StaticScale(scale=8.0), "b").reducing(hs.BINARY16, "c")
    assert policy == Policy(
        name="c",
        forward=FP16,
        data_gradient=FP16,
        weight_gradient=FP16,
        batch_norm=SUM16,
        softmax=SUM16,
        bias=SUM16,
        loss=SUM16,
        loss_scale=StaticScale(scale=8.0),
    )


def test_stored_in_binary32_has_binary32_products_and_a_master_copy() -> None:
    policy = named("binary16-pure").stored(hs.BINARY32, "x")
    assert policy.weights == policy.activations == policy.gradients == hs.BINARY32
    assert policy.forward == policy.data_gradient == policy.weight_gradient == SUM32
    assert policy.update is WeightUpdate.master
    assert policy.softmax == SUM16
    again = policy.stored(hs.BINARY16, "y")
    assert again.weights == hs.BINARY16
    assert again.update is WeightUpdate.master


def test_rounded_reaches_what_software_rounds_to_binary16() -> None:
    policy = Policy(
        name="x",
        forward=FP16,
        data_gradient=Compensated(format=hs.BINARY16),
        weight_gradient="h100:f16",
        batch_norm=Pairwise(format=hs.BINARY16),
        softmax=hs.BINARY16,
        update="nearest",
    ).rounded("rup", "y")
    assert policy == Policy(
        name="y",
        forward=Sequential(format=hs.BINARY16, fused=True, rounding=UP),
        data_gradient=Compensated(format=hs.BINARY16, rounding=UP),
        weight_gradient="h100:f16",
        batch_norm=Pairwise(format=hs.BINARY16, rounding=UP),
        softmax=Sequential(format=hs.BINARY16, rounding=UP),
        update=UP,
        rounding=UP,
    )
    assert Policy(name="x", forward=Exact(format=hs.BINARY16)).rounded(UP, "y").forward == Exact(
        format=hs.BINARY16, rounding=UP
    )


@pytest.mark.parametrize("update", ["master", "kahan", "stochastic", "odd"])
def test_rounded_leaves_an_update_that_has_its_own_rule(update: str) -> None:
    policy = Policy(name="x", update=update)
    assert policy.rounded(hs.Stochastic(bits=8, seed=3), "y") == replace(
        policy, name="y", rounding=hs.Stochastic(bits=8, seed=3)
    )


def test_an_update_is_a_way_or_a_rounding() -> None:
    assert Policy(name="x", update="rtz").update is hs.Rounding.roundTowardZero
    assert Policy(name="x", update=hs.Stochastic(bits=4, seed=1)).update == hs.Stochastic(bits=4, seed=1)
    for nearest in ("rne", "roundTiesToEven", hs.Rounding.roundTiesToEven, "nearest", WeightUpdate.nearest):
        assert Policy(name="x", update=nearest).update is WeightUpdate.nearest


@pytest.mark.parametrize("reduction", [hs.BINARY16, SUM16, FP16, "fp16"])
def test_a_reduction_is_a_sum_that_multiplies_nothing(reduction: object) -> None:
    assert Policy(name="x", loss=reduction).reduction("loss") == SUM16  # type: ignore[arg-type]


def test_operands_decide_the_format_of_a_product() -> None:
    policy = Policy(name="x", weights=hs.BINARY32)
    assert [policy.product_format(product) for product in ("forward", "data_gradient", "weight_gradient")] == [
        hs.BINARY32,
        hs.BINARY32,
        hs.BINARY16,
    ]
    assert Policy(name="x", weights=hs.BINARY32, weight_gradient="h100:f16", forward=SUM32).forward == SUM32


def test_the_environment_flushes_when_the_policy_does() -> None:
    tiny = hs.from_bits(0x0001)
    for flush, expected in ((False, 2.0**-23), (True, 0.0)):
        environment = Policy(name="x", flush_to_zero=flush).environment
        assert float(hs.add(tiny, tiny, environment=environment)) == expected


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"name": ""}, TypeError, "name=''"),
        ({"weights": hs.BFLOAT16}, ValueError, "weights=bfloat16 must be halfsim.BINARY16 or"),
        ({"activations": "binary16"}, TypeError, "activations='binary16' is a str; pass halfsim.BINARY16"),
        ({"gradients": hs.BINARY64}, ValueError, "gradients"),
        ({"optimizer_state": hs.TF32}, ValueError, "optimizer_state"),
        ({"batch_norm": hs.BINARY64}, ValueError, "batch_norm=.* is no arithmetic of a reduction"),
        ({"softmax": Pairwise()}, ValueError, "softmax"),
        ({"bias": "h100:f16"}, ValueError, "bias"),
        ({"loss": Sequential(format=hs.BINARY32, rounding="rtz")}, ValueError, "loss"),
        ({"loss": 16}, TypeError, "Policy: loss: accumulator=16"),
        ({"update": "magic"}, ValueError, "known are master, nearest, stochastic, kahan, rne, .*Stochastic"),
        ({"update": 3.0}, TypeError, "update=3.0 is a float"),
        ({"rounding": "up"}, ValueError, "unknown rounding 'up'"),
        ({"flush_to_zero": 1}, TypeError, "flush_to_zero=1 is a int; pass True or False"),
        ({"weights": hs.BINARY32, "forward": FP16}, ValueError, "forward=.* weights are binary32; .*store weights in"),
        ({"gradients": hs.BINARY32, "weight_gradient": "h100:f16"}, ValueError, "gradients are binary32"),
        ({"activations": hs.BINARY32, "forward": Sequential(rounding="rtz")}, ValueError, "activations are binary32"),
        ({"weights": hs.BINARY32, "update": "kahan"}, ValueError, "pass 'master'"),
        ({"forward": "h900:f16"}, ValueError, "h900"),
        ({"forward": "h100:f32:bf16"}, ValueError, "forward='h100:f32:bf16' takes other factors than binary16, in whi"),
        ({"loss_scale": 8.0}, TypeError, "loss_scale=8.0 is a float; .*StaticScale"),
    ],
)
def test_a_wrong_field_is_named(arguments: dict[str, object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Policy(**({"name": "x"} | arguments))  # type: ignore[arg-type]


@pytest.mark.parametrize("scale", [0.0, -1.0, float("inf"), float("nan"), 1e39, 1e-46])
def test_a_static_scale_is_positive(scale: float) -> None:
    with pytest.raises(ValueError, match="positive and finite"):
        StaticScale(scale=scale)


def test_scales_are_numbers() -> None:
    assert isinstance(StaticScale(scale=8).scale, float)
    with pytest.raises(TypeError, match="StaticScale: scale='8' is a str"):
        StaticScale(scale="8")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="DynamicScale: growth=True is a bool"):
        DynamicScale(growth=True)
    with pytest.raises(ValueError, match="beyond binary64"):
        StaticScale(scale=10**400)


@pytest.mark.parametrize(
    "arguments",
    [
        {"growth": 1.0},
        {"growth": float("inf")},
        {"backoff": 1.0},
        {"interval": 0},
        {"interval": 2.5},
        {"hysteresis": 0},
        {"initial": 2.0, "floor": 4.0},
        {"ceiling": 1.0},
        {"ceiling": float("inf")},
        {"ceiling": 1e39},
        {"floor": 1e-46},
    ],
)
def test_a_dynamic_scale_has_sane_settings(arguments: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="DynamicScale"):
        DynamicScale(**arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"initial": 3.0}, "initial=3.0 must be a power of two"),
        ({"initial": 0.0}, "initial"),
        ({"initial": float("inf")}, "initial"),
        ({"initial": 2.0**200}, "initial"),
        ({"largest": 0.0}, "largest"),
        ({"largest": 65536.0}, "at most 65504"),
    ],
)
def test_a_scale_per_layer_has_sane_settings(arguments: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=f"LayerScale: .*{message}"):
        LayerScale(**arguments)


def test_named_policies() -> None:
    assert all(policy.name == name for name, policy in POLICIES.items())
    with pytest.raises(ValueError, match="unknown policy 'binary16-pur'; did you mean 'binary16-pure'"):
        named("binary16-pur")
    with pytest.raises(ValueError, match=r"unknown policy '\?'; known are binary32, mixed"):
        named("?")


def test_other_names_of_policies() -> None:
    assert {alias: named(alias).name for alias in ALIASES} == ALIASES
    assert set(ALIASES) == {"fp32", "paper-mixed", "fp16-pure", "fp16+sr", "fp16+kahan"}


def test_named_policies_say_what_their_names_promise() -> None:
    assert named("fp16-pure").forward == FP16
    assert {named("fp16-pure").reduction(name) for name in REDUCTIONS} == {SUM16}
    assert named("apex-O0") == replace(named("binary32"), name="apex-O0")
    assert named("apex-O2") == replace(named("apex-O1"), name="apex-O2")
    assert named("apex-O2").loss_scale == DynamicScale(initial=2.0**16, interval=2000, ceiling=2.0**24)
    assert named("apex-O3").update is WeightUpdate.nearest
    assert named("apex-O3").optimizer_state == hs.BINARY16
    assert named("apex-O3").loss_scale == NoScale()
