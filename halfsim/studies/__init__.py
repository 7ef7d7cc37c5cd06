"""Studies: each a claim, the runs and tables that show it, and the numbers that must come out."""

from halfsim.studies.grid import Part, Table, Variant
from halfsim.studies.quickstart import QUICKSTART
from halfsim.studies.study import Check, Study

__all__ = ["STUDIES", "Check", "Part", "Study", "Table", "Variant"]

STUDIES: dict[str, Study] = {study.name: study for study in sorted((QUICKSTART,), key=lambda study: study.order)}
"""All studies by name, in their order."""
