"""Whatever is done to a file, reading it ends with one sentence that says what is wrong and where."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from halfsim.testvectors.formats import VectorFileError, read, write
from halfsim.testvectors.tilereader import is_tiles, read_tiles
from halfsim.testvectors.tiles import parts_of, tile_header
from halfsim.testvectors.tilewriter import write_tiles
from tests.testvectors.formats.test_files import needed, sums

ONCE = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
LINES = st.sampled_from(
    [
        "rows", "rows:", "rows: 1e3", "rows: \N{ARABIC-INDIC DIGIT THREE}", "seed: x", "operation:", "operation: add",
        "flags:", "nan:", "environment: RISCV",
        "environment: ARM nan=1", "environment: ARM flush_inputs=1", "environment: X86 __class__=x", "result: f99",
        "environment: X86 nan.default=", "rounding: stochastic:1:2:3:4", "rounding: stochastic:8:1:-5", "operands: a",
        "accumulator: h100:f32", "fields: Z", "shape: 0x0x0", "classes:", "tiles: 999999999999", "inputs: f16",
    ]
)  # fmt: skip


def outcome(path: Path) -> str:
    """What reading a file says; any other error than the package's own escapes and fails the test."""
    try:
        if is_tiles(path):
            with read_tiles(path) as tiles:
                list(tiles.parts)
        else:
            with read(path) as vectors:
                list(vectors.blocks)
    except VectorFileError as error:
        text = str(error)
        assert "\n" not in text
        assert text.startswith(str(path.with_suffix(""))[:-1])
        return text
    return ""


def content_of(path: Path):
    """Words of a file of tiles or rows, and whether its digest was verified; None if it is refused."""
    if outcome(path):
        return None
    if is_tiles(path):
        with read_tiles(path) as tiles:
            found = [part[1:] for part in tiles.parts]
        return [np.concatenate(column) for column in zip(*found, strict=True)], tiles.digest.verified
    with read(path) as vectors:
        found = [(*block.operands, block.result, block.flags) for block in vectors.blocks]
    return [np.concatenate(column) for column in zip(*found, strict=True)], vectors.digest.verified


@cache
def content_of_original(path: Path):
    return content_of(path)


@st.composite
def damages(draw, size: int):
    """Bytes to put somewhere in the place of others."""
    start = draw(st.integers(0, size))
    return start, start + draw(st.integers(0, 8)), draw(st.binary(max_size=8) | st.sampled_from(list(_SYNTAX)))


_SYNTAX = (b"{", b"[", b"}", b"\n", b"\r", b":", b"'", b"(", b")", b"None", b"9" * 30, b"//", b'"', b"\\u0000", b"_")


