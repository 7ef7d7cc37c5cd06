"""Every format gives back what was written, and refuses what is damaged, naming the line."""

from __future__ import annotations

import dataclasses
import gzip
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import halfsim as hs
from halfsim.testvectors.formats import Block, Header, VectorFileError, format_of, read, write

NAMES = ("x.tv", "x.txt", "x.mem", "x.csv", "x.jsonl", "x.npz", "x.parquet", "x.tv.gz", "x.csv.gz")
TEXT = ("x.tv", "x.txt", "x.csv", "x.jsonl")
ROWS = 70_000


def needed(name: str) -> None:
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow")


def sums(rows: int = ROWS, seed: int = 1) -> tuple[Header, Block]:
    rng = np.random.default_rng(seed)
    a, b = (rng.integers(0, 1 << 16, rows).astype(np.uint16) for _ in "ab")
    z, flags = hs.add.flagged(hs.from_bits(a), hs.from_bits(b), environment=hs.RISCV)
    header = Header(
        operation="add",
        operands=("f16", "f16"),
        result="f16",
        environment=hs.RISCV,
        rows=rows,
        seed=seed,
        families=("uniform",),
        version="0.0.1",
        testfloat="f16_add",
    )
    return header, Block((a, b), hs.to_bits(z), flags)


def conversions(rows: int = 300) -> tuple[Header, Block]:
    rng = np.random.default_rng(2)
    a = rng.integers(0, 1 << 64, rows, dtype=np.uint64)
    z = rng.integers(0, 1 << 8, rows).astype(np.uint8)
    header = Header(
        operation="convert", operands=("f64",), result="e4m3", rounding="odd", rows=rows, options=("exact",)
    )
    return header, Block((a,), z, rng.integers(0, 32, rows).astype(np.uint8))


def comparisons(rows: int = 300) -> tuple[Header, Block]:
    rng = np.random.default_rng(3)
    a, b = (rng.integers(0, 1 << 16, rows).astype(np.uint16) for _ in "ab")
    header = Header(operation="less", operands=("f16", "f16"), result="bool", rows=rows)
    return header, Block((a, b), rng.integers(0, 2, rows).astype(np.uint8), np.zeros(rows, np.uint8))


def parts(block: Block, size: int) -> list[Block]:
    return [
        Block(tuple(x[i : i + size] for x in block.operands), block.result[i : i + size], block.flags[i : i + size])
        for i in range(0, len(block.result), size)
    ]


def joined(blocks: list[Block]) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    operands = [np.concatenate(column) for column in zip(*(block.operands for block in blocks), strict=True)]
    return operands, np.concatenate([b.result for b in blocks]), np.concatenate([b.flags for b in blocks])


def same(blocks: list[Block], wanted: Block) -> bool:
    operands, result, flags = joined(blocks)
    pairs = [*zip(operands, wanted.operands, strict=True), (result, wanted.result), (flags, wanted.flags)]
    return all(np.array_equal(got, want) for got, want in pairs)


@pytest.mark.parametrize("make", [sums, conversions, comparisons])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("order", "nan"), [("testfloat", "exact"), ("mxcsr", "any"), ("fpsr", "exact")])
def test_what_is_written_is_read(tmp_path, make, name, order, nan):
    needed(name)
    header, block = make()
    header = dataclasses.replace(header, flag_order=order, nan=nan)
    if name == "x.txt" and (header.masked or order != "testfloat"):
        with pytest.raises(ValueError, match="neither masks nor another order of flags"):
            write(tmp_path / name, header, [block])
        assert list(tmp_path.iterdir()) == []
        return
    assert write(tmp_path / name, header, parts(block, 30_000)) == len(block.result)
    with read(tmp_path / name, header if name == "x.txt" else None) as vectors:
        assert vectors.header == header
        blocks = list(vectors.blocks)
    assert same(blocks, block)
    for part in blocks:
        assert (part.mask is not None) == header.masked
        assert len(part.lines) == len(part.result)


