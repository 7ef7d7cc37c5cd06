"""The rows of `tests.core_rows` from a kernel of numba's CUDA target, or of its simulator where there is no GPU."""

from __future__ import annotations

import sys

import numpy as np
from numba import cuda

from tests.core_rows import controls, empty, fill, operands


@cuda.jit
def kernel(columns, words, result):
    w = cuda.grid(1)
    if w < words.size:
        fill(w, int(words[w]), columns, result)


if __name__ == "__main__":
    words, results = np.array(controls()), empty()
    kernel[(words.size + 7) // 8, 8](np.stack(operands()), words, results)
    np.save(sys.argv[1], results)
