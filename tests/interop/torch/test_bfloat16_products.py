"""Products of bfloat16 tensors take their patterns and keep their weights: no bit and no count is another."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
ml_dtypes = pytest.importorskip("ml_dtypes")

import halfsim as hs  # noqa: E402
import halfsim.torch  # noqa: E402
from halfsim.interop.torch.bfloat16 import BFloat16Machine  # noqa: E402
from halfsim.interop.torch.machines import Machines  # noqa: E402
from halfsim.interop.torch.report import Report  # noqa: E402
from halfsim.interop.torch.steady import Steady  # noqa: E402
from halfsim.interop.torch.tensors import array_of, numbers_of, tensor_of, words_of  # noqa: E402
from halfsim.policy import named  # noqa: E402

F, BF = torch.nn.functional, torch.bfloat16
EVERY = np.arange(1 << 16, dtype=np.uint16)
UNITS = ["h100:f32", "a100:f32"]
MIXED, WIDE = named("mixed"), hs.Sequential(format=hs.BINARY32)
POLICIES = {
    **dict.fromkeys(["mixed", *UNITS]),
    # The loop leaves these to the core, or decodes by itself.
    **dict.fromkeys(["mi100:f32", "mi250x:f32", "mi300x:f32"]),
    "forward alone": replace(MIXED, forward=hs.tensorcores.row("h100", "f32")),
    "a gradient alone": replace(MIXED, data_gradient=hs.tensorcores.row("a100", "f32")),
    "wide gradients": replace(
        MIXED.accumulating("h100:f32", "own"), gradients=hs.BINARY32, data_gradient=WIDE, weight_gradient=WIDE
    ),
}


def drawn(*shape, seed=0, scale=1.0):
    return (torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * scale).to(BF)


def words(tensor):
    return tensor.detach().contiguous().view({2: torch.int16, 4: torch.int32}[tensor.element_size()]).numpy()


def spiced(tensor, seed=0):
    """Put infinities, NaNs with payloads, signaling ones, subnormals and the largest number among others."""
    patterns = np.uint16([0x7F80, 0xFF80, 0x7F81, 0xFFC1, 0x0001, 0x8000, 0x7F7F, 0x0080, 0x007F])
    places = np.random.default_rng(seed).choice(tensor.numel(), patterns.size, replace=False)
    tensor.detach().reshape(-1).view(torch.int16)[torch.from_numpy(places)] = torch.from_numpy(patterns.view(np.int16))
    return tensor


def layer(inputs=96, outputs=80, **options):
    made = torch.nn.Linear(inputs, outputs, **options).to(BF)
    with torch.no_grad():
        made.weight.copy_(drawn(outputs, inputs, seed=5, scale=0.1))
        made.weight[0], made.weight[1], made.weight[2] = 0, 3e38, 1e-40
        if made.bias is not None:
            made.bias.copy_(drawn(outputs, seed=6))
    return made


# Every pattern is read and written as it is.


@pytest.mark.parametrize("shape", [(1 << 16,), (256, 256), (64, 4, 256)])
def test_patterns_are_read_and_written(shape):
    memory = EVERY.reshape(shape)
    tensor = torch.from_numpy(memory.view(np.int16).copy()).view(BF)
    wide = (memory.astype(np.uint32) << np.uint32(16)).view(np.float32)
    for way in (lambda x: x, lambda x: x.swapaxes(0, -1), lambda x: x[::3], lambda x: x[..., 1:]):
        given, expected = way(tensor), way(wide)
        assert np.array_equal(words_of(given), expected.view(np.uint32) >> 16)
        for numbers in (array_of(given), numbers_of(words_of(given))):
            assert np.array_equal(numbers.view(np.uint32), expected.view(np.uint32))
        written = tensor_of(expected, BF)
        assert written.is_contiguous()
        assert np.array_equal(words_of(written), expected.view(np.uint32) >> 16)


def test_numbers_are_rounded_to_bfloat16():
    """Every bfloat16 number and what lies between it and the next; NaNs as the front door has them."""
    machine = Machines(Report(count=0), 0).of(MIXED, "bfloat16")
    below = np.uint32([0, 1, 0x7FFF, 0x8000, 0x8001, 0xFFFF])
    numbers = ((EVERY.astype(np.uint32) << np.uint32(16)) | below[:, None]).view(np.float32)
    with np.errstate(invalid="ignore"):
        expected = numbers.astype(ml_dtypes.bfloat16).astype(np.float32)
    nan = np.isnan(numbers)
    for given, wanted in ((numbers, expected), (numbers.T, expected.T), (numbers[:, ::5], expected[:, ::5])):
        found = machine.activations.convert(given)
        assert found.dtype == np.float32
        assert np.array_equal(found, wanted, equal_nan=True)
        assert np.array_equal(np.signbit(found), np.signbit(given))
    found = machine.activations.convert(numbers)
    assert np.array_equal(found[nan].view(np.uint32), hs.convert(numbers[nan], hs.BFLOAT16).view(np.uint32))


# The general way: numbers in float32, by the front door, and no weight kept.


def outcomes(prepare, policy, monkeypatch, **options):
    """Return the results, and the report, of what is prepared outside of the simulation, by words and in general."""
    found = []
    for general in (False, True):
        if general:
            monkeypatch.setattr(BFloat16Machine, "takes_words", lambda *_: False)
            monkeypatch.setattr(Steady, "find", lambda *_: None)
        run = prepare()
        with halfsim.torch.simulate(POLICIES[policy] or policy, **options) as report:
            results = run()
        found.append(([words(x) for x in results], [x.stride() for x in results], report.as_dict()))
    return found


def agree(one, other):
    assert all(np.array_equal(*pair) for pair in zip(one[0], other[0], strict=True))
    assert one[1:] == other[1:]


@pytest.mark.parametrize("special", [False, True])
@pytest.mark.parametrize(
    ("policy", "options"),
    [*((name, {}) for name in POLICIES), *(("h100:f32", x) for x in ({"rows": 1}, {"count": 3}, {"count": False}))],
)
def test_layers_that_stay_the_same(policy, options, special, used, monkeypatch):
    first, last = layer(), layer(80, 80, bias=False)
    inputs = [drawn(rows, 96, seed=rows) for rows in (33, 1, 64, 33)]
    if special:
        for each in (first.weight, first.bias, last.weight, inputs[0], inputs[3]):
            spiced(each)

    @torch.no_grad()
    def run():
        return [last(torch.relu(first(x))) for x in inputs]

    agree(*outcomes(lambda: run, policy, monkeypatch, **options))
    # Sums that decode nothing keep numbers in float32; a loop that is no unit's keeps nothing.
    assert used == [False, False, *[policy != "mi250x:f32"] * 6]


@pytest.mark.parametrize("special", [False, True])
@pytest.mark.parametrize("policy", POLICIES)
def test_passes_of_a_training(policy, special, monkeypatch):
    def prepare():
        first, last, upstream = layer(), layer(80, 12, bias=False), drawn(64, 12, seed=9)
        inputs = [drawn(64, 96, seed=step) for step in range(3)]
        for step, x in enumerate(inputs):
            (spiced(x, step) if special else x).requires_grad_()

        def run():
            results = []
            for step, x in enumerate(inputs):
                y = last(torch.relu(first(x)))
                y.backward(upstream)
                gradients = (x.grad, first.weight.grad, first.bias.grad, last.weight.grad)
                results += [y, *(each.clone() for each in gradients)]
                with torch.no_grad():
                    first.weight[5, step] = 1.5
            return results

        return run

    agree(*outcomes(prepare, policy, monkeypatch))


def products():
    """Return products of all orders in memory, of vectors, stacks and nothing."""
    a, b, s, t, many = (drawn(*n) for n in ((40, 50), (50, 60), (3, 20, 30), (3, 30, 40), (90, 50)))
    turned, stacked, sliced = b.t().contiguous().t(), t.mT.contiguous().mT, drawn(100, 120, seed=4)[::2, ::2]
    start, added, stack = spiced(drawn(60, seed=5)), drawn(40, 60, seed=6), drawn(3, 20, 40, seed=7)

    def run():
        return [
            *(a @ each for each in (b, turned, sliced, b[:, :3], turned[:, :1], b[:, :0])),
            *(torch.bmm(s, each) for each in (t, stacked)),
            s @ t[0],
            torch.mv(a, b[:, 0]),
            torch.dot(a[0], b[:, 0]),
            torch.addmm(start, a, b),
            torch.addmm(start, a[:, :0], b[:0]),
            torch.addmm(added, a, b, beta=0.5, alpha=2.0),
            torch.baddbmm(stack, s, t),
            *(torch.einsum("ij,kj->ik", each, many) for each in (a, a[:0])),
        ]

    return run


@pytest.mark.parametrize("policy", POLICIES)
def test_other_products(policy, monkeypatch):
    agree(*outcomes(products, policy, monkeypatch))


@pytest.mark.parametrize("policy", UNITS)
def test_one_memory_as_it_is_and_transposed(policy, used):
    weight, x = torch.nn.Parameter(drawn(80, 80, seed=4)), drawn(16, 80, seed=6)
    found = []
    with torch.no_grad(), halfsim.torch.simulate(policy):
        found.extend((x @ weight, F.linear(x, weight)) for _ in range(4))
    for plain, turned in found:
        for y, b in ((plain, weight), (turned, weight.t())):
            assert np.array_equal(words(y), words(expected(x, b, policy)))
    assert used == [False] * 2 + [True] * 6


def expected(x, b, policy, start=None):
    """What `halfsim.matmul` sums of numbers in float32, rounded by other code."""
    sums = hs.matmul(
        *(each.detach().float().numpy() for each in (x, b)),
        None if start is None else start.detach().float().numpy(),
        accumulator=f"{policy}:bf16" if policy.count(":") == 1 else policy,
    )
    with np.errstate(invalid="ignore"):
        return torch.from_numpy(sums.astype(ml_dtypes.bfloat16).view(np.int16)).view(BF)


def fill(module, value):
    with torch.no_grad():
        module.weight[5, 7] = value


def through_memory(module, value):
    module.weight.detach().view(torch.int16).numpy()[5, 7] = words(torch.tensor([value], dtype=BF))[0]


def other_parameter(module, value):
    made = module.weight.data.clone()
    made[5, 7] = value
    module.weight = torch.nn.Parameter(made)


@pytest.mark.parametrize("write", [fill, through_memory, other_parameter])
@pytest.mark.parametrize("value", [1.0, np.inf, np.nan, -0.0, 1e-40])
@pytest.mark.parametrize("policy", UNITS)
def test_whatever_is_written_is_computed_with(policy, value, write, used):
    module, x = layer(), drawn(16, 96, seed=9)
    fill(module, 0.0)
    with torch.no_grad(), halfsim.torch.simulate(policy):
        for _ in range(3):
            module(x)
        write(module, value)
        found = [module(x) for _ in range(3)]
    assert used[:3] == [False, True, True]
    wanted = expected(x, module.weight.t(), policy, module.bias)
    for y in found:
        assert np.array_equal(y.float().numpy(), wanted.float().numpy(), equal_nan=True)


def test_numbers_in_float32_are_no_patterns(used):
    """Of a model that PyTorch widened, the products are those of the same machine."""
    module, x = layer(), drawn(16, 96, seed=9)
    with torch.no_grad(), halfsim.torch.simulate("h100:f32"):
        narrow = [module(x) for _ in range(3)]
        wide = [F.linear(x.float(), module.weight.float(), module.bias.float()) for _ in range(3)]
    for one, other in zip(narrow, wide, strict=True):
        assert np.array_equal(array_of(one), array_of(other), equal_nan=True)
    assert used == [False, True, True]