@pytest.fixture(scope="module")
def originals(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("originals")
    header, block = sums(40)
    for name in ("x.tv", "x.csv", "x.jsonl", "x.npz", "x.mem", "x.tv.gz"):
        write(folder / name, header, [block])
    tiles = tile_header("h100:f32", shape=(2, 2, 3), classes=("normal", "ties"), count=2)
    for name in ("t.tv", "t.npz", "t.mem"):
        write_tiles(folder / name, tiles, parts_of(tiles))
    return folder


@pytest.mark.parametrize("name", ["x.tv", "x.csv", "x.jsonl", "x.npz", "x.tv.gz", "t.tv", "t.npz"])
@ONCE
@given(data=st.data())
def test_changed_bytes(originals, tmp_path, name, data):
    content = (originals / name).read_bytes()
    start, stop, put = data.draw(damages(len(content)))
    (tmp_path / name).write_bytes(content[:start] + put + content[stop:])
    found, original = content_of(tmp_path / name), content_of_original(originals / name)
    # Either refused, or all that was there; only where the digest itself was hit nothing can be said.
    assert not found or not found[1] or all(map(np.array_equal, found[0], original[0]))


@pytest.mark.parametrize("file", ["x.a.mem", "x.ff.mem", "t.a.mem", "t.d.mem"])
@ONCE
@given(data=st.data())
def test_changed_bytes_of_memories(originals, tmp_path, file, data):
    for path in originals.glob(f"{file[0]}.*.mem"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    content = (originals / file).read_bytes()
    start, stop, put = data.draw(damages(len(content)))
    (tmp_path / file).write_bytes(content[:start] + put + content[stop:])
    outcome(tmp_path / f"{file[0]}.mem")


def rezip(source: Path, target: Path, changes: dict[str, bytes | None]) -> None:
    """Write an archive with other members."""
    with zipfile.ZipFile(source) as archive:
        members = {name: archive.read(name) for name in archive.namelist()} | changes
    with zipfile.ZipFile(target, "w") as archive:
        for name, data in members.items():
            if data is not None:
                archive.writestr(name, data)


@pytest.mark.parametrize(
    ("name", "member"),
    [
        ("x.npz", "header"),
        ("x.npz", "rows"),
        ("x.npz", "sha256"),
        ("t.npz", "A"),
        ("t.npz", "class"),
        ("t.npz", "header"),
    ],
)
@ONCE
@given(data=st.data())
def test_changed_members(originals, tmp_path, name, member, data):
    """Not only bits, whose change the archive's own checks find: members that are whole, but others."""
    with zipfile.ZipFile(originals / name) as archive:
        content = archive.read(f"{member}.npy")
    start, stop, put = data.draw(damages(min(len(content), 200)))
    rezip(originals / name, tmp_path / name, {f"{member}.npy": content[:start] + put + content[stop:]})
    outcome(tmp_path / name)


@pytest.mark.parametrize("name", ["x.npz", "t.npz"])
@pytest.mark.parametrize(
    "value",
    [1, 2.5, "x", ["a", "b"], b"q", [[1]], 1 + 2j, "operation: add\nrows: x", "accumulator: x", "", "a\x00b"],
)
def test_headers_of_other_types(originals, tmp_path, name, value):
    held = io.BytesIO()
    np.save(held, np.array(value))
    rezip(originals / name, tmp_path / name, {"header.npy": held.getvalue()})
    assert outcome(tmp_path / name)


def announced(shape: str, descr: str) -> bytes:
    """The head of an array that is much larger than its file."""
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    return b"\x93NUMPY\x01\x00" + (len(text) + 1).to_bytes(2, "little") + text + b"\n"


@pytest.mark.parametrize(
    ("name", "member", "head", "message"),
    [
        ("x.npz", "header", announced("(1000000000000,)", "'<U1'"), "header.npy is no text of up to"),
        ("x.npz", "header", announced("()", "'<U400000000'"), "header.npy is no text of up to"),
        (
            "x.npz",
            "rows",
            announced("(2147483648,)", "[('A','<u2'),('B','<u2'),('Z','<u2'),('FF','|u1')]"),
            "it may be cut",
        ),
        ("t.npz", "class", announced("(1000000000000,)", "'|u1'"), "class.npy is "),
        ("t.npz", "A", announced("(4, 2, 3)", "'<u4'"), "A.npy is "),
    ],
)
def test_no_memory_is_taken_for_what_is_only_announced(originals, tmp_path, name, member, head, message):
    rezip(originals / name, tmp_path / name, {f"{member}.npy": head})
    assert message in outcome(tmp_path / name)


@ONCE
@given(st.lists(JSON | LINES, max_size=6) | JSON)
def test_headers_in_json(tmp_path, value):
    rows = '{"A": "0x3C00", "B": "0x3C00", "Z": "0x4000", "FF": "0x00"}\n'
    (tmp_path / "x.jsonl").write_text(json.dumps({"header": value}) + "\n" + rows)
    assert outcome(tmp_path / "x.jsonl")


@ONCE
@given(st.lists(JSON | LINES, max_size=6) | JSON | st.binary(max_size=40), JSON)
def test_metadata_of_parquet(originals, tmp_path, value, digest):
    needed("x.parquet")
    import pyarrow
    from pyarrow import parquet

    table = pyarrow.table({name: pyarrow.array([0], pyarrow.uint16()) for name in ("A", "B", "Z")})
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    metadata = {b"halfsim": text, b"sha256": json.dumps(digest).encode()}
    parquet.write_table(table.replace_schema_metadata(metadata), tmp_path / "x.parquet")
    assert outcome(tmp_path / "x.parquet")


@given(st.lists(LINES, max_size=6))
@settings(
    max_examples=max(150, settings.default.max_examples),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_headers_of_text(tmp_path, lines):
    known = ["operation: add", "operands: f16 f16", "result: f16", "rounding: roundTiesToEven", "environment: RISCV"]
    (tmp_path / "x.tv").write_text("".join(f"// {line}\n" for line in [*known, *lines]) + "3C00_3C00_4000_00\n")
    said = outcome(tmp_path / "x.tv")
    # All of these but one are wrong or there already.
    assert said or set(lines) <= {"rows"}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"A": "0x3C00", "A": "0x3C00", "B": "0x3C00", "Z": "0x4000", "FF": "0x00"}', "has the key 'A' twice"),
        ('{"A": 15360, "B": "0x3C00", "Z": "0x4000", "FF": "0x00"}', "A is 15360, not a string of hexadecimal digits"),
        ('{"A": "0x3C00", "B": "0x3C00", "Z": "0x4000", "FF": 0}', "FF is 0, not a string of hexadecimal digits"),
        ('{"A": 1000, "B": 1000, "Z": 1000, "FF": 10}', "A is 1000, not a string"),
        ('{"A": "0x3C00", "B": null, "Z": "0x4000", "FF": "0x00"}', "B is null, not a string"),
        ('{"A": ["0x3C00"], "B": "0x3C00", "Z": "0x4000", "FF": "0x00"}', 'A is ["0x3C00"], not a string'),
        ('{"A": "0x3C00", "B": "0x3C00", "Z": "0x4000"}', "is not an object with the keys A, B, Z, FF"),
        ('{"A": "0x3C00", "B": "0x3C00", "Z": "0x4000", "FF": "0x00", "C": "0"}', "is not an object with the keys"),
        ("[" * 100_000, "nested too deeply"),
        ("9" * 10_000, "Exceeds the limit"),
        ("NaN", "is not an object with the keys"),
    ],
)
def test_rows_in_json(originals, tmp_path, line, message):
    lines = (originals / "x.jsonl").read_text().splitlines()
    lines[5] = line
    (tmp_path / "x.jsonl").write_text("\n".join(lines) + "\n")
    said = outcome(tmp_path / "x.jsonl")
    assert said.startswith(f"{tmp_path / 'x.jsonl'}: line 6: ")
    assert message in said