@pytest.mark.parametrize("name", NAMES)
def test_bytes_do_not_depend_on_the_blocks(tmp_path, name):
    needed(name)
    if name.endswith("parquet"):
        pytest.skip("a row group is a block")
    header, block = sums()
    found = []
    for size in (70_000, 999):
        folder = tmp_path / str(size)
        write(folder / name, header, parts(block, size))
        found.append({path.name: path.read_bytes() for path in sorted(folder.iterdir())})
    assert found[0] == found[1]


def test_spelling():
    """The first lines of each text format, by hand."""
    header = Header(operation="fma", operands=("f16",) * 3, result="f16", environment=hs.ARM, rows=1, flag_order="fpsr")
    one, nan = np.array([0x3C00], np.uint16), np.array([0xFE01], np.uint16)
    block = Block((one, one, one), nan, np.array([int(hs.Flags.invalid | hs.Flags.inexact)], np.uint8))
    rows = {
        "tv": b"3C00_3C00_3C00_FE01_11\n",
        "csv": b"A,B,C,Z,FF\n0x3C00,0x3C00,0x3C00,0xFE01,0x11\n",
        "jsonl": b'{"A": "0x3C00", "B": "0x3C00", "C": "0x3C00", "Z": "0xFE01", "FF": "0x11"}\n',
    }
    for fmt, row in rows.items():
        *_, last, seal, end = output(header, block, fmt).split(b"\n")
        assert (last + b"\n", end) == (row.splitlines(keepends=True)[-1], b"")
        assert row in output(header, block, fmt)
        assert re.fullmatch(rb'(// sha256: |# sha256: |\{"sha256": ")[0-9a-f]{64}("})?', seal)
    assert b"// environment: ARM\n" in output(header, block, "tv")
    plain = dataclasses.replace(header, flag_order="testfloat")
    assert output(plain, block, "testfloat") == b"3C00 3C00 3C00 FE01 11\n"
    masked = dataclasses.replace(header, nan="any")
    assert b"\n3C00_3C00_3C00_FE01_7E00_11\n// sha256: " in output(masked, block, "tv")


def output(header: Header, block: Block, fmt: str) -> bytes:
    import io

    from halfsim.testvectors.formats.store import _TEXT

    stream = io.BytesIO()
    _TEXT[fmt].write(stream, header, [block])
    return stream.getvalue()


def test_masks_leave_the_sign_and_payload_of_nans_out():
    from halfsim.testvectors.formats.block import nan_mask

    every = np.arange(1 << 16, dtype=np.uint16)
    masks = nan_mask(every, "f16")
    nan = np.isnan(hs.from_bits(every))
    assert set(masks[~nan]) == {0xFFFF}
    assert set(masks[nan]) == {0x7E00}
    small = np.arange(256, dtype=np.uint8)
    assert np.flatnonzero(nan_mask(small, "e4m3") != 255).tolist() == [0x7F, 0xFF]
    assert np.flatnonzero(nan_mask(small, "e5m2") != 255).tolist() == [0x7D, 0x7E, 0x7F, 0xFD, 0xFE, 0xFF]


def change(data: bytes, kind: str) -> bytes:
    lines = data.split(b"\n")
    middle = len(lines) // 2
    match kind:
        case "cut within a line":
            return data[:-5]
        case "last rows missing":
            return b"\n".join(lines[:-3]) + b"\n"
        case "a row twice":
            return b"\n".join([*lines[:middle], lines[middle], *lines[middle:]])
        case "a row in the place of another":
            lines[middle] = lines[middle + 1]
        case "two rows exchanged":
            lines[middle : middle + 2] = lines[middle + 1], lines[middle]
        case "a row moved to the end":
            lines[-2:-2] = [lines.pop(middle)]
        case "a row behind the digest":
            lines[-1:-1] = [lines.pop(middle)]
        case "a second digest":
            lines[-1:-1] = [lines[-2]]
        case "a digest that is none":
            lines[-2] = lines[-2].replace(b"sha256", b"sha256").rstrip(b'"}')[:-1]
            lines[-2] += b'"}' if lines[-2].startswith(b"{") else b""
        case "a field too few":
            lines[middle] = lines[middle][:-3]
        case "a digit too many":
            lines[middle] = lines[middle].replace(b"_", b"0_", 1).replace(b" ", b"0 ", 1).replace(b",", b"0,", 1)
            lines[middle] = lines[middle].replace(b'",', b'0",', 1)
        case "no hexadecimal digit":
            at = lines[middle].rindex(b"0x") + 2 if b"0x" in lines[middle] else 0
            lines[middle] = lines[middle][:at] + b"G" + lines[middle][at + 1 :]
        case "flags that do not exist":
            body = lines[middle].rstrip(b'"}')
            lines[middle] = body[:-2] + b"E0" + lines[middle][len(body) :]
        case "bytes that are not text":
            lines[middle] = b"\xff\xfe" + lines[middle][2:]
        case "zeros where a block was lost":
            lines[middle] = b"\0" * len(lines[middle])
        case "a line without end":
            lines[middle] = b"0" * 3_000_000
    return b"\n".join(lines)


