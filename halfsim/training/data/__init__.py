"""Real data that needs no download: digits, Fashion-MNIST where the system has it, canvases of digits, and text.

Every random choice is made from `halfsim.training.words.Words`, and every set names the file it was read from and the
digest of that file.
"""

from __future__ import annotations

from halfsim.training.data.canvases import canvases, heat_map, patches
from halfsim.training.data.dataset import Dataset
from halfsim.training.data.digits import digits, enlarged_digits
from halfsim.training.data.fashion import fashion_folder, fashion_mnist
from halfsim.training.data.text import Corpus, corpus

__all__ = [
    "Corpus",
    "Dataset",
    "canvases",
    "corpus",
    "digits",
    "enlarged_digits",
    "fashion_folder",
    "fashion_mnist",
    "heat_map",
    "patches",
]
