"""No row claims more than its citations and the captures in the repository support, and the marks follow from that."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import halfsim as hs
from halfsim.capture import capture, check, read
from halfsim.capture.discrimination import joined, of_record
from halfsim.capture.matrix import MATRIX_INSTRUCTIONS
from halfsim.capture.model import tensor_core
from halfsim.capture.reader import Record
from halfsim.tensorcores import TABLE, Evidence, EvidenceKind, TensorCore
from halfsim.tensorcores.evidence import SOURCES
from tests.capture.machine import Machine
from tests.published import CITATIONS, WORDS, load, table

NAMES = {f"{row.architecture}-{row.instruction}-{row.inputs}-{row.output}": row for row in TABLE}


def overclaims(row: TensorCore, cuda: Path) -> list[str]:
    """What a row claims beyond vectors/CITATIONS.toml and the captures in a folder."""
    found = []
    for item in row.evidence:
        own = item.kind is EvidenceKind.ownCapture
        found += [f"{item.source}: {text}" for text in (_own(row, item, cuda) if own else _cited(row, item))]
    return found


def _cited(row: TensorCore, item: Evidence) -> list[str]:
    citations = {citation["source"]: citation for citation in table()}
    if item.source not in citations:
        return ["not in CITATIONS.toml"]
    citation = citations[item.source]
    found = []
    if item.kind > EvidenceKind[citation["kind"]]:
        found.append(f"is {citation['kind']}, not {item.kind.name}")
    if not set(item.coverage) <= set(citation["coverage"]):
        found.append(f"does not cover {sorted(set(item.coverage) - set(citation['coverage']))}")
    supports = [support for support in citation["supports"] if support["gpu"] in item.gpus]
    if item.kind is not EvidenceKind.inferred:  # inference may come from elsewhere
        here = (row.architecture, row.instruction, row.inputs, row.output)
        supports = [
            support
            for support in supports
            if here[0] == support["architecture"] and here[1] in support["instructions"]
            if here[2] in support["inputs"] and here[3] in support["outputs"]
        ]
    missing = set(item.gpus) - {support["gpu"] for support in supports}
    if missing:
        found.append(f"says nothing of {', '.join(sorted(missing))}")
    outputs = sum(support["outputs"].get(row.output, 0) for support in supports)
    if item.outputs > outputs:
        found.append(f"has {outputs} outputs, not {item.outputs}")
    return found


def _untold(records: Iterable[Record]) -> set[str]:
    return {found.neighbour for found in joined(of_record(record) for record in records) if not found.told}


@lru_cache(maxsize=1)  # rows of one GPU have one capture
def _products(folder: Path) -> list[Record]:
    """Read what a capture holds of matrix instructions."""
    (found,) = read(folder)
    return [record for record in found.records() if record.instruction in MATRIX_INSTRUCTIONS]


def _own(row: TensorCore, item: Evidence, cuda: Path) -> list[str]:
    if not (cuda / item.source).is_dir() or not read(cuda / item.source):
        return ["no such capture"]
    (found,) = read(cuda / item.source)
    capability = tuple(int(part) for part in found.manifest["compute_capability"].split("."))
    records = {}
    for record in _products(cuda / item.source):
        instruction = MATRIX_INSTRUCTIONS[record.instruction]
        if tensor_core(instruction, (capability[0], capability[1])) is row.accumulator:
            records[record.group, record.instruction] = record
    groups = tuple(dict.fromkeys(group for group, _ in records))
    agreed_in = check(cuda / item.source, only=groups) if groups else ()
    agreements = [item for item in agreed_in if (item.group, item.instruction) in records]
    agreed, differing = (
        (sum(each) for each in zip(*((a.equal, a.count - a.equal) for a in agreements), strict=True))
        if agreements
        else (0, 0)
    )
    problems = []
    if item.gpus != (found.manifest["gpu"],):
        problems.append(f"is of {found.manifest['gpu']}, not {', '.join(item.gpus)}")
    if differing:
        problems.append(f"{differing} outputs disagree")
    elif agreed and (left := _untold(records.values()) - set(item.untold or ())):
        problems.append(f"cannot tell {sorted(left)}")
    if item.outputs > agreed:
        problems.append(f"has {agreed} outputs that agree, not {item.outputs}")
    covered = {name for record in records.values() for name in record.coverage or record.labels}
    if not set(item.coverage) <= covered:
        problems.append(f"does not cover {sorted(set(item.coverage) - covered)}")
    return problems


# Rows of the captured GPU take most of the time: one for each kind of factors is always checked.
CAPTURED = [name for name, row in NAMES.items() if any(e.kind is EvidenceKind.ownCapture for e in row.evidence)]
ALWAYS = {NAMES[name].inputs: name for name in reversed(CAPTURED)}.values()


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=pytest.mark.slow) if n in CAPTURED and n not in ALWAYS else n for n in NAMES],
)
def test_no_row_claims_more_than_is_supported(name: str, root: Path) -> None:
    assert overclaims(NAMES[name], root / "vectors" / "cuda") == []


def test_citations_are_well_formed_and_used() -> None:
    citations = table()
    keys = re.findall(r"^@\w+\{([\w-]+),$", (CITATIONS.parent.parent / "docs" / "references.bib").read_text(), re.M)
    cited = {item.source for row in TABLE for item in row.evidence if item.kind is not EvidenceKind.ownCapture}
    assert {citation["source"] for citation in citations} == cited == set(SOURCES) <= set(keys)
    for citation in citations:
        published = citation["kind"] == "publishedCapture"
        fields = {"source", "kind", "origin", "licence", "api", "coverage", "limits", "supports"}
        assert citation.keys() == fields | ({"file", "sha256"} if published else set())
        for support in citation["supports"]:
            required = {"gpu", "architecture", "inputs", "instructions", "outputs"} | (
                {"column"} if published else set()
            )
            assert required <= support.keys() <= required | {"same_as"}
            assert all((count > 0) == published for count in support["outputs"].values())


def test_every_board_that_a_source_supports_is_claimed() -> None:
    """Nothing that is listed is forgotten: each board appears in a row's evidence with that source."""
    claimed = {(item.source, gpu) for row in TABLE for item in row.evidence for gpu in item.gpus}
    assert {(citation["source"], support["gpu"]) for citation in table() for support in citation["supports"]} <= claimed