CORRUPTIONS = (
    "cut within a line",
    "last rows missing",
    "a row twice",
    "a row in the place of another",
    "two rows exchanged",
    "a row moved to the end",
    "a row behind the digest",
    "a second digest",
    "a digest that is none",
    "a field too few",
    "a digit too many",
    "no hexadecimal digit",
    "flags that do not exist",
    "bytes that are not text",
    "zeros where a block was lost",
    "a line without end",
)


@pytest.mark.parametrize("kind", CORRUPTIONS)
@pytest.mark.parametrize("name", TEXT)
def test_damage_is_refused_with_its_line(tmp_path, name, kind):
    header, block = sums(2000)
    write(tmp_path / name, header, [block])
    data = (tmp_path / name).read_bytes()
    if name == "x.txt" and ("exchanged" in kind or "digest" in kind or "place" in kind or "end" in kind.split()):
        pytest.skip("TestFloat's text has no room for a digest")
    damaged = change(data, kind)
    assert damaged != data
    (tmp_path / name).write_bytes(damaged)
    with pytest.raises(VectorFileError) as caught, read(tmp_path / name, header) as vectors:
        list(vectors.blocks)
    lines = data.count(b"\n")
    where = {"cut within a line": lines, "last rows missing": lines - 2, "a row twice": lines + (name == "x.txt")}
    where |= dict.fromkeys(("a row in the place of another", "two rows exchanged", "a row moved to the end"), lines)
    where |= {"a row behind the digest": lines, "a second digest": lines + 1, "a digest that is none": lines}
    expected = where.get(kind, (lines + 1) // 2 + 1)
    assert str(caught.value).startswith(f"{tmp_path / name}: line ")
    assert caught.value.line == expected
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["x.tv.gz", "x.npz", "x.parquet", "x.mem"])
def test_cut_binary_files_are_refused(tmp_path, name):
    needed(name)
    header, block = sums(2000)
    write(tmp_path / name, header, [block])
    path = tmp_path / ("x.z.mem" if name == "x.mem" else name)
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(VectorFileError, match=r"cut|damaged|readable"), read(tmp_path / name) as vectors:
        list(vectors.blocks)


