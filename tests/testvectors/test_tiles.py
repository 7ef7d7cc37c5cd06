"""Files of tiles: D against exact fractions and mmasim, every form there and back, damage found."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

import halfsim as hs
from halfsim.accumulators import factor_formats
from halfsim.capture.tiles import CLASSES
from halfsim.tensorcores import TABLE
from halfsim.testvectors.formats import VectorFileError
from halfsim.testvectors.tilecheck import check_tiles
from halfsim.testvectors.tileheader import TileHeader
from halfsim.testvectors.tilereader import is_tiles, read_tiles
from halfsim.testvectors.tiles import parts_of, tile_header
from halfsim.testvectors.tilewriter import write_tiles
from tests.oracles import sums
from tests.tensorcores.oracle import operations, simulate
from tests.tensorcores.tiles import Tile

FORMS = ("npz", "mem", "tv")
FUSED = (
    "h100:f32:e4m3",
    "v100:f16",
    "h100:f32",
    "h100:f16:wgmma",
    "h100:f32:e4m3",
    "a100:f32:tf32",
    "rtx5090:f16:e5m2",
    "a100:f32:bf16",
)


def write(path: Path, accumulator="h100:f32", **settings) -> TileHeader:
    header = tile_header(accumulator, **settings)
    write_tiles(path, header, parts_of(header), traces=20)
    return header


def check(path: Path, **settings):
    with read_tiles(path) as found:
        return check_tiles(found, **settings)


def elements(header, every):
    """Lanes of A and B, C and D of some elements, drawn over all tiles."""
    for part in parts_of(header):
        for index in range(0, part.D.size, every):
            t, i, j = np.unravel_index(index, part.D.shape)
            yield part.A[t, i].tolist(), part.B[t, :, j].tolist(), int(part.C[t, i, j]), int(part.D[t, i, j])


@pytest.mark.parametrize("name", FUSED)
def test_fused_units_sum_as_exact_fractions(name):
    header = tile_header(name, shape=(7, 5, 40), seed=3)
    row = header.row
    mode = {hs.Rounding.roundTowardZero: "rtz", hs.Rounding.roundTiesToEven: "rne"}[row.rounding]
    # The first C is binary32 also where the sums are narrower.
    addend = hs.BINARY16 if header.kinds["C"] == "f16" else hs.BINARY32
    inputs = factor_formats(row)
    unit = sums.Unit(row.terms, row.fraction_bits, row.zero_exponent, row.output, mode, inputs=inputs, addend=addend)
    # A narrower sum is in the upper bits of binary32; its NaN has ones below them too.
    unused = hs.BINARY32.width - row.output.width if header.kinds["D"] == "f32" else 0
    for *operands, d in elements(header, 3):
        want = sums.block_chain(*operands, unit)
        nan = want == (1 << (row.output.width - 1)) - 1
        assert d == (want + nan << unused) - nan, operands


@pytest.mark.parametrize("name", ["fp32", "fp16", "exact", "exact:f16", "pairwise", "compensated:f16"])
def test_other_accumulators_sum_as_exact_fractions(name):
    header = tile_header(name, shape=(7, 5, 11), seed=4)
    fmt = header.row.format
    method = {"fp32": sums.sequential, "fp16": sums.sequential}.get(name) or getattr(sums, name.split(":")[0])
    more = {"fused": True} if method is sums.sequential else {}
    for a, b, c, d in elements(header, 3):
        assert method(a, b, c, fmt, fmt, sums.Draws(), **more)[0] == d, (a, b, c)


@pytest.mark.parametrize("name", ["h100:f32", "a100:f16", "ada:f32:e4m3", "v100:f32", "a100:f32:tf32"])
def test_tiles_agree_with_mmasim(name):
    header = tile_header(name, seed=5)
    entry = next(entry for entry in TABLE if entry.accumulator is header.row)
    part = next(parts_of(header))
    native = np.float16 if header.kinds["C"] == "f16" else np.float32
    for operation in operations(entry):
        for t in range(header.tiles):
            case = Tile(factor_formats(header.row), part.A[t], part.B[t], part.C[t].view(native))
            assert np.array_equal(simulate(operation, case), part.D[t]), CLASSES[t]


def test_shapes_are_the_instructions_own():
    named = {
        "v100:f32": (8, 8, 4),
        "h100:f32": (16, 8, 16),
        "h100:f32:wgmma": (64, 8, 16),
        "h100:f32:e4m3": (64, 8, 32),
        "a100:f32:tf32": (16, 8, 8),
        "mi300x:f32": (16, 16, 16),
        "mi100:f32:bf16": (16, 16, 8),
        "fp16": (16, 8, 16),
    }
    assert {name: tile_header(name).shape for name in named} == named


def test_every_named_accumulator_has_tiles():
    for entry in TABLE:
        name = ":".join((entry.gpus[0], entry.output, entry.instruction, entry.inputs))
        header = tile_header(name, shape=(2, 1, 1), classes=("normal", "random-bits"))
        part = next(parts_of(header))
        assert part.D.shape == (2, 2, 1)
        assert (1 << header.row.inputs[0].width > part.A).all()


@pytest.mark.parametrize("form", [*FORMS, "tv.gz"])
@pytest.mark.parametrize("name", ["h100:f16", "a100:f32:tf32", "h100:f32:e5m2"])
def test_what_is_written_is_read(form, name, tmp_path):
    path = tmp_path / f"x.{form}"
    header = write(path, name, shape=(3, 2, 5), count=2)
    assert is_tiles(path)
    (want,) = parts_of(header)
    with read_tiles(path) as found:
        assert found.header == header
        (got,) = found.parts
    if form in ("npz", "mem"):
        assert all(np.array_equal(getattr(got, matrix), getattr(want, matrix)) for matrix in "ABCD")
    else:
        assert np.array_equal(got.A.reshape(26, 3, 2, 5), want.A[:, :, None, :].repeat(2, 2))
        assert np.array_equal(got.B.reshape(26, 3, 2, 5), want.B.swapaxes(1, 2)[:, None].repeat(3, 1))
        assert np.array_equal(got.D.reshape(want.D.shape), want.D)
    report = check(path)
    assert (report.rows, report.wrong) == (26 * 6, 0)


def test_npz_holds_plain_arrays(tmp_path):
    header = write(tmp_path / "x.npz", classes=("ties", "carry"), count=3)
    with np.load(tmp_path / "x.npz") as held:
        a, b, c = held["A"].view(np.float16), held["B"].view(np.float16), held["C"].view(np.float32)
        assert np.array_equal(hs.matmul(a, b, c, accumulator="h100:f32").view(np.uint32), held["D"])
        assert held["class"].tolist() == [0, 1] * 3
        assert str(held["header"]).splitlines() == header.lines()


@pytest.mark.parametrize("form", [*FORMS, "jsonl"])
def test_the_same_tiles_are_the_same_bytes(form, tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        (tmp_path / name).mkdir()
        write(tmp_path / name / f"x.{form}", shape=(2, 2, 4), seed=seed)
    first, second, third = (
        [file.read_bytes() for file in sorted((tmp_path / name).iterdir()) if file.suffix != ".vh"] for name in "abc"
    )
    assert first == second != third


def test_many_parts_make_one_file_and_a_class_does_not_depend_on_the_others(tmp_path, monkeypatch):
    monkeypatch.setattr("halfsim.testvectors.tiles._WORDS", 1 << 12)
    monkeypatch.setattr("halfsim.testvectors.tilereader._WORDS", 1 << 9)
    monkeypatch.setattr("halfsim.testvectors.tilewriter._WORDS", 1 << 9)
    for form in FORMS:
        write(tmp_path / f"x.{form}", shape=(3, 4, 5), count=20)
        assert (check(tmp_path / f"x.{form}").rows, check(tmp_path / f"x.{form}").wrong) == (20 * 13 * 12, 0)
    alone = list(parts_of(tile_header("h100:f32", shape=(3, 4, 5), count=20, classes=("ties",))))
    assert len(alone) > 2
    with np.load(tmp_path / "x.npz") as held:
        ties = CLASSES.index("ties")
        assert np.array_equal(np.concatenate([part.A for part in alone]), held["A"][ties::13])
        assert len(np.unique(held["A"][ties::13], axis=0)) == 20


def test_traces_are_the_steps_of_the_tiles(tmp_path):
    header = write(tmp_path / "x.jsonl", shape=(2, 3, 20), count=2)
    head, *records, _ = [json.loads(line) for line in (tmp_path / "x.jsonl").read_text().splitlines()]
    assert head["header"] == [*header.lines(), "traces: 20 (of 156 dot products)"]
    assert len(records) == 20
    (part,) = parts_of(header)
    for record in records:
        t, i, j = (record[key] for key in ("tile", "row", "column"))
        assert record["class"] == CLASSES[t % 13]
        assert int(record["D"], 16) == part.D[t, i, j] == record["trace"]["result"]["bits"]
        assert [lane["bits"] for lane in record["trace"]["a"]] == part.A[t, i].tolist()
        assert [lane["bits"] for lane in record["trace"]["b"]] == part.B[t, :, j].tolist()
        # A sum that is an infinity or a NaN may end with its first block.
        ended = record["trace"]["result"]["kind"] in ("quietNaN", "positiveInfinity", "negativeInfinity")
        assert ended or len(record["trace"]["blocks"]) == 2
    places = [(record["tile"], record["row"], record["column"]) for record in records]
    assert places == sorted(set(places))


def corrupt_npz(path, matrix, index):
    with np.load(path) as held:
        arrays = dict(held)
    arrays[matrix].reshape(-1)[index] ^= 1
    np.savez(path, **arrays)


def corrupt_line(path, line):
    lines = path.read_text().splitlines()
    lines[line] = lines[line][:-1] + ("1" if lines[line][-1] == "0" else "0")
    path.write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize("form", FORMS)
def test_a_wrong_element_is_found_and_explained(form, tmp_path):
    path = tmp_path / f"x.{form}"
    header = write(path, shape=(3, 4, 5), count=2)
    index = 17 * 12 + 2 * 4 + 1  # tile 17, row 2, column 1
    if form == "npz":
        corrupt_npz(path, "D", index)
    else:
        data = tmp_path / ("x.d.mem" if form == "mem" else "x.tv")
        head = sum(line.startswith("//") for line in data.read_text().splitlines()) - 1
        corrupt_line(data, head + index)
    report = check(path)
    assert (report.rows, report.wrong) == (header.elements, 1)
    # NumPy's own savez keeps the digest, too.
    assert "are not those that the SHA-256 at the end was made of" in report.damage
    (found,) = report.first
    assert (found.tile, found.row, found.column, found.mistake) == (17, 2, 1, CLASSES[4])
    (part,) = parts_of(header)
    assert found.wanted == part.D[17, 2, 1] != found.got
    assert "block 0, k = 0 to 4" in found.steps
    assert dict(report.mistakes) == {CLASSES[4]: 1}


def test_a_wrong_factor_is_found(tmp_path):
    write(tmp_path / "x.npz", "exact", shape=(3, 4, 5), classes=("normal",))
    corrupt_npz(tmp_path / "x.npz", "A", 5)
    report = check(tmp_path / "x.npz")
    assert report.wrong
    assert {item.row for item in report.first} == {1}


def cut(path):
    path.write_bytes(path.read_bytes()[:-40])


def drop(number):
    def change(path):
        lines = path.read_text().splitlines(keepends=True)
        del lines[number]
        path.write_text("".join(lines))

    return change


def replace(old, new):
    def change(path):
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))

    return change


def repeat_last(path):
    *lines, last, seal = path.read_text().splitlines(keepends=True)
    path.write_text("".join([*lines, last, last, seal]))


def exchange(one, other):
    def change(path):
        lines = path.read_text().splitlines(keepends=True)
        lines[one], lines[other] = lines[other], lines[one]
        path.write_text("".join(lines))

    return change


def exchange_files(path):
    other = path.with_name("x.d.mem")
    first, second = path.read_bytes(), other.read_bytes()
    path.write_bytes(second)
    other.write_bytes(first)


def exchange_rows(path):
    exchange_files(path)
    for name, matrix in (("x.c.mem", "D"), ("x.d.mem", "C")):
        replace(f"matrix: {matrix}", f"matrix: {name[2].upper()}")(path.with_name(name))


def swap_bytes(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(bytes(data))


def without_member(path):
    with zipfile.ZipFile(path) as old:
        members = {name: old.read(name) for name in old.namelist() if name != "C.npy"}
    with zipfile.ZipFile(path, "w") as new:
        for name, data in members.items():
            new.writestr(name, data)


def other_shape(path):
    with np.load(path) as held:
        arrays = dict(held)
    arrays["B"] = arrays["B"][:-1]
    np.savez(path, **arrays)


@pytest.mark.parametrize(
    ("file", "damage", "message"),
    [
        ("x.tv", cut, "no line end"),
        ("x.tv", drop(-2), "the file ends after 77 rows but its header says 78; it may be cut"),
        ("x.tv", repeat_last, "rows were added"),
        ("x.tv", replace("_", "-"), "x.tv: line 10: "),
        ("x.tv", replace("accumulator: a100:f32:tf32", "accumulator: a101:f32"), "unknown GPU 'a101'"),
        ("x.tv", replace("shape: 2x3x4", "shape: 2x3"), "shape '2x3' is not of the form MxNxK"),
        ("x.tv", replace("inputs: tf32 tf32", "inputs: f16 f16"), "the header gives inputs f16 f16"),
        (
            "x.tv",
            replace("tiles: 13", "tiles: many"),
            "line 8: the header cannot be read: the header's tiles is 'many'",
        ),
        (
            "x.tv",
            replace("// classes", "// glasses"),
            "line 6: the header cannot be read: the header has the unknown key",
        ),
        (
            "x.tv",
            replace("// result: f32", "// result: f32\n// result: f32"),
            "line 5: the header cannot be read: the header",
        ),
        ("x.tv", exchange(-2, -3), "line 88: the rows are not those that the SHA-256 at the end was made of"),
        ("x.b.mem", exchange(-2, -3), "x.b.mem: line 166: the rows are not those that the SHA-256"),
        ("x.c.mem", exchange_files, "line 9: says that it is matrix D, but stands in the place of C"),
        ("x.c.mem", exchange_rows, "x.c.mem: line 88: the rows are not those that the SHA-256"),
        ("x.b.mem", drop(-2), "x.b.mem: has 155 elements so far, not 156; it may be cut"),
        ("x.c.mem", repeat_last, "elements were added"),
        ("x.a.mem", replace("\n0", "\nF"), "more than the 19 bits of tf32"),
        ("x.d.mem", replace("seed: 1", "seed: 2"), "its header is not that of x.a.mem"),
        ("x.npz", swap_bytes, "the file is damaged"),
        ("x.npz", without_member, "There is no item named 'C.npy'"),
        ("x.npz", other_shape, "B.npy is (12, 4, 3)"),
    ],
)
def test_a_damaged_file_gets_one_clear_line(file, damage, message, tmp_path):
    for form in FORMS:
        write(tmp_path / f"x.{form}", "a100:f32:tf32", shape=(2, 3, 4))
    damage(tmp_path / file)
    with pytest.raises(VectorFileError) as caught, read_tiles(tmp_path / f"x{Path(file).suffix}") as found:
        list(found.parts)
    assert message in str(caught.value)
    assert file in str(caught.value)
    assert "\n" not in str(caught.value)


def test_nothing_is_left_of_tiles_that_fail(tmp_path):
    header = tile_header("fp32", shape=(2, 2, 2))

    def broken():
        yield from parts_of(header)
        raise OSError("disk full")

    for form in FORMS:
        with pytest.raises(OSError, match="disk full"):
            write_tiles(tmp_path / f"x.{form}", header, broken())
        with pytest.raises(ValueError, match="52 dot products, but 0 came"):
            write_tiles(tmp_path / f"x.{form}", header, [])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"accumulator": "h101:f32"}, "unknown GPU 'h101'"),
        ({"accumulator": "h100:f32", "classes": ["tie"]}, "unknown class 'tie'; known are normal"),
        ({"accumulator": "h100:f32", "classes": ["ties", "ties"]}, "name one twice"),
        ({"accumulator": "h100:f32", "shape": (0, 8, 16)}, "shape 0x8x16 is not MxNxK"),
        ({"accumulator": "h100:f32", "count": 0}, "0 tiles of 13 classes"),
    ],
)
def test_tiles_that_cannot_be(settings, message):
    with pytest.raises(ValueError, match=message):
        tile_header(**settings)
