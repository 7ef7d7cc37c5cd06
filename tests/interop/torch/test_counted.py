"""Every result that loses something is counted, those that are kept and constants that are selected too."""

from __future__ import annotations

import gc
import math
import weakref
from dataclasses import replace

import numpy as np
import pytest

import halfsim as hs
from halfsim.policy import named

torch = pytest.importorskip("torch")

import halfsim.torch  # noqa: E402
from halfsim.interop.torch import tally  # noqa: E402
from halfsim.interop.torch.report import Report  # noqa: E402
from halfsim.interop.torch.tally import Tally  # noqa: E402

F = torch.nn.functional
PURE = named("binary16-pure")
MASK = torch.tensor([[True, False]])


# Constants among selected numbers.


@pytest.mark.parametrize(
    ("compute", "operator"),
    [
        (lambda x: x.masked_fill(MASK, -1e9), "masked_fill"),
        (lambda x: x.masked_fill_(MASK, 1e9), "masked_fill"),
        (lambda x: torch.where(MASK, 1e5, x), "where"),
        (lambda x: F.pad(x, (0, 1), value=7e4), "constant_pad_nd"),
    ],
)
def test_a_constant_that_overflows(compute, operator):
    with hs.torch.simulate("mixed") as report:
        result = compute(torch.ones(1, 2))
    assert result.isinf().sum() == 1
    counts = report.modules[""]
    assert (counts.inexact, counts.overflow) == (1, 1)
    assert report.first["operator"] == operator


def test_an_infinity_that_was_written_down():
    with hs.torch.simulate("mixed") as report:
        for x in (torch.ones(1, 2), torch.ones(1, 2, dtype=torch.float16)):
            x.masked_fill(MASK, -math.inf)
        torch.where(MASK, torch.tensor(math.inf), torch.full((1, 2), 0.5)).clamp(max=math.inf)
    assert report.first is None
    assert sum(each.overflow for each in report.modules.values()) == 0


def test_a_constant_in_a_narrow_tensor():
    """It is rounded as the policy says, and what that lost is counted."""
    up = replace(named("mixed"), name="up", rounding="rup")
    x = torch.ones(1, 2, dtype=torch.float16)
    with hs.torch.simulate(up) as report:
        y = F.pad(x, (0, 1), value=1 + 2.0**-12)
    assert y.tolist() == [[1.0, 1.0, 1 + 2.0**-10]]
    assert report.modules[""].inexact == 1


# Results that are kept.


def test_losses_are_counted():
    x = torch.tensor([[1.0, 2.0**-11, 2.0**-11]])
    with hs.torch.simulate(PURE) as report:
        assert x.sum() == 1
    assert (report.modules[""].elements, report.modules[""].inexact) == (1, 1)
    with hs.torch.simulate("mixed") as report:
        assert x.sum() == 1 + 2.0**-10
    assert (report.modules[""].elements, report.modules[""].inexact) == (1, 0)


def test_every_kind_of_kept_result():
    x, labels = torch.randn(6, 5, generator=torch.Generator().manual_seed(0)).half().float(), torch.tensor([0, 1] * 3)
    weight = torch.tensor([1.0, 3.3, 1.0, 1.0, 1.0]).half().float()
    with hs.torch.simulate("mixed"):
        wide = x.sum(), F.log_softmax(x, 1), F.mse_loss(x, -x), F.nll_loss(x, labels, weight)
    with hs.torch.simulate(PURE) as report:
        pure = x.sum(), F.log_softmax(x, 1), F.mse_loss(x, -x), F.nll_loss(x, labels, weight)
    counts = report.modules[""]
    # The negation is exact; the weight of all labels is a result beside the last loss.
    assert counts.elements == 1 + 30 + 1 + 2
    differ = sum(int((a != b).sum()) for a, b in zip(wide, pure, strict=True))
    total = np.float32(0)
    for each in weight[labels].numpy():
        total += each
    assert counts.inexact == differ + int(np.float32(np.float16(total)) != total)


def test_a_kept_result_in_a_narrow_tensor():
    """The sum is one of binary32, and the float16 tensor that it is put in cannot hold it."""
    with hs.torch.simulate("mixed") as report:
        y = torch.full((2,), 6e4, dtype=torch.float16).sum()
    assert y.isinf()
    assert report.modules[""].overflow == 1
    assert report.first["operator"] == "sum"