@pytest.mark.parametrize("name", ["x.npz", "x.tv.gz"])
def test_a_flipped_bit_in_compressed_data_is_noticed(tmp_path, name):
    header, block = sums(2000)
    write(tmp_path / name, header, [block])
    data = bytearray((tmp_path / name).read_bytes())
    data[len(data) // 2] ^= 0x10
    (tmp_path / name).write_bytes(data)
    with pytest.raises(VectorFileError), read(tmp_path / name) as vectors:
        list(vectors.blocks)


def test_what_other_programs_write_is_read(tmp_path):
    header, block = sums(40)
    write(tmp_path / "x.tv", header, [block])
    lines = (tmp_path / "x.tv").read_text().splitlines()
    top = [line for line in lines[:-1] if line.startswith("//")]
    rows = [line.lower() for line in lines[len(top) :]]
    rows[3] += "  // a note"
    rows.insert(5, "")
    rows.insert(6, "// another")
    (tmp_path / "x.tv").write_bytes("\r\n".join([*top, *rows, ""]).encode())
    with read(tmp_path / "x.tv") as vectors:
        blocks = list(vectors.blocks)
    assert same(blocks, block)
    numbers = np.concatenate([part.lines for part in blocks])
    assert numbers[4] == len(top) + 5
    assert numbers[5] == len(top) + 8


def test_swapped_columns_are_refused(tmp_path):
    header, block = sums(40)
    write(tmp_path / "x.csv", header, [block])
    text = (tmp_path / "x.csv").read_text()
    (tmp_path / "x.csv").write_text(text.replace("A,B,Z,FF", "A,Z,B,FF"))
    with (
        pytest.raises(VectorFileError, match="the columns are A,Z,B,FF; give them as A,B,Z,FF"),
        read(tmp_path / "x.csv") as vectors,
    ):
        list(vectors.blocks)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("environment: RISCV", "environment: VAX", "unknown environment 'VAX'; known are IEEE, RISCV"),
        ("environment: RISCV", "environment: RISCV tinyness=x", "has no 'tinyness=x'"),
        ("rounding: roundTiesToEven", "rounding: up", "unknown rounding 'up'"),
        ("operands: f16 f16", "operands: f16 f17", "unknown type 'f17'"),
        ("rows: 40", "rows: many", "line 12: the header cannot be read: the header's rows is 'many', not an integer"),
        ("rows: 40", "rows: 4_0", "not an integer of at most 18 digits"),
        ("rows: 40", "rows: " + "9" * 5000, "not an integer of at most 18 digits"),
        (
            "result: f16",
            "result: f16\n// result: f16",
            "line 5: the header cannot be read: the header has result twice",
        ),
        (
            "result: f16",
            "result: f16\n// outcome: f16",
            "line 5: .* has the unknown key 'outcome'; known are operation,",
        ),
        ("operation: add", "operatoin: add", "line 2: .* has the unknown key 'operatoin'"),
        ("// operation: add (f16_add)\n", "", "the header names no operation; it may be cut"),
        ("operation: add (f16_add)", "operation:", "line 2: .* the header's operation is empty"),
        ("operands: f16 f16", "operands: " + "f16 " * 5, "line 3: .* gives 5 operands; no operation has more than 4"),
        ("nan: exact", "nan: some", "line 9: .* nan='some' is unknown; known are exact, any"),
        ("rows: 40", "rows: -1", "lacks the number of rows"),
        ("// rows: 40\n", "", "lacks the number of rows"),
        ("fields: A_B_Z_FF", "fields: A_Z_B_FF", "the fields are A_Z_B_FF; give them as A_B_Z_FF"),
        ("// rounding: roundTiesToEven\n", "", "the header names no rounding"),
        ("flags: testfloat", "flags: vax", "unknown order 'vax'; known are testfloat, mxcsr, fpsr"),
    ],
)
def test_a_damaged_header_is_refused(tmp_path, old, new, message):
    header, block = sums(40)
    write(tmp_path / "x.tv", header, [block])
    text = (tmp_path / "x.tv").read_text()
    assert old in text
    (tmp_path / "x.tv").write_text(text.replace(old, new))
    with pytest.raises(VectorFileError, match=message), read(tmp_path / "x.tv"):
        pass


def test_a_file_without_header_needs_one(tmp_path):
    (tmp_path / "x.txt").write_text("3C00 3C00 4000 00\n")
    with pytest.raises(VectorFileError, match="has no header; say which operation"), read(tmp_path / "x.txt"):
        pass


def test_formats_are_known_by_suffix_or_name():
    assert format_of(Path("a.tv.gz")) == "tv"
    assert format_of(None, "testfloat") == "testfloat"
    for path, name, message in [
        (Path("a.xls"), None, "the suffix '.xls' names no format; known are .tv"),
        (Path("/bin/ls"), None, "/bin/ls: no suffix tells the format; known are .tv"),
        (None, None, "standard input and output have no suffix"),
        (Path("a.tv"), "excel", "unknown format 'excel'; known are tv, testfloat"),
    ]:
        with pytest.raises(ValueError, match=message):
            format_of(path, name)


