"""Explanations: every step of one operation or one dot product, read off the core at work."""

from halfsim.explanation.dot import DotExplanation, explain_dot
from halfsim.explanation.elementwise import Explanation, explain

__all__ = ["DotExplanation", "Explanation", "explain", "explain_dot"]
