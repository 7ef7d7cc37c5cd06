"""The table of digests that ships: parts of it, computed again."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from halfsim.testvectors.exhaustive import JOBS, check, load, save

TABLE = Path(__file__).parents[3] / "vectors" / "digests" / "exhaustive.toml"
KNOWN = {job.name: job for job in JOBS}


def part(name: str, number: int) -> str:
    """Digest of 64 blocks, computed now."""
    blocks = [check(KNOWN[name], block) for block in range(64 * number, 64 * number + 64)]
    assert [block.wrong for block in blocks] == [0] * 64
    return hashlib.sha256("".join(block.digest for block in blocks).encode()).hexdigest()


def test_the_table_is_of_known_jobs():
    table = load(TABLE)
    assert len(table) >= 5
    assert table.keys() <= KNOWN.keys()
    for name, digests in table.items():
        assert digests.rows == 1 << 32
        assert len(digests.parts) == 64
        # Results for NaN operands are all alike, and whether numbers are unordered, whatever they are.
        assert len(set(digests.parts)) > (1 if name.startswith("unordered") else 10)
        assert all(len(digest) == 64 for digest in (digests.root, *digests.parts))


def test_the_table_says_which_jobs_are_there_and_which_are_not(tmp_path):
    table = load(TABLE)
    save(tmp_path / "table.toml", table)
    assert (tmp_path / "table.toml").read_text() == TABLE.read_text()
    head = [line.removeprefix("#").split() for line in TABLE.read_text().splitlines() if line.startswith("#")]
    middle = next(i for i, words in enumerate(head) if words[1:3] == ["were", "not,"])
    there, missing = (
        {word for words in part for word in words} & KNOWN.keys() for part in (head[:middle], head[middle:])
    )
    assert there == table.keys()
    assert missing == KNOWN.keys() - table.keys()
    assert f"{len(there)} of {len(KNOWN)} jobs" in TABLE.read_text()
    # Of an operation without rounding, all pairs.
    assert {job.name for job in JOBS if job.operation in ("minimum", "less", "copysign")} <= there


def test_a_part_is_reproduced():
    table = load(TABLE)
    name = "add-rne-after"
    assert part(name, 15) == table[name].parts[15]


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(load(TABLE)))
def test_parts_of_every_job_are_reproduced(name):
    digests = load(TABLE)[name]
    number = sum(map(ord, name)) % 64
    assert part(name, number) == digests.parts[number]