@pytest.mark.parametrize("name", NAMES)
def test_a_failed_write_leaves_nothing(tmp_path, name):
    needed(name)
    header, block = sums(40)

    def failing():
        yield block
        raise RuntimeError("the disk is full")

    (tmp_path / name).write_text("old")
    with pytest.raises(RuntimeError, match="full"):
        write(tmp_path / name, header, failing())
    with pytest.raises(ValueError, match="the header says 41 rows, but 40 came; nothing was written"):
        write(tmp_path / name, dataclasses.replace(header, rows=41), [block])
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "old"


def test_parameters_for_benches(tmp_path):
    header, block = sums(40)
    write(tmp_path / "add.tv.gz", header, [block])
    assert gzip.decompress((tmp_path / "add.tv.gz").read_bytes()).count(b"\n") > 40
    text = (tmp_path / "add_params.vh").read_text()
    assert "localparam VECTOR_ROWS = 40;" in text
    assert "localparam VECTOR_BITS = 56;" in text


def test_json_lines_are_json(tmp_path):
    header, block = sums(40)
    write(tmp_path / "x.jsonl", header, [block])
    records = [json.loads(line) for line in (tmp_path / "x.jsonl").read_text().splitlines()]
    assert int(records[1]["A"], 16) == block.operands[0][0]
    assert any(line == "rounding: roundTiesToEven" for line in records[0]["header"])


@pytest.mark.slow
def test_memory_stays_bounded(tmp_path):
    """Ten million rows, written and read in less memory than they take as text."""
    script = f"""
import pathlib, resource, sys
sys.path.insert(0, {str(Path(__file__).parents[3])!r})
import dataclasses
from tests.testvectors.formats.test_files import sums
from halfsim.testvectors.formats import read, write
header, block = sums(100_000)
header = dataclasses.replace(header, rows=10_000_000)
base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
write(pathlib.Path({str(tmp_path)!r}, "x.tv"), header, (block for _ in range(100)))
with read(pathlib.Path({str(tmp_path)!r}, "x.tv")) as vectors:
    assert sum(len(part.result) for part in vectors.blocks) == 10_000_000
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - base)
"""
    grown = int(subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout)
    assert grown < 60_000  # KiB


@pytest.mark.parametrize("kind", ["wider", "fraction", "text", "null"])
def test_parquet_columns_are_never_cast(tmp_path, kind):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    header, block = sums(40)
    write(tmp_path / "x.parquet", header, [block])
    table = parquet.read_table(tmp_path / "x.parquet")
    words = table.column("Z").to_pylist()
    changed = {
        "wider": pyarrow.array([word + 65536 for word in words], pyarrow.int64()),
        "fraction": pyarrow.array([word + 0.4 for word in words]),
        "text": pyarrow.array([str(word) for word in words]),
        "null": pyarrow.array([*words[:7], None, *words[8:]], pyarrow.uint16()),
    }[kind]
    parquet.write_table(table.set_column(table.column_names.index("Z"), "Z", changed), tmp_path / "x.parquet")
    message = "row 8: Z has no value" if kind == "null" else "column Z is of type .*; its words are uint16"
    with pytest.raises(VectorFileError, match=message), read(tmp_path / "x.parquet") as vectors:
        list(vectors.blocks)


def test_parquet_is_read_one_row_group_at_a_time(tmp_path):
    """What pyarrow holds is much less than the file."""
    pyarrow = pytest.importorskip("pyarrow")
    groups, rows = 24, 1 << 16
    header = dataclasses.replace(sums(1)[0], rows=groups * rows)
    path = tmp_path / "x.parquet"
    write(path, header, (sums(rows, seed)[1] for seed in range(groups)))
    before = pyarrow.total_allocated_bytes()
    with read(path) as vectors:
        held = [pyarrow.total_allocated_bytes() - before for _ in vectors.blocks]
    assert len(held) >= groups
    # A row is 7 bytes; a row group is there compressed, decompressed and as arrays.
    assert max(held) < groups / 2 * rows * 7
