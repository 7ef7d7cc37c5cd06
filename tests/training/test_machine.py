from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

import halfsim as hs
from halfsim.accumulators import FP16, FP32, Sequential
from halfsim.policy import Policy, named
from halfsim.rounding import Stochastic
from halfsim.training import nn
from halfsim.training.ledger import Ledger
from halfsim.training.machine import Machine
from halfsim.training.tape import Tape

ACCUMULATORS = [FP32, FP16, "v100:f16", "a100:f32", "h100:f16"]


def binary16(*shape: int) -> np.ndarray:
    return np.random.default_rng(shape).normal(0, 1, shape).astype(np.float16)


@pytest.mark.parametrize("accumulator", ACCUMULATORS, ids=["FP32", "FP16", "v100:f16", "a100:f32", "h100:f16"])
@pytest.mark.parametrize(("rows", "terms", "columns"), [(40, 37, 3), (3, 37, 40), (5, 8, 5)])
def test_products_have_the_bits_of_matmul_whatever_their_shape(
    accumulator: object, rows: int, terms: int, columns: int
) -> None:
    x, w, b = binary16(rows, terms), binary16(terms, columns), binary16(columns)
    machine = Machine(Policy(name="x", forward=accumulator, data_gradient=accumulator, weight_gradient=accumulator))  # type: ignore[arg-type]
    stored = machine.forward(x, w, b)
    assert stored.dtype == np.float16
    expected = hs.convert(hs.matmul(x, w, b, accumulator=accumulator), hs.BINARY16)  # type: ignore[arg-type]
    assert np.array_equal(hs.to_bits(stored), hs.to_bits(expected))
    expected = hs.convert(hs.matmul(x, w, accumulator=accumulator), hs.BINARY16)  # type: ignore[arg-type]
    assert np.array_equal(hs.to_bits(machine.weight_gradient(x, w)), hs.to_bits(expected))
    assert np.array_equal(hs.to_bits(machine.data_gradient(x, w)), hs.to_bits(expected))


def counts(ledger: Ledger, kind: str) -> dict[str, int]:
    ledger.end()
    return ledger.as_dict()["layers"][""][kind]  # type: ignore[no-any-return]


def flushed(ledger: Ledger, kind: str) -> tuple[int, int]:
    """Numbers that are not zero, and those of them that were stored as zero."""
    found = counts(ledger, kind)
    return found["elements"] - found["zero"], found["flushed"]


def test_every_product_has_its_own_accumulator() -> None:
    x, w = np.ones((1, 4096), np.float16), np.ones((4096, 1), np.float16)
    machine = Machine(Policy(name="x", weight_gradient=FP16))
    assert machine.forward(x, w, np.zeros(1, np.float16)).item() == 4096
    assert machine.data_gradient(x, w).item() == 4096
    assert machine.weight_gradient(x, w).item() == 2048


def test_bias_gradients_follow_the_reductions() -> None:
    g = np.ones((4096, 2), np.float16)
    assert Machine(named("mixed")).bias_gradient(g).tolist() == [4096, 4096]
    assert Machine(named("binary16-pure")).bias_gradient(g).tolist() == [2048, 2048]
    assert Machine(named("binary32")).bias_gradient(g.astype(np.float32)).tolist() == [4096, 4096]


def test_what_storing_flushes_is_counted() -> None:
    ledger = Ledger()
    machine = Machine(named("mixed"), ledger)
    values = np.float32([0, 2**-25, 2**-25 * 1.001, -(2**-30), 1e6, 1])
    stored = machine.gradient("weight gradient", machine.bias, lambda r: r.convert(values))
    assert stored.tolist() == [0, 0, 2**-24, 0, np.inf, 1]
    assert counts(ledger, "weight gradient") == {
        "elements": 6,
        "zero": 1,
        "flushed": 2,
        "subnormal": 1,
        "overflowed": 1,
        "nan": 0,
    }
    assert ledger.as_dict()["gradients_flushed"] == 0.4
    assert ledger.as_dict()["gradients_overflowed"] == 0.2


def test_what_a_binary16_accumulator_flushes_is_counted() -> None:
    ledger = Ledger()
    machine = Machine(named("mixed").accumulating(FP16, "x"), ledger)
    # Two products of 2^-26 each: a binary16 accumulator loses both, a binary32 one has 2^-25.
    assert machine.weight_gradient(np.full((1, 2), 2**-13, np.float16), np.full((2, 1), 2**-13, np.float16)).item() == 0
    assert counts(ledger, "weight gradient")["flushed"] == 1


