"""The matrix units of GPUs, one row each: which block of products they sum, and what supports that."""

from halfsim.tensorcores.evidence import Evidence as Evidence
from halfsim.tensorcores.evidence import EvidenceKind as EvidenceKind
from halfsim.tensorcores.table import SUMS as SUMS
from halfsim.tensorcores.table import TABLE as TABLE
from halfsim.tensorcores.table import AccumulatorLike as AccumulatorLike
from halfsim.tensorcores.table import as_accumulator as as_accumulator
from halfsim.tensorcores.table import names as names
from halfsim.tensorcores.table import row as row
from halfsim.tensorcores.tensorcore import TensorCore as TensorCore
