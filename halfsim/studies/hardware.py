"""Hardware: the same training on the tensor cores of V100, A100 and H100."""

from __future__ import annotations

from halfsim.accumulators import FP16
from halfsim.studies.grid import Part, Table
from halfsim.studies.recipes import BASELINE, CONVNET, IMAGES, SCALED
from halfsim.studies.study import Check, Study

__all__ = ["HARDWARE"]

_UNITS = tuple(f"{gpu}:{output}" for output in ("f32", "f16") for gpu in ("v100", "a100", "h100"))

HARDWARE = Study(
    name="hardware",
    summary="the same training on V100, A100 and H100 tensor cores: which bits differ, and does it matter",
    claim=(
        "The tensor cores of three generations sum differently, so that no two trainings end with the same weights. "
        "With f32 accumulators their results, once stored in binary16, differ in a few of a thousand, by one ulp; with "
        "f16 ones in most, and the gradients' error is several times as large, more so on older generations. The "
        "trainings end with the same accuracy, within the noise between seeds."
    ),
    paper="All trainings ran with binary32 accumulation on V100, or were emulated on older GPUs [@micikevicius2018].",
    limits=(
        "One accumulator per output element walks k upward. A library may split k, or choose another instruction or "
        "order; its bits then differ from these, as they do between libraries."
    ),
    parts=(
        Part(
            name="training",
            title="A convolutional network",
            claim=(
                "With f16 accumulators the gradients' error tells the generations apart; the result does not, with any "
                "of them."
            ),
            task=IMAGES,
            settings=CONVNET,
            policies=(
                BASELINE,
                SCALED,
                *(SCALED.accumulating(unit, unit.upper().replace(":F", " f")) for unit in _UNITS),
                SCALED.accumulating(FP16, "binary16, sequential"),
            ),
            shown=("binary32", "mixed, scale 1024", "V100 f16", "H100 f16", "binary16, sequential"),
        ),
        Table(
            name="disagreement",
            title="How often two GPUs disagree",
            claim=(
                "Share of the results of one product, of rows that a layer sees, that differ in some bit; and the "
                "largest difference in ulps of the second one's result, which is large where a sum cancels."
            ),
            function="halfsim.studies.tables.disagreement:disagreement",
            tasks=(IMAGES,),
            figure="halfsim.plotting:disagreement",
            caption="Share of results whose bits differ, a cell per pair.",
        ),
    ),
    checks=(
        *(
            Check(name=f"f32 accumulators of {gpu} match", part="training", row=f"{gpu} f32", measure="accuracy",
                  low=-0.015, high=0.015, against="binary32")
            for gpu in ("V100", "A100", "H100")
        ),
        Check(name="f16 sums of V100 err more than those of H100", part="training", row="V100 f16",
              measure="gradient_error", low=1.1, high=3.0, against="H100 f16", relative=True),
        *(
            Check(name=f"f16 sums of {gpu} err several times as much as f32 ones", part="training", row=f"{gpu} f16",
                  measure="gradient_error", low=2.0, high=20.0, against=f"{gpu} f32", relative=True)
            for gpu in ("V100", "A100", "H100")
        ),
    ),
    order=8,
)  # fmt: skip
"""The study."""
