"""Training under simulation: the same bits every time, loss scaling, optimizers, and weights in binary16."""

from __future__ import annotations

import copy
import hashlib
import io
import pickle
import warnings

import numpy as np
import pytest

import halfsim as hs
from halfsim.policy import named

torch = pytest.importorskip("torch")

import halfsim.torch  # noqa: E402


def data(n=64, seed=0):
    """Return points of three classes that a small network can tell apart."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 3
    x = rng.normal(size=(n, 10)) * 0.7
    x[np.arange(n), labels] += 2.0
    return torch.from_numpy(x).float(), torch.from_numpy(labels)


def network(seed=0):
    torch.manual_seed(seed)
    return torch.nn.Sequential(torch.nn.Linear(10, 24), torch.nn.ReLU(), torch.nn.Linear(24, 3))


def train(policy, steps=12, wrap=None, scaler=None, make=None, seed=5, model=None):
    """Train, and return the model, the losses and the report."""
    model = model or network()
    optimizer = (make or (lambda p: torch.optim.Adam(p, lr=0.02)))(model.parameters())
    optimizer = wrap(optimizer) if wrap else optimizer
    x, labels = data()
    losses = []
    with hs.torch.simulate(policy, seed=seed) as report:
        for step in range(steps):
            rows = slice(16 * step % 64, 16 * step % 64 + 16)
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(model(x[rows]), labels[rows])
            if scaler is None:
                loss.backward()
                optimizer.step()
            else:
                scaler.scale(loss).backward()
                scaler.unscale_(optimizer)
                torch.nn.utils.clip_grad_norm_(model.parameters(), 10.0, foreach=bool(step % 2))
                scaler.step(optimizer)
                scaler.update()
            losses.append(loss.item())
    return model, losses, report


def digest(model):
    return hashlib.sha256(b"".join(p.detach().float().numpy().tobytes() for p in model.parameters())).hexdigest()


SCALER = {("reciprocal", "numbers are float64")}
"""What PyTorch's scaler computes in binary64: the inverse of its scale."""

STOCHASTIC = named("mixed").rounded(hs.Stochastic(bits=16, seed=3), "sr")


@pytest.mark.parametrize("policy", ["mixed", "binary16-pure", STOCHASTIC], ids=["mixed", "pure", "stochastic"])
def test_the_same_bits_for_any_thread_count(policy):
    found = set()
    before = torch.get_num_threads(), hs.get_num_threads()
    try:
        for threads in (1, 2, 1):
            torch.set_num_threads(threads)
            hs.set_num_threads(threads)
            model, losses, report = train(policy, wrap=lambda o: hs.torch.LowPrecisionWeights(o, "stochastic", seed=1))
            found.add((digest(model), tuple(losses)))
            assert not report.not_simulated
    finally:
        torch.set_num_threads(before[0])
        hs.set_num_threads(before[1])
    assert len(found) == 1


def test_the_seed_decides():
    one, other = (digest(train(STOCHASTIC, steps=2, seed=seed)[0]) for seed in (1, 2))
    assert one != other


def test_loss_scaling_and_clipping():
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**24, growth_interval=4)
    model, losses, report = train("mixed", steps=24, scaler=scaler)
    assert np.mean(losses[-4:]) < 0.6 * np.mean(losses[:4])
    # The first scale overflows binary16: steps were skipped, and the scale came down.
    assert scaler.get_scale() < 2.0**24
    assert set(report.not_simulated) == SCALER
    assert report.first["phase"] == "backward"
    assert all(torch.isfinite(p).all() for p in model.parameters())


def test_without_a_scale_small_gradients_vanish():
    layer = torch.nn.Linear(4, 1, bias=False)
    x = torch.ones(1, 4)
    for scale, vanish in ((1.0, True), (1024.0, False)):
        layer.zero_grad()
        with hs.torch.simulate("mixed"):
            (torch.nn.functional.mse_loss(layer(x) * 2.0**-26, torch.zeros(1, 1) + 1.0) * scale).backward()
        assert (layer.weight.grad == 0).all() == vanish


