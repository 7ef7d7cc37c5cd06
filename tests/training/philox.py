"""Philox4x64-10 as its authors define it, in Python's integers."""

from __future__ import annotations

__all__ = ["philox64"]


def philox64(key: tuple[int, int], count: int) -> list[int]:
    """Return the words of a key, counter from 1 (Salmon et al., SC 2011)."""
    words: list[int] = []
    for counter in range(1, -(-count // 4) + 1):
        x, k = [counter, 0, 0, 0], list(key)
        for _ in range(10):
            low, high = x[0] * 0xD2E7470EE14C6C93, x[2] * 0xCA5A826395121157
            x = [high >> 64 ^ x[1] ^ k[0], high % 2**64, low >> 64 ^ x[3] ^ k[1], low % 2**64]
            k = [(k[0] + 0x9E3779B97F4A7C15) % 2**64, (k[1] + 0xBB67AE8584CAA73B) % 2**64]
        words += x
    return words[:count]
