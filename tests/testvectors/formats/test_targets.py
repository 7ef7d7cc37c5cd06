"""What is written to: devices and pipes stay what they are, and symbolic links keep leading where they do."""

from __future__ import annotations

import dataclasses
import os
import stat
import threading
from pathlib import Path

import pytest

from halfsim.testvectors.formats import read, write
from tests.testvectors.formats.test_files import same, sums


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    if not hasattr(os, "mkfifo"):
        pytest.skip("no named pipes here")
    folder = tmp_path / "pipes"
    folder.mkdir()
    os.mkfifo(folder / "pipe")
    return folder / "pipe"


@pytest.mark.parametrize("fmt", ["tv", "testfloat", "csv", "jsonl"])
def test_a_pipe_is_written_to_and_stays_one(tmp_path, pipe, fmt):
    header, block = sums(rows=3000)
    plain = tmp_path / "plain"
    write(plain, header, [block], fmt)
    got = []
    reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()), daemon=True)
    reader.start()
    assert write(pipe, header, [block], fmt) == 3000
    assert pipe.is_fifo()
    reader.join(10)
    assert got == [plain.read_bytes()]
    assert list(pipe.parent.iterdir()) == [pipe]


@pytest.mark.parametrize("fmt", ["npz", "mem", "parquet"])
def test_a_pipe_is_refused_by_formats_that_need_a_file(pipe, fmt):
    header, block = sums(rows=30)
    with pytest.raises(ValueError, match=rf"{pipe} is a device or a pipe, and the format {fmt} is written to files"):
        write(pipe, header, [block], fmt)
    assert pipe.is_fifo()
    assert list(pipe.parent.iterdir()) == [pipe]


def test_what_stands_beside_is_no_pipe_either(pipe):
    os.mkfifo(pipe.with_name("x_params.vh"))
    header, block = sums(rows=30)
    with pytest.raises(ValueError, match=r"x_params\.vh is a device or a pipe, which cannot be replaced by a file"):
        write(pipe.with_name("x.tv"), header, [block])
    assert pipe.with_name("x_params.vh").is_fifo()


def test_a_character_device_is_written_to(tmp_path, monkeypatch):
    path = tmp_path / "device.csv"
    path.touch()
    number = path.stat().st_ino
    honest = Path.stat

    def pretending(self, **options):
        found = honest(self, **options)
        return os.stat_result((stat.S_IFCHR | 0o666, *found[1:])) if self == path else found

    monkeypatch.setattr(Path, "stat", pretending)
    header, block = sums(rows=30)
    write(path, header, [block])
    monkeypatch.undo()
    assert path.stat().st_ino == number
    assert path.read_text().count("\n") > 30


@pytest.mark.parametrize("name", ["x.csv", "x.npz"])
@pytest.mark.parametrize("there", [True, False])
def test_a_symbolic_link_keeps_leading_where_it_does(tmp_path, name, there):
    header, block = sums(rows=30)
    (tmp_path / "far").mkdir()
    target, link = tmp_path / "far" / "target", tmp_path / name
    if there:
        target.write_bytes(b"old")
    link.symlink_to(Path("far", "target"))
    write(link, header, [block])
    assert link.is_symlink()
    with read(link) as vectors:
        assert same(list(vectors.blocks), block)
    assert sorted(path.name for path in tmp_path.rglob("*")) == sorted(["far", "target", name])


def test_a_failed_run_leaves_the_target_of_a_link(tmp_path):
    header, block = sums(rows=30)
    target, link = tmp_path / "target", tmp_path / "x.csv"
    target.write_bytes(b"old")
    link.symlink_to(target)
    with pytest.raises(ValueError, match="the header says 31 rows, but 30 came"):
        write(link, dataclasses.replace(header, rows=31), [block])
    assert (link.is_symlink(), target.read_bytes()) == (True, b"old")


def test_a_folder_and_a_circle_of_links_are_errors_that_name_them(tmp_path):
    header, block = sums(rows=30)
    (tmp_path / "circle.tv").symlink_to(tmp_path / "circle.tv")
    (tmp_path / "folder.tv").mkdir()
    for name in ("circle.tv", "folder.tv"):
        with pytest.raises(OSError, match=name) as raised:
            write(tmp_path / name, header, [block])
        assert raised.value.filename == str(tmp_path / name)