def test_what_is_wider_than_binary16_stays_so_in_place():
    layer = torch.nn.Linear(4, 1, bias=False)
    optimizer = torch.optim.SGD(layer.parameters(), lr=1.0)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**16)
    with hs.torch.simulate("mixed"):
        y = layer(torch.full((1, 4), 2.0**-10)) * 2.0**-10
        scaler.scale(y.sum() * 2.0**-12).backward()
        scaler.unscale_(optimizer)
        # Gradients of 2**-32 that the scale carried through binary16.
        assert (layer.weight.grad == 2.0**-32).all()
        layer.weight.grad.mul_(0.75)
        assert (layer.weight.grad == 0.75 * 2.0**-32).all()
        with torch.no_grad():
            layer.weight.fill_(1.0).mul_(1 + 2.0**-20)
    assert (layer.weight == 1 + 2.0**-20).all()


OPTIMIZERS = {
    "SGD": lambda p: torch.optim.SGD(p, lr=0.1),
    "momentum": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    "Adam": lambda p: torch.optim.Adam(p, lr=0.01, amsgrad=True),
    "AdamW": lambda p: torch.optim.AdamW(p, lr=0.01, foreach=True),
    "RMSprop": lambda p: torch.optim.RMSprop(p, lr=0.01, momentum=0.5),
    "Adagrad": lambda p: torch.optim.Adagrad(p),
    "Adadelta": lambda p: torch.optim.Adadelta(p),
    "Adamax": lambda p: torch.optim.Adamax(p),
    "NAdam": lambda p: torch.optim.NAdam(p),
    "RAdam": lambda p: torch.optim.RAdam(p),
    "ASGD": lambda p: torch.optim.ASGD(p),
    "Rprop": lambda p: torch.optim.Rprop(p),
    "LBFGS": lambda p: torch.optim.LBFGS(p, max_iter=3),
}


@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS.keys())
def test_every_optimizer_works_in_binary32(make):
    x = data()[0][:8]
    found = []
    for simulated in (False, True):
        model = torch.nn.Sequential(*copy.deepcopy(network())[:2], torch.nn.Linear(24, 1, bias=False))
        torch.manual_seed(2)
        torch.nn.init.normal_(model[2].weight, std=0.2)
        optimizer = make(model.parameters())

        def closure(model=model, optimizer=optimizer):
            optimizer.zero_grad()
            loss = torch.tanh(model(x)).square().mean()
            loss.backward()
            return loss

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if simulated:
                with hs.torch.simulate("binary32") as report:
                    for _ in range(3):
                        optimizer.step(closure)
                assert not report.not_simulated
            else:
                for _ in range(3):
                    optimizer.step(closure)
        found.append([p.detach() for p in model.parameters()])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


def test_master_weights_keep_what_binary16_would_lose():
    model = torch.nn.Linear(4, 4, bias=False)
    torch.nn.init.constant_(model.weight, 1.0)
    optimizer = torch.optim.SGD(model.parameters(), lr=2.0**-14)
    with hs.torch.simulate("mixed"):
        for _ in range(8):
            optimizer.zero_grad()
            model(torch.eye(4)).sum().backward()
            optimizer.step()
    assert (model.weight == 1 - 2.0**-11).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32], ids=str)
@pytest.mark.parametrize("update", ["nearest", "kahan", "master", "rtz"])
def test_weights_move_as_written(update, dtype):
    rng = np.random.default_rng(4)
    w = np.float16(rng.normal(size=200))
    p = torch.nn.Parameter(torch.from_numpy(w.copy()).to(dtype))
    optimizer = hs.torch.LowPrecisionWeights(torch.optim.SGD([p], lr=0.01), update)
    rest, master = np.zeros(200, np.float16), np.float32(w)
    for _ in range(20):
        g = np.float16(rng.normal(size=200) * 0.05)
        p.grad = torch.from_numpy(g).to(dtype)
        optimizer.step()
        start = master if update == "master" else np.float32(w)
        delta = (start - np.float32(0.01) * np.float32(g)) - start
        if update == "master":
            master = master + delta
            w = np.float16(master)
        elif update == "kahan":
            y = hs.add(hs.convert(delta, hs.BINARY16), rest)
            moved = hs.add(w, y)
            rest, w = hs.subtract(y, hs.subtract(moved, w)), moved
        else:
            rounding = "rne" if update == "nearest" else update
            w = hs.add(w, hs.convert(delta, hs.BINARY16, rounding=rounding), rounding=rounding)
        np.testing.assert_array_equal(p.detach().float().numpy(), np.float32(w))
    assert p.dtype == dtype
    assert optimizer.moves == 20 * 200