def test_a_narrow_tensor_under_a_wide_policy():
    x = torch.tensor([1.0, 6e4], dtype=torch.float16)
    with hs.torch.simulate("binary32") as report:
        y = x + torch.tensor([2.0**-11, 6e4], dtype=torch.float16)
        x[None, :1] @ x[None, 1:]
    assert y.tolist() == [1.0, float("inf")]
    counts = report.modules[""]
    assert (counts.elements, counts.inexact, counts.overflow) == (3, 2, 1)
    assert report.first["operator"] == "add"


# Bfloat16 numbers, which lie in float32 while they are computed.


def lost(exact, found):
    """How many numbers of float64 are not those found, and how many of them are zeros there."""
    exact, found = exact.double(), found.double()
    return int((exact != found).sum()), int(((exact != 0) & (found == 0)).sum())


BRAINS = {
    "add": lambda x, y: x + y,
    "sub": lambda x, y: x - y,
    "mul": lambda x, y: x * y,
    "div": lambda x, y: x / y,
    "sqrt": lambda x, y: x.abs().sqrt(),
    "exp": lambda x, y: x.exp(),
    "tanh": lambda x, y: x.tanh(),
    "gelu": lambda x, y: F.gelu(x),
    "silu": lambda x, y: F.silu(x),
    "addcmul": lambda x, y: torch.addcmul(x, x, y),
}


@pytest.mark.parametrize("wide", [False, True], ids=["bfloat16", "float32"])
@pytest.mark.parametrize("operator", BRAINS)
@pytest.mark.parametrize("policy", ["mixed", "binary16-pure"])
def test_elementwise_operations_on_bfloat16_are_compared_with_binary32(policy, operator, wide):
    """As PyTorch computes in float32; its functions may be an ulp off, which no difference from bfloat16 hangs on."""
    draw = torch.Generator().manual_seed(8)
    x, y = (torch.randn(512, generator=draw).bfloat16() for _ in range(2))
    exact = BRAINS[operator](x.float(), y.float())
    with hs.torch.simulate(policy) as report:
        found = BRAINS[operator](x.float(), y.float()) if wide else BRAINS[operator](x, y)
    counts = report.modules[""]
    expected, flushed = lost(exact, found)
    assert expected > 200
    assert abs(counts.inexact - expected) <= (operator in ("exp", "tanh", "gelu", "silu"))
    assert (counts.flushed, counts.overflow, counts.invalid) == (flushed, 0, 0)


def test_a_bfloat16_product_that_is_flushed():
    x, y = torch.full((3,), 1e-20).bfloat16(), torch.full((3,), 4e-21).bfloat16()
    with hs.torch.simulate("mixed") as report:
        z = x * y
    assert z.tolist() == [0.0] * 3
    counts = report.modules[""]
    assert (counts.elements, counts.inexact, counts.underflow, counts.flushed) == (3, 3, 3, 3)


def test_a_bfloat16_sum_that_overflows():
    x = torch.full((2,), torch.finfo(torch.bfloat16).max, dtype=torch.bfloat16)
    y = torch.full((2,), 1.2e36).bfloat16()
    with hs.torch.simulate("mixed") as report:
        # Binary32 has room above it.
        z = x + y
    assert z.isinf().all()
    assert (report.modules[""].inexact, report.modules[""].overflow) == (2, 2)
    assert report.first["operator"] == "add"


def test_the_gradient_of_bfloat16_numbers_is_compared_too():
    x = torch.randn(256, generator=torch.Generator().manual_seed(9)).bfloat16().requires_grad_()
    with hs.torch.simulate("mixed") as report:
        y = x * 0.7109375
        before = report.modules[""].inexact
        y.backward(torch.full((256,), 1.0078125).bfloat16())
    assert lost((x * 0.7109375).detach(), (x.detach().double() * 0.7109375))[0] == before
    assert report.modules[""].inexact == before + 256 * (float(x.grad[0]) != 1.0078125 * 0.7109375)


# Targets narrower than a result.


