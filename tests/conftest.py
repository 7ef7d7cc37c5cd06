"""What every test shares: one thread, Ctrl-C, Hypothesis profiles, and the published GPU outputs."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Before anything imports halfsim: test processes run side by side, each with one thread. Thread tests ask for more.
for _name in ("HALFSIM_NUM_THREADS", "NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

ROOT = Path(__file__).resolve().parent.parent

# What a shell starts in the background ignores Ctrl-C, and so would the commands that tests interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN and threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.default_int_handler)

# No deadline: the first example of an operation compiles it.
_COMMON = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("default", max_examples=60, print_blob=True, **_COMMON)
settings.register_profile("thorough", max_examples=5000, print_blob=True, **_COMMON)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture(scope="session")
def gpu_data() -> Path:
    """The folder of published tensor-core outputs; tests that need it are skipped, visibly, where it is absent."""
    folder = Path(os.environ.get("HALFSIM_GPU_DATA", ROOT.parent / "shared" / "data" / "gpu"))
    if not (folder / "facts.json").is_file():
        pytest.skip(
            f"published GPU outputs are absent: no facts.json in {folder} (HALFSIM_GPU_DATA chooses the folder)"
        )
    return folder