def test_stochastic_updates_are_unbiased_and_never_lost_for_good():
    p = torch.nn.Parameter(torch.ones(4000))
    optimizer = hs.torch.LowPrecisionWeights(torch.optim.SGD([p], lr=2.0**-13), "stochastic", seed=8)
    for _ in range(16):
        p.grad = -torch.ones(4000)
        optimizer.step()
    # Each of 16 steps moves by a spacing of 2**-10 with probability 1/8: mean 2, deviation of the mean 0.02.
    assert abs((p.mean().item() - 1) / 2.0**-10 - 2) < 0.1
    assert 0 < optimizer.lost < optimizer.moves


def test_low_precision_weights_continue_where_they_stopped():
    def steps(optimizer, p, count, start):
        for i in range(count):
            p.grad = torch.full((50,), 0.01 * (start + i + 1))
            optimizer.step()

    def make():
        p = torch.nn.Parameter(torch.linspace(-1, 1, 50))
        return p, hs.torch.LowPrecisionWeights(torch.optim.Adam([p], lr=1e-3), "stochastic", seed=2)

    p, optimizer = make()
    steps(optimizer, p, 6, 0)
    q, first = make()
    steps(first, q, 3, 0)
    r, second = make()
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    steps(second, r, 3, 3)
    assert torch.equal(p, r)


def test_low_precision_weights_under_a_scaler():
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    _, losses, report = train("mixed", steps=20, scaler=scaler, wrap=lambda o: hs.torch.LowPrecisionWeights(o, "kahan"))
    assert losses[-1] < losses[0]
    assert set(report.not_simulated) == SCALER


def test_other_weights_are_refused():
    with pytest.raises(TypeError, match="float64"):
        hs.torch.LowPrecisionWeights(torch.optim.SGD([torch.nn.Parameter(torch.ones(1).double())]))
    with pytest.raises(ValueError, match="unknown"):
        hs.torch.LowPrecisionWeights(torch.optim.SGD([torch.nn.Parameter(torch.ones(1))]), "sometimes")


# What others do to low-precision weights.

UPDATES = ["master", "nearest", "stochastic", "kahan"]


@pytest.mark.parametrize("update", UPDATES)
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32], ids=str)
def test_weights_that_others_wrote_stay(update, dtype):
    model = torch.nn.Linear(4, 2).to(dtype)
    optimizer = hs.torch.LowPrecisionWeights(torch.optim.SGD(model.parameters(), lr=0.1), update)
    new = {name: torch.full_like(value, 1.5) for name, value in model.state_dict().items()}
    model.load_state_dict(new)
    for p in model.parameters():
        p.grad = torch.zeros_like(p)
    optimizer.step()
    assert all(torch.equal(value, new[name]) for name, value in model.state_dict().items())
    assert optimizer.moves == 0


def test_a_master_copy_takes_over_all_that_was_written():
    p = torch.nn.Parameter(torch.ones(1))
    optimizer = hs.torch.LowPrecisionWeights(torch.optim.SGD([p], lr=1.0))
    p.data.fill_(1 + 2.0**-12)
    p.grad = torch.full((1,), -(2.0**-12) - 2.0**-20)
    optimizer.step()
    # Less than half a unit in the last place each, more together.
    assert p.item() == 1 + 2.0**-10


def test_a_closure_is_called_by_the_optimizer_on_stored_weights():
    p = torch.nn.Parameter(torch.tensor([3.0, -2.0]).half())
    optimizer = hs.torch.LowPrecisionWeights(torch.optim.LBFGS([p], lr=1, max_iter=5, line_search_fn="strong_wolfe"))
    seen = []

    def closure():
        optimizer.zero_grad()
        seen.append((p.dtype, p.detach().clone()))
        loss = (p.float() - torch.tensor([1.0, 0.5])).square().sum()
        loss.backward()
        return loss

    loss = optimizer.step(closure)
    assert loss.item() == 4.0 + 6.25
    assert len(seen) > 1
    assert all(dtype == torch.float16 for dtype, _ in seen)
    assert (p - torch.tensor([1.0, 0.5])).abs().max() < 1e-2
    assert p.dtype == p.grad.dtype == torch.float16