@pytest.mark.parametrize("out", [False, True])
def test_a_narrow_target_is_rounded_as_the_policy_says(out):
    wide = replace(named("binary32"), name="up", rounding="rup")
    x, y = torch.ones(2, dtype=torch.float16), torch.full((2,), 2.0**-20)
    for policy, expected in (("binary32", 1.0), (wide, 1 + 2.0**-10)):
        with hs.torch.simulate(policy) as report:
            result = torch.add(x.float(), y, out=torch.zeros(2).half()) if out else x.clone().add_(y)
        assert result.dtype == torch.float16
        assert result.tolist() == [expected] * 2
        assert report.modules[""].inexact == 2


# Stochastic sums.


def test_swallowed_additions_are_those_of_the_words_that_were_drawn():
    row = hs.Sequential(format=hs.BINARY16, rounding=hs.Stochastic(bits=13, seed=5))
    policy = named("mixed").accumulating(row, "stochastic")
    a = torch.ones(1, 3000, dtype=torch.float16)
    found = []
    for seed in (3, 4):
        with hs.torch.simulate(policy, seed=seed) as report:
            y = a @ a.T
        counts = report.modules[""]
        # Up to 2048 every addition is exact; then each adds 2 or nothing.
        grown = (y.item() - 2048) / 2
        assert counts.additions == 3000
        assert counts.swallowed == 3000 - 2048 - grown
        found.append(counts.swallowed)
    assert found[0] != found[1]


# Samples of rows.


def product(scale, size=64, odd=True, bias=False, **options):
    """Return the counts of three products of so many rows, and those of comparing each by hand."""
    rng = np.random.default_rng(11)
    a, b = (rng.normal(size=shape).astype(np.float16) for shape in ((size, 48), (48, 80)))
    a *= np.float16(scale)
    if odd:
        # A row of zeros, one that overflows.
        a[5], a[6] = 0, 60000
    c = rng.normal(size=80).astype(np.float16) * np.float16(scale if bias else 0)
    x, y, z = torch.from_numpy(a), torch.from_numpy(b), torch.from_numpy(c)
    with hs.torch.simulate("h100:f16", **options) as report:
        for _ in range(3):
            torch.addmm(z, x, y) if bias else x @ y
    exact = hs.matmul(a, b, c)
    stored = hs.matmul(a, b, c, accumulator="h100:f16").astype(np.float32)
    return report, exact, stored


