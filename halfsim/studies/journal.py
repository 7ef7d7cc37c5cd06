"""The state of a run after its last step, in two slots that are written in turn.

A step may take half a millisecond, so a slot is neither synchronised nor compressed: what was written is with the
operating system, which a killed process does not take along. The slot in hand may be torn by a kill; the other one
then holds the step before. A crash of the system may tear both, which their checksums show.
"""

from __future__ import annotations

import json
import math
import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from halfsim.studies.store import naming, write_whole
from halfsim.training.arithmetic import Array

__all__ = ["Journal"]

_HEAD = np.dtype([("checksum", "<u4"), ("names", "<u4"), ("bytes", "<u8"), ("number", "<u8")])
"""Before a slot's content: its CRC-32 begun with the rest of the head, bytes of its list of arrays, of everything, and
how many slots were written before it."""


class Journal:
    """The open slots of a run, which nobody else writes meanwhile.

    Parameters
    ----------
    folder : Path
        Where the run is kept.
    """

    def __init__(self, folder: Path) -> None:
        self._paths = [folder / f"journal.{slot}" for slot in range(2)]
        self._files: list[int] = []
        self._layout: list[tuple[str, str, tuple[int, ...]]] | None = None
        self._names = 0
        self._whole = np.empty(0, np.uint8)
        self._places: list[Array] = []
        self._number = 0

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *details: object) -> None:
        while self._files:
            os.close(self._files.pop())

    def write(self, state: Mapping[str, Any]) -> None:
        """Write arrays and numbers by name into the older slot."""
        if not self._files:
            flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0)
            for path in self._paths:
                self._files.append(os.open(path, flags, 0o666))
        arrays = [np.asarray(value) for value in state.values()]
        layout = [(name, array.dtype.str, array.shape) for name, array in zip(state, arrays, strict=True)]
        if layout != self._layout:
            self._arrange(layout)
        for place, array in zip(self._places, arrays, strict=True):
            place[...] = array
        begin = _HEAD.itemsize
        head = np.array((0, self._names, len(self._whole) - begin, self._number), _HEAD)
        head["checksum"] = _checksum(head, self._whole.data[begin:])
        self._whole[:begin] = np.frombuffer(head.tobytes(), np.uint8)
        slot = self._number % 2
        with naming(self._paths[slot]):
            os.lseek(self._files[slot], 0, os.SEEK_SET)
            write_whole(self._files[slot], self._whole.data)
        self._number += 1

    def _arrange(self, layout: list[tuple[str, str, tuple[int, ...]]]) -> None:
        """Make memory for a slot, whose arrays are the same from one step to the next, with a place for each."""
        names = json.dumps(layout).encode()
        kinds = [(np.dtype(code), shape) for _, code, shape in layout]
        sizes = [dtype.itemsize * math.prod(shape) for dtype, shape in kinds]
        begin = _HEAD.itemsize + len(names)
        self._whole = np.empty(begin + sum(sizes), np.uint8)
        self._whole[_HEAD.itemsize : begin] = np.frombuffer(names, np.uint8)
        self._places = []
        for size, (dtype, shape) in zip(sizes, kinds, strict=True):
            self._places.append(self._whole[begin : begin + size].view(dtype).reshape(shape))
            begin += size
        self._layout, self._names = layout, len(names)

    def read(self) -> list[dict[str, Array]]:
        """Return the states in the slots that are whole, the newest first, and go on behind them."""
        found = {}
        for path in self._paths:
            try:
                whole = path.read_bytes()
            except FileNotFoundError:
                continue
            if len(whole) >= _HEAD.itemsize:
                head = np.frombuffer(whole[: _HEAD.itemsize], _HEAD)[0]
                content = whole[_HEAD.itemsize :][: int(head["bytes"])]
                if head["checksum"] == _checksum(head, content):
                    found[int(head["number"])] = _arrays(content, int(head["names"]))
        self._number = max(found, default=-1) + 1
        return [found[number] for number in sorted(found, reverse=True)]

    def remove(self) -> None:
        """Remove the slots: what they hold is written elsewhere."""
        self.__exit__()
        for path in self._paths:
            path.unlink(missing_ok=True)


def _checksum(head: Any, content: bytes | memoryview) -> int:
    return zlib.crc32(content, zlib.crc32(head.tobytes()[4:]))


def _arrays(content: bytes, names: int) -> dict[str, Array]:
    arrays, place = {}, names
    for name, code, shape in json.loads(content[:names]):
        dtype = np.dtype(code)
        count = int(np.prod(shape, dtype=np.int64))
        arrays[name] = np.frombuffer(content, dtype, count, place).reshape(shape).copy()
        place += count * dtype.itemsize
    return arrays
