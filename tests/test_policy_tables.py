"""Policies as tables and back: exactly, through TOML, and with every mistake named."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import halfsim as hs
from halfsim.accumulators import FP16, Compensated, Exact, FusedDotAdd, Pairwise, Sequential
from halfsim.policy import (
    POLICIES,
    PRODUCTS,
    REDUCTIONS,
    DynamicScale,
    LayerScale,
    NoScale,
    Policy,
    StaticScale,
    WeightUpdate,
    from_table,
    named,
)


def toml(value: Any) -> str:
    """Write a plain value as TOML, inline tables throughout."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
        case int() | float():
            return repr(value)
        case list():
            return "[" + ", ".join(map(toml, value)) + "]"
        case dict():
            return "{" + ", ".join(f"{key} = {toml(item)}" for key, item in value.items()) + "}"
    raise TypeError(f"TOML has no {type(value).__name__}")


def through_toml(table: Mapping[str, Any]) -> dict[str, Any]:
    return tomllib.loads("\n".join(f"{key} = {toml(value)}" for key, value in table.items()))


DETERMINISTIC = st.sampled_from(hs.Rounding)
STOCHASTIC = st.builds(
    hs.Stochastic, bits=st.integers(1, 32), seed=st.integers(0, 2**64 - 1), offset=st.integers(0, 2**62)
)
ROUNDINGS = DETERMINISTIC | STOCHASTIC
MINIFLOAT = hs.Format("mine", 12, 7, -14, 15)
FORMATS = st.sampled_from([hs.BINARY16, hs.BINARY32, hs.BFLOAT16, hs.TF32, MINIFLOAT])
ENVIRONMENTS = st.sampled_from(
    [hs.Environment(), hs.Environment(flush_inputs=True, flush_results=True), hs.RISCV, hs.X86, hs.ARM]
)
SUMS = st.one_of(
    st.builds(Sequential, format=FORMATS, rounding=ROUNDINGS, fused=st.booleans()),
    st.builds(Pairwise, format=FORMATS, rounding=ROUNDINGS),
    st.builds(Compensated, format=FORMATS, rounding=ROUNDINGS),
    st.builds(Exact, format=FORMATS, rounding=ROUNDINGS),
    st.builds(
        FusedDotAdd,
        terms=st.integers(1, 64),
        fraction_bits=st.integers(1, 48),
        zero_exponent=st.integers(-200, 20),
        align=DETERMINISTIC,
        output=FORMATS,
        rounding=ROUNDINGS,
    ),
    st.builds(hs.PairwiseDotAdd, terms=st.just(4), depth=st.just(16), environment=ENVIRONMENTS, rounding=DETERMINISTIC),
    st.builds(
        hs.TwoStageDotAdd,
        terms=st.integers(1, 64),
        term_bits=st.integers(1, 40),
        product_bits=st.integers(1, 40),
        addend_bits=st.integers(1, 40),
        total_bits=st.integers(1, 62),
        join=DETERMINISTIC,
    ),
    st.builds(hs.ExactDotAdd, terms=st.integers(1, 64), rounding=ROUNDINGS),
    st.sampled_from(["h100:f16", "v100:f32", "mi250x:f32", "a100:f16:m16n8k8", "fp16", "exact:f16", "mi300x:f32"]),
)
REDUCING = st.one_of(
    st.sampled_from([hs.BINARY16, hs.BINARY32]),
    st.builds(Sequential, format=st.just(hs.BINARY16), rounding=ROUNDINGS),
    st.builds(Pairwise, format=st.just(hs.BINARY16), rounding=ROUNDINGS),
)
POSITIVE = st.floats(2.0**-140, 2.0**120)
SCALES = st.one_of(
    st.just(NoScale()),
    st.builds(StaticScale, scale=POSITIVE),
    st.builds(
        DynamicScale,
        initial=st.floats(1, 1e6),
        growth=st.floats(1, 64, exclude_min=True),
        backoff=st.floats(2.0**-40, 0.99),
        interval=st.integers(1, 10**6),
        floor=st.floats(2.0**-149, 1),
        ceiling=st.floats(1e6, 2.0**127),
        hysteresis=st.integers(1, 50),
    ),
    st.builds(LayerScale, initial=st.integers(-100, 100).map(lambda e: 2.0**e), largest=st.floats(2.0**-24, 65504.0)),
)
NARROW = {
    **dict.fromkeys(PRODUCTS, SUMS),
    "update": st.sampled_from(WeightUpdate) | ROUNDINGS,
}
COMMON = {
    **dict.fromkeys(REDUCTIONS, REDUCING),
    "name": st.text(st.characters(codec="ascii", categories=("L", "N", "S", "P")), min_size=1),
    "optimizer_state": st.sampled_from([hs.BINARY16, hs.BINARY32]),
    "rounding": ROUNDINGS,
    "flush_to_zero": st.booleans(),
    "loss_scale": SCALES,
}
MIXED_STORAGE = {kind: st.sampled_from([hs.BINARY16, hs.BINARY32]) for kind in ("weights", "activations", "gradients")}
POLICY = st.builds(Policy, **COMMON, **NARROW) | st.builds(Policy, **COMMON, **MIXED_STORAGE)


