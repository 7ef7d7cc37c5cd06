"""Memory: bytes of a parameter and of an activation, of the paper's networks and of those trained here."""

from __future__ import annotations

from halfsim.studies.grid import Table
from halfsim.studies.recipes import CHARACTERS, IMAGES
from halfsim.studies.study import Check, Study

__all__ = ["MEMORY"]

_TABLES = "halfsim.studies.tables"

MEMORY = Study(
    name="memory",
    summary="bytes by policy and batch size: where mixed precision halves memory, and where it does not",
    claim=(
        "Parameters save nothing under the paper's recipe: the master copy costs what the gradient saves. The saving "
        "is in the activations: it comes near one half only where these are most of the memory, with large batches. "
        "For bigLSTM, nearly all of whose memory is parameters, mixed precision needs more than binary32, by 22 % for "
        "one token and by 16 % for its usual batch of 2,560: a step's gradients are those of the few words that it "
        "sees, and the master copy costs more than they save."
    ),
    paper=(
        "The master copy makes the memory of the weights half as large again as in binary32; activations dominate with "
        "large batches, and overall memory is roughly halved [@micikevicius2018]. The paper prints no table."
    ),
    limits=(
        "Accounting counts what training must keep: weights, gradients, the state of the optimizer, and what the "
        "backward pass reads. Workspaces of libraries, fragmentation and activations made again are left out. Deep "
        "Speech 2 and bigLSTM follow public descriptions, which leave some layers to inference."
    ),
    parts=(
        Table(
            name="parameter",
            title="Bytes of one parameter",
            claim="Weights and their copies, gradient, and all with the state of an optimizer.",
            function=f"{_TABLES}.memory:bytes_of_a_parameter",
        ),
        Table(
            name="paper models",
            title="The paper's networks, by accounting",
            claim="Bytes of a training step by policy and batch, and the ratio to binary32.",
            function=f"{_TABLES}.memory:paper_models",
        ),
        Table(
            name="nearly half",
            title="At which batch memory is nearly halved",
            claim="The smallest power of two at which a batch takes at most 55 % of binary32's memory, if one does.",
            function=f"{_TABLES}.memory:nearly_half",
        ),
        Table(
            name="own models",
            title="Networks trained here, measured from the arrays",
            claim="Bytes of the arrays that a step holds, beside the accounting.",
            function=f"{_TABLES}.own_memory:own_models",
            tasks=(IMAGES, CHARACTERS),
        ),
    ),
    checks=(
        Check(name="16 bytes of a parameter with Adam, as in binary32", part="parameter", row="mixed", measure="Adam",
              low=16, high=16),
        Check(name="and 12 with momentum", part="parameter", row="mixed", measure="momentum", low=12, high=12),
        Check(name="ResNet-50 is nearly halved", part="paper models",
              row={"model": "ResNet-50", "policy": "mixed", "batch": 128}, measure="ratio", low=0.5, high=0.55),
        Check(name="and not for a single image", part="paper models",
              row={"model": "ResNet-50", "policy": "mixed", "batch": 1}, measure="ratio", low=0.8, high=1.0),
        *(
            Check(name=f"bigLSTM needs more than in binary32, {size}", part="paper models",
                  row={"model": "bigLSTM", "policy": "mixed", "batch": batch}, measure="ratio", low=1.1, high=1.3)
            for batch, size in ((1, "one token"), (2560, "its usual batch"))
        ),
    ),
    order=9,
)  # fmt: skip
"""The study."""
