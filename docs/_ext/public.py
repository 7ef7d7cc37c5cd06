"""Which names are public, and on which page of the reference each stands."""

from __future__ import annotations

import ast
import importlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path

from halfsim._lazy import listed

__all__ = ["PAGES", "Page", "found", "names", "of_page", "sources", "undocumented"]

PACKAGE = Path(__file__).resolve().parents[2] / "halfsim"


@dataclass(frozen=True)
class Page:
    """A page of the reference.

    Parameters
    ----------
    name, title, intro : str
        File name, heading, and what stands below it.
    modules : tuple of str
        Modules whose names the page defines, under their own path.
    of_package : tuple of str
        Modules whose names the page defines as ``halfsim.NAME``.
    types : tuple of str
        Classes that public functions take or return and no such module lists, by their full path.
    """

    name: str
    title: str
    intro: str
    modules: tuple[str, ...] = ()
    of_package: tuple[str, ...] = ()
    types: tuple[str, ...] = ()


PAGES = (
    Page(
        "operations",
        "Operations that give numbers",
        "Every operation takes float16 arrays or scalars, broadcasts, and has a ``flagged`` twin that returns the "
        "result and its exception flags. The :doc:`table of operations </reference/generated/operations>` has all "
        "of them side by side.",
        of_package=("halfsim.operations", "halfsim.operation"),
    ),
    Page(
        "predicates",
        "Comparisons, signs and classes",
        "Operations that give truth values or classes, and those that only touch the sign. They round nothing.",
        of_package=("halfsim.predicates", "halfsim.core.compare"),
    ),
    Page(
        "conversion",
        "Conversion and bit patterns",
        "Numbers of one format rounded once to another, to integers and back; arrays seen as their bits.",
        of_package=("halfsim.arrays", "halfsim.conversion"),
    ),
    Page(
        "sums",
        "Matrix products, dot products and sums",
        "How the products are added is an argument: an :doc:`accumulator <accumulators>`.",
        of_package=("halfsim.linalg",),
    ),
    Page(
        "accumulators",
        "Accumulators",
        "How a dot product is summed, as a frozen row.",
        of_package=("halfsim.accumulators", "halfsim.mfma"),
    ),
    Page(
        "formats",
        "Formats, roundings and flags",
        "The vocabulary of all calls. :doc:`/reference/generated/formats` and "
        ":doc:`/reference/generated/roundings` have the rows side by side.",
        of_package=("halfsim.formats", "halfsim.rounding", "halfsim.flags"),
    ),
    Page(
        "environments",
        "Environments",
        "What IEEE 754 leaves to the machine. :doc:`/reference/generated/environments` has the rows side by side.",
        of_package=("halfsim.environment",),
    ),
    Page(
        "explanation",
        "Explanations",
        "Every step of one result, as a record that prints and serialises.",
        of_package=("halfsim.explanation",),
        types=(
            "halfsim.explanation.Explanation",
            "halfsim.explanation.DotExplanation",
            "halfsim.explanation.DotComparison",
            "halfsim.explanation.ComparedDot",
            "halfsim.explanation.FirstLoss",
            "halfsim.explanation.values.Datum",
            "halfsim.explanation.steps.Exact",
            "halfsim.explanation.steps.Decision",
            "halfsim.explanation.steps.Tiny",
            "halfsim.explanation.dot_steps.Step",
            "halfsim.explanation.dot_steps.Block",
            "halfsim.explanation.dot_steps.Term",
            "halfsim.explanation.dot_steps.Stage",
        ),
    ),
    Page(
        "execution",
        "Threads, devices and version",
        "Results are the same for any number of threads and on any device.",
        modules=("halfsim.device",),
        of_package=("halfsim.kernels.threads", "halfsim._version"),
    ),
    Page("tensorcores", "Tensor cores", "The matrix units of GPUs as rows.", modules=("halfsim.tensorcores",)),
    Page("policy", "Policies of training", "The precision of a training run as one row.", modules=("halfsim.policy",)),
    Page(
        "torch",
        "PyTorch",
        "PyTorch models in simulated arithmetic; the extra ``torch`` is needed.",
        modules=("halfsim.torch",),
    ),
    Page(
        "training",
        "Training",
        "Networks trained with every number and every step of arithmetic as a policy says.",
        modules=(
            "halfsim.training.trainer",
            "halfsim.training.experiment",
            "halfsim.training.config",
            "halfsim.training.optim",
            "halfsim.training.loss_scale",
            "halfsim.training.ledger",
            "halfsim.training.record",
        ),
    ),
    Page(
        "networks",
        "Networks, tasks and data",
        "What training is made of.",
        modules=(
            "halfsim.training.nn",
            "halfsim.training.machine",
            "halfsim.training.tape",
            "halfsim.training.models",
            "halfsim.training.tasks",
            "halfsim.training.data",
        ),
        types=(
            "halfsim.training.arithmetic.Arithmetic",
            "halfsim.training.words.Words",
            "halfsim.training.models.model.Start",
        ),
    ),
    Page(
        "accounting",
        "Memory and loss scales by accounting",
        "How many bytes a training step keeps, and which loss scales its gradients ask for.",
        modules=("halfsim.training.accounting",),
    ),
    Page(
        "studies",
        "Studies",
        "Claims with the runs that show them; :doc:`/results/README` says what they found.",
        modules=(
            "halfsim.studies",
            "halfsim.studies.tables.accumulation",
            "halfsim.studies.tables.batch_norm_sums",
            "halfsim.studies.tables.disagreement",
            "halfsim.studies.tables.memory",
            "halfsim.studies.tables.operands",
            "halfsim.studies.tables.own_memory",
            "halfsim.studies.tables.rates",
            "halfsim.studies.tables.sample_order",
            "halfsim.studies.tables.scales",
        ),
        types=("halfsim.studies.cells.Cell",),
    ),
    Page(
        "testvectors",
        "Test vectors",
        "Operands, expected results and files of them; the command line does most of it.",
        modules=(
            "halfsim.testvectors",
            "halfsim.testvectors.generate",
            "halfsim.testvectors.check",
            "halfsim.testvectors.formats",
            "halfsim.testvectors.tiles",
        ),
        types=(
            "halfsim.testvectors.setting.Setting",
            "halfsim.testvectors.cases.plan.Plan",
            "halfsim.testvectors.cases.plan.plan",
            "halfsim.testvectors.cases.plan.Operands",
            "halfsim.testvectors.cases.family.Listed",
            "halfsim.testvectors.cases.family.Grid",
            "halfsim.testvectors.cases.family.Drawn",
            "halfsim.testvectors.tileheader.TileHeader",
            "halfsim.testvectors.coverage.Coverage",
            "halfsim.testvectors.formats.rows.Field",
            "halfsim.testvectors.formats.digest.RowDigest",
        ),
    ),
    Page(
        "hardware",
        "Test benches and captures",
        "Designs checked from cocotb and from SystemVerilog, and GPUs recorded bit for bit.",
        modules=("halfsim.interop.cocotb", "halfsim.interop.dpi", "halfsim.capture"),
        types=(
            "halfsim.capture.discrimination.Discrimination",
            "halfsim.capture.ptx.Kernel",
        ),
    ),
    Page(
        "plotting",
        "Figures",
        "One function per figure, Axes in, Axes out; the extra ``studies`` is needed.",
        modules=("halfsim.plotting",),
    ),
)


