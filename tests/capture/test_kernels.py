"""Every kernel holds its instruction once, assembles, and puts operands where the instruction looks for them."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import halfsim as hs
from halfsim.capture import scalar
from halfsim.capture.driver import disassemble
from halfsim.capture.functions import FUNCTIONS, QUOTIENTS, compile_cuda
from halfsim.capture.groups import GROUPS
from halfsim.capture.layouts import accumulator_fragment, left_fragment, right_fragment
from halfsim.capture.matrix import MATRIX_INSTRUCTIONS, LayoutError, MatrixInstruction
from halfsim.capture.model import multiplier, tensor_core
from halfsim.capture.scalar import ScalarInstruction
from halfsim.capture.words import encode
from tests.capture.machine import FORMATS, Machine, numbers, place_a, place_b, place_c, quad_pair

KERNELS = {
    (item.name, item.target): item
    for group in GROUPS
    for item in group.instructions
    if isinstance(item, MatrixInstruction | ScalarInstruction)
}
ARCHITECTURES = ("sm_80", "sm_89", "sm_90", "sm_90a", "sm_100a", "sm_120")
# Everything a kernel may say beside its instruction: it moves bits, counts, and waits, and computes no results.
PLUMBING = re.compile(
    r"(\.reg|\.pragma|ld\.param|ld\.global|st\.global|st\.shared|mov\.(b|u)32|mad\.lo\.u32|mul\.wide\.u32|add\.u64"
    r"|sub\.u32|cvta\.to\.global\.u64|setp\.(ne|eq)\.u32|selp\.u32|@%again bra|ret|cvt\.u64\.u32|or\.b64|and\.b32"
    r"|shr\.u32|fence\.proxy|bar\.sync|wgmma\.(fence|commit_group|wait_group)|wmma\.(load|store))\b|STEP:"
)


def tool(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not on the PATH")
    return path


def assemble(item: MatrixInstruction | ScalarInstruction, architecture: str, folder: Path) -> bytes:
    source, made = folder / "kernel.ptx", folder / "kernel.cubin"
    source.write_text(item.kernel.ptx)
    done = subprocess.run(
        [tool("ptxas"), f"-arch={architecture}", str(source), "-o", str(made)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{item.name}: {done.stderr}{done.stdout}"
    return made.read_bytes()


def runs_on(item: MatrixInstruction | ScalarInstruction, architecture: str) -> bool:
    number = int(architecture[3:].rstrip("a"))
    if item.target.endswith("a") and not architecture.endswith("a"):
        return False
    return item.supported((number // 10, number % 10))


def test_no_kernel_is_missing_from_this_list() -> None:
    families = {item.family for item in KERNELS.values() if isinstance(item, MatrixInstruction)}
    bases = {item.opcode.split(".")[0] for item in KERNELS.values() if isinstance(item, ScalarInstruction)}
    assert families == {"mma", "wmma", "wgmma"}
    assert bases == {"add", "sub", "mul", "fma", "min", "max", "setp", "neg", "abs", "cvt", "ex2", "tanh"}
    assert {name for name, _ in KERNELS} >= set(MATRIX_INSTRUCTIONS)


@pytest.mark.parametrize("item", KERNELS.values(), ids=lambda item: f"{item.name}-{item.target}")
def test_a_kernel_holds_its_instruction_once_and_nothing_else_that_computes(
    item: MatrixInstruction | ScalarInstruction,
) -> None:
    body = item.kernel.ptx[item.kernel.ptx.index("{") + 1 : item.kernel.ptx.rindex("}")]
    lines = [line.strip() for line in body.splitlines() if line.strip()]
    others = [line for line in lines if not PLUMBING.match(line) or line.startswith(f"{item.opcode} ")]
    assert [line.split(" ")[0] for line in others] == [item.opcode]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_matrix_kernels_assemble(architecture: str, tmp_path: Path) -> None:
    items = [item for item in MATRIX_INSTRUCTIONS.values() if runs_on(item, architecture)]
    assert len(items) >= (13 if architecture == "sm_80" else 29)
    assert any(item.family == "wgmma" for item in items) == (architecture == "sm_90a")
    for item in items:
        assemble(item, architecture, tmp_path)


@pytest.mark.parametrize("architecture", ["sm_80", "sm_90"])
def test_scalar_kernels_assemble(architecture: str, tmp_path: Path) -> None:
    items = [item for item in KERNELS.values() if isinstance(item, ScalarInstruction) and runs_on(item, architecture)]
    assert len(items) > 130
    for item in items[:: 1 if architecture == "sm_90" else 7]:
        assemble(item, architecture, tmp_path)


def test_stochastic_conversions_assemble_where_they_exist(tmp_path: Path) -> None:
    for item in scalar.STOCHASTIC:
        assemble(item, item.target, tmp_path)


@pytest.mark.parametrize(
    ("name", "architecture", "wanted"),
    [
        ("mma.m16n8k16.f32", "sm_80", ["HMMA.16816.F32"]),
        ("mma.m16n8k16.f16", "sm_80", ["HMMA.16816.F16"]),
        ("mma.m16n8k8.f32", "sm_80", ["HMMA.1688.F32"]),
        ("mma.m16n8k16.f32", "sm_90", ["HMMA.16816.F32"]),
        ("mma.m16n8k8.f16", "sm_90", ["HMMA.1688.F16"]),
        ("wmma.m16n16k16.f32", "sm_90", ["HMMA.16816.F32"] * 2),
        ("wgmma.m64n8k16.f32", "sm_90a", ["HGMMA.64x8x16.F32"]),
        ("wgmma.m64n256k16.f16", "sm_90a", ["HGMMA.64x256x16.F16"]),
        ("mma.m16n8k16.bf16.f32", "sm_80", ["HMMA.16816.F32.BF16"]),
        ("mma.m16n8k8.bf16.f32", "sm_90", ["HMMA.1688.F32.BF16"]),
        ("mma.m16n8k8.tf32.f32", "sm_80", ["HMMA.1688.F32.TF32"]),
        ("mma.m16n8k4.tf32.f32", "sm_90", ["HMMA.1684.F32.TF32"]),
        ("mma.m16n8k32.e4m3-e5m2.f32", "sm_89", ["QMMA.16832.F32.E4M3.E5M2"]),
        ("mma.m16n8k16.e5m2.f16", "sm_89", ["QMMA.16816.F16.E5M2.E5M2"]),
        ("wgmma.m64n8k16.bf16.f32", "sm_90a", ["HGMMA.64x8x16.F32.BF16"]),
        ("wgmma.m64n64k8.tf32.f32", "sm_90a", ["HGMMA.64x64x8.F32.TF32"]),
        ("wgmma.m64n8k32.e5m2-e4m3.f16", "sm_90a", ["QGMMA.64x8x32.F16.E5M2.E4M3"]),
        # Hopper's mma.sync has no FP8: the assembler widens to binary16, so no row of FP8 speaks for it.
        ("mma.m16n8k32.e4m3.f32", "sm_90", ["HMMA.16816.F32"] * 2),
        # From sm_80 on, the machine code of m8n8k4 has no matrix instruction at all.
        ("mma.m8n8k4.f32", "sm_80", []),
        ("mma.m8n8k4.f16", "sm_90", []),
    ],
)
def test_the_machine_code_issues_the_matrix_unit_once(
    name: str, architecture: str, wanted: list[str], tmp_path: Path
) -> None:
    if shutil.which("nvdisasm") is None and shutil.which("cuobjdump") is None:
        pytest.skip("neither nvdisasm nor cuobjdump is on the PATH")
    opcodes = disassemble(assemble(MATRIX_INSTRUCTIONS[name], architecture, tmp_path)).split()
    assert [item for item in opcodes if item.startswith(("HMMA", "HGMMA", "QMMA", "QGMMA"))] == wanted


def test_functions_of_cuda_c_compile() -> None:
    tool("nvcc")
    for function in (FUNCTIONS[0], QUOTIENTS[0]):
        assert ".entry kernel(" in compile_cuda(function.source(), (9, 0))


@pytest.mark.parametrize(
    ("m", "n", "k", "width"),
    [
        (16, 8, 16, 16),
        (16, 8, 8, 16),
        (8, 8, 4, 16),
        (64, 256, 16, 16),
        (16, 8, 4, 32),
        (16, 8, 8, 32),
        (64, 64, 8, 32),
        (16, 8, 16, 8),
        (16, 8, 32, 8),
        (64, 64, 32, 8),
    ],
)
def test_fragments_are_where_the_ptx_isa_says(m: int, n: int, k: int, width: int) -> None:
    fragments = [(left_fragment(m, k, width), place_a(m, k, width))]
    fragments += [(accumulator_fragment(m, n, kind), place_c(m, kind)) for kind in ("f32", "f16")]
    fragments += [(right_fragment(k, width), place_b(k, width))] if n == 8 else []
    for fragment, place in fragments:
        lanes, elements = fragment.row.shape
        for lane in range(lanes):
            assert fragment.tile[lane, 0] == (quad_pair(lane) if m == 8 else 0)
            for i in range(elements):
                assert (fragment.row[lane, i], fragment.column[lane, i]) == place(lane, i)


@pytest.mark.parametrize(
    ("name", "capability"),
    [
        (item.name, gpu)
        for item in MATRIX_INSTRUCTIONS.values()
        for gpu in ((8, 0), (8, 9), (9, 0))
        if item.supported(gpu) and (gpu != (8, 9) or "sm_89" in item.target)
    ],
)
def test_kernels_give_the_product_of_their_operands(name: str, capability: tuple[int, int]) -> None:
    """Line by line through the PTX, with fragments unpacked by formulas written a second time."""
    item = MATRIX_INSTRUCTIONS[name]
    machine, rng = Machine(capability), np.random.default_rng(5)
    steps = 3 if item.output == item.addend and item.n <= 16 else 1
    A = encode(item.inputs[0], rng.standard_normal((3, item.m, steps * item.k)))
    B = encode(item.inputs[1], rng.standard_normal((3, steps * item.k, item.n)))
    C = rng.standard_normal((3, item.m, item.n)).astype(np.float32 if item.addend == "f32" else np.float16)
    words = C.view(np.uint32 if item.addend == "f32" else np.uint16)
    ready = item.probed(machine)
    D = ready.multiply(machine, A, B, words)
    row, multiply = tensor_core(item, capability), multiplier(item, capability)
    if multiply is None:
        inputs = (FORMATS[item.inputs[0]], FORMATS[item.inputs[1]])
        row = replace(hs.tensorcores.row("v100", item.output), inputs=inputs)
        multiply = partial(hs.matmul, accumulator=row)
    factors = (numbers(kind, factor) for kind, factor in zip(item.inputs, (A, B), strict=True))
    wanted = multiply(*factors, C)
    if item.output == "f16":
        wanted = wanted.astype(np.float16)
    assert np.array_equal(D.view(wanted.dtype), wanted)
    assert np.unique(D).size > D.size // 8 or (row is not None and row.output.width == 22)


@pytest.mark.parametrize("item", MATRIX_INSTRUCTIONS.values(), ids=lambda item: item.name)
def test_the_integers_of_the_probe_are_exact_in_every_format(item: MatrixInstruction) -> None:
    for kind in item.inputs:
        assert np.array_equal(numbers(kind, encode(kind, np.arange(-7, 8))).astype(int), np.arange(-7, 8))
    # The largest sum that the probe can make, in the 11 bits of binary16 and the 14 of an FP8 result.
    assert 49 * item.k + 64 <= 2048


def test_a_descriptor_read_the_other_way_is_noticed_and_used() -> None:
    machine = Machine()
    machine.swapped = True
    item = MATRIX_INSTRUCTIONS["wgmma.m64n64k16.f32"]
    assert item.probed(machine).strides == (256, 128)
    assert item.probed(Machine()).strides == (128, 256)


def test_misplaced_operands_are_refused() -> None:
    machine = Machine()
    machine.broken = True
    with pytest.raises(LayoutError, match=r"wgmma\.m64n8k16\.f16 gave wrong products of small integers"):
        MATRIX_INSTRUCTIONS["wgmma.m64n8k16.f16"].probed(machine)


def test_a_mixed_instruction_cannot_be_chained() -> None:
    item = MATRIX_INSTRUCTIONS["wmma.m16n16k16.f32.f16"]
    words = np.zeros((1, 16, 32), np.uint16)
    with pytest.raises(ValueError, match="cannot be chained"):
        item.multiply(Machine(), words, words.reshape(1, 32, 16), words[:, :, :16])
