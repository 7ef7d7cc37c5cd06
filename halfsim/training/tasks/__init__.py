"""What is learned: data, batches, the loss on the tape, and the measures of a trained network."""

from __future__ import annotations

from halfsim.training.tasks.adversarial import Adversarial
from halfsim.training.tasks.classification import Classification
from halfsim.training.tasks.detection import Canvases, HeatMap
from halfsim.training.tasks.language import Language
from halfsim.training.tasks.streams import Batches, BatchSize
from halfsim.training.tasks.task import Phase, Task

__all__ = [
    "TASKS",
    "Adversarial",
    "BatchSize",
    "Batches",
    "Canvases",
    "Classification",
    "HeatMap",
    "Language",
    "Phase",
    "Task",
]

TASKS: dict[str, type[Task]] = {
    "classification": Classification,
    "heat-map": HeatMap,
    "canvases": Canvases,
    "language": Language,
    "adversarial": Adversarial,
}
"""The tasks by name."""