def made_up(row: TensorCore, **changes: Any) -> TensorCore:
    return replace(row, evidence=(replace(row.evidence[0], **changes),))


@pytest.mark.parametrize(
    ("name", "changes", "text"),
    [
        ("sm_80-m16n8k16-f16-f32", {}, None),
        ("sm_80-m16n8k16-f16-f32", {"outputs": 4999}, None),
        ("sm_80-m16n8k16-f16-f32", {"outputs": 5001}, "khattak2025: has 5000 outputs, not 5001"),
        ("sm_80-m16n8k16-f16-f32", {"gpus": ("A100", "A30")}, "khattak2025: says nothing of A30"),
        ("sm_80-m16n8k16-f16-f32", {"gpus": ("H100",)}, "khattak2025: says nothing of H100"),
        ("sm_80-m16n8k16-f16-f32", {"coverage": ("normal", "carry")}, r"khattak2025: does not cover \['carry'\]"),
        ("sm_80-m16n8k16-f16-f32", {"source": "mmasim2025"}, "mmasim2025: is simulator, not publishedCapture"),
        ("sm_80-m16n8k16-f16-f32", {"source": "somebody"}, "somebody: not in CITATIONS.toml"),
        (
            "sm_80-m16n8k16-f16-f32",
            {"kind": EvidenceKind.ownCapture, "source": "8.0/a100"},
            "8.0/a100: no such capture",
        ),
        ("sm_100-m16n8k8-f16-f32", {"gpus": ("B300",)}, "mmasim2025: says nothing of B300"),
        ("sm_75-m16n8k8-f16-f32", {"source": "fasi2021"}, "fasi2021: is inferred, not simulator"),
    ],
)
def test_a_claim_beyond_the_support_is_found(
    name: str, changes: dict[str, Any], text: str | None, tmp_path: Path
) -> None:
    problems = "; ".join(overclaims(made_up(NAMES[name], **changes), tmp_path))
    assert re.match(text, problems) if text else problems == "", problems


