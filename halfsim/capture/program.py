"""The capture itself: every group in turn, finished ones skipped, each written as soon as it is whole."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from halfsim.capture.device import Device, DeviceError, Instruction, UnsupportedError
from halfsim.capture.groups import GROUPS, Group
from halfsim.capture.matrix import MatrixInstruction
from halfsim.capture.recorder import Recorder

__all__ = ["capture", "open_device", "select_groups"]

Progress = Callable[[str], None]


def open_device(gpu: int = 0) -> Device:
    """Return a GPU of this machine.

    Parameters
    ----------
    gpu : int
        Its number, as the driver counts.

    Raises
    ------
    DeviceError
        Without an NVIDIA driver or such a GPU.
    """
    from halfsim.capture.driver import CudaDevice  # loads the driver's library

    return CudaDevice(gpu)


def select_groups(names: Iterable[str]) -> tuple[Group, ...]:
    """Return the groups whose names begin with one of some names; all of them for none.

    Raises
    ------
    ValueError
        If a name begins no group's.
    """
    wanted = tuple(names)
    for name in wanted:
        if not any(group.name.startswith(name) for group in GROUPS):
            known = ", ".join(group.name for group in GROUPS)
            raise ValueError(f"capture: no group begins with {name!r}; groups are {known}")
    return tuple(group for group in GROUPS if not wanted or group.name.startswith(wanted))


def _measure(
    instruction: Instruction, device: Device, operands: dict[str, NDArray[Any]]
) -> tuple[dict[str, Any], NDArray[Any] | None]:
    """Return what the manifest says of an instruction, and its results if it has any."""
    entry: dict[str, Any] = {"opcode": instruction.opcode, "status": "unsupported"}
    if not instruction.supported(device.facts.capability):
        return entry, None
    try:
        ready = instruction.probed(device)
        result = ready.measure(device, operands)
        entry |= {"status": "recorded", "results": int(result.size), "machine_code": ready.machine_code(device)}
    except UnsupportedError as error:
        return entry | {"detail": str(error)}, None
    except DeviceError as error:
        device.reset()
        return entry | {"status": "failed", "detail": str(error)}, None
    if isinstance(ready, MatrixInstruction) and ready.family == "wgmma":
        entry["strides"] = list(ready.strides)
    return entry, result


def _capture_group(group: Group, device: Device, seed: int, late: Callable[[], bool]) -> dict[str, Any] | None:
    """Return the arrays and entries of a group; None when time ran out before it was whole."""
    operands = group.make(seed)
    entries: dict[str, dict[str, Any]] = {}
    results: dict[str, NDArray[Any]] = {}
    for instruction in group.instructions:
        if late():
            return None
        entry, result = _measure(instruction, device, operands)
        if result is not None:
            results[f"D.{instruction.name}"] = result
        # A name may stand for one row per architecture; the row that this GPU has counts.
        if entries.get(instruction.name, entry)["status"] != "recorded":
            entries[instruction.name] = entry
        else:
            entries.setdefault(instruction.name, entry)
    return {"arrays": {**(operands if results else {}), **results}, "instructions": entries}


def capture(
    out: str | Path,
    device: Device | None = None,
    *,
    seed: int = 1,
    only: Iterable[str] = (),
    time_limit: float | None = None,
    progress: Progress = lambda line: None,
) -> Path:
    """Record what a GPU answers, bit for bit, with provenance.

    Parameters
    ----------
    out : str or Path
        Folder of all captures; the GPU's own folder in it is ``<compute capability>/<name>``.
    device : Device, optional
        The GPU, by default the first of this machine.
    seed : int
        Seed of the random operands.
    only : iterable of str
        Beginnings of names of groups; by default everything.
    time_limit : float, optional
        Seconds after which no instruction is begun; a group that is not whole by then is left for the next run.
    progress : callable
        Called with one line per group.

    Returns
    -------
    Path
        The GPU's folder.

    Raises
    ------
    DeviceError
        Without a GPU, or if the folder belongs to another capture or cannot be written.
    ValueError
        For an unknown group.

    Notes
    -----
    Groups that are already recorded are skipped, so the same call continues an interrupted capture.
    """
    groups = select_groups(only)
    device = open_device() if device is None else device
    recorder = Recorder(Path(out), device.facts, seed)
    start = time.monotonic()

    def late() -> bool:
        return time_limit is not None and time.monotonic() - start > time_limit

    facts = device.facts
    version = ".".join(map(str, facts.capability))
    progress(f"{facts.gpu}, compute capability {version}, driver {facts.driver}, CUDA {facts.cuda}")
    for number, group in enumerate(groups, start=1):
        head = f"[{number:2}/{len(groups)}] {group.name}"
        if recorder.finished(group.name):
            progress(f"{head}: already recorded")
            continue
        began = time.monotonic()
        made = _capture_group(group, device, seed, late)
        if made is None:
            left = len(groups) - number + 1
            progress(f"the time limit of {time_limit:g} s is reached; the same command continues with {left} group(s)")
            break
        size = recorder.save(group.name, made["arrays"], made["instructions"], group.coverage, group.labels)
        progress(f"{head}: {_summary(made['instructions'])}, {size / 1024:.0f} KiB, {time.monotonic() - began:.1f} s")
    return recorder.folder


def _summary(entries: dict[str, dict[str, Any]]) -> str:
    counts = {
        status: sum(e["status"] == status for e in entries.values()) for status in ("recorded", "unsupported", "failed")
    }
    text = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
    failed = [entry["detail"] for entry in entries.values() if entry["status"] == "failed"]
    return f"{text} ({failed[0]})" if failed else text
