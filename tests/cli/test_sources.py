"""Where vectors come from: pipes with and without gzip, closed inputs, missing columns, headers that say too much."""

from __future__ import annotations

import gzip
import os
import subprocess
import threading
from pathlib import Path

import pytest

from tests.cli.running import ROOT, RUN, invoke

TEXT = ("--operation", "multiply", "--format", "testfloat")


@pytest.fixture
def rows(tmp_path: Path) -> bytes:
    path = tmp_path / "m.txt"
    shown = invoke("vectors", "generate", "multiply", "--families", "uniform", "--count", "300", "-o", str(path))
    assert shown.exit_code == 0, shown.output
    return path.read_bytes()


def piped(rows: bytes, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    command = [*RUN, "vectors", "check", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, input=rows, env=environment, capture_output=True, timeout=300, check=False)


@pytest.mark.parametrize("name", ["-", "/dev/stdin"])
@pytest.mark.parametrize("packed", [False, True])
def test_pipes(rows, name, packed):
    shown = piped(gzip.compress(rows) if packed else rows, name, *TEXT)
    assert shown.returncode == 0, shown.stderr
    assert b"all 300 rows agree" in shown.stdout


def test_a_pipe_whose_first_byte_comes_alone(rows, tmp_path):
    os.mkfifo(tmp_path / "pipe")

    def write() -> None:
        with (tmp_path / "pipe").open("wb", buffering=0) as file:
            file.write(rows[:1])
            file.write(rows[1:])

    writer = threading.Thread(target=write)
    writer.start()
    shown = invoke("vectors", "check", str(tmp_path / "pipe"), *TEXT)
    writer.join()
    assert shown.exit_code == 0, shown.output
    assert "all 300 rows agree" in shown.stdout


def test_a_pipe_cannot_be_an_archive(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    shown = invoke("vectors", "check", str(tmp_path / "pipe"), "--format", "npz")
    assert shown.exit_code == 1
    assert "pipe: is a pipe, and the format npz cannot be read from one; save it to a file\n" in shown.stderr


def test_standard_input_that_is_closed():
    command = [*RUN, "vectors", "check", "-", *TEXT]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    shown = subprocess.run(
        ["sh", "-c", 'exec "$@" <&-', "sh", *command], env=environment, capture_output=True, text=True, check=False
    )
    assert (shown.returncode, shown.stdout) == (1, "")
    assert shown.stderr == ("halfsim vectors check: standard input: is closed; pipe vectors to it, or give a file\n")


def test_the_column_that_is_missing_is_named(tmp_path):
    invoke("vectors", "generate", "multiply", "--families", "uniform", "--count", "30", "-o", str(tmp_path / "m.mem"))
    (tmp_path / "m.z.mem").unlink()
    shown = invoke("vectors", "check", str(tmp_path / "m.mem"))
    assert shown.exit_code == 1
    assert shown.stderr == f"halfsim vectors check: {tmp_path / 'm.z.mem'}: No such file or directory; check the path\n"


@pytest.mark.parametrize(
    ("line", "other", "said"),
    [
        ("seed: 1", "seed: -7", "the header's seed is -7; it is 0 at least"),
        ("families: uniform", "families: uniform bogus", "check: the header: unknown family 'bogus'; known are "),
    ],
)
def test_headers_with_impossible_values(tmp_path, line, other, said):
    path = tmp_path / "m.tv"
    invoke("vectors", "generate", "multiply", "--families", "uniform", "--count", "30", "-o", str(path))
    text = path.read_text()
    assert f"// {line}\n" in text
    path.write_text(text.replace(f"// {line}\n", f"// {other}\n"))
    shown = invoke("vectors", "check", str(path))
    assert shown.exit_code == 1
    assert said in shown.stderr


ROW = "0x3C00,0x3C00,0x3C00,0x00\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f'{ROW}0x3C00,"0x3C00,0x3C00,0x00\n', "line 2: B = '\"0x3C00' is not 4 hexadecimal digits"),
        (f'0x3C00,0x3C00,0x3C00,0x00"\n{ROW}', "line 1: FF = '00\"' is not 2 hexadecimal digits"),
        (f"A,B,Z,FF\n{ROW}A,B,Z,FF\n{ROW}", "line 3: names the columns again; were files joined?"),
        (f"{ROW}a,b,z,ff\n", "line 2: names the columns again; were files joined?"),
    ],
)
def test_csv_that_is_not_what_it_seems(tmp_path, text, said):
    (tmp_path / "m.csv").write_text(text)
    shown = invoke("vectors", "check", str(tmp_path / "m.csv"), "--operation", "multiply")
    assert shown.exit_code == 1
    assert said in shown.stderr


def test_csv_of_other_programs(tmp_path):
    """Quoted cells, names in small letters, after a blank line."""
    (tmp_path / "m.csv").write_text('# by hand\n\n"a","b","z","ff"\r\n' + '"3C00","3C00","3C00","00"\r\n' + ROW)
    shown = invoke("vectors", "check", str(tmp_path / "m.csv"), "--operation", "multiply")
    assert shown.exit_code == 0, shown.output
    assert "all 2 rows agree" in shown.stdout