def test_an_own_capture_supports_what_it_holds(tmp_path: Path) -> None:
    machine = Machine((9, 0), "NVIDIA Paper 1")
    folder = capture(tmp_path, machine, only=("experiments.mma.m16n8k16.f16",))
    row = NAMES["sm_90-m16n8k16-f16-f16"]
    count = sum(item.count for item in check(folder))
    own: dict[str, Any] = {
        "kind": EvidenceKind.ownCapture,
        "source": "9.0/nvidia-paper-1",
        "gpus": ("NVIDIA Paper 1",),
        "outputs": count,
        "coverage": ("tie to even", "NaN C"),
        "limits": "L * 2, order reversed, wide between blocks",
        "untold": ("L * 2", "order reversed", "wide between blocks"),
    }
    assert overclaims(made_up(row, **own), tmp_path) == []
    for change, text in (
        ({"outputs": count + 1}, f"has {count} outputs that agree, not {count + 1}"),
        ({"gpus": ("NVIDIA Paper 2",)}, "is of NVIDIA Paper 1, not NVIDIA Paper 2"),
        ({"untold": ("L * 2",)}, "cannot tell ['order reversed', 'wide between blocks']"),
        ({"coverage": ("chains",)}, "does not cover ['chains']"),
        ({"source": "9.0/absent"}, "no such capture"),
    ):
        assert [problem.partition(": ")[2] for problem in overclaims(made_up(row, **own | change), tmp_path)] == [text]
    # An output of this instruction is no evidence for another row.
    (problem, _) = overclaims(made_up(NAMES["sm_90a-wgmma-f16-f16"], **own), tmp_path)
    assert problem.endswith(f"has 0 outputs that agree, not {count}")


def test_an_own_capture_that_disagrees_supports_nothing(tmp_path: Path) -> None:
    machine = Machine((9, 0), "NVIDIA Paper 1")
    machine.planted = lambda name, words: words if words.shape[0] == 8 else words ^ words.dtype.type(1)
    capture(tmp_path, machine, only=("experiments.mma.m16n8k16.f16",))
    claim = {"kind": EvidenceKind.ownCapture, "source": "9.0/nvidia-paper-1", "gpus": ("NVIDIA Paper 1",), "outputs": 1}
    problems = overclaims(made_up(NAMES["sm_90-m16n8k16-f16-f16"], **claim, coverage=()), tmp_path)
    assert len(problems) == 2 and "outputs disagree" in problems[0] and "has 0 outputs that agree" in problems[1]


# ------------------------------------------------------------------------------------------------------------ marks


def evidence(kind: str, source: str = "mmasim2025", *, left: tuple[str, ...] = ()) -> Evidence:
    outputs = int(EvidenceKind[kind] >= EvidenceKind.publishedCapture)
    untold = left if outputs else None
    return Evidence(
        kind=EvidenceKind[kind], source=source, gpus=("X",), outputs=outputs, limits=f"all else {untold}", untold=untold
    )


