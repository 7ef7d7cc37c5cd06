"""Rows that were moved, repeated, exchanged or changed are noticed in every format, by a digest that all share."""

from __future__ import annotations

import io
import re
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from halfsim.testvectors.formats import VectorFileError, read, write
from halfsim.testvectors.formats.digest import DigestError, RowDigest
from halfsim.testvectors.formats.rows import Field
from tests.testvectors.formats.test_files import needed, same, sums

SEALED = ("x.tv", "x.mem", "x.csv", "x.jsonl", "x.npz", "x.parquet", "x.tv.gz")


def read_all(path: Path, header=None):
    """Blocks and whether the digest was verified."""
    with read(path, header) as vectors:
        blocks = list(vectors.blocks)
    return blocks, vectors.digest


def exchange(values: list, first: int, second: int) -> list:
    values[first], values[second] = values[second], values[first]
    return values


def exchange_rows(path: Path) -> None:
    """Exchange two rows of any file, and leave everything else as it is."""
    if path.suffix == ".npz":
        with np.load(path) as held:
            arrays = dict(held)
        arrays["rows"][[10, 20]] = arrays["rows"][[20, 10]]
        np.savez(path, **arrays)
    elif path.suffix == ".parquet":
        from pyarrow import parquet

        metadata = parquet.ParquetFile(path).metadata.metadata
        table = parquet.read_table(path)
        order = exchange(list(range(len(table))), 10, 20)
        kept = {key: metadata[key] for key in (b"halfsim", b"sha256")}
        parquet.write_table(table.take(order).replace_schema_metadata(kept), path)
    elif path.suffix == ".mem":
        for column in path.parent.glob("x.?.mem"):
            exchange_rows(column.rename(column.with_suffix(".tv")))
            column.with_suffix(".tv").rename(column)
    else:
        lines = path.read_text().splitlines(keepends=True)
        path.write_text("".join(exchange(lines, -10, -20)))


@pytest.mark.parametrize("name", SEALED[:-1])
def test_exchanged_rows_are_refused_in_every_format(tmp_path, name):
    needed(name)
    header, block = sums(40)
    write(tmp_path / name, header, [block])
    assert read_all(tmp_path / name)[1].verified
    exchange_rows(tmp_path / name)
    if name == "x.mem":
        # Each column has a digest of its own; the rows of all, exchanged alike, agree with the simulator.
        assert len(list(tmp_path.glob("x.*.mem"))) == 4
    with pytest.raises(DigestError, match="moved, repeated or exchanged") as caught:
        read_all(tmp_path / name)
    lines = {"x.tv": 13 + 40, "x.mem": 14 + 40, "x.csv": 14 + 40, "x.jsonl": 2 + 40}
    assert caught.value.line == lines.get(name, 0)


@pytest.mark.parametrize("name", SEALED)
def test_all_rows_in_order_are_verified(tmp_path, name):
    needed(name)
    header, block = sums(3000)
    write(tmp_path / name, header, [block])
    blocks, digest = read_all(tmp_path / name)
    assert digest.verified
    assert same(blocks, block)


def test_formats_share_the_digest_and_it_can_be_computed_by_hand(tmp_path):
    import hashlib

    header, block = sums(50)
    columns = {"A": block.operands[0], "B": block.operands[1], "Z": block.result, "FF": block.flags}
    hashed = {
        name: hashlib.sha256(name.encode() + b"\n" + words.tobytes()).hexdigest() for name, words in columns.items()
    }
    text = "".join(f"{name} {digest}\n" for name, digest in hashed.items())
    whole = hashlib.sha256(text.encode()).hexdigest()
    for name in ("x.tv", "x.csv", "x.jsonl", "x.npz"):
        write(tmp_path / name, header, [block])
    assert (tmp_path / "x.tv").read_text().endswith(f"\n// sha256: {whole}\n")
    assert (tmp_path / "x.csv").read_text().endswith(f"\n# sha256: {whole}\n")
    assert (tmp_path / "x.jsonl").read_text().endswith(f'\n{{"sha256": "{whole}"}}\n')
    with np.load(tmp_path / "x.npz") as held:
        assert str(held["sha256"]) == whole


def test_columns_are_told_apart_even_where_their_words_are_equal():
    words = np.arange(5, dtype=np.uint16)
    one, other = RowDigest([Field("A", 4), Field("B", 4)]), RowDigest([Field("B", 4), Field("A", 4)])
    for digest in (one, other):
        digest.update([words, words])
    assert one.whole() != other.whole()