def test_the_error_of_an_accumulator_is_measured() -> None:
    ledger = Ledger()
    Machine(named("mixed").accumulating(FP16, "x"), ledger).weight_gradient(
        np.ones((1, 4096), np.float16), np.ones((4096, 1), np.float16)
    )
    assert ledger.as_dict()["gradient_error"] == 0.5


@pytest.mark.parametrize("reductions", [hs.BINARY32, hs.BINARY16], ids=["binary32", "binary16"])
def test_binary16_reductions_hide_no_flushed_gradient(reductions: hs.Format) -> None:
    machine = Machine(named("mixed").reducing(reductions, "x"))
    tape = Tape(machine)
    # p = 1.2e-4, p / 40000 = 2^-28: zero in binary16, wherever it is computed.
    z = tape.parameter(np.full((4000, 10), -9, np.float16))
    loss = nn.sigmoid_cross_entropy(tape, z, np.zeros((4000, 10), np.bool_))
    tape.backward(loss, machine.loss.number(1))
    assert flushed(machine.ledger, "activation gradient") == (40000, 40000)
    # exp(-20) = 2^-28.9 is zero in binary16 already.
    machine = Machine(named("mixed").reducing(reductions, "x"))
    tape = Tape(machine)
    z = tape.parameter(np.float16([[0, -20], [0, -20]]))
    loss = nn.softmax_cross_entropy(tape, z, np.array([1, 1]))
    tape.backward(loss, machine.loss.number(1))
    assert flushed(machine.ledger, "activation gradient") == (4, 0)
    tape = Tape(machine)
    loss = nn.softmax_cross_entropy(tape, z, np.array([0, 0]))
    tape.backward(loss, machine.loss.number(1))
    assert flushed(machine.ledger, "activation gradient") == (6, 2)  # p - 1 is 0 even in binary32


def test_binary16_bias_sums_hide_no_overflow() -> None:
    machine = Machine(named("binary16-pure"))
    g = np.float16([[60000, 2**-24], [-60000, 2**-24], [60000, 1]])
    assert machine.bias_gradient(g).tolist() == [60000, 1]
    g = np.float16([[2048], [1], [1], [-2048]])
    assert machine.bias_gradient(g).tolist() == [0]
    assert flushed(machine.ledger, "weight gradient") == (3, 1)


@pytest.mark.parametrize("policy", ["mixed", "binary32"])
def test_additions_are_watched_in_all_products_of_a_stack(policy: str) -> None:
    machine = Machine(named(policy).accumulating(FP16, "x") if policy == "mixed" else named(policy))
    size = 2048 if policy == "mixed" else 2**24
    # Ones after a number that swallows them: in the second product of the stack alone.
    a = machine.activations.convert(np.ones((2, 3, 9), np.float32))
    b = machine.activations.convert(np.zeros((2, 9, 4), np.float32))
    b[1], b[1, 0] = 1, size
    machine.layer = "attention"
    machine.forward(a, b)
    machine.data_gradient(np.ascontiguousarray(a.swapaxes(1, 2)).swapaxes(1, 2), b)
    machine.ledger.end()
    # Of sixteen watched elements half are in the second product, of nine additions each.
    found = machine.ledger.as_dict()["swallowed_by_layer"]["attention"]
    assert found == {"forward": [8 * 8, 8 * 9], "data_gradient": [8 * 8, 8 * 9]}


STOCHASTIC = Sequential(format=hs.BINARY16, rounding=Stochastic(bits=16, seed=1, offset=3))


def test_stochastic_sums_draw_new_words_for_every_product_and_run() -> None:
    x, w, b = binary16(4, 64), binary16(64, 5), binary16(5)
    policy = named("mixed").accumulating(STOCHASTIC, "x")
    results = []
    for seed, stream in ((0, 0), (0, 0), (1, 0), (0, 1)):
        machine = Machine(policy, None, seed, stream)
        results.append([machine.forward(x, w, b).tobytes() for _ in range(20)])
    assert results[0] == results[1]
    assert len({result for run in results for result in run}) == 60