def compared(strange, number, rows):
    """Return which results of a product are compared, of which some are out of the ordinary."""
    step = max(d for d in range(1, max(1, len(strange) // 64) + 1) if rows % d == 0)
    chosen = np.zeros(len(strange), bool)
    if tally._is_turn(number, rows // step):
        chosen[tally._scattered(number, tally._ROWS) % step :: step] = True
    beside = strange & ~chosen[:, None]
    if np.count_nonzero(beside) > 32:
        chosen |= beside.any(axis=1)
    return chosen[:, None] | beside


@pytest.mark.parametrize("scale", [1.0, 0.01, 1e-4, 3e3])
@pytest.mark.parametrize("size", [63, 64, 200, 260])
@pytest.mark.parametrize("rows", [1, 2, 4, 100])
@pytest.mark.parametrize(("odd", "bias"), [(True, False), (False, False), (False, True)])
def test_what_rows_leave_out_could_only_be_inexact(scale, size, rows, odd, bias):
    report, exact, stored = product(scale, size, odd, bias, rows=rows)
    counts, differs, magnitude = report.modules[""], exact != stored, np.abs(stored)
    beyond = np.isinf(stored) & np.isfinite(exact)
    assert counts.overflow == 3 * np.count_nonzero(beyond)
    assert counts.underflow == 3 * np.count_nonzero(differs & (magnitude < 2.0**-14))
    assert counts.flushed == 3 * np.count_nonzero(differs & (stored == 0))
    assert counts.invalid == 3 * np.count_nonzero(np.isnan(stored) & ~np.isnan(exact))
    assert counts.elements + counts.uncounted == 3 * stored.size
    strange = (magnitude < 2.0**-14) | ~(magnitude < 65504)
    chosen = [compared(strange, number, rows) for number in range(3)]
    assert counts.inexact == sum(np.count_nonzero((differs & ~np.isnan(stored))[each]) for each in chosen)
    assert counts.uncounted == sum(np.count_nonzero(~each) for each in chosen)
    assert report.as_dict()["rows"] == rows
    assert (f"as rows={rows} compares one row in {rows}" in str(report)) == (counts.uncounted > 0)
    if rows == 1:
        assert counts.uncounted == 0


def test_few_results_out_of_the_ordinary_are_compared_by_themselves():
    # The sample that the last two products have: subnormal results alone.
    report, _, stored = product(0.01, odd=False, rows=4)
    small = np.count_nonzero(np.abs(stored) < 2.0**-14)
    assert 0 < small < 32
    assert report.modules[""].elements == stored.size + 2 * small


def test_rows_are_sampled_unless_all_are_asked_for():
    assert product(1.0)[0].modules[""].uncounted > 0
    assert product(1.0, rows=1)[0].modules[""].uncounted == 0
    with (
        pytest.raises(ValueError, match="simulate: rows=0 must be an integer from 1"),
        hs.torch.simulate("mixed", rows=0),
    ):
        pass
    # An error has left nothing switched.
    with hs.torch.simulate("mixed"):
        pass


@pytest.mark.parametrize("count", [1, 3, 8])
@pytest.mark.parametrize("rows", [64, 128, 200, 256, 320, 512, 1024])
def test_no_product_and_no_rows_of_a_module_are_passed_over_for_ever(rows, count):
    calls, asked = 3000, 8
    for products in (1, 2, 3, 4, 6, 8, 16, 32):
        report = Report(count=count, rows=asked)
        book, stored = Tally(report, 2.0**-14), np.ones((rows, 16), np.float16)
        seen = np.zeros((products, rows))
        for number in range(calls):
            due, _, at = book.watches("", "forward")
            if due:
                chosen = book.sample(stored, at)
                seen[number % products, slice(None) if chosen is None else chosen] += 1
        # By classes of rows that could be left out together.
        classes = np.stack([seen[:, k::8].mean(axis=1) for k in range(8)])
        expected = calls / products / count / asked
        if expected > 8:
            assert classes.min() > 0.25 * expected
            assert classes.max() < 3 * expected
        assert seen.sum() / rows == pytest.approx(calls / count / asked, rel=0.15)


@pytest.mark.parametrize("asked", [1, 2, 5, 8, 12, 100])
def test_one_row_in_so_many_is_compared_whatever_their_number(asked):
    for rows in (64, 127, 128, 192, 200, 320, 384, 448, 512, 600):
        report = Report(count=1, rows=asked)
        book, stored = Tally(report, 2.0**-14), np.ones((rows, 16), np.float16)
        share = 0
        for number in range(2400):
            chosen = book.sample(stored, number)
            share += rows if chosen is None else len(range(rows)[chosen])
        assert share / 2400 / rows == pytest.approx(1 / asked, rel=0.12)


@pytest.mark.parametrize("fmt", [hs.E5M2, hs.BFLOAT16, hs.TF32])
def test_accumulators_of_other_formats_are_compared_with_binary32_sums(fmt):
    policy = named("mixed").accumulating(hs.Sequential(format=fmt), "other")
    rng = np.random.default_rng(3)
    a, b = (rng.normal(0, 40, shape).astype(np.float16) for shape in ((70, 40), (40, 50)))
    with hs.torch.simulate(policy) as report:
        y = torch.from_numpy(a) @ torch.from_numpy(b)
    exact, stored = hs.matmul(a, b), y.numpy().astype(np.float32)
    counts, nan = report.modules[""], np.isnan(stored)
    assert (counts.elements, counts.uncounted) == (stored.size, 0)
    assert counts.inexact == np.count_nonzero((exact != stored) & ~nan) > 0
    assert counts.overflow == np.count_nonzero(np.isinf(stored) & np.isfinite(exact))
    assert counts.invalid == np.count_nonzero(nan)


@pytest.mark.parametrize("policy", ["accumulator", "pure"])
def test_stochastic_products_without_terms_are_zeros(policy):
    drawn = hs.Stochastic(bits=8, seed=3)
    row = hs.Sequential(format=hs.BINARY16, rounding=drawn)
    policy = (
        named("mixed").accumulating(row, "s") if policy == "accumulator" else named("binary16-pure").rounded(drawn, "s")
    )
    layer = torch.nn.Linear(5, 4)
    with hs.torch.simulate(policy):
        assert (torch.ones(3, 0) @ torch.ones(0, 4)).tolist() == [[0.0] * 4] * 3
        layer(torch.ones(0, 5)).sum().backward()
    assert not layer.weight.grad.any()


def added(x):
    return torch.full((3, 4), 0.1).index_add(0, torch.tensor([0, 1]), x[:2, :4])


LAYERS = {
    "layer norm": lambda: torch.nn.LayerNorm(16),
    "batch norm": lambda: torch.nn.BatchNorm1d(16),
    "evaluated": lambda: torch.nn.BatchNorm1d(16).eval(),
    "group norm": lambda: torch.nn.GroupNorm(4, 16),
    "index_add": lambda: added,
}


@pytest.mark.parametrize("name", LAYERS)
def test_whether_losses_are_counted_changes_no_bit_and_operands_are_rounded_once(name):
    stochastic = named("binary16-pure").rounded(hs.Stochastic(bits=10, seed=5), "stochastic")
    found = []
    for count in (True, False):
        torch.manual_seed(4)
        module = LAYERS[name]()
        for parameter in module.parameters() if isinstance(module, torch.nn.Module) else ():
            parameter.data.fill_(0.1)
        x = torch.randn(8, 16).half().float().requires_grad_()
        with hs.torch.simulate(stochastic, seed=1, count=count):
            module(x)
            y = module(x)
            y.sum().backward()
        found.append((y.detach(), x.grad))
    assert all(torch.equal(*pair) for pair in zip(*found, strict=True))
    with hs.torch.simulate("mixed") as report, torch.no_grad():
        module(x.detach())
    # Parameters of 0.1, of each channel two; of the sum twelve starts, and no term.
    assert sum(counts.rounded for counts in report.modules.values()) == (12 if name == "index_add" else 32)


def test_steps_with_closures_leave_nothing_behind():
    weight = torch.nn.Parameter(torch.ones(3))
    optimizer, held = torch.optim.SGD([weight], 0.1), []

    def closure():
        optimizer.zero_grad()
        loss = (weight * weight).sum()
        loss.backward()
        held.append(weakref.ref(loss))
        return loss

    with hs.torch.simulate("mixed"):
        for _ in range(5):
            optimizer.step(closure)
        gc.collect()
        assert sum(each() is not None for each in held) <= 1


def test_few_results_and_sums_of_binary32_are_compared_whole():
    x = torch.randn(31, 8, generator=torch.Generator().manual_seed(0)).half()
    for policy, y in (("h100:f16", x), ("h100:f32", torch.cat([x, x, x]))):
        with hs.torch.simulate(policy) as report:
            y @ x.mT
        assert (report.modules[""].elements, report.modules[""].uncounted) == (len(y) * 31, 0)


def test_a_constant_beside_a_narrow_tensor_that_becomes_infinite():
    x, chosen = torch.ones(2, dtype=torch.float16), torch.tensor([True, False])
    with hs.torch.simulate("mixed") as report:
        assert torch.where(chosen, 1e5, x).tolist() == [float("inf"), 1.0]
    assert (report.modules[""].elements, report.modules[""].overflow) == (1, 1)
    assert report.first["operator"] == "scalar_tensor"
    with hs.torch.simulate("mixed") as report:
        torch.where(chosen, 2.0, x), torch.where(chosen, float("inf"), x)
    assert not report.modules
    assert report.first is None


def test_a_tensor_that_fills_a_narrow_one_is_rounded():
    x = torch.ones(2, dtype=torch.float16)
    with hs.torch.simulate("mixed") as report:
        x.fill_(torch.tensor(1e5))
    assert x.tolist() == [float("inf")] * 2
    assert report.modules[""].overflow == 2
    assert (report.first["operator"], report.simulated["copy"]) == ("copy", 1)
    with hs.torch.simulate(replace(named("mixed"), name="up", rounding="rup")):
        assert x.fill_(torch.tensor(1 + 2.0**-12))[0] == 1 + 2.0**-10
