"""Studies: each a claim, the runs and tables that show it, and the numbers that must come out."""

from halfsim.studies.accumulation import ACCUMULATION
from halfsim.studies.architectures import ARCHITECTURES
from halfsim.studies.dynamic_scaling import DYNAMIC_SCALING
from halfsim.studies.grid import Part, Table, Variant
from halfsim.studies.hardware import HARDWARE
from halfsim.studies.loss_scaling import LOSS_SCALING
from halfsim.studies.master_weights import MASTER_WEIGHTS
from halfsim.studies.memory import MEMORY
from halfsim.studies.quickstart import QUICKSTART
from halfsim.studies.required_scale import REQUIRED_SCALE
from halfsim.studies.rounding_modes import ROUNDING_MODES
from halfsim.studies.study import Check, Study

__all__ = ["STUDIES", "Check", "Part", "Study", "Table", "Variant"]

_ALL = (
    QUICKSTART,
    MASTER_WEIGHTS,
    LOSS_SCALING,
    ACCUMULATION,
    ROUNDING_MODES,
    DYNAMIC_SCALING,
    REQUIRED_SCALE,
    ARCHITECTURES,
    HARDWARE,
    MEMORY,
)

STUDIES: dict[str, Study] = {study.name: study for study in sorted(_ALL, key=lambda study: study.order)}
"""All studies by name, in their order."""