def test_which_words_a_stochastic_sum_draws() -> None:
    x, w = binary16(9, 30), binary16(30, 4)
    machine = Machine(named("mixed").accumulating(STOCHASTIC, "x"), None, 7)
    key = int(np.random.Philox(key=np.array([1, 7], np.uint64)).random_raw())
    products = (machine.weight_gradient, machine.data_gradient, lambda x, w: machine.forward(x, w, np.zeros(4, "f2")))
    for call, product in enumerate(products):
        fresh = replace(STOCHASTIC, rounding=Stochastic(bits=16, seed=key, offset=3 + 36 * call))
        assert np.array_equal(product(x, w), hs.matmul(x, w, accumulator=fresh))


def test_stochastic_sums_are_watched_with_the_words_they_drew() -> None:
    # Sixteen elements: all are watched. The second product, whose words are not those of the accumulator as given.
    x, w = np.abs(binary16(2, 300)), np.full((300, 8), 2**-6, np.float16)
    machine = Machine(named("mixed").accumulating(STOCHASTIC, "x"), None, 7)
    machine.forward(x, w, np.zeros(8, np.float16))
    machine.ledger.end()
    before = machine.ledger.as_dict()["swallowed_by_layer"][""]["forward"]
    machine.forward(x, w, np.zeros(8, np.float16))
    after = machine.ledger.as_dict()["swallowed_by_layer"][""]["forward"]

    def lost(call: int) -> int:
        key = int(np.random.Philox(key=np.array([1, 7], np.uint64)).random_raw())
        fresh = replace(STOCHASTIC, rounding=Stochastic(bits=16, seed=key, offset=3 + 16 * call))
        sums = [np.zeros((2, 8)), *(hs.matmul(x[:, :k], w[:k], accumulator=fresh) for k in range(1, 301))]
        return sum(int((a == b).sum()) for a, b in pairwise(sums))

    assert before == [lost(0), 300 * 16]
    assert after == [lost(0) + lost(1), 2 * 300 * 16]
    assert lost(0) != lost(1)


@pytest.mark.parametrize("norm", ["batch", "layer"])
@pytest.mark.parametrize(("size", "tensor"), [(40.0, "variance"), (1500.0, "mean")])
def test_statistics_that_overflow_are_named_although_the_output_hides_it(norm: str, size: float, tensor: str) -> None:
    """Sixty-four squares of 40 exceed binary16, and 1 / sqrt(infinity) is zero: the layer returns its shift."""
    policy = replace(named("mixed"), batch_norm=hs.Pairwise(format=hs.BINARY16))
    machine = Machine(policy)
    tape = Tape(machine)
    signs = np.ones(64) if tensor == "mean" else (-1.0) ** np.arange(64)
    x = tape.parameter((size * signs.reshape((64, 1) if norm == "batch" else (1, 64))).astype(np.float16))
    channels = x.value.shape[1]
    gain, shift = tape.parameter(np.ones(channels, np.float16)), tape.parameter(np.ones(channels, np.float16))
    with np.errstate(all="ignore"), tape.layer("norm"):
        y = nn.batch_norm(tape, x, gain, shift, "norm") if norm == "batch" else nn.layer_norm(tape, x, gain, shift)
    assert machine.ledger.first == {"layer": "norm", "tensor": tensor, "step": 0}
    if tensor == "variance":
        assert (y.value == 1).all()


@pytest.mark.parametrize("kind", ["softmax", "sigmoid"])
def test_a_loss_that_overflows_is_named(kind: str) -> None:
    machine = Machine(replace(named("mixed"), loss=hs.BINARY16))
    tape = Tape(machine)
    z = tape.parameter(np.full((4, 2), 30000, np.float16) * np.float16([1, -1]))
    with np.errstate(all="ignore"), tape.layer("loss"):
        if kind == "softmax":
            value = nn.softmax_cross_entropy(tape, z, np.ones(4, np.int64))
        else:
            value = nn.sigmoid_cross_entropy(tape, z, np.tile([False, True], (4, 1)))
    assert np.isinf(value.value)
    assert machine.ledger.first == {"layer": "loss", "tensor": "value", "step": 0}


@pytest.mark.parametrize(("policy", "times"), [("mixed", 1), ("binary32", 1), ("binary16-pure", 2)])
def test_what_is_computed_in_binary32_is_not_computed_again(policy: str, times: int) -> None:
    machine, asked = Machine(named(policy), Ledger()), []
    machine.ledger.begin(0)
    machine.value(machine.softmax, lambda a: asked.append(a) or a.exp(a.convert(np.zeros(3, np.float16))))
    assert len(asked) == times
