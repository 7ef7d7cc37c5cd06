"""Kernels as PTX text: each issues one instruction per result, and the driver assembles it for its GPU."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Kernel", "elementwise_kernel", "mma_kernel", "wgmma_kernel", "wmma_kernel"]

_STORAGE = {"f16x2": 32, "f16": 16, "f32": 32, "f64": 64, "pred": 8, "b64": 64}


@dataclass(frozen=True, slots=True)
class Kernel:
    """One entry point, ``kernel``: pointers to the operands, a pointer to the results, then numbers.

    Parameters
    ----------
    opcode : str
        The instruction that the kernel is about.
    ptx : str
        Source.
    threads : int
        Threads per block.

    Examples
    --------
    >>> from halfsim.capture.ptx import elementwise_kernel
    >>> kernel = elementwise_kernel("add.f16", ("f16", "f16"), "f16", version="6.0", target="sm_60", threads=128)
    >>> kernel.opcode, kernel.threads, kernel.ptx.splitlines()[1]
    ('add.f16', 128, '.target sm_60')
    """

    opcode: str
    ptx: str
    threads: int


def width(kind: str) -> int:
    """Bits of an operand or result type."""
    return _STORAGE.get(kind) or int(kind[1:])


def _module(version: str, target: str, parameters: Sequence[str], body: str, shared: str = "") -> str:
    listed = ",\n    ".join(f".param {item}" for item in parameters)
    return (
        f".version {version}\n.target {target}\n.address_size 64\n{shared}"
        f".visible .entry kernel(\n    {listed}\n)\n{{\n{body}    ret;\n}}\n"
    )


def _lines(*lines: str) -> str:
    return "".join(f"    {line}\n" for line in lines)


def _pointer(register: str, parameter: str, index: str, size: int) -> str:
    """Address of this thread's first byte: the parameter plus index * size."""
    return _lines(
        f"ld.param.u64 {register}, [{parameter}];",
        f"cvta.to.global.u64 {register}, {register};",
        f"mul.wide.u32 %offset, {index}, {size};",
        f"add.u64 {register}, {register}, %offset;",
    )


_THREAD = _lines(
    "mov.u32 %block, %ctaid.x;",
    "mov.u32 %size, %ntid.x;",
    "mov.u32 %lane, %tid.x;",
    "mad.lo.u32 %index, %block, %size, %lane;",
)
_REGISTERS = _lines(
    ".reg .pred %again;",
    ".reg .b32 %block, %size, %lane, %index, %total, %steps;",
    ".reg .b64 %offset, %pa, %pb, %pc, %pd, %pr, %nexta, %nextb;",
)


