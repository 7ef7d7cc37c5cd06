"""The gradient of an operator is rounded as the operator was: to bfloat16 where that had bfloat16 numbers."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch.utils.checkpoint import checkpoint  # noqa: E402

import halfsim.torch  # noqa: E402
from halfsim.interop.torch import nodes  # noqa: E402

F, BF = torch.nn.functional, torch.bfloat16
simulate = halfsim.torch.simulate
SCALES = 1e-9, 2.0**20, 1e6
FINE = 1.0009765625
"""Of binary16, and not of bfloat16."""


def drawn(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def both(function, policy="mixed"):
    """What PyTorch and the simulation compute."""
    expected = function()
    with simulate(policy):
        return expected, function()


def near(expected, found, bound=2**-5):
    for wanted, got in zip(expected, found, strict=True):
        assert wanted.dtype == got.dtype
        assert (got.double() - wanted.double()).norm() <= bound * wanted.double().norm()


# Whatever scales a loss of bfloat16 numbers.

LOSSES = {
    "mean": lambda y: y.float().mean(),
    "squares": lambda y: y.float().square().sum(),
    "mean of bfloat16": lambda y: y.mean(),
    "an element": lambda y: y.float()[0, 0],
    "a dot product": lambda y: torch.dot(y.float()[0], drawn(4, seed=3)),
    "by way of a product": lambda y: (y.float() @ drawn(4, 2, seed=3)).trace(),
    "sums that are spread": lambda y: y.float().mean().expand(100_000).sum() / 100_000,
    "gathered": lambda y: -y.float().log_softmax(-1).gather(1, torch.tensor([[0], [1]])).mean(),
    "rows": lambda y: F.cross_entropy(y.float(), torch.tensor([0, 1]), reduction="none").mean(),
    "logsumexp": lambda y: y.float().logsumexp(-1).sum(),
    "beside targets": lambda y: F.huber_loss(y.float(), drawn(2, 4, seed=4)),
    "joined": lambda y: torch.cat([y.float(), drawn(1, 4, seed=4)]).square().mean(),
    "indexed": lambda y: y.float()[torch.tensor([0, 1, 1])].mean(),
    "of float64": lambda y: y.double().square().mean().float(),
}
FACTORS = {
    "a tensor": lambda loss, s: loss * torch.tensor(s),
    "a parameter": lambda loss, s: torch.nn.Parameter(torch.tensor(s)) * loss,
    "a quotient": lambda loss, s: loss / torch.tensor(1 / s),
    "float64": lambda loss, s: loss * torch.tensor(s, dtype=torch.float64),
    "a number": lambda loss, s: loss.double() * s,
    "stacked": lambda loss, s: torch.stack([loss * s, loss * s]).sum(),
}


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize("loss", LOSSES)
def test_losses_at_any_scale(loss, factor, scale):
    model = torch.nn.Sequential(torch.nn.Linear(8, 6), torch.nn.GELU(), torch.nn.Linear(6, 4)).to(BF)
    for seed, parameter in enumerate(model.parameters()):
        parameter.data.copy_(drawn(*parameter.shape, seed=seed))
    x = drawn(2, 8, seed=9).to(BF)

    def gradients():
        model.zero_grad()
        FACTORS[factor](LOSSES[loss](model(x)), scale).backward()
        return [p.grad for p in model.parameters()]

    near(*both(gradients), bound=2**-4)


@pytest.mark.parametrize("scale", [2.0**16, 2.0**18])
def test_a_scaler_of_gradients(scale):
    w = torch.nn.Parameter(torch.ones(4, 2))

    def step():
        w.grad = None
        w.data.fill_(1.0)
        optimizer, scaler = torch.optim.SGD([w], lr=0.5), torch.amp.GradScaler("cpu", init_scale=scale)
        with torch.autocast("cpu", dtype=BF):
            loss = F.linear(torch.ones(3, 2), w).float().mean()
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        return [w.detach().clone(), torch.tensor(scaler.get_scale())]

    expected, found = both(step)
    assert all(map(torch.equal, expected, found))


BEGINNINGS = {
    "backward of a number": lambda v: v.float().mean().backward(torch.tensor(1e6)),
    "backward of elements": lambda v: (v.float() * 3).backward(torch.full((4,), 1e-9)),
    "a hook": lambda v: (_hooked(v.float() * 3)).sum().backward(),
}


def _hooked(x):
    x.register_hook(lambda gradient: gradient * 1e6)
    return x


@pytest.mark.parametrize("name", BEGINNINGS)
def test_a_backward_pass_begins_with_any_number(name):
    def gradient():
        v = torch.arange(1, 5).to(BF).requires_grad_()
        BEGINNINGS[name](v)
        return [v.grad]

    near(*both(gradient))


TRANSFORMED = {
    "vjp": lambda f, v: torch.func.vjp(f, v)[1](torch.tensor(1e6)),
    "grad": lambda f, v: [torch.func.grad(lambda x: f(x) * torch.tensor(1e-9))(v)],
    "vmap of grad": lambda f, v: [torch.func.vmap(torch.func.grad(lambda x: f(x) * 1e6))(torch.stack([v, v]))],
    "jacrev": lambda f, v: [torch.func.jacrev(lambda x: x.float() ** 2 * 1e6)(v)],
    "hessian": lambda f, v: [torch.func.hessian(lambda x: (x.float() ** 3).sum() * 1e6)(v)],
    "grad of grad": lambda f, v: [
        torch.func.grad(lambda x: torch.func.grad(lambda y: (y.float() ** 3).sum() * 1e6)(x).float().sum())(v)
    ],
    "jvp": lambda f, v: torch.func.jvp(lambda x: f(x) * 1e6, (v,), (v,)),
}


@pytest.mark.filterwarnings("ignore:.*torch.jit.script")
@pytest.mark.parametrize("name", TRANSFORMED)
def test_transformations(name):
    near(*both(lambda: list(TRANSFORMED[name](lambda x: x.float().square().mean(), torch.arange(1, 5).to(BF)))))


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e6])
def test_a_gradient_of_a_gradient(scale):
    def gradients():
        w = torch.tensor([0.5, 1.0, 2.0]).to(BF).requires_grad_()
        (first,) = torch.autograd.grad((w.float() ** 3).sum() * torch.tensor(scale), w, create_graph=True)
        first.float().square().sum().mul(1 / scale).backward()
        return [first.detach(), w.grad]

    near(*both(gradients))


@pytest.mark.parametrize("reentrant", [False, True])
def test_what_a_checkpoint_computes_again(reentrant):
    wide = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Tanh(), torch.nn.Linear(4, 4))

    def gradients(part):
        w = drawn(4, 4, seed=2).to(BF).requires_grad_()
        x = drawn(3, 4, seed=1).requires_grad_()
        wide.zero_grad()
        y = part(wide, x) + torch.zeros(1, dtype=BF).sum()
        z = part(lambda v: (v.to(BF) @ w).float().square().mean() * 1e6, x.detach().clone().requires_grad_())
        (y.square().mean() + z).backward()
        return [w.grad, x.grad, *(p.grad.clone() for p in wide.parameters())]

    with simulate("mixed"):
        expected = gradients(lambda f, x: f(x))
        found = gradients(lambda f, x: checkpoint(f, x, use_reentrant=reentrant))
    assert all(map(torch.equal, expected, found))
    assert all(x.isfinite().all() for x in found)


# What comes of float32 numbers is as it would be without them.


class Residual(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.norm, self.second = torch.nn.Linear(8, 8), torch.nn.LayerNorm(8), torch.nn.Linear(8, 8)

    def forward(self, x):
        x = x + self.first(x).tanh()
        return x + self.second(self.norm(x)) * x[:, :1]


REGULAR = torch.nn.Parameter(torch.ones(3).to(BF))
MEETS = {
    "added": lambda loss: loss + 0 * (REGULAR.float() ** 2).sum(),
    "added in bfloat16": lambda loss: loss + 0 * (REGULAR**2).sum(),
    "a constant": lambda loss: loss + torch.zeros(3).to(BF).float().mean(),
    "multiplied": lambda loss: loss * torch.tensor(1.0, dtype=BF),
    "divided": lambda loss: loss / torch.ones(1).to(BF).float().sum(),
    "one element": lambda loss: (loss * torch.ones(1).to(BF)).sum(),
    "stacked": lambda loss: torch.stack([loss, (REGULAR.float() ** 2).sum() * 0]).sum(),
    "watched": lambda loss: (loss, REGULAR.detach().float().mean())[0],
    "watched and multiplied": lambda loss: (loss, REGULAR.detach().float().mean())[0] * torch.tensor(1.0, dtype=BF),
    "two roots": lambda loss: (loss, (REGULAR.float() ** 2).sum().backward())[0],
}
REDUCED = {
    "squares": lambda y: y.square().mean(),
    "a sum": lambda y: y.sum(),
    "an element": lambda y: y[0, 0] * 3,
    "rows": lambda y: F.cross_entropy(y, torch.arange(5)),
}


@pytest.mark.parametrize("policy", ["mixed", "v100:f32", "h100:f16"])
@pytest.mark.parametrize("reduced", REDUCED)
@pytest.mark.parametrize("name", MEETS)
def test_a_loss_that_meets_bfloat16_numbers(name, reduced, policy):
    torch.manual_seed(1)
    model = torch.nn.Sequential(Residual(), Residual())
    x, found = drawn(5, 8), []
    for meets in (lambda loss: loss, MEETS[name]):
        model.zero_grad()
        with simulate(policy) as report:
            y = model(x)
            meets(REDUCED[reduced](y)).backward()
        assert not report.notes
        found.append([p.grad.clone() for p in model.parameters()])
    for one, other in zip(*found, strict=True):
        assert torch.equal(one, other)


LEAVES = {
    "multiplied": lambda w, one: (w * torch.full((2,), 0.3)).sum() * one,
    "used twice": lambda w, one: (w * 1.1 + w).sum() * one,
    "its elements": lambda w, one: w[0] * one + w[1] * 0.3,
    "changed in part": lambda w, one: (_changed(w * 1.1), one * 1)[0].sum() * one,
    "before a custom function": lambda w, one: (Doubled.apply(w * 0.3) * 0.3).sum() * one,
    "an operator of it after": lambda w, one: ((w * 0.3).expand(3, 2), one * one)[0].mul(0.3).sum(),
    "in a hook": lambda w, one: (_hooked(w * 0.3) * 1e-6).sum() * one,
    "indexed": lambda w, one: (w[torch.tensor([0, 0, 1])], one * 1)[0].mul(0.3).sum() * one,
}


def _changed(x):
    x[:1].mul_(torch.tensor([0.3]))
    return x


class Doubled(torch.autograd.Function):
    @staticmethod
    def forward(context, x):
        context.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(context, gradient):
        (x,) = context.saved_tensors
        return 2 * x * gradient


@pytest.mark.parametrize("name", LEAVES)
def test_one_bfloat16_number_beside(name):
    found = []
    for one in (torch.tensor(1.0), torch.tensor(1.0, dtype=BF)):
        w = torch.tensor([FINE, 2.5], requires_grad=True)
        with simulate("mixed") as report:
            LEAVES[name](w, one).backward()
        assert not report.notes
        found.append(w.grad)
    assert torch.equal(*found)


MET_FIRST = {
    "of one type": lambda w, t: (w * w).float().sum(),
    "of two": lambda w, t: (w * t).sum(),
    "after others": lambda w, t: ((t * 1.5) * w).sum(),
    "a view": lambda w, t: (w[None].expand(2, 4).float() * t).sum(),
}


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e6])
@pytest.mark.parametrize("name", MET_FIRST)
def test_the_first_operator_that_meets_bfloat16_numbers(name, scale):
    def gradient():
        w, t = torch.arange(1, 5).to(BF).requires_grad_(), torch.ones(1, requires_grad=True)
        MET_FIRST[name](w, t).mul(torch.tensor(scale)).backward()
        return [w.grad]

    near(*both(gradient))


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e6])
def test_custom_functions_go_by_their_operands(scale):
    def gradient():
        w = torch.tensor([0.5, 1.5]).to(BF).requires_grad_()
        (Doubled.apply(w.float()).sum() * scale).backward()
        return [w.grad]

    near(*both(gradient))


# Both on one tensor.


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e6])
@pytest.mark.parametrize("leaf", [torch.float32, BF])
def test_two_branches_on_one_leaf(leaf, scale):
    found = []
    for order in (1, -1):

        def gradient(order=order):
            w = torch.tensor([0.5, 1.5]).to(leaf).requires_grad_()
            branches = [lambda: (w.float() * 0.5).sum(), lambda: w.to(BF).float().square().sum() * scale]
            sum(branch() for branch in branches[::order]).backward()
            return [w.grad]

        expected, simulated = both(gradient)
        near(expected, simulated)
        found += simulated
    assert torch.equal(*found)


def test_a_trunk_keeps_its_numbers_below_a_bfloat16_head():
    """Only what comes into it is of bfloat16: at sums of one and another, the trunk's operators are the policy's."""
    model, x, found = Residual(), drawn(5, 8), []
    head = torch.randint(-4, 4, (8, 3), generator=torch.Generator().manual_seed(0)).float()
    for dtype in (torch.float32, BF):
        model.zero_grad()
        with simulate("mixed"):
            y = model(x)
            # Products with integers, of which the gradient is exact in both.
            (y.to(dtype) * head.sum(1).to(dtype)).float().sum().backward()
        found.append([p.grad.clone() for p in model.parameters()])
    for one, other in zip(*found, strict=True):
        assert torch.equal(one, other)


def test_a_table_in_float32_has_gradients_of_the_policy():
    table = torch.nn.Embedding(4, 2)
    layer = torch.nn.Linear(2, 2)
    layer.weight.data.fill_(1.0)
    with simulate("mixed"), torch.autocast("cpu", dtype=BF):
        y = layer(table(torch.tensor([0, 0, 1])))
        (y.float().sum() * 1e6).backward()
    assert layer.bias.grad.isfinite().all()
    assert table.weight.grad[:2].isinf().all()


def test_nodes_are_remembered_by_runs(monkeypatch):
    monkeypatch.setattr(nodes, "_LIMIT", 64)
    known: nodes.Nodes[bool | None] = nodes.Nodes(None)
    w, made = torch.ones(1, requires_grad=True), []
    for i in range(500):
        start = torch._C._autograd._get_sequence_nr()
        made.append((w * 2).grad_fn._sequence_nr())
        known.note(i % 2 == 0, start)
    assert len(known._starts) == len(known._values) <= 64
    assert [known.at(n) for n in made[-20:]] == [i % 2 == 0 for i in range(480, 500)]
    assert [known.at(n) for n in made[:400]] == [None] * 400
    assert known.at(nodes.ACCUMULATE) is None


def test_without_bfloat16_nothing_is_recorded(monkeypatch):
    def refused(*args, **kwargs):
        raise AssertionError("asked")

    for name in ("among", "record", "viewed", "recorded", "begin"):
        monkeypatch.setattr(f"halfsim.interop.torch.brains.Brains.{name}", refused)
    for dtype in (torch.float32, torch.float16):
        model = Residual().to(dtype)
        with simulate("mixed"):
            model(drawn(5, 8).to(dtype)).float().square().mean().backward()


# What Python calls while a node is at work is none of the node's.


def test_a_hook_goes_by_what_it_meets():
    wide, seen = torch.tensor([1e6, 3e6]).bfloat16(), []
    for add_to in (lambda y, hook: y.register_hook(hook), lambda y, hook: y.grad_fn.register_hook(hook)):
        x = torch.tensor([1.0, 2.0], requires_grad=True)
        with halfsim.torch.simulate("mixed") as report:
            y = x * 2
            add_to(y, lambda *_: seen.append(wide.float() * 2) and None)
            (y * y).sum().backward()
        assert x.grad.tolist() == [8.0, 16.0]
        assert report.first is None
    assert len(seen) == 2
    assert all(torch.equal(found, (wide * 2).float()) for found in seen)


def test_a_hook_on_bfloat16_numbers_computes_others_as_the_policy_does():
    number, seen = torch.tensor([0.69921875, 1.0009765625]), []
    x = torch.ones(2).bfloat16().requires_grad_()
    with halfsim.torch.simulate("mixed"):
        y = x.float() * 2
        y.register_hook(lambda _: seen.append(number * number) and None)
        (y * y).sum().backward()
        expected = number * number
    assert torch.equal(seen[0], expected)


def test_a_checkpoint_repeats_what_has_no_gradients():
    e = torch.tensor([1.2345, 2.3], requires_grad=True)
    b, large, seen = torch.ones(2).bfloat16().requires_grad_(), torch.tensor([3e5, 7e5]).bfloat16(), []

    def part(e, b):
        with torch.no_grad():
            s, q = e * 1.2345, large.float() * 2
            seen.append((s.tolist(), q.tolist()))
        return (e * e * s) * (q * 1e-6) * b.float()

    with halfsim.torch.simulate("mixed"):
        torch.ones(1).bfloat16()
        checkpoint(part, e, b, use_reentrant=False).sum().backward()
    assert seen[0] == seen[1]
