"""The capture itself: every group in turn, finished ones skipped, each written as soon as it is whole."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from halfsim.capture.device import Device, DeviceError, Instruction, LostError, UnsupportedError
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

    Returns
    -------
    Device
        Ready to launch kernels; `Device.facts` says which GPU it is.

    Raises
    ------
    DeviceError
        Without an NVIDIA driver or such a GPU.

    Examples
    --------
    >>> from halfsim.capture import DeviceError, open_device
    >>> try:
    ...     print(open_device(gpu=99).facts)
    ... except DeviceError:
    ...     print("this machine has no hundredth GPU")
    this machine has no hundredth GPU
    """
    from halfsim.capture.driver import CudaDevice  # loads the driver's library

    return CudaDevice(gpu)


def _near(name: str) -> str:
    """Say which beginnings of names of groups are like a name, or all names."""
    parts = [group.name.split(".") for group in GROUPS]
    beginnings = dict.fromkeys(".".join(words[:length]) for words in parts for length in range(1, len(words) + 1))
    alike = get_close_matches(name, beginnings, n=4)
    if alike:
        return f"did you mean {' or '.join(alike)}?"
    return f"groups are {', '.join(group.name for group in GROUPS)}"


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
            raise ValueError(f"capture: no group begins with {name!r}; {_near(name)}")
    return tuple(group for group in GROUPS if not wanted or group.name.startswith(wanted))


def _measure(
    instruction: Instruction, device: Device, operands: dict[str, NDArray[Any]]
) -> tuple[dict[str, Any], NDArray[Any] | None]:
    """Return what the manifest says of an instruction, but for its machine code, and its results if it has any."""
    entry: dict[str, Any] = {"opcode": instruction.opcode, "status": "unsupported"}
    if not instruction.supported(device.facts.capability):
        return entry, None
    try:
        ready = instruction.probed(device)
        result = ready.measure(device, operands)
        entry |= {"status": "recorded", "results": int(result.size)}
    except UnsupportedError as error:
        return entry | {"detail": str(error)}, None
    except LostError:
        raise
    except DeviceError as error:
        return entry | {"status": "failed", "detail": str(error)}, None
    except Exception as error:  # a library's own mistake costs one instruction, not the run on the GPU
        return entry | {"status": "failed", "detail": f"capture: {instruction.name} raised {error!r}"}, None
    if isinstance(ready, MatrixInstruction) and ready.family == "wgmma":
        entry["strides"] = list(ready.strides)
    return entry, result


@dataclass(slots=True)
class _Made:
    """What was captured of a group; `lost` says why nothing can follow it in this process."""

    results: dict[str, NDArray[Any]] = field(default_factory=dict)
    entries: dict[str, dict[str, Any]] = field(default_factory=dict)
    lost: LostError | None = None

    def add(self, instruction: Instruction, entry: dict[str, Any], result: NDArray[Any] | None) -> None:
        if result is not None:
            self.results[f"D.{instruction.name}"] = result
        # A name may stand for one row per architecture; the row that this GPU has counts.
        if self.entries.get(instruction.name, entry)["status"] != "recorded":
            self.entries[instruction.name] = entry
        else:
            self.entries.setdefault(instruction.name, entry)


def _capture_group(
    group: Group, device: Device, operands: dict[str, NDArray[Any]], late: Callable[[], bool]
) -> _Made | None:
    """Return the results and entries of a group; None when time ran out before it was whole."""
    made = _Made()
    for instruction in group.instructions:
        if late():
            return None
        try:
            entry, result = _measure(instruction, device, operands)
            made.add(instruction, entry, result)
            if entry["status"] == "failed":
                device.reset()
        except LostError as error:
            made.lost = error
            detail = {"opcode": instruction.opcode, "status": "failed", "detail": str(error)}
            made.entries[instruction.name] = made.entries.get(instruction.name, detail)
            break
    here = [item for item in group.instructions if item.supported(device.facts.capability)]
    _disassemble([item for item in here if f"D.{item.name}" in made.results], device, made.entries)
    return made


def _disassemble(instructions: list[Instruction], device: Device, entries: dict[str, dict[str, Any]]) -> None:
    """Add machine code to the entries of recorded instructions; the disassembler starts once for each of them."""
    with ThreadPoolExecutor() as pool:
        codes = pool.map(lambda item: item.machine_code(device), instructions)
        for item, code in zip(instructions, codes, strict=True):
            entries[item.name]["machine_code"] = code


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
        Without a GPU, or if the folder belongs to another capture or cannot be written; `LostError` if the GPU stopped
        answering, after everything so far was written.
    ValueError
        For an unknown group.

    Notes
    -----
    Groups that are already recorded are skipped, so the same call continues an interrupted capture. Groups in which an
    instruction failed are tried again after all others.

    Examples
    --------
    A stand-in for a GPU that answers every instruction with the negative of its first operand:

    >>> import tempfile
    >>> from halfsim.capture import Facts, capture, check
    >>> class StandIn:
    ...     facts = Facts(gpu="Stand-in", capability=(9, 0), driver="0", cuda="0.0")
    ...     def launch(self, kernel, blocks, operands, result, numbers=()):
    ...         (words,) = operands
    ...         return words ^ words.dtype.type(0x8000 if words.itemsize == 2 else 0x80008000)
    ...     def machine_code(self, kernel):
    ...         return "none: this is no machine"
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     written = capture(folder, StandIn(), only=["unary"])
    ...     written.parent.name, written.name, [found.instruction for found in check(folder) if found.equal > 60_000]
    ('9.0', 'stand-in', ['neg.f16', 'neg.ftz.f16', 'neg.f16x2', 'neg.ftz.f16x2'])
    """
    chosen = select_groups(only)
    device = open_device() if device is None else device
    recorder = Recorder(Path(out), device.facts, seed)
    groups = sorted(chosen, key=lambda group: recorder.tried(group.name) and not recorder.finished(group.name))
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
        operands = group.make(seed)
        made = _capture_group(group, device, operands, late)
        if made is None:
            left = len(groups) - number + 1
            progress(f"the time limit of {time_limit:g} s is reached; the same command continues with {left} group(s)")
            break
        arrays = {**operands, **made.results} if made.results else {}
        size = recorder.save(group.name, arrays, made.entries, group.coverage, group.labels)
        progress(f"{head}: {_summary(made.entries)}, {size / 1024:.0f} KiB, {time.monotonic() - began:.1f} s")
        if made.lost is not None:
            raise LostError(f"{made.lost}; everything so far is written, and the same command continues with the rest")
    return recorder.folder


def _summary(entries: dict[str, dict[str, Any]]) -> str:
    counts = {
        status: sum(e["status"] == status for e in entries.values()) for status in ("recorded", "unsupported", "failed")
    }
    text = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
    failed = [entry["detail"] for entry in entries.values() if entry["status"] == "failed"]
    return f"{text} ({failed[0]})" if failed else text