def names(module: str) -> list[str]:
    """Return the public names of a module: its ``__all__``, or what its package file re-exports under the same name."""
    if module == "halfsim":
        return sorted(sources())
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"docs/_ext/public.py: there is no module {module}; mend its page")
    text = Path(spec.origin).read_text()
    for node in ast.parse(text).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "__all__":
            return list(ast.literal_eval(node.value))
    return [name for _, name, _ in listed(text)]


def sources() -> dict[str, str]:
    """Return the module that each public name of the package comes from, as its stub says."""
    return {name: module for module, name, _ in listed((PACKAGE / "__init__.pyi").read_text())}


def of_page(page: Page) -> list[tuple[str, str]]:
    """Return the (module, name) pairs that a page defines, in the order of their source."""
    by_package = [("halfsim", name) for module in page.of_package for name, of in sources().items() if of == module]
    by_module = [(module, name) for module in page.modules for name in names(module)]
    return [*by_package, *by_module, *((module, name) for module, _, name in (t.rpartition(".") for t in page.types))]


def undocumented() -> list[str]:
    """Return the names of the package that no page defines, but for its modules, which have pages of their own."""
    defined = {name for page in PAGES for module, name in of_page(page) if module == "halfsim"}
    modules = {module.removeprefix("halfsim.") for page in PAGES for module in page.modules}
    return sorted(set(sources()) - defined - modules)


def found(module: str, name: str) -> object:
    """Return what a public name stands for."""
    return getattr(importlib.import_module(module), name)