def test_a_closure_gives_what_a_step_after_it_gives():
    def run(closed):
        p = torch.nn.Parameter(torch.linspace(-1, 1, 9))
        optimizer = hs.torch.LowPrecisionWeights(torch.optim.Adam([p], lr=1e-3), "stochastic", seed=4)

        def closure():
            optimizer.zero_grad()
            loss = (p * p).sum()
            loss.backward()
            return loss

        with hs.torch.simulate("mixed"):
            for _ in range(5):
                if closed:
                    optimizer.step(closure)
                else:
                    closure()
                    optimizer.step()
        return p.detach()

    assert torch.equal(run(True), run(False))


def test_parameters_of_a_later_group_are_refused():
    p, q = (torch.nn.Parameter(torch.ones(1)) for _ in range(2))
    optimizer = hs.torch.LowPrecisionWeights(torch.optim.SGD([p], lr=1.0))
    optimizer.optimizer.add_param_group({"params": [q]})
    with pytest.raises(ValueError, match="make a new LowPrecisionWeights"):
        optimizer.step()


@pytest.mark.parametrize("update", UPDATES)
def test_a_state_goes_through_a_file(update, tmp_path):
    def make():
        p = torch.nn.Parameter(torch.ones(8))
        p.grad = torch.full((8,), 2.0**-13)
        return p, hs.torch.LowPrecisionWeights(torch.optim.SGD([p], lr=1.0, momentum=0.5), update, seed=3)

    p, one = make()
    for _ in range(3):
        one.step()
    torch.save(one.state_dict(), tmp_path / "state.pt")
    q, other = make()
    other.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    assert (other.lost, other.moves) == (one.lost, one.moves)
    assert one.moves == 24
    one.step()
    other.step()
    assert torch.equal(p, q)


def low_precision(update):
    p = torch.nn.Parameter(torch.linspace(1, 2, 50))
    return p, hs.torch.LowPrecisionWeights(torch.optim.AdamW([p], lr=2.0**-9), update, seed=5, policy=STOCHASTIC)


def steps(p, optimizer):
    for _ in range(3):
        p.grad = torch.full_like(p, -1.0)
        optimizer.step()