@pytest.mark.parametrize(
    ("items", "mark"),
    [
        ([evidence("ownCapture")], "A"),
        ([evidence("simulator"), evidence("publishedCapture", "mmascope")], "A"),
        # Another rounding or half the block is excluded by all captures together, or the rest decides.
        ([evidence("ownCapture", left=("F + 1", "L * 2", "z - 1"))], "A"),
        ([evidence("ownCapture", left=("L / 2",)), evidence("publishedCapture", left=("other rounding",))], "A"),
        ([evidence("ownCapture", left=("L / 2",)), evidence("publishedCapture", left=("L / 2",))], "C"),
        ([evidence("publishedCapture", left=("other rounding",)), evidence("simulator")], "C"),
        (
            [evidence("ownCapture", left=("L / 2",)), evidence("simulator"), evidence("simulator", "qqqtao2026")],
            "B",
        ),
        ([evidence("simulator"), evidence("simulator", "qqqtao2026")], "B"),
        ([evidence("simulator"), evidence("simulator")], "C"),
        ([evidence("simulator"), evidence("inferred", "khattak2025")], "C"),
        ([evidence("inferred", "khattak2025")], "C"),
    ],
)
def test_the_mark_follows_from_the_evidence(items: list[Evidence], mark: str) -> None:
    assert replace(TABLE[0], evidence=tuple(items)).confidence == mark


def test_marks_of_the_table() -> None:
    """Captures for the large shape everywhere but on Turing, for everything on Hopper; one project for the rest."""
    captured = {row.architecture for row in TABLE if row.confidence == "A" and row.output == "f32"}
    assert captured == {"sm_70", "sm_80", "sm_86", "sm_89", "sm_90", "sm_90a", "sm_100"}
    # The 19 captured outputs of the RTX 5090 exclude neither another rounding nor blocks of eight.
    assert NAMES["sm_120-m16n8k16-f16-f32"].confidence == NAMES["sm_120-m16n8k16-f16-f16"].confidence == "B"
    hopper = {name for name, row in NAMES.items() if row.generation == "hopper"}
    assert len(hopper) == 16 and {NAMES[name].confidence for name in hopper} == {"A"}
    for name in NAMES.keys() - hopper:
        row = NAMES[name]
        small = "m16n8k8" in name or row.instruction == "tcgen05" or row.generation == "turing"
        amd = row.architecture.startswith("gfx")  # one project compared its models with these
        if row.inputs == "f16":
            assert (row.confidence == "C") == (small or amd), name
    # Nothing else captured of other factors; two projects compared the larger shapes, but on GA100.
    others = {name: NAMES[name].confidence for name in NAMES.keys() - hopper if NAMES[name].inputs != "f16"}
    assert set(others.values()) == {"B", "C"}
    assert {name for name, mark in others.items() if mark == "B"} == {
        *(f"sm_{sm}-m16n8k16-bf16-f32" for sm in (89, 100, 120)),
        *(f"sm_{sm}-m16n8k8-tf32-f32" for sm in (89, 100, 120)),
        *(f"sm_89-m16n8k32-{fp8}-{output}" for fp8 in ("e4m3", "e5m2") for output in ("f32", "f16")),
        *(f"sm_120-m16n8k32-{fp8}-f32" for fp8 in ("e4m3", "e5m2")),
    }


def test_evidence_is_checked_when_it_is_made() -> None:
    assert EvidenceKind.inferred < EvidenceKind.simulator < EvidenceKind.publishedCapture < EvidenceKind.ownCapture
    with pytest.raises(ValueError, match="mmasim2025 is simulator with 5 outputs; captures, and no others, count"):
        replace(evidence("simulator"), outputs=5)
    with pytest.raises(ValueError, match="is publishedCapture with 0 outputs"):
        replace(evidence("publishedCapture"), outputs=0)
    with pytest.raises(ValueError, match="names no GPU or no limits"):
        replace(evidence("simulator"), limits="")
    with pytest.raises(ValueError, match=r"mmasim2025 is simulator with untold=.*; captures, and no others, say what"):
        replace(evidence("simulator"), untold=("F + 1",))
    with pytest.raises(ValueError, match="is publishedCapture with untold=None"):
        replace(evidence("publishedCapture"), untold=None)
    with pytest.raises(ValueError, match=r"the limits of mmasim2025 do not name F \+ 1; name them"):
        replace(evidence("publishedCapture"), untold=("F + 1",))
    with pytest.raises(ValueError, match="TensorCore: volta m8n8k4 f32 has no evidence"):
        replace(TABLE[0], evidence=())


