"""halfsim beside its peers: what is measured (rows), how (turn by turn, processor time), and what is said of it.

Everything is called as users call it, through the public functions, on one thread. A row names who takes part and what
ratios are aimed at; a peer that is not installed is left out. Before anything is timed the answers are compared.
"""

from halfsim.benchmarks.elementwise import ELEMENTWISE
from halfsim.benchmarks.measure import Against, Result, measure
from halfsim.benchmarks.others import OTHERS
from halfsim.benchmarks.products import PRODUCTS
from halfsim.benchmarks.report import document, machine, missed, table
from halfsim.benchmarks.rows import Case, Contender, Row, Sizes

__all__ = [
    "FAMILIES",
    "ROWS",
    "Against",
    "Case",
    "Contender",
    "Result",
    "Row",
    "Sizes",
    "document",
    "machine",
    "measure",
    "missed",
    "table",
]

_ALL = (*ELEMENTWISE, *OTHERS, *PRODUCTS)
FAMILIES = tuple(dict.fromkeys(row.family for row in _ALL))
"""Names of the groups of rows."""
ROWS = tuple(sorted(_ALL, key=lambda row: FAMILIES.index(row.family)))
"""Every row, in the order of the table."""