@pytest.mark.parametrize(
    ("head", "message"),
    [
        (
            '{"header": ["operation: add"], "header": []}',
            "line 1: the header cannot be read: has the key 'header' twice",
        ),
        ('{"header": ["operation: add"], "rows": 3}', "line 1: .* does not hold the header alone"),
        ('{"header": "operation: add"}', "line 1: .* is not a list of lines of text"),
        ('{"header": [3]}', "line 1: .* is not a list of lines of text"),
        ('{"header": ["operation: add", "hue: 3"]}', r"line 1: .* unknown key 'hue'; .*\(line 2 of the header\)"),
        ('{"header"', "line 1: the header cannot be read: is not JSON"),
        ('{"header": []}\n{"header": []}', "line 1: .* a second one follows"),
    ],
)
def test_heads_in_json(originals, tmp_path, head, message):
    import re

    _, *lines = (originals / "x.jsonl").read_text().splitlines()
    (tmp_path / "x.jsonl").write_text("\n".join([head, *lines]) + "\n")
    assert re.search(message, outcome(tmp_path / "x.jsonl"))


def test_a_byte_order_mark_and_cr_lf_are_read(originals, tmp_path):
    for name in ("x.tv", "x.csv", "x.jsonl", "x.a.mem"):
        content = (originals / name).read_bytes()
        for path in originals.glob("x.*.mem"):
            (tmp_path / path.name).write_bytes(path.read_bytes())
        (tmp_path / name).write_bytes(b"\xef\xbb\xbf" + content.replace(b"\n", b"\r\n"))
        assert outcome(tmp_path / name.replace(".a", "")) == ""


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda data: data.replace(b"\n", b"\r"),
            "line 1: has lines that end with CR alone; end them with LF or CR LF",
        ),
        (lambda data: data.decode().encode("utf-16"), "line 1: is text in UTF-16; save it as UTF-8"),
        (lambda data: b"", "is empty"),
        (
            lambda data: bytes(range(128, 256)) * 9,
            "line 1: is not text, as files of this format are; check the path, or name another",
        ),
        (
            lambda data: bytes(range(128, 256)) * 9 + b"\n",
            "line 1: is not text, as files of this format are; check the path, or name another",
        ),
        (lambda data: gzip.compress(data)[:-9], "cannot be decompressed"),
        (lambda data: b"// remark\n" * 5000 + data, "line 1000: is still the header"),
    ],
)
@pytest.mark.parametrize("name", ["x.tv", "x.a.mem"])
def test_what_is_no_text_is_named(originals, tmp_path, name, change, message):
    for path in originals.glob("x.*.mem"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / name).write_bytes(change((originals / name).read_bytes()))
    assert f"{tmp_path / name}: {message}" in outcome(tmp_path / name.replace(".a", ""))


@pytest.mark.parametrize("name", ["x.npz.gz", "x.mem.gz", "x.parquet.gz"])
def test_archives_are_not_compressed_again(originals, tmp_path, name):
    header, block = sums(4)
    fmt = name.split(".")[1]
    with pytest.raises(ValueError, match=rf"the format {fmt} is written to files without \.gz; give a path such as"):
        write(tmp_path / name, header, [block])
    assert list(tmp_path.iterdir()) == []
    (tmp_path / name).write_bytes(gzip.compress((originals / "x.npz").read_bytes()))
    said = outcome(tmp_path / name)
    assert f"the format {fmt} has no .gz; decompress the file, and name it vectors.{fmt}" in said


def test_rows_without_end(originals, tmp_path):
    text = (originals / "x.tv").read_text().replace("rows: 40", f"rows: {1 << 31}")
    (tmp_path / "x.tv").write_text(text)
    assert "line 52: the file ends after 40 rows but its header says 2147483648; it may be cut" in outcome(
        tmp_path / "x.tv"
    )
