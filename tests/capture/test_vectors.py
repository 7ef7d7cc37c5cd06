"""Every capture in the repository, and a GPU if there is one, against the simulator."""

from __future__ import annotations

from pathlib import Path

import pytest

from halfsim.capture import Agreement, DeviceError, capture, check, open_device, read, report


def test_every_captured_result_equals_the_simulators(root: Path) -> None:
    found = list(check(root / "vectors" / "cuda"))
    wrong = [report(item) for item in found if not item.agrees]
    assert not wrong, "\n".join(wrong)
    assert sum(item.count for item in found if isinstance(item, Agreement)) >= 8_178_560


def test_every_file_beside_a_manifest_is_in_it(root: Path) -> None:
    folder = root / "vectors" / "cuda"
    assert (folder / "README.md").is_file()
    listed = {found.folder / entry["file"] for found in read(folder) for entry in found.manifest["groups"].values()}
    assert set(folder.rglob("*.npz")) == listed


@pytest.mark.gpu
def test_this_machines_gpu_answers_the_experiments_as_its_row_does(tmp_path: Path) -> None:
    try:
        device = open_device()
    except DeviceError as error:
        pytest.skip(str(error))
    capture(tmp_path, device, only=("experiments.mma", "experiments.wgmma", "arithmetic"))
    assert list(read(tmp_path)[0].records())
    wrong = [report(item) for item in check(tmp_path) if not item.agrees]
    assert not wrong, "\n".join(wrong)