@pytest.mark.parametrize("version", ["0.0.1", ""])
@pytest.mark.parametrize("name", ["x.tv", "x.csv", "x.jsonl", "x.mem", "x.npz", "x.parquet"])
def test_files_without_digest_are_read_but_not_verified(tmp_path, name, version):
    """But those that say that halfsim wrote them have lost their end."""
    needed(name)
    header, block = sums(40)
    header = replace(header, version=version)
    write(tmp_path / name, header, [block])
    if name == "x.npz":
        with np.load(tmp_path / name) as held:
            arrays = {key: array for key, array in held.items() if key != "sha256"}
        np.savez(tmp_path / name, **arrays)
    elif name == "x.parquet":
        from pyarrow import parquet

        text = parquet.ParquetFile(tmp_path / name).metadata.metadata[b"halfsim"]
        table = parquet.read_table(tmp_path / name).replace_schema_metadata({b"halfsim": text})
        parquet.write_table(table, tmp_path / name)
    else:
        # Of one column is enough.
        path = tmp_path / ("x.b.mem" if name == "x.mem" else name)
        text = re.sub(r".*sha256.*\n", "", path.read_text())
        path.write_text(text)
    if version:
        with pytest.raises(VectorFileError, match="no SHA-256 of its rows, but its header says that halfsim"):
            read_all(tmp_path / name)
        return
    blocks, digest = read_all(tmp_path / name)
    assert same(blocks, block)
    assert not digest.verified


def test_the_spelling_does_not_matter(tmp_path):
    header, block = sums(40)
    write(tmp_path / "x.tv", header, [block])
    *lines, seal = (tmp_path / "x.tv").read_text().splitlines()
    other = [line if line.startswith("//") else f"  {line.lower()} // note" for line in lines]
    other = [
        "\ufeff" + other[0],
        *other[1:],
        "",
        "// the end is near",
        seal.upper().replace("SHA256", "sha256"),
        "",
        "// end",
    ]
    (tmp_path / "x.tv").write_bytes("\r\n".join([*other, ""]).encode())
    blocks, digest = read_all(tmp_path / "x.tv")
    assert same(blocks, block)
    assert digest.verified


@pytest.mark.parametrize("cut", range(1, 90, 7))
def test_the_digest_is_found_wherever_a_chunk_ends(tmp_path, monkeypatch, cut):
    header, block = sums(60)
    write(tmp_path / "x.tv", header, [block])
    size = (tmp_path / "x.tv").stat().st_size
    monkeypatch.setattr("halfsim.testvectors.formats.text._CHUNK", size - cut)
    blocks, digest = read_all(tmp_path / "x.tv")
    assert same(blocks, block)
    assert digest.verified


@pytest.mark.parametrize(("one", "other"), [("a", "b"), ("b", "z")])
def test_exchanged_columns_are_refused(tmp_path, one, other):
    header, block = sums(40)
    write(tmp_path / "x.mem", header, [block])
    first, second = (tmp_path / f"x.{column}.mem" for column in (one, other))
    texts = first.read_text(), second.read_text()
    first.write_text(texts[1])
    second.write_text(texts[0])
    problem = f"x.{one}.mem: line 13: says that it is column {other.upper()}, but stands in the place of {one.upper()}"
    with pytest.raises(VectorFileError, match=problem):
        read_all(tmp_path / "x.mem")
    # And where the lines that name the columns are exchanged as well, by what they hold.
    for file, text, column in ((first, texts[1], one), (second, texts[0], other)):
        file.write_text(re.sub("// column: .*", f"// column: {column.upper()}", text))
    with pytest.raises(DigestError, match="line 54: the rows are not those"):
        read_all(tmp_path / "x.mem")
    # Files that say nothing at all are read.
    for column in "abz":
        path = tmp_path / f"x.{column}.mem"
        path.write_text(re.sub("//.*\n", "", path.read_text()))
    (tmp_path / "x.ff.mem").write_text(re.sub("//.*\n", "", (tmp_path / "x.ff.mem").read_text()))
    assert not read_all(tmp_path / "x.mem", header)[1].verified


def test_columns_of_other_vectors_are_refused(tmp_path):
    header, block = sums(40)
    write(tmp_path / "x.mem", header, [block])
    path = tmp_path / "x.z.mem"
    path.write_text(path.read_text().replace("seed: 1", "seed: 2"))
    with pytest.raises(VectorFileError, match=r"its header is not that of x\.a\.mem; write them together"):
        read_all(tmp_path / "x.mem")


def test_more_rows_than_an_archive_announces_are_refused(tmp_path):
    header, block = sums(40)
    write(tmp_path / "x.npz", header, [block])
    with zipfile.ZipFile(tmp_path / "x.npz") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members["rows.npy"] += members["rows.npy"][-7:]
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    (tmp_path / "x.npz").write_bytes(held.getvalue())
    with pytest.raises(VectorFileError, match=r"rows\.npy goes on after its 40 rows"):
        read_all(tmp_path / "x.npz")


def test_unknown_columns_of_parquet_are_refused(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    header, block = sums(40)
    write(tmp_path / "x.parquet", header, [block])
    table = parquet.read_table(tmp_path / "x.parquet")
    more = table.append_column("C", pyarrow.array(range(40)))
    parquet.write_table(more, tmp_path / "x.parquet")
    with pytest.raises(VectorFileError, match="has the columns A, B, Z, FF, C; a row has A, B, Z, FF"):
        read_all(tmp_path / "x.parquet")