@pytest.mark.parametrize("name", POLICIES)
def test_named_policies_come_back(name: str) -> None:
    table = named(name).as_table()
    assert from_table(table) == from_table(through_toml(table)) == named(name)


@settings(deadline=None, max_examples=max(100, settings.default.max_examples))
@given(POLICY)
def test_every_policy_comes_back(policy: Policy) -> None:
    table = policy.as_table()
    again = from_table(through_toml(table))
    assert again == policy
    assert again.as_table() == table
    assert list(table) == [*Policy.__dataclass_fields__]


@pytest.mark.parametrize("entry", [row for row in hs.tensorcores.TABLE if row.inputs == "f16"])
def test_tensor_cores_go_by_a_name(entry: hs.tensorcores.TensorCore) -> None:
    policy = Policy(name="x", forward=entry.accumulator)
    text = policy.as_table()["forward"]
    assert isinstance(text, str)
    assert hs.tensorcores.as_accumulator(text) == entry.accumulator


def test_names_are_the_shortest() -> None:
    policy = Policy(
        name="x", forward="h200:f32:m16n8k16", data_gradient=FP16, weight_gradient="mi250x:f32", bias="fp16"
    )
    table = policy.as_table()
    assert [table[key] for key in (*PRODUCTS, "bias")] == ["h100:f32", "fp16", "mi210:f32", "binary16"]


def test_a_table_may_leave_out_what_is_the_default() -> None:
    assert from_table({"name": "x"}) == Policy(name="x")
    assert from_table({"name": "x", "softmax": "binary16", "rounding": "rtz", "loss_scale": "dynamic"}) == Policy(
        name="x", softmax=hs.BINARY16, rounding="rtz", loss_scale=DynamicScale()
    )
    assert from_table({"name": "x", "update": {"kind": "stochastic", "bits": 8, "seed": 1}}) == Policy(
        name="x", update=hs.Stochastic(bits=8, seed=1)
    )


