"""What a release must be: small, complete, licensed, citable, reproducible, and at work in an empty environment."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

from halfsim._version import __version__
from tests.processes import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
NOT_IN_THE_SDIST = {".ci", ".gitignore"}  # .gitignore is added by the build itself
ALWAYS_IN_THE_SDIST = {"LICENSE", "README.md", "pyproject.toml"}
LARGEST = 5_000_000
# What tests of the source archive are run: metadata, arithmetic, vectors, pages.
SELECTION = ("tests/test_project.py", "tests/test_formats.py", "tests/test_references.py", "tests/core/test_round.py")


def tracked() -> list[Path]:
    """Every file under version control; the test is skipped in a source archive, which has none."""
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("no git checkout: what is under version control cannot be told")
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / name for name in done.stdout.split("\0") if name]


def test_no_large_file_outside_the_vectors() -> None:
    files = [path for path in tracked() if path.is_file() and path.relative_to(ROOT).parts[0] != "vectors"]
    assert len(files) > 500
    assert not [path for path in files if path.stat().st_size > LARGEST]


def test_the_source_archive_has_every_part() -> None:
    included = {entry.strip("/") for entry in PROJECT["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]}
    parts = {path.relative_to(ROOT).parts[0] for path in tracked()}
    assert parts - NOT_IN_THE_SDIST == included | ALWAYS_IN_THE_SDIST


def test_licence_and_citation_agree_with_the_metadata() -> None:
    project = PROJECT["project"]
    assert project["license"] == "BSD-3-Clause"
    assert project["license-files"] == ["LICENSE"]
    licence = (ROOT / "LICENSE").read_text()
    assert licence.startswith("BSD 3-Clause License")
    assert "Neither the name of the copyright holder" in " ".join(licence.split())
    citation = (ROOT / "CITATION.cff").read_text()
    told = dict(re.findall(r"^([\w-]+): *(.*)$", citation, re.MULTILINE))
    assert {"cff-version", "message", "title", "authors"} <= told.keys()  # what the format requires
    assert (told["version"], told["license"], told["type"]) == (__version__, project["license"], "software")
    assert [author["name"] for author in project["authors"]] == re.findall(r"^  - name: (.+)$", citation, re.MULTILINE)


def test_the_readme_needs_no_picture() -> None:
    """Where pages are shown without the repository, a picture is its alternative text."""
    pictures = re.findall(r"!\[([^\]]*)\]\(([^)]+)\)", (ROOT / "README.md").read_text())
    assert pictures
    for words, path in pictures:
        assert (ROOT / path).is_file()
        assert len(words.split()) > 10


# -------------------------------------------------------------------------------------------------- built archives


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Folders with wheel and source archive, each built from a copy of its own."""
    pytest.importorskip("build")
    out = []
    for name in ("first", "second"):
        copy, folder = tmp_path_factory.mktemp(name), tmp_path_factory.mktemp(f"{name}-dist")
        for path in tracked():
            target = copy / path.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)  # the time of the copy, not of the file
        subprocess.run(
            [sys.executable, "-m", "build", "--outdir", str(folder), str(copy)],
            env={**os.environ, "SOURCE_DATE_EPOCH": "1767225600"},
            check=True,
            capture_output=True,
        )
        out.append(folder)
    return out[0], out[1]


def only(folder: Path, pattern: str) -> Path:
    (found,) = folder.glob(pattern)
    return found


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_two_builds_are_the_same(built: tuple[Path, Path]) -> None:
    first, second = ({p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in f.iterdir()} for f in built)
    assert first == second
    assert set(first) == {f"halfsim-{__version__}-py3-none-any.whl", f"halfsim-{__version__}.tar.gz"}


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_wheel_is_pure_and_holds_the_package(built: tuple[Path, Path]) -> None:
    names = zipfile.ZipFile(only(built[0], "*.whl")).namelist()
    kept = {path.relative_to(ROOT).as_posix() for path in tracked() if path.is_relative_to(ROOT / "halfsim")}
    assert {name for name in names if name.startswith("halfsim/")} == kept
    assert {name.split("/")[0] for name in names} == {"halfsim", f"halfsim-{__version__}.dist-info"}
    assert not [name for name in names if Path(name).suffix in (".so", ".pyd", ".dll", ".pyc")]


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_metadata_is_accepted(built: tuple[Path, Path]) -> None:
    pytest.importorskip("twine")
    files = [str(path) for path in built[0].iterdir()]
    done = subprocess.run([sys.executable, "-m", "twine", "check", "--strict", *files], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("PASSED") == 2


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_tests_run_from_the_source_archive(built: tuple[Path, Path], tmp_path: Path) -> None:
    with tarfile.open(only(built[0], "*.tar.gz")) as archive:
        archive.extractall(tmp_path, filter="data")
    (source,) = tmp_path.iterdir()
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n", "0", *SELECTION],
        cwd=source,
        env={**clean, "PYTHONPATH": str(source)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert int(re.findall(r"(\d+) passed", done.stdout)[0]) > 100


VERSIONS = re.findall(r"Python :: (3\.\d+)", "\n".join(PROJECT["project"]["classifiers"]))


def interpreter(version: str) -> str | None:
    """A Python of a version: this one, one on the path, or one of pyenv."""
    if version == f"{sys.version_info.major}.{sys.version_info.minor}":
        return sys.executable
    managed = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for path in (shutil.which(f"python{version}"), *sorted(managed.glob(f"{version}.*/bin/python{version}"))):
        # A shim of pyenv answers only for the versions it is told to.
        if path and subprocess.run([path, "-c", "import venv"], capture_output=True).returncode == 0:
            return str(path)
    return None


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("version", VERSIONS)
def test_the_wheel_works_in_an_empty_environment(version: str, built: tuple[Path, Path], tmp_path: Path) -> None:
    python = interpreter(version)
    if python is None:
        pytest.skip(f"there is no Python {version}")
    subprocess.run([python, "-m", "venv", str(tmp_path / "venv")], check=True)
    own = tmp_path / "venv" / ("Scripts" if os.name == "nt" else "bin") / "python"
    wheel = only(built[0], "*.whl")
    done = subprocess.run([str(own), "-m", "pip", "install", "--quiet", str(wheel)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    shown = subprocess.run(
        [str(own), "-I", str(ROOT / "tests" / "installed.py")],
        cwd=tmp_path,
        env={**clean, "HALFSIM_CACHE_DIR": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
    )
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.startswith("ok")