def elementwise_kernel(
    opcode: str, operands: Sequence[str], result: str, version: str, target: str, threads: int
) -> Kernel:
    """Return ``d[i] = opcode(a[i], b[i], ...)``, one element per thread."""
    names = "abcr"[: len(operands)]
    body = _REGISTERS
    for name, kind in zip(names, operands, strict=True):
        body += _lines(f".reg .b{width(kind)} %{name};")
    body += _lines(".reg .pred %truth;", ".reg .b32 %d;") if result == "pred" else _lines(f".reg .b{width(result)} %d;")
    body += _THREAD
    for name, kind in zip(names, operands, strict=True):
        body += _pointer(f"%p{name}", f"p{name}", "%index", width(kind) // 8)
        body += _lines(f"ld.global.b{width(kind)} %{name}, [%p{name}];")
    body += _pointer("%pd", "pd", "%index", width(result) // 8)
    sources = ", ".join(f"%{name}" for name in names)
    if result == "pred":
        body += _lines(f"{opcode} %truth, {sources};", "selp.u32 %d, 1, 0, %truth;", "st.global.u8 [%pd], %d;")
    else:
        body += _lines(f"{opcode} %d, {sources};", f"st.global.b{width(result)} [%pd], %d;")
    return Kernel(opcode, _module(version, target, [f".u64 p{name}" for name in names + "d"], body), threads)


def _vector(name: str, count: int) -> str:
    return "{" + ", ".join(f"%{name}{i}" for i in range(count)) + "}"


def _move(verb: str, name: str, count: int, pointer: str) -> str:
    if verb == "ld":
        return _lines(*(f"ld.global.b32 %{name}{i}, [{pointer}+{4 * i}];" for i in range(count)))
    return _lines(*(f"st.global.b32 [{pointer}+{4 * i}], %{name}{i};" for i in range(count)))


def _steps(words_a: str, words_b: str) -> str:
    """Bytes from one step's operands to the next: all tiles of a step lie together."""
    return _lines(
        "mov.u32 %total, %nctaid.x;",
        f"mul.wide.u32 %nexta, %total, {words_a};",
        f"mul.wide.u32 %nextb, %total, {words_b};",
        "ld.param.u32 %steps, [steps];",
    )


# One issue in the machine code too: the pragma keeps the assembler from unrolling.
_LOOP = "STEP:\n" + _lines('.pragma "nounroll";')
_ADVANCE = _lines(
    "add.u64 %pa, %pa, %nexta;",
    "add.u64 %pb, %pb, %nextb;",
    "sub.u32 %steps, %steps, 1;",
    "setp.ne.u32 %again, %steps, 0;",
    "@%again bra STEP;",
)
_MATRIX_PARAMETERS = (".u64 pa", ".u64 pb", ".u64 pc", ".u64 pd", ".u32 steps")


def mma_kernel(opcode: str, words: tuple[int, int, int, int], version: str, target: str) -> Kernel:
    """Return a kernel of ``mma.sync`` on registers filled by the host; `words` are 32-bit registers of A, B, C, D."""
    a, b, c, d = words
    body = _REGISTERS + _lines(
        *(f".reg .b32 %{name}<{count}>;" for name, count in zip("abcd", (a, b, max(c, d), max(c, d)), strict=True))
    )
    body += _THREAD
    for name, count in zip("abcd", words, strict=True):
        body += _pointer(f"%p{name}", f"p{name}", "%index", 4 * count)
    body += _steps(str(128 * a), str(128 * b)) + _move("ld", "c", c, "%pc")
    body += _LOOP + _move("ld", "a", a, "%pa") + _move("ld", "b", b, "%pb")
    body += _lines(f"{opcode} {_vector('d', d)}, {_vector('a', a)}, {_vector('b', b)}, {_vector('c', c)};")
    if c == d:
        body += _lines(*(f"mov.b32 %c{i}, %d{i};" for i in range(c)))
    body += _ADVANCE + _move("st", "d", d, "%pd")
    return Kernel(opcode, _module(version, target, _MATRIX_PARAMETERS, body), 32)


def wmma_kernel(opcode: str, output: str, addend: str, version: str, target: str) -> Kernel:
    """Return a kernel of ``wmma`` m16n16k16 on row-major matrices in memory, one tile per warp."""
    registers = {"f32": 8, "f16": 4}
    c, d = registers[addend], registers[output]
    size = {"f32": 1024, "f16": 512}
    body = _REGISTERS + _lines(".reg .b32 %a<8>, %b<8>, %c<8>, %d<8>;") + _THREAD
    for name, count in zip("abcd", (512, 512, size[addend], size[output]), strict=True):
        body += _pointer(f"%p{name}", f"p{name}", "%block", count)
    where = "sync.aligned.row.m16n16k16.global"
    body += _steps("512", "512") + _lines(f"wmma.load.c.{where}.{addend} {_vector('c', c)}, [%pc], 16;")
    body += _LOOP + _lines(
        f"wmma.load.a.{where}.f16 {_vector('a', 8)}, [%pa], 16;",
        f"wmma.load.b.{where}.f16 {_vector('b', 8)}, [%pb], 16;",
        f"{opcode} {_vector('d', d)}, {_vector('a', 8)}, {_vector('b', 8)}, {_vector('c', c)};",
    )
    if output == addend:
        body += _lines(*(f"mov.b32 %c{i}, %d{i};" for i in range(c)))
    body += _ADVANCE + _lines(f"wmma.store.d.{where}.{output} [%pd], {_vector('d', d)}, 16;")
    return Kernel(opcode, _module(version, target, _MATRIX_PARAMETERS, body), 32)


def wgmma_kernel(opcode: str, n: int, output: str, version: str, target: str, transposable: bool = True) -> Kernel:
    """Return a kernel of ``wgmma``: A and D in registers, B copied to shared memory as the host laid it out.

    The k of the instruction fills 32 bytes in every format, so A takes 4 registers and B 8 * n words. Images of B are
    padded to 128 words, one per thread of the warpgroup. The last parameter is the matrix descriptor without its
    address. Only instructions on 16-bit elements have the operand that transposes B.
    """
    d = n // 2 if output == "f32" else n // 4
    words = max(128, 8 * n)
    immediates = "1, 1, 0" if transposable else "1, 1"
    body = _REGISTERS + _lines(
        ".reg .b32 %a<4>, %word, %shared, %target;",
        f".reg .b32 %d<{d}>;",
        ".reg .b64 %descriptor, %start;",
        ".reg .pred %accumulate;",
    )
    body += _THREAD
    body += _pointer("%pa", "pa", "%index", 16) + _pointer("%pc", "pc", "%index", 4 * d)
    body += _pointer("%pb", "pb", "%block", 4 * words) + _pointer("%pd", "pd", "%index", 4 * d)
    body += _lines(
        "mul.wide.u32 %offset, %lane, 4;",
        "add.u64 %pb, %pb, %offset;",
        "mov.u32 %shared, image;",
        "mad.lo.u32 %target, %lane, 4, %shared;",
        "and.b32 %word, %shared, 262143;",
        "shr.u32 %word, %word, 4;",
        "cvt.u64.u32 %start, %word;",
        "ld.param.u64 %descriptor, [strides];",
        "or.b64 %descriptor, %descriptor, %start;",
        "setp.eq.u32 %accumulate, 0, 0;",
    )
    body += _steps(str(128 * 16), str(4 * words)) + _move("ld", "d", d, "%pc")
    body += _LOOP + _move("ld", "a", 4, "%pa")
    for i in range(words // 128):
        body += _lines(f"ld.global.b32 %word, [%pb+{512 * i}];", f"st.shared.b32 [%target+{512 * i}], %word;")
    body += _lines(
        "fence.proxy.async.shared::cta;",
        "bar.sync 0;",
        "wgmma.fence.sync.aligned;",
        f"{opcode} {_vector('d', d)}, {_vector('a', 4)}, %descriptor, %accumulate, {immediates};",
        "wgmma.commit_group.sync.aligned;",
        "wgmma.wait_group.sync.aligned 0;",
        "bar.sync 0;",
    )
    body += _ADVANCE + _move("st", "d", d, "%pd")
    shared = f".shared .align 1024 .b8 image[{4 * words}];\n"
    return Kernel(opcode, _module(version, target, (*_MATRIX_PARAMETERS, ".u64 strides"), body, shared), 128)