def test_the_text_of_an_accumulator_is_its_evidence() -> None:
    row = NAMES["sm_120-m16n8k16-f16-f32"]
    assert row.accumulator.source == "; ".join(SOURCES[item.source] for item in row.evidence)
    assert row.accumulator.evidence.startswith("19 of 19 captured outputs agree (RTX 5090); not shown: more than four")
    assert "a simulator that its authors compared with RTX PRO 6000 agrees" in row.accumulator.evidence


# ------------------------------------------------------------------------------------------------ published outputs


@pytest.fixture(scope="module")
def published(gpu_data: Path) -> list[Any]:
    return load(gpu_data)


def test_the_published_files_are_the_ones_listed(gpu_data: Path) -> None:
    for citation in table():
        if "file" in citation:
            assert hashlib.sha256((gpu_data / citation["file"]).read_bytes()).hexdigest() == citation["sha256"]


def test_all_published_outputs_agree(published: list[Any]) -> None:
    supported = {
        (citation["source"], support["gpu"], output): count
        for citation in table()
        for support in citation["supports"]
        for output, count in support["outputs"].items()
        if count
    }
    agreeing = {}
    for item in published:
        floats = np.float32 if item.row.output == "f32" else np.float16
        factors = item.a.view(np.float16), item.b.view(np.float16)
        got = hs.dot(*factors, item.c.view(floats), accumulator=item.row.accumulator).view(WORDS[item.row.output])
        assert np.array_equal(got, item.d), item.name
        agreeing[item.source, item.gpu, item.row.output] = len(got)
    assert agreeing == supported
    assert sum(agreeing.values()) == 80_331


def test_what_is_listed_as_identical_is(published: list[Any]) -> None:
    sets = {(item.gpu, item.row.output): item for item in published if item.source == "khattak2025"}
    twins = {
        support["gpu"]: support.get("same_as")
        for citation in table()
        for support in citation["supports"]
        if citation["source"] == "khattak2025"
    }
    same = {
        (one, other)
        for one, other in ((one, other) for one in twins for other in twins if one != other)
        if all(np.array_equal(sets[one, kind].d, sets[other, kind].d) for kind in WORDS)
    }
    assert same == {("L40S", "RTX 1000 Ada"), ("RTX 1000 Ada", "L40S")}
    assert {one: other for one, other in twins.items() if other} == {"L40S": "RTX 1000 Ada"}
    assert 80_331 - sum(len(sets["L40S", kind].d) for kind in WORDS) == 70_331


def test_published_coverage_is_what_the_operands_are(published: list[Any]) -> None:
    def kinds(words: Any) -> set[str]:
        magnitude = words & 0x7FFF
        return {
            *(["specials"] if (magnitude >= 0x7C00).any() else []),
            *(["signed-zeros"] if (words == 0x8000).any() else []),
            *(["subnormal"] if ((magnitude > 0) & (magnitude < 0x0400)).any() else []),
        }

    named = {"specials", "signed-zeros", "subnormal"}
    coverage = {citation["source"]: set(citation["coverage"]) for citation in table()}
    for source in ("mmascope", "lookup1980"):
        seen = set().union(*(kinds(x) for item in published if item.source == source for x in (item.a, item.b)))
        assert seen == coverage[source] & named
    for item in published:
        if item.source == "khattak2025":  # N(0, 1): the few subnormals aside, ordinary numbers
            assert not (kinds(item.a) | kinds(item.b)) & {"specials", "signed-zeros"}
            assert item.a.shape[1] == item.row.accumulator.terms
