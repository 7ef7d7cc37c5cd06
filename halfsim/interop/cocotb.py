"""Test benches in cocotb: numbers onto ports and back, and a scoreboard that compares a design with halfsim.

Nothing here needs cocotb itself: a port is anything with a `value` and a length, as cocotb 2 has them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from halfsim.interop.scoreboard import MismatchError, Scoreboard, word

__all__ = ["MismatchError", "Scoreboard", "drive", "sample"]


def drive(port: Any, value: Any) -> None:
    """Put a number, or an array of numbers, on a port.

    Parameters
    ----------
    port : cocotb handle
        An input of the design.
    value : float16 or float32 scalar or array, int, bool or enum member
        Floating-point numbers are driven as their bit patterns, NaN payloads and signed zeros kept; the elements of an
        array lie side by side, element 0 in the lowest bits. An integer is driven as it is.

    Raises
    ------
    TypeError
        For a Python float, whose format nothing says.
    ValueError
        If the value does not fit the port.

    Examples
    --------
    >>> import numpy as np
    >>> from halfsim.interop.cocotb import drive
    >>> class Port:
    ...     _path, value = "dut.a", 0
    ...     def __len__(self): return 32
    >>> port = Port()
    >>> drive(port, np.float16([1, -2]))
    >>> hex(port.value)
    '0xc0003c00'
    """
    bits, width = word(value, f"drive: {_path(port)}")
    room = _width(port)
    if width > room or (width and width != room) or bits >> room or bits < 0:
        arrived = f"{width} bits" if width else f"{bits:#x}"
        raise ValueError(f"drive: {_path(port)} has {room} bits, the value has {arrived}; drive one of its width")
    port.value = bits


def sample(port: Any, kind: Any = np.float16) -> Any:
    """Return what is on a port.

    Parameters
    ----------
    port : cocotb handle
        A port of the design.
    kind : dtype or int
        ``np.float16`` (default) or ``np.float32``: the bits as such a number, or as an array of them where the port is
        several times as wide, element 0 from the lowest bits. ``int``: the bits as an unsigned integer.

    Raises
    ------
    ValueError
        If a bit is neither 0 nor 1, or the port's width is no multiple of the kind's.

    Examples
    --------
    >>> import numpy as np
    >>> from halfsim.interop.cocotb import sample
    >>> class Port:
    ...     _path, value = "dut.z", "0011110000000000"
    >>> sample(Port())
    np.float16(1.0)
    """
    text = str(port.value)
    if not text or not set(text) <= {"0", "1"}:
        odd = sorted(set(text) - {"0", "1"})
        raise ValueError(
            f"sample: {_path(port)} is {text}, with bits that are {', '.join(odd) or 'missing'}; is it driven, out of "
            "reset, and has time passed since its inputs changed?"
        )
    bits = int(text, 2)
    if kind is int:
        return bits
    dtype = np.dtype(kind)
    if dtype.kind != "f" or len(text) % (8 * dtype.itemsize):
        raise ValueError(f"sample: {_path(port)} has {len(text)} bits, which are no {dtype} numbers; pass another kind")
    numbers = np.frombuffer(bits.to_bytes(len(text) // 8, "little"), dtype.newbyteorder("<")).astype(dtype)
    return numbers[0] if numbers.size == 1 else numbers


def _path(port: Any) -> str:
    return str(getattr(port, "_path", port))


def _width(port: Any) -> int:
    try:
        return len(port)
    except TypeError:
        return 1  # a single bit has no length
