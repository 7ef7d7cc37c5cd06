"""Explanations: every step of one operation or one dot product, read off the core at work."""

from halfsim.explanation.comparison import ComparedDot, DotComparison, FirstLoss, compare_dot
from halfsim.explanation.dot import DotExplanation, explain_dot
from halfsim.explanation.elementwise import Explanation, explain

__all__ = [
    "ComparedDot",
    "DotComparison",
    "DotExplanation",
    "Explanation",
    "FirstLoss",
    "compare_dot",
    "explain",
    "explain_dot",
]
