"""What a study leaves to read: statistics, checks, tables, figures, and a page that holds all of it."""

from halfsim.studies.report.checks import evaluate
from halfsim.studies.report.summary import rows, summarise
from halfsim.studies.report.writing import read, write

__all__ = ["evaluate", "read", "rows", "summarise", "write"]
