"""The golden vectors and their manifest say the same."""

from __future__ import annotations

import hashlib
import tomllib
from pathlib import Path

import pytest

FIELDS = {
    "file",
    "operation",
    "rounding",
    "environment",
    "source",
    "generator",
    "count",
    "licence",
    "sha256",
    "evidence",
}
# Files that say something about the vectors, or about vectors that are elsewhere.
SIDE = ("MANIFEST.toml", "CITATIONS.toml", "README.md")


def problems(folder: Path) -> list[str]:
    """What the manifest of a folder and its files disagree on."""
    manifest = tomllib.loads((folder / "MANIFEST.toml").read_text())
    found = [] if manifest["schema"] == 1 else [f"schema {manifest['schema']}"]
    tables = {table["file"]: table for table in manifest["vectors"]}
    if len(tables) < len(manifest["vectors"]):
        found.append("two tables for one file")
    paths = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    files = {
        path.as_posix()
        for path in paths
        if path.parts[0] not in ("cuda", "digests", "pytorch") and path.name not in SIDE
    }
    found += [f"{name}: no table" for name in sorted(files - tables.keys())]
    for name, table in tables.items():
        if table.keys() - {"seed", "bins", "reachable"} != FIELDS:
            found.append(f"{name}: fields {sorted(table.keys() ^ FIELDS)}")
        elif name not in files:
            found.append(f"{name}: no file")
        else:
            content = (folder / name).read_bytes()
            cases = [line for line in content.splitlines() if line.strip() and not line.startswith((b"#", b"//"))]
            if len(cases) != table["count"]:
                found.append(f"{name}: {len(cases)} cases")
            if hashlib.sha256(content).hexdigest() != table["sha256"]:
                found.append(f"{name}: digest")
    return found


def test_the_manifest_lists_the_files(root: Path) -> None:
    assert problems(root / "vectors") == []


@pytest.mark.parametrize(
    ("files", "change", "found"),
    [
        ({"a.tv": "# a\n1 2\n\n3 4\n"}, {}, []),
        ({"a.tv": "# a\n1 2\n\n3 4\n", "b.tv": ""}, {}, ["b.tv: no table"]),
        ({"a.tv": "# a\n1 2\n\n3 4\n", "cuda/9.0/a.npz": "", "README.md": ""}, {}, []),
        ({}, {}, ["a.tv: no file"]),
        ({"a.tv": "# a\n1 2\n\n3 4\n"}, {"count": 3}, ["a.tv: 2 cases"]),
        ({"a.tv": "# a\n1 2\n\n3 5\n"}, {}, ["a.tv: digest"]),
        ({"a.tv": "# a\n1 2\n\n3 4\n"}, {"note": "x"}, ["a.tv: fields ['note']"]),
    ],
)
def test_every_disagreement_is_found(tmp_path: Path, files: dict[str, str], change: dict[str, object], found) -> None:
    digest = hashlib.sha256(b"# a\n1 2\n\n3 4\n").hexdigest()
    table = {**dict.fromkeys(FIELDS, "x"), "file": "a.tv", "count": 2, "sha256": digest, **change}
    lines = [f"{key} = {value if isinstance(value, int) else repr(value)}" for key, value in table.items()]
    (tmp_path / "MANIFEST.toml").write_text("\n".join(["schema = 1", "[[vectors]]", *lines]))
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert problems(tmp_path) == found
