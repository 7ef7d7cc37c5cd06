from __future__ import annotations

from dataclasses import replace

import pytest

from halfsim.formats import BINARY16, BINARY32
from halfsim.policy import POLICIES, Policy, named
from halfsim.rounding import Rounding, Stochastic
from halfsim.training.accounting import CLASSES, STATES, bytes_per_parameter, memory
from halfsim.training.accounting.convolutional import ALEXNET, RESNET_50, VGG_D
from halfsim.training.accounting.layers import Layer, Network
from halfsim.training.accounting.recurrent import BIG_LSTM

MIXED = named("mixed")
# Weight copies, gradient and Adam's two moments; the sum; the sum with one momentum.
TABLE = {
    "binary32": (named("binary32"), (4, 0, 4, 8), 16, 12),
    "mixed": (MIXED, (2, 4, 2, 8), 16, 12),
    "mixed, binary32 gradients": (replace(MIXED, gradients=BINARY32), (2, 4, 4, 8), 18, 14),
    "stochastic": (named("binary16-stochastic"), (2, 0, 2, 8), 12, 8),
    "kahan": (named("binary16-kahan"), (2, 2, 2, 8), 14, 10),
    "binary16 states": (replace(named("binary16-pure"), optimizer_state=BINARY16), (2, 0, 2, 4), 8, 6),
}


@pytest.mark.parametrize("name", TABLE)
def test_bytes_of_a_parameter_are_those_of_the_hand_table(name: str) -> None:
    policy, parts, adam, momentum = TABLE[name]
    found = bytes_per_parameter(policy, STATES["Adam"])
    assert tuple(found[key] for key in CLASSES[:-1]) == parts
    assert sum(found.values()) == adam
    assert sum(bytes_per_parameter(policy, STATES["momentum"]).values()) == momentum


def test_a_master_copy_is_half_more_memory_for_weights() -> None:
    found = bytes_per_parameter(MIXED, 0)
    assert found["weights"] + found["copies"] == 1.5 * bytes_per_parameter(named("binary32"), 0)["weights"]


@pytest.mark.parametrize("update", [Rounding.roundTowardZero, Stochastic(8, 1)], ids=str)
def test_a_rounded_update_keeps_no_copy(update: Rounding | Stochastic) -> None:
    assert bytes_per_parameter(Policy(name="own", update=update), 0)["copies"] == 0


def test_names_of_policies_say_nothing() -> None:
    for policy in POLICIES.values():
        renamed = replace(policy, name="another")
        assert memory(ALEXNET, renamed, 2, 7) == memory(ALEXNET, policy, 2, 7)


def test_memory_of_a_small_network_by_hand() -> None:
    layers = (Layer(name="table", parameters=100, activations=3, touched=(0, 10)), Layer(name="fc", parameters=20))
    network = Network(name="small", example="token", layers=layers, batch=1, source="this test")
    found = memory(network, replace(MIXED, optimizer_state=BINARY16), 2, 4)
    assert found == {"weights": 240, "copies": 480, "gradients": 120, "optimizer": 480, "activations": 24}


def test_batches_have_examples() -> None:
    with pytest.raises(ValueError, match="batch=0 must be"):
        memory(ALEXNET, MIXED, 1, 0)


def ratio(network: Network, batch: int) -> float:
    both = [sum(memory(network, policy, 1, batch).values()) for policy in (MIXED, named("binary32"))]
    return both[0] / both[1]


def test_nearly_half_holds_where_activations_dominate() -> None:
    assert ratio(RESNET_50, RESNET_50.batch) < 0.51
    assert ratio(VGG_D, VGG_D.batch) < 0.55
    assert ratio(VGG_D, 1) > 0.95
    assert ratio(BIG_LSTM, BIG_LSTM.batch) > 0.9
    # Parameters alone: nothing saved.
    assert sum(bytes_per_parameter(MIXED, 1).values()) == sum(bytes_per_parameter(named("binary32"), 1).values())
