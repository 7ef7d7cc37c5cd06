"""Bit-accurate simulation of IEEE 754 binary16 arithmetic, its accumulators, and GPU tensor cores."""

from halfsim._imports import guard_imports
from halfsim._lazy import lazily

guard_imports(__name__)
__getattr__, __dir__, __all__ = lazily(__name__)
