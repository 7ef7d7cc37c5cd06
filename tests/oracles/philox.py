"""Philox4x32-10 in plain Python integers, from the definition in Salmon et al. (SC 2011)."""

from __future__ import annotations

__all__ = ["philox4x32", "word"]


def philox4x32(counter: int, key: int, rounds: int = 10) -> list[int]:
    """Four 32-bit words of a 128-bit counter under a 64-bit key."""
    x = [(counter >> 32 * i) % 2**32 for i in range(4)]
    keys = [(key >> 32 * i) % 2**32 for i in range(2)]
    for number in range(rounds):
        k0 = (keys[0] + number * 0x9E3779B9) % 2**32
        k1 = (keys[1] + number * 0xBB67AE85) % 2**32
        p0, p1 = 0xD2511F53 * x[0], 0xCD9E8D57 * x[2]
        x = [(p1 >> 32) ^ x[1] ^ k0, p1 % 2**32, (p0 >> 32) ^ x[3] ^ k1, p0 % 2**32]
    return x


def word(seed: int, index: int, step: int = 0) -> int:
    """The random word of element `index` and rounding `step`: counter (index, step // 4), word step % 4."""
    return philox4x32(index | (step // 4) << 64, seed)[step % 4]
