from __future__ import annotations

from pathlib import Path

import pytest

from tests.studies.report import sample


@pytest.fixture(scope="session")
def sampled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a made-up study with everything that a report can have."""
    out = tmp_path_factory.mktemp("sample")
    sample.make(out)
    return out
