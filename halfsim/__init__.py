"""Bit-accurate simulation of IEEE 754 binary16 arithmetic, its accumulators, and GPU tensor cores."""

from halfsim._lazy import lazily

__getattr__, __dir__, __all__ = lazily(__name__)
