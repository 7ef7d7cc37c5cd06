"""A program: print digests of the results of first calls, made while the thread rounds in a direction of C's fenv.h.

Its argument is what ``fesetround`` is given before the package is imported. Every call is made again in the default
direction: the digests of both are printed, as JSON.
"""

import ctypes
import hashlib
import json
import sys

import numpy as np

_LIBRARY = ctypes.CDLL(None)


def digest(values):
    """Return a digest of an array or of several."""
    values = values if isinstance(values, tuple) else (values,)
    return hashlib.sha256(b"".join(np.ascontiguousarray(x).tobytes() for x in values)).hexdigest()[:16]


def operands():
    """Return binary16 operands, binary32 and binary64 numbers and factors of products, from integers alone."""
    patterns = np.arange(3 * 2000, dtype=np.uint16) * np.uint16(40503)
    narrow = patterns.view(np.float16).reshape(3, 2000)
    words = np.arange(2000, dtype=np.uint32) * np.uint32(2654435761)
    doubles = np.arange(2000, dtype=np.uint64) * np.uint64(11400714819323198485)
    # Exponents near those of binary16, so that not all is infinite or zero.
    doubles = (doubles & np.uint64(0x801FFFFFFFFFFFFF)) | (np.uint64(1000) + doubles % np.uint64(48)) << np.uint64(52)
    factors = (np.arange(2 * 20 * 33, dtype=np.uint16) * np.uint16(25173) & np.uint16(0xBFFF)).view(np.float16)
    factors[:40] = np.arange(1, 41, dtype=np.uint16).view(np.float16)  # subnormal numbers
    return narrow, words.view(np.float32), doubles.view(np.float64), factors.reshape(2, 20, 33)


def calls(hs):
    """Yield (name, call)."""
    narrow, single, double, (A, B) = operands()
    B = np.ascontiguousarray(B.T)
    random = hs.Stochastic(bits=13, seed=5)
    for name, count in {"add": 2, "divide": 2, "fma": 3, "sqrt": 1, "remainder": 2, "round_to_integral": 1}.items():
        for rounding in ("rne", "rup", "odd", random):
            operation = getattr(hs, name)
            yield (name, rounding), lambda f=operation, n=count, r=rounding: f(*narrow[:n], rounding=r)
            yield (
                (name, rounding, "flagged"),
                lambda f=operation, n=count, r=rounding: f.flagged(*narrow[:n], rounding=r),
            )
    small = hs.Format("small", 5, 2, -2, 3)
    for to in (hs.BINARY16, hs.BFLOAT16, hs.TF32, hs.E5M2, hs.E4M3, hs.BINARY32, small, np.int16):
        for rounding in ("rne", "rup", "odd", random):
            for x in (single, double, narrow[0]):
                key = "convert", to, x.dtype, rounding
                yield key, lambda x=x, t=to, r=rounding: hs.convert(x, t, rounding=r)
                yield (*key, "flagged"), lambda x=x, t=to, r=rounding: hs.convert.flagged(x, t, rounding=r)
    rows = ["v100:f32", "a100:f16", "h100:f32", "h100:f16", "mi100:f32", "mi250x:f32", "mi300x:f32"]
    sums = [hs.FP16, hs.FP32, hs.Exact(), hs.Exact(format=hs.BINARY16)]
    sums += [
        kind(format=fmt, rounding=rounding)
        for kind in (hs.Sequential, hs.Pairwise, hs.Compensated)
        for fmt in (hs.BINARY16, hs.BINARY32)
        for rounding in ("rne", "rup", random)
    ]
    for accumulator in (*rows, *sums):
        yield ("matmul", accumulator), lambda a=accumulator: hs.matmul(A, B, accumulator=a)
        yield ("sum", accumulator), lambda a=accumulator: hs.sum(A, axis=0, accumulator=a)
    for steps in (
        lambda: hs.explain("fma", *narrow[:, 7]),
        lambda: hs.explain_dot(A[0], B[:, 0], accumulator="h100:f32"),
    ):
        yield ("explain",), lambda f=steps: np.frombuffer(str(f()).encode(), np.uint8)


def main(direction):
    """Print what first and second calls give."""
    _LIBRARY.fesetround(direction)
    import halfsim as hs

    found = []
    try:
        for name, call in calls(hs):
            first = call()
            _LIBRARY.fesetround(0)
            second = call()
            _LIBRARY.fesetround(direction)
            found.append((" ".join(map(str, name)), digest(first), digest(second)))
        kept = _LIBRARY.fegetround()
    finally:
        _LIBRARY.fesetround(0)
    print(json.dumps({"direction": kept, "calls": found}))


if __name__ == "__main__":
    main(int(sys.argv[1], 0))
