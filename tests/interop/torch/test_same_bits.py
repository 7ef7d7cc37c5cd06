"""Networks under `simulate`, forward and backward, against the same networks written out by hand: equal bits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import halfsim as hs
from halfsim.policy import StaticScale, named

torch = pytest.importorskip("torch")

import halfsim.torch  # noqa: E402
from tests.interop.torch.by_hand import Hand  # noqa: E402

SCALE = 64.0
MIXED = named("mixed")
POLICIES = {
    "mixed": MIXED,
    "h100": MIXED.accumulating("h100:f32", "h100"),
    "v100 narrow": replace(MIXED, name="v", forward="v100:f16", data_gradient="v100:f32", weight_gradient=hs.FP16),
    "pure": named("binary16-pure"),
    "toward zero, flushing": replace(
        MIXED.accumulating("h100:f16", "z").reducing(hs.BINARY16, "z"), rounding="rtz", flush_to_zero=True
    ),
}
HELD = [torch.float16, torch.float32]
each_policy = pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES.keys())
each_dtype = pytest.mark.parametrize("dtype", HELD, ids=str)


def numbers(*shape, scale=1.0, seed=0):
    """Return binary16 numbers as an array."""
    return np.float16(np.random.default_rng([seed, *shape]).normal(size=shape) * scale)


def parameter(module, name, values):
    getattr(module, name).data.copy_(torch.from_numpy(values))


def same(found, expected):
    """Whether a tensor has the bits of a binary16 array, the sign of zero included."""
    values = found.detach().float().numpy()
    assert (np.float16(values) == values).all(), "more than binary16 holds"
    np.testing.assert_array_equal(np.float16(values).view(np.uint16), np.ascontiguousarray(expected).view(np.uint16))


def plus_zero(x):
    """Return the array with +0 for -0."""
    return x + np.float16(0)


@each_dtype
@each_policy
def test_perceptron(policy, dtype):
    x, labels = numbers(7, 20), np.arange(7) % 5
    w, b, v, c = numbers(33, 20, scale=0.3), numbers(33, seed=1), numbers(5, 33, scale=0.3), numbers(5, seed=2)
    model = torch.nn.Sequential(torch.nn.Linear(20, 33), torch.nn.ReLU(), torch.nn.Linear(33, 5)).to(dtype)
    for layer, kernel, bias in ((model[0], w, b), (model[2], v, c)):
        parameter(layer, "weight", kernel)
        parameter(layer, "bias", bias)
    data = torch.from_numpy(x).to(dtype).requires_grad_()
    with hs.torch.simulate(policy) as report:
        y = model(data)
        loss = torch.nn.functional.cross_entropy(y, torch.from_numpy(labels))
        (loss.float() * SCALE).backward()
    assert not report.not_simulated

    hand = Hand(policy)
    hidden, back1 = hand.linear(x, w, b)
    active, back2 = hand.relu(hidden)
    logits, back3 = hand.linear(active, v, c)
    expected, back4 = hand.cross_entropy(logits, labels)
    if dtype == torch.float32:
        # A float16 tensor cannot hold the logarithms of probabilities as they are.
        assert loss.item() == float(expected)
        active_g, dv, dc = back3(back4(np.float32(SCALE)))
        dx, dw, db = back1(back2(active_g))
        for found, wanted in ((model[2].weight, dv), (model[2].bias, dc), (model[0].weight, dw), (model[0].bias, db)):
            same(found.grad, wanted)
        same(data.grad, dx)
    same(y, logits)


@each_policy
def test_convolutional(policy):
    x, labels = numbers(2, 3, 6, 6), np.array([1, 3])
    w, b, gain, shift = numbers(4, 3, 3, 3, scale=0.3), numbers(4), numbers(4, seed=3), numbers(4, seed=4)
    v, c = numbers(5, 36, scale=0.3), numbers(5)
    model = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3, padding=1),
        torch.nn.BatchNorm2d(4),
        torch.nn.ReLU(),
        torch.nn.MaxPool2d(2),
        torch.nn.Flatten(),
        torch.nn.Linear(36, 5),
    )
    for i, kernel, bias in ((0, w, b), (1, gain, shift), (5, v, c)):
        parameter(model[i], "weight", kernel)
        parameter(model[i], "bias", bias)
    data = torch.from_numpy(x).float().requires_grad_()
    with hs.torch.simulate(policy) as report:
        y = model(data)
        (torch.nn.functional.cross_entropy(y, torch.from_numpy(labels)) * SCALE).backward()
    assert not report.not_simulated

    hand = Hand(policy)
    image, conv_back = hand.conv(x, w, b, 1)
    rows = image.transpose(0, 2, 3, 1).reshape(-1, 4)
    normal, norm_back = hand.normalised(rows, gain, shift, 0)
    active, relu_back = hand.relu(normal)
    planes = active.reshape(2, 6, 6, 4).transpose(0, 3, 1, 2)
    windows = planes.reshape(2, 4, 3, 2, 3, 2).transpose(0, 1, 2, 4, 3, 5).reshape(2, 4, 3, 3, 4)
    flat = windows.max(-1).reshape(2, 36)
    logits, back = hand.linear(flat, v, c)
    _, loss_back = hand.cross_entropy(logits, labels)
    same(y, logits)
    dflat, dv, dc = back(loss_back(np.float32(SCALE)))
    spread = np.zeros(windows.shape, np.float16)
    np.put_along_axis(spread, windows.argmax(-1)[..., None], dflat.reshape(2, 4, 3, 3, 1), -1)
    dplanes = spread.reshape(2, 4, 3, 3, 2, 2).transpose(0, 1, 2, 4, 3, 5).reshape(2, 4, 6, 6)
    drows, dgain, dshift = norm_back(relu_back(plus_zero(dplanes).transpose(0, 2, 3, 1).reshape(-1, 4)))
    dx, dw, db = conv_back(drows.reshape(2, 6, 6, 4).transpose(0, 3, 1, 2))
    for i, kernel, bias in ((0, dw, db), (1, dgain, dshift), (5, dv, dc)):
        same(model[i].weight.grad, kernel)
        same(model[i].bias.grad, bias)
    same(data.grad, dx)


@each_dtype
@each_policy
def test_recurrent(policy, dtype):
    steps, n, features, width = 3, 2, 5, 4
    x, g = numbers(steps, n, features), numbers(steps, n, width, seed=9)
    w, u = numbers(4 * width, features, scale=0.5), numbers(4 * width, width, scale=0.5)
    b, c = numbers(4 * width), numbers(4 * width, seed=1)
    model = torch.nn.LSTM(features, width).to(dtype)
    for name, values in (("weight_ih_l0", w), ("weight_hh_l0", u), ("bias_ih_l0", b), ("bias_hh_l0", c)):
        parameter(model, name, values)
    data = torch.from_numpy(x).to(dtype).requires_grad_()
    with hs.torch.simulate(policy) as report:
        y, _ = model(data)
        y.backward(torch.from_numpy(g).to(dtype))
    assert not report.not_simulated

    hand = Hand(policy)
    s = hand.stored
    inputs, inputs_back = hand.linear(x.reshape(-1, features), w, b)
    inputs = inputs.reshape(steps, n, -1)
    h = memory = np.zeros((n, width), np.float16)
    tapes, outputs = [], []
    for t in range(steps):
        own, own_back = hand.linear(h, u, c)
        parts = np.split(s.add(own, inputs[t]), 4, 1)
        values, backs = zip(
            *(f(part) for f, part in zip((hand.sigmoid, hand.sigmoid, hand.tanh, hand.sigmoid), parts, strict=True)),
            strict=True,
        )
        i, forget, new, out = values
        before, memory = memory, s.add(s.mul(forget, memory), s.mul(i, new))
        bent, bent_back = hand.tanh(memory)
        h = s.mul(out, bent)
        outputs.append(h)
        tapes.append((own_back, backs, values, before, bent, bent_back))
    same(y, np.array(outputs))

    dinputs = np.zeros_like(inputs)
    dh = dmemory = du = dc = None
    for t in reversed(range(steps)):
        own_back, backs, (i, forget, new, out), before, bent, bent_back = tapes[t]
        dh = g[t] if dh is None else s.add(dh, g[t])
        through = bent_back(s.mul(dh, out))
        dmemory = through if dmemory is None else s.add(through, dmemory)
        gates = [s.mul(dmemory, new), s.mul(dmemory, before), s.mul(dmemory, i), s.mul(dh, bent)]
        dgates = np.concatenate([back(d) for back, d in zip(backs, gates, strict=True)], 1)
        dinputs[t], dmemory = dgates, s.mul(dmemory, forget)
        dh, step_u, step_c = own_back(dgates)
        du = step_u if du is None else s.add(du, step_u)
        dc = step_c if dc is None else s.add(dc, step_c)
    dx, dw, db = inputs_back(dinputs.reshape(-1, 4 * width))
    same(model.weight_hh_l0.grad, du)
    same(model.bias_hh_l0.grad, dc)
    same(model.weight_ih_l0.grad, dw)
    same(model.bias_ih_l0.grad, db)
    same(data.grad, dx.reshape(x.shape))


class Block(torch.nn.Module):
    """A block of a transformer, with attention written as most models have it."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.first, self.second = torch.nn.LayerNorm(width), torch.nn.LayerNorm(width)
        self.qkv, self.out = torch.nn.Linear(width, 3 * width), torch.nn.Linear(width, width)
        self.up, self.down = torch.nn.Linear(width, 2 * width), torch.nn.Linear(2 * width, width)

    def forward(self, x):
        n, length, width = x.shape
        q, k, v = (
            part.reshape(n, length, self.heads, -1).transpose(1, 2) for part in self.qkv(self.first(x)).chunk(3, -1)
        )
        mixed = torch.nn.functional.scaled_dot_product_attention(q, k, v)
        x = x + self.out(mixed.transpose(1, 2).reshape(n, length, width))
        return x + self.down(torch.tanh(self.up(self.second(x))))