def test_a_base_is_changed_key_by_key() -> None:
    assert from_table({"base": "fp16-pure"}) == named("binary16-pure")
    changed = from_table({"base": "mixed-dynamic", "name": "x", "loss_scale": {"interval": 10, "hysteresis": 2}})
    assert changed == named("mixed-dynamic").scaled(DynamicScale(interval=10, hysteresis=2), "x")
    changed = from_table({"base": "binary16-pure", "name": "x", "forward": {"rounding": "rtz"}, "loss": "binary32"})
    expected = Sequential(format=hs.BINARY16, fused=True, rounding="rtz")
    assert changed == replace(named("binary16-pure"), name="x", forward=expected, loss=hs.BINARY32)
    assert from_table({"base": "mixed", "forward": {"format": "binary16"}}).forward == FP16
    # A kind starts a row of its own.
    changed = from_table({"base": "mixed-dynamic", "loss_scale": {"kind": "static", "scale": 8}, "update": "kahan"})
    assert changed.loss_scale == StaticScale(scale=8.0)
    assert changed.name == "mixed-dynamic, loss_scale.kind=static, loss_scale.scale=8, update=kahan"


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"name": "x", "weightz": "binary16"}, "unknown key 'weightz'; did you mean 'weights'?"),
        ({"name": "x", "storage": "binary16"}, "unknown key 'storage'"),
        ({"weights": "binary16"}, "needs a 'name', or .* 'base'"),
        ({"base": "mixed-scale"}, "unknown policy 'mixed-scale'; did you mean 'mixed-scaled'?"),
        ({"name": "x", "weights": "binry16"}, "unknown weights='binry16'; did you mean 'binary16'?"),
        ({"name": "x", "weights": "bfloat16"}, "Policy: weights=bfloat16 must be"),
        ({"name": "x", "update": "kahn"}, "Policy: update='kahn' is unknown"),
        (
            {"name": "x", "forward": {"kind": "Sequentia"}},
            "unknown forward.kind='Sequentia'; did you mean 'Sequential'",
        ),
        ({"name": "x", "forward": {"format": "binary16"}}, "forward lacks its 'kind'; known are Sequential, Pairwise"),
        (
            {"name": "x", "forward": {"kind": "Exact", "fused": True}},
            "unknown key 'fused' of forward; known are format",
        ),
        (
            {"name": "x", "forward": {"kind": "ExactDotAdd"}},
            "forward lacks terms, which ExactDotAdd has no default for",
        ),
        ({"name": "x", "loss_scale": "dynamik"}, "unknown loss_scale.kind='dynamik'; did you mean 'dynamic'?"),
        ({"name": "x", "loss_scale": "static"}, "loss_scale lacks scale"),
        (
            {"name": "x", "loss_scale": {"kind": "none", "scale": 1}},
            "unknown key 'scale' of loss_scale; known are none",
        ),
        (
            {"base": "mixed", "loss_scale": {"scale": 8}},
            "loss_scale has no scale here; give its 'kind' too, one of static, dynamic, layer",
        ),
        ({"name": "x", "loss_scale": {"kind": "static", "scale": -1}}, "StaticScale: scale=-1.0"),
        ({"name": "x", "rounding": {"bits": 3}}, "rounding lacks seed"),
        ({"name": "x", "rounding": {"bits": 3, "sed": 1}}, "unknown key 'sed' of rounding; did you mean 'seed'?"),
        (
            {"name": "x", "forward": {"kind": "Pairwise", "rounding": {"kind": "stochastic", "bits": 99, "seed": 1}}},
            "Stochastic: bits=99",
        ),
    ],
)
def test_mistakes_are_named(table: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        from_table(table)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("mixed", "table='mixed' is a str"),
        ({"name": {"a": 1}}, "name={'a': 1} is a table; pass a single value"),
        ({"name": 3}, "name=3 must be a text"),
        ({"name": "x", "forward": {"kind": 3}}, "forward.kind=3 is a int; pass one of Sequential"),
        ({"name": "x", "weights": 16}, "weights=16 is a int"),
        ({"name": "x", "flush_to_zero": "yes"}, "flush_to_zero='yes'"),
        ({"name": "x", "loss_scale": 8}, "loss_scale=8 is a int; .*: {kind = 'static', scale = 8}"),
        ({"name": "x", "loss_scale": {"kind": "static", "scale": "8"}}, "scale='8' is a str"),
    ],
)
def test_other_types_are_named(table: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        from_table(table)
