"""A stand-in for a GPU: it runs the kernels' PTX line by line, all threads at once, and answers with the simulator.

The fragment layouts are written here a second time, one element at a time, as the PTX ISA states them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest

import halfsim as hs
from halfsim.capture import DeviceError, Facts, Record, UnsupportedError
from halfsim.capture.matrix import MATRIX_INSTRUCTIONS, MatrixInstruction
from halfsim.capture.model import expected, multiplier

Place = Callable[[int, int], tuple[int, int]]
SHARED = 4096  # address of the shared image
BY_OPCODE = {item.opcode: item for item in MATRIX_INSTRUCTIONS.values()}
WIDTH = {"f16": 16, "bf16": 16, "tf32": 32, "f32": 32, "e4m3": 8, "e5m2": 8}
FORMATS = {"f16": hs.BINARY16, "bf16": hs.BFLOAT16, "tf32": hs.TF32, "e4m3": hs.E4M3, "e5m2": hs.E5M2}
WORDS = {8: np.uint8, 16: np.uint16, 32: np.uint32, 64: np.uint64}


def place_a(m: int, k: int, width: int = 16) -> Place:
    """PTX ISA: fragments of A for m8n8k4, m16n8k8 and k16 (16 bits), m16n8k4 and k8 (TF32), m16n8k16 and k32 (8 bits).

    The warps of a warpgroup hold 16 rows of m64 each.
    """

    def m8(lane: int, i: int) -> tuple[int, int]:
        return (lane % 4 if lane < 16 else lane % 4 + 4), i

    def m16(lane: int, i: int) -> tuple[int, int]:
        group, member, warp = lane % 32 >> 2, lane % 4, lane // 32
        row = group if i in (0, 1, 4, 5) else group + 8
        return warp * 16 + row, member * 2 + (i & 1) + (8 if i >= 4 else 0)

    def words(lane: int, i: int) -> tuple[int, int]:
        group, member, warp = lane % 32 >> 2, lane % 4, lane // 32
        return warp * 16 + (group if i in (0, 2) else group + 8), (member if i in (0, 1) else member + 4)

    def octets(lane: int, i: int) -> tuple[int, int]:
        group, member, warp = lane % 32 >> 2, lane % 4, lane // 32
        row = group if i < 4 or 8 <= i < 12 else group + 8
        return warp * 16 + row, member * 4 + (i & 3) + (16 if i >= 8 else 0)

    return m8 if m == 8 else {16: m16, 32: words, 8: octets}[width]


def place_b(k: int, width: int = 16) -> Place:
    def k4(lane: int, i: int) -> tuple[int, int]:
        return i, (lane % 4 if lane < 16 else lane % 4 + 4)

    def k16(lane: int, i: int) -> tuple[int, int]:
        return (lane % 4) * 2 + (i & 1) + (8 if i >= 2 else 0), lane >> 2

    def words(lane: int, i: int) -> tuple[int, int]:
        return lane % 4 + (4 if i == 1 else 0), lane >> 2

    def octets(lane: int, i: int) -> tuple[int, int]:
        return (lane % 4) * 4 + (i & 3) + (16 if i >= 4 else 0), lane >> 2

    if width == 16:
        return k4 if k == 4 else k16
    return {32: words, 8: octets}[width]


def place_c(m: int, kind: str) -> Place:
    def m8_f16(lane: int, i: int) -> tuple[int, int]:
        return (lane % 4 if lane < 16 else lane % 4 + 4), i

    def m8_f32(lane: int, i: int) -> tuple[int, int]:
        x = (lane & 0b1) + (i & 0b10)
        return (x if lane < 16 else x + 4), (i & 0b100) + (lane & 0b10) + (i & 0b1)

    def m16(lane: int, i: int) -> tuple[int, int]:
        group, member, warp = lane % 32 >> 2, lane % 4, lane // 32
        return warp * 16 + group + (8 if i % 4 >= 2 else 0), 8 * (i // 4) + member * 2 + (i & 1)

    if m == 8:
        return m8_f16 if kind == "f16" else m8_f32
    return m16


def quad_pair(lane: int) -> int:
    return lane % 16 // 4


def numbers(kind: str, words: Any) -> Any:
    """What patterns stand for, by dtypes of others; TF32 by cutting the register."""
    if kind == "f16":
        return words.view(np.float16)
    if kind == "tf32":
        return (words & np.uint32(0xFFFFE000)).view(np.float32)
    ml_dtypes = pytest.importorskip("ml_dtypes")
    name = {"bf16": "bfloat16", "e4m3": "float8_e4m3fn", "e5m2": "float8_e5m2"}[kind]
    return words.view(getattr(ml_dtypes, name)).astype(np.float32)


class Machine:
    """Runs kernels; `swapped` exchanges the two strides of matrix descriptors, `planted` alters matrix results."""

    def __init__(self, capability: tuple[int, int] = (9, 0), gpu: str = "NVIDIA Paper 1") -> None:
        self.facts = Facts(gpu=gpu, capability=capability, driver="580.0", cuda="13.0")
        self.swapped = self.broken = False
        self.failing: set[str] = set()
        self.planted: Callable[[str, Any], Any] = lambda opcode, words: words
        self.launches: list[str] = []
        self.resets = 0

    def machine_code(self, kernel: Any) -> str:
        return "PAPER"

    def reset(self) -> None:
        self.resets += 1

    def launch(
        self, kernel: Any, blocks: int, operands: Sequence[Any], result: Any, numbers: Sequence[Any] = ()
    ) -> Any:
        self.launches.append(kernel.opcode)
        if kernel.opcode in self.failing:
            raise DeviceError(f"capture: {kernel.opcode} failed on purpose")
        if "cuda_fp16" in kernel.opcode:
            raise UnsupportedError("capture: paper has no CUDA C")
        output = np.zeros(*result)
        Run(self, kernel, blocks, [np.ascontiguousarray(item) for item in operands], output, numbers).execute()
        return output


class Run:
    def __init__(self, machine: Machine, kernel: Any, blocks: int, operands: Any, output: Any, numbers: Any) -> None:
        self.machine, self.kernel, self.blocks = machine, kernel, blocks
        self.threads = blocks * kernel.threads
        self.memory = [np.frombuffer(item.tobytes(), np.uint8) for item in operands] + [
            output.reshape(-1).view(np.uint8)
        ]
        names = re.findall(r"\.param \.(u\d+) (\w+)", kernel.ptx)
        values = [(i + 1) << 32 for i in range(len(self.memory))] + [value for value, _ in numbers]
        assert len(names) == len(values)
        for (kind, _), (_, bits) in zip(names[len(self.memory) :], numbers, strict=True):
            assert kind == f"u{bits}"
        self.parameters = {name: value for (_, name), value in zip(names, values, strict=True)}
        image = re.search(r"\.shared \.align (\d+) \.b8 image\[(\d+)\]", kernel.ptx)
        self.shared = np.zeros((blocks, int(image[2]) if image else 0), np.uint8)
        self.registers: dict[str, Any] = {}
        self.width: dict[str, int] = {}
        self.synchronised = self.fenced = False

    def execute(self) -> None:
        body = self.kernel.ptx[self.kernel.ptx.index("{") + 1 : self.kernel.ptx.rindex("}")]
        lines = [line.strip() for line in body.splitlines() if line.strip()]
        labels = {line[:-1]: number for number, line in enumerate(lines) if line.endswith(":")}
        at, issued = 0, 0
        while lines[at] != "ret;":
            line = lines[at].rstrip(";")
            at += 1
            if line.endswith(":") or line.startswith(".pragma"):
                continue
            if line.startswith("@"):
                guard, _, label = line[1:].split()
                taken = self.registers[guard]
                assert taken.all() or not taken.any(), "threads diverge"
                at = labels[label] if taken.any() else at
                continue
            if line.startswith(".reg"):
                self.declare(line)
                continue
            opcode, _, rest = line.partition(" ")
            arguments = re.findall(r"\{[^}]*\}|\[[^]]*\]|[^,\s]+", rest)
            if opcode == self.kernel.opcode:
                issued += 1
                self.issue(arguments)
            else:
                self.step(opcode, arguments)
        steps = self.parameters.get("steps", 1)
        assert issued == steps, f"{issued} instructions issued, not {steps}"

    def declare(self, line: str) -> None:
        _, kind, *names = re.findall(r"\.\w+|%\w+<?\d*>?", line)
        width = 1 if kind == ".pred" else int(kind[2:])
        for name in names:
            base, _, count = name.partition("<")
            every = [f"{base}{i}" for i in range(int(count[:-1]))] if count else [base]
            for register in every:
                assert register not in self.width, f"{register} is declared twice"
                self.width[register] = width

    def value(self, name: str) -> Any:
        thread = np.arange(self.threads, dtype=np.uint64)
        size = np.uint64(self.kernel.threads)
        special = {"%ctaid.x": thread // size, "%tid.x": thread % size, "%ntid.x": size, "%nctaid.x": self.blocks}
        if name in special:
            return np.broadcast_to(np.asarray(special[name], np.uint64), self.threads)
        if name == "image":
            return np.full(self.threads, SHARED, np.uint64)
        if re.fullmatch(r"\d+", name):
            return np.full(self.threads, int(name), np.uint64)
        return self.registers[name]

    def set(self, name: str, values: Any) -> None:
        mask = np.uint64((1 << self.width[name]) - 1)
        self.registers[name] = np.asarray(values).astype(np.uint64) & mask

    def address(self, text: str) -> Any:
        base, _, offset = text.strip("[]").partition("+")
        return self.registers[base] + np.uint64(int(offset or 0))

    def bytes_at(self, address: Any, count: int) -> tuple[Any, Any]:
        """The array that all the addresses lie in, and the indices of `count` bytes each."""
        region = np.unique(address >> np.uint64(32))
        assert region.size == 1, "addresses in several arrays"
        memory = self.memory[int(region[0]) - 1]
        start = (address & np.uint64(0xFFFFFFFF)).astype(np.int64)
        assert (start % count == 0).all() and (start + count <= memory.size).all(), "out of bounds or misaligned"
        return memory, start[:, None] + np.arange(count)

    def step(self, opcode: str, arguments: list[str]) -> None:
        name, verb = arguments[0] if arguments else "", opcode.split(".")[0]
        if opcode.startswith("ld.param"):
            self.set(name, np.full(self.threads, self.parameters[arguments[1].strip("[]")], np.uint64))
        elif opcode.startswith("ld.global.b"):
            size = int(opcode[11:])
            assert size == self.width[name]
            memory, index = self.bytes_at(self.address(arguments[1]), size // 8)
            self.set(name, np.ascontiguousarray(memory[index]).view(WORDS[size])[:, 0])
        elif opcode.startswith("st.global"):
            size = int(re.sub(r"\D", "", opcode))
            memory, index = self.bytes_at(self.address(arguments[0]), size // 8)
            memory[index] = self.value(arguments[1]).astype(WORDS[size])[:, None].view(np.uint8)
        elif opcode == "st.shared.b32":
            start = self.address(arguments[0]).astype(np.int64) - SHARED
            block = np.arange(self.threads) // self.kernel.threads
            index = start[:, None] + np.arange(4)
            assert (start >= 0).all()
            self.shared[block[:, None], index] = self.value(arguments[1]).astype(np.uint32)[:, None].view(np.uint8)
            self.synchronised = self.fenced = False
        elif opcode == "fence.proxy.async.shared::cta":
            self.fenced = True
        elif opcode == "bar.sync":
            self.synchronised = self.fenced
        elif opcode == "selp.u32":
            self.set(name, np.where(self.value(arguments[3]) != 0, self.value(arguments[1]), self.value(arguments[2])))
        elif opcode.startswith("wmma."):
            self.fragment(opcode, arguments)
        elif verb == "wgmma":
            assert opcode in (
                "wgmma.fence.sync.aligned",
                "wgmma.commit_group.sync.aligned",
                "wgmma.wait_group.sync.aligned",
            )
        else:
            x = [self.value(item) for item in arguments[1:]]
            table: dict[str, Callable[[], Any]] = {
                "mov.u32": lambda: x[0],
                "mov.b32": lambda: x[0],
                "cvta.to.global.u64": lambda: x[0],
                "cvt.u64.u32": lambda: x[0],
                "mad.lo.u32": lambda: x[0] * x[1] + x[2],
                "mul.wide.u32": lambda: x[0] * x[1],
                "add.u64": lambda: x[0] + x[1],
                "sub.u32": lambda: x[0] - x[1],
                "or.b64": lambda: x[0] | x[1],
                "and.b32": lambda: x[0] & x[1],
                "shr.u32": lambda: x[0] >> x[1],
                "setp.ne.u32": lambda: x[0] != x[1],
                "setp.eq.u32": lambda: x[0] == x[1],
            }
            self.set(name, table[opcode]())

    # Instructions under test ------------------------------------------------------------------------------------

    def issue(self, arguments: list[str]) -> None:
        item = BY_OPCODE.get(self.kernel.opcode)
        if item is None:
            self.scalar(arguments)
        else:
            {"mma": self.mma, "wmma": self.wmma, "wgmma": self.wgmma}[item.family](item, arguments)

    def scalar(self, arguments: list[str]) -> None:
        opcode, target = self.kernel.opcode, arguments[0]
        packed = opcode.endswith("f16x2")
        operands = {}
        for name, register in zip("abcr", arguments[1:], strict=False):
            words = self.registers[register].astype(WORDS[self.width[register]])
            operands[name] = words.view(np.uint16) if packed else words
        record = Record("", self.machine.facts.capability, "", opcode, opcode, operands, operands["a"])
        wanted = expected(record)
        values = operands["a"] if wanted is None else wanted
        values = self.machine.planted(opcode, values)
        if packed or (".f16x2." in opcode and wanted is not None):
            values = np.ascontiguousarray(values).view(np.uint32)
        self.set(target, values)

    def lanes(self, group: str, lanes: int, kind: str) -> Any:
        """(warps, lanes, elements) of a brace list of registers, low bits first."""
        names = [item.strip() for item in group.strip("{}").split(",")]
        words = np.stack([self.registers[name].astype(np.uint32) for name in names], axis=-1)
        return words.view(WORDS[WIDTH[kind]]).reshape(-1, lanes, len(names) * 32 // WIDTH[kind])

    def unlanes(self, group: str, values: Any) -> None:
        names = [item.strip() for item in group.strip("{}").split(",")]
        words = np.ascontiguousarray(values).reshape(self.threads, -1).view(np.uint32)
        assert words.shape[1] == len(names)
        for i, name in enumerate(names):
            self.set(name, words[:, i])

    def product(self, item: MatrixInstruction, A: Any, B: Any, C: Any) -> Any:
        multiply = multiplier(item, self.machine.facts.capability)
        if multiply is None:  # any arithmetic will do where nobody knows it
            inputs = (FORMATS[item.inputs[0]], FORMATS[item.inputs[1]])
            row = replace(hs.tensorcores.row("v100", item.output), inputs=inputs)
            multiply = partial(hs.matmul, accumulator=row)
        floats = np.float32 if C.dtype == np.uint32 else np.float16
        D = multiply(numbers(item.inputs[0], A), numbers(item.inputs[1], B), C.view(floats))
        if item.output == "f16" and D.dtype == np.float32:
            D = hs.convert(D, hs.BINARY16, environment=hs.CUDA)
        return self.machine.planted(item.opcode, D.view(np.uint32 if item.output == "f32" else np.uint16))

    @staticmethod
    def collect(held: Any, place: Place, shape: tuple[int, int], tiles: int) -> Any:
        matrices = np.zeros((len(held), tiles, *shape), held.dtype)
        seen = np.zeros((tiles, *shape), int)
        for lane in range(held.shape[1]):
            for i in range(held.shape[2]):
                row, column = place(lane, i)
                tile = quad_pair(lane) if tiles == 4 else 0
                matrices[:, tile, row, column] = held[:, lane, i]
                seen[tile, row, column] += 1
        assert (seen == 1).all()
        return matrices.reshape(-1, *shape)

    @staticmethod
    def spread(matrices: Any, place: Place, lanes: int, elements: int, tiles: int) -> Any:
        grouped = matrices.reshape(-1, tiles, *matrices.shape[1:])
        held = np.zeros((len(grouped), lanes, elements), matrices.dtype)
        for lane in range(lanes):
            for i in range(elements):
                row, column = place(lane, i)
                held[:, lane, i] = grouped[:, quad_pair(lane) if tiles == 4 else 0, row, column]
        return held

    def mma(self, item: MatrixInstruction, arguments: list[str]) -> None:
        d, a, b, c = arguments
        tiles = 4 if item.m == 8 else 1
        left, right = item.inputs
        A = self.collect(self.lanes(a, 32, left), place_a(item.m, item.k, WIDTH[left]), (item.m, item.k), tiles)
        B = self.collect(self.lanes(b, 32, right), place_b(item.k, WIDTH[right]), (item.k, item.n), tiles)
        C = self.collect(self.lanes(c, 32, item.addend), place_c(item.m, item.addend), (item.m, item.n), tiles)
        D = self.product(item, A, B, C)
        elements = item.m * item.n * tiles // 32
        self.unlanes(d, self.spread(D, place_c(item.m, item.output), 32, elements, tiles))

    def wgmma(self, item: MatrixInstruction, arguments: list[str]) -> None:
        d, a, descriptor, accumulate, *immediates = arguments
        width = WIDTH[item.inputs[0]]
        # PTX ISA: signs of A and B; whether B is transposed, for 16-bit elements alone.
        assert immediates == (["1", "1", "0"] if width == 16 else ["1", "1"]) and self.registers[accumulate].all()
        assert self.synchronised, "shared memory is not visible to the tensor core yet"
        word = int(np.unique(self.registers[descriptor])[0])
        assert word >> 62 == 0 and word >> 49 & 7 == 0
        start = (word & 0x3FFF) * 16 - SHARED
        along_k, along_n = (word >> 16 & 0x3FFF) * 16, (word >> 32 & 0x3FFF) * 16
        if self.machine.swapped:
            along_k, along_n = along_n, along_k
        size = width // 8
        k, n = np.meshgrid(np.arange(item.k) * size, np.arange(item.n), indexing="ij")
        # A core matrix: eight columns of n, 16 contiguous bytes of k each.
        at = start + k // 16 * along_k + n // 8 * along_n + n % 8 * 16 + k % 16
        if self.machine.broken:
            at = at[::-1]
        B = np.stack([self.shared[:, at + i] for i in range(size)], axis=-1).view(WORDS[width])[..., 0]
        A = self.collect(self.lanes(a, 128, item.inputs[0]), place_a(64, item.k, width), (64, item.k), 1)
        place = place_c(64, item.output)
        C = self.collect(self.lanes(d, 128, item.output), place, (64, item.n), 1)
        self.unlanes(d, self.spread(self.product(item, A, B, C), place, 128, item.n // 2, 1))

    # wmma's fragments are opaque: here lane l holds row l % 16 of A and B, and elements 8 l .. 8 l + 7 of C and D.

    def fragment(self, opcode: str, arguments: list[str]) -> None:
        _, verb, name, *_, kind = opcode.split(".")
        size = 4 if kind == "f32" else 2
        registers, pointer = (arguments[0], arguments[1]) if verb == "load" else (arguments[1], arguments[0])
        assert arguments[2] == "16"
        first = self.address(pointer).reshape(-1, 32)
        assert (first == first[:, :1]).all(), "one address per warp"
        memory, index = self.bytes_at(first[:, 0] // np.uint64(256 * size) * np.uint64(256 * size), 256 * size)
        assert (first[:, 0] % np.uint64(256 * size) == 0).all()
        if verb == "store":
            memory[index] = self.lanes(registers, 32, kind).reshape(len(first), -1).view(np.uint8)
            return
        tiles = np.ascontiguousarray(memory[index]).view(WORDS[8 * size])
        if name == "c":
            self.unlanes(registers, tiles.reshape(-1, 32, 8))
        else:
            self.unlanes(registers, np.concatenate([tiles.reshape(-1, 16, 16)] * 2, axis=1))

    def wmma(self, item: MatrixInstruction, arguments: list[str]) -> None:
        d, a, b, c = arguments
        A, B = (self.lanes(group, 32, "f16")[:, :16] for group in (a, b))
        C = self.lanes(c, 32, item.addend).reshape(-1, 16, 16)
        self.unlanes(d, self.product(item, np.ascontiguousarray(A), np.ascontiguousarray(B), C).reshape(-1, 32, 8))
