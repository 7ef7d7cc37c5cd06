"""Operands of test vectors: families with an intention each, put together into plans."""

from halfsim.testvectors.cases.family import Family
from halfsim.testvectors.cases.ibm import MODELS
from halfsim.testvectors.cases.plan import FAMILIES, Operands, Plan, family, plan

__all__ = ["FAMILIES", "MODELS", "Family", "Operands", "Plan", "family", "plan"]
