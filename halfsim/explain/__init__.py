"""Explanations: every step of one operation or one dot product, read off the core at work."""

from halfsim.explain.dot import DotExplanation, explain_dot
from halfsim.explain.elementwise import Explanation, explain

__all__ = ["DotExplanation", "Explanation", "explain", "explain_dot"]
