"""Studies: each a claim, a grid of runs that shows it, a table and figures."""

from halfsim.studies.quickstart import QUICKSTART
from halfsim.studies.study import Study

__all__ = ["STUDIES", "Study"]

STUDIES: dict[str, Study] = {study.name: study for study in (QUICKSTART,)}
"""All studies by name."""