def through_a_file(optimizer):
    file = io.BytesIO()
    torch.save(optimizer, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


@pytest.mark.parametrize("update", UPDATES)
@pytest.mark.parametrize("copied", [lambda x: pickle.loads(pickle.dumps(x)), copy.deepcopy, through_a_file])
def test_a_copy_goes_on_as_the_optimizer_does(update, copied):
    p, one = low_precision(update)
    steps(p, one)
    before = p.detach().clone()
    model, other = copied(torch.nn.ParameterList([p])), copied(one)
    (q,) = other.param_groups[0]["params"]
    assert q is not p and torch.equal(model[0], q)
    steps(q, other)
    assert torch.equal(p, before)
    steps(p, one)
    assert torch.equal(p, q)
    assert (other.lost, other.moves) == (one.lost, one.moves)


@pytest.mark.parametrize("update", UPDATES)
def test_a_state_knows_which_random_words_were_drawn(update):
    p, one = low_precision(update)
    steps(p, one)
    q, other = low_precision(update)
    other.load_state_dict(copy.deepcopy(one.state_dict()))
    steps(p, one)
    steps(q, other)
    assert torch.equal(p, q)


@pytest.mark.parametrize("update", UPDATES)
def test_the_state_of_a_model_in_binary16_stays_wide(update):
    def make():
        p = torch.nn.Parameter(torch.linspace(-1, 1, 8).half())
        p.grad = torch.full((8,), 2.0**-13).half()
        return p, hs.torch.LowPrecisionWeights(torch.optim.Adam([p], lr=0.01), update, seed=3)

    p, one = make()
    for _ in range(3):
        one.step()
    q, other = make()
    other.load_state_dict(one.state_dict())
    # Its squares are less than binary16's numbers.
    assert 0 < other.state[q]["exp_avg_sq"].max() < 2.0**-26
    for _ in range(3):
        one.step()
        other.step()
    assert p.dtype == q.dtype == p.grad.dtype == torch.float16
    assert torch.equal(p, q)


def test_a_state_that_is_made_beforehand_is_wide():
    p = torch.nn.Parameter(torch.ones(4).half())
    q = torch.nn.Parameter(torch.ones(4))
    for x in (p, q):
        x.grad = torch.full((4,), 2.0**-14, dtype=x.dtype)
        hs.torch.LowPrecisionWeights(torch.optim.Adagrad([x], lr=2.0**-6), "nearest").step()
    assert torch.equal(p.float(), q)
    assert p[0] < 1


def test_the_update_of_the_policy_holds():
    p = torch.nn.Parameter(torch.ones(4))
    optimizer = hs.torch.LowPrecisionWeights(torch.optim.SGD([p], lr=1.0), policy="binary16-kahan")
    assert "compensation" in optimizer.state_dict()["weights"]
    again = hs.torch.LowPrecisionWeights(torch.optim.SGD([p], lr=1.0), "nearest", policy=named("binary16-kahan"))
    assert set(again.state_dict()["weights"]) == {"stored"}


def test_mistakes_have_a_way_out():
    with pytest.raises(TypeError, match=r"pass a torch\.optim\.Optimizer"):
        hs.torch.LowPrecisionWeights(3)
    p = torch.nn.Parameter(torch.ones(1))
    with pytest.raises(TypeError, match="LowPrecisionWeights: policy=3"):
        hs.torch.LowPrecisionWeights(torch.optim.SGD([p], lr=1.0), policy=3)
    with pytest.raises(ValueError, match=r"^LowPrecisionWeights: update='stochastik' is unknown"):
        hs.torch.LowPrecisionWeights(torch.optim.SGD([p], lr=1.0), "stochastik")
    elsewhere = torch.nn.Parameter(torch.ones(1, device="meta"))
    with pytest.raises(ValueError, match=r"LowPrecisionWeights: a parameter is on meta; make .* model\.cpu\(\)"):
        hs.torch.LowPrecisionWeights(torch.optim.SGD([elsewhere], lr=1.0))


@pytest.mark.parametrize("policy", ["h100:f16", "v100:f32", "binary16-pure"])
def test_an_optimizer_that_works_in_bfloat16_needs_no_bfloat16_accumulator(policy):
    """Muon orthogonalises its update in bfloat16; its step is one of binary32 under any policy."""

    def moved(name):
        weight = torch.nn.Parameter(torch.linspace(-1, 1, 128).reshape(8, 16))
        optimizer = torch.optim.Muon([weight], lr=0.01)
        weight.grad = torch.linspace(-3, 5, 128).cos().reshape(8, 16)
        with hs.torch.simulate(name) as report:
            optimizer.step()
        assert not report.not_simulated
        return weight.detach()

    assert torch.equal(moved(policy), moved("mixed"))


@pytest.mark.parametrize("state", [{}, torch.optim.SGD([torch.nn.Parameter(torch.ones(2))]).state_dict()])
def test_another_state_is_refused(state):
    optimizer = hs.torch.LowPrecisionWeights(torch.optim.SGD([torch.nn.Parameter(torch.ones(2))]))
    with pytest.raises(ValueError, match=r"no 'optimizer', 'weights', .*pass what LowPrecisionWeights\.state_dict"):
        optimizer.load_state_dict(state)


@pytest.mark.parametrize("update", ["nearest", "stochastic", "kahan", "master"])
def test_an_infinite_weight_is_no_warning(update):
    """Warnings are errors here."""
    model = torch.nn.Linear(3, 2).half()
    with torch.no_grad():
        model.weight[0, 0] = np.inf
    optimizer = halfsim.torch.LowPrecisionWeights(torch.optim.SGD(model.parameters(), 0.1), update=update)
    model(torch.ones(1, 3).half()).sum().backward()
    optimizer.step()
    assert model.weight[0, 0].isnan()
    assert model.weight[:, 1:].isfinite().all()