@each_dtype
@each_policy
def test_transformer_block(policy, dtype):
    n, length, width, heads = 2, 3, 8, 2
    x, g = numbers(n, length, width), numbers(n, length, width, seed=5)
    model = Block(width, heads).to(dtype)
    values = {}
    for seed, (name, p) in enumerate(model.named_parameters()):
        values[name] = numbers(*p.shape, scale=0.4, seed=seed)
        p.data.copy_(torch.from_numpy(values[name]))
    data = torch.from_numpy(x).to(dtype).requires_grad_()
    with hs.torch.simulate(policy) as report:
        y = model(data)
        y.backward(torch.from_numpy(g).to(dtype))
    assert not report.not_simulated

    hand = Hand(policy)
    s = hand.stored

    def layer(name):
        return values[f"{name}.weight"], values[f"{name}.bias"]

    rows = x.reshape(-1, width)
    a, a_back = hand.normalised(rows, *layer("first"), 1)
    qkv, qkv_back = hand.linear(a, *layer("qkv"))

    def split(part):
        return part.reshape(n, length, heads, -1).transpose(0, 2, 1, 3).reshape(n * heads, length, -1)

    def joined(part):
        return part.reshape(n, heads, length, -1).transpose(0, 2, 1, 3).reshape(-1, width)

    q, k, v = (split(part) for part in np.split(qkv, 3, 1))
    # The scale is the fourth root of the head's width, once for each factor; it is a number of binary32.
    root = np.float32((width // heads) ** -0.25)

    def scaled(part):
        return s.of(np.float32(part) * root)

    q, k = scaled(q), scaled(k)
    scores = np.array([hand.product("forward", one, other.T) for one, other in zip(q, k, strict=True)])
    p, p_back = hand.softmax(scores)
    mixed = np.array([hand.product("forward", one, other) for one, other in zip(p, v, strict=True)])
    attended, out_back = hand.linear(joined(mixed), *layer("out"))
    middle = s.add(rows, attended)
    b, b_back = hand.normalised(middle, *layer("second"), 1)
    up, up_back = hand.linear(b, *layer("up"))
    bent, bent_back = hand.tanh(up)
    down, down_back = hand.linear(bent, *layer("down"))
    same(y, s.add(middle, down).reshape(x.shape))

    dy = g.reshape(-1, width)
    grads = {}

    def through(name, back, gradient):
        result, grads[f"{name}.weight"], grads[f"{name}.bias"] = back(gradient)
        return result

    dmiddle = s.add(dy, through("second", b_back, through("up", up_back, bent_back(through("down", down_back, dy)))))
    dmixed = split(through("out", out_back, dmiddle))
    pairs = list(zip(p, v, dmixed, strict=True))
    dv = np.array([hand.product("data_gradient", one.T, d) for one, _, d in pairs])
    dscores = p_back(np.array([hand.product("data_gradient", d, other.T) for _, other, d in pairs]))
    dq = scaled(np.array([hand.product("data_gradient", d, other) for d, other in zip(dscores, k, strict=True)]))
    dk = scaled(np.array([hand.product("data_gradient", d.T, one) for d, one in zip(dscores, q, strict=True)]))
    dqkv = np.concatenate([joined(d) for d in (dq, dk, dv)], 1)
    dx = s.add(dmiddle, through("first", a_back, through("qkv", qkv_back, dqkv)))
    for name, parameter_ in model.named_parameters():
        same(parameter_.grad, grads[name])
    same(data.grad, dx.reshape(x.shape))


def test_every_policy_differs():
    """The comparison has teeth: no two of the policies compute the same."""
    x = torch.from_numpy(numbers(4, 64)).float()
    layer = torch.nn.Linear(64, 64)
    parameter(layer, "weight", numbers(64, 64))
    found = []
    for policy in POLICIES.values():
        with hs.torch.simulate(policy.scaled(StaticScale(scale=2.0), policy.name)):
            found.append(layer(x).detach().numpy().tobytes())
    assert len(set(found)) >= 4
