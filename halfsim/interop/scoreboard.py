"""A scoreboard: results of a design beside those of the simulator, each difference explained."""

from __future__ import annotations

from collections import deque
from typing import Any, NamedTuple

import numpy as np

from halfsim.environment import IEEE, Environment
from halfsim.explanation import explain, explain_dot
from halfsim.flags import Flags
from halfsim.linalg import MatrixProduct
from halfsim.operation import Operation
from halfsim.rounding import RoundingLike
from halfsim.tensorcores import AccumulatorLike
from halfsim.testvectors.formats import environment_name, rounding_name
from halfsim.testvectors.formats import flag_order as order_named

__all__ = ["MismatchError", "Scoreboard", "word"]


class MismatchError(AssertionError):
    """A design's result that is not the simulator's.

    Examples
    --------
    >>> import numpy as np, halfsim as hs
    >>> from halfsim.interop.cocotb import MismatchError, Scoreboard
    >>> try:
    ...     Scoreboard(hs.add).check(np.float16(1), np.float16(2), value=np.float16(4))
    ... except MismatchError as error:
    ...     print(str(error).splitlines()[0])
    add(0x3C00, 0x4000), roundTiesToEven, IEEE: value is 0x4400, want 0x4200 (3.0)
    """


def word(value: Any, function: str) -> tuple[int, int]:
    """Return (bits, width) of a value; width 0 stands for an integer, which has none."""
    if isinstance(value, np.ndarray | np.floating) and value.dtype.kind == "f":
        little = np.ascontiguousarray(value).astype(value.dtype.newbyteorder("<"))
        return int.from_bytes(little.tobytes(), "little"), 8 * little.nbytes
    if isinstance(value, float) or not (hasattr(value, "__index__") or isinstance(value, np.bool_)):
        raise TypeError(
            f"{function}: value={value!r} is of type {type(value).__name__}; pass np.float16(...), np.float32(...), an "
            "array of them, or an integer of bits"
        )
    return int(value), 0


class _Expected(NamedTuple):
    operands: tuple[Any, ...]
    rounding: RoundingLike
    environment: Environment


class Scoreboard:
    """Compare the results and flags of a design with those of an operation, bit for bit.

    Parameters
    ----------
    operation : Operation, or halfsim.dot
        What the design computes.
    rounding : Rounding or str
        Rounding direction where `expect` or `check` gives none.
    environment : Environment
        Likewise.
    accumulator : accumulator row or str, optional
        For `halfsim.dot`: how the sum is computed, for example ``"a100:f32"``.
    flag_order : str
        Order of the flag port: ``"testfloat"`` (RISC-V's), ``"mxcsr"`` or ``"fpsr"``.
    limit : int
        Mismatches to collect before one is raised; `finish` raises the rest.
    **options : bool
        Further keywords of the operation, such as ``exact=True``.

    Raises
    ------
    TypeError
        If a dot product has no accumulator, or another operation has one.
    ValueError
        If the order of the flags is unknown.

    Examples
    --------
    >>> import numpy as np, halfsim as hs
    >>> from halfsim.interop.cocotb import Scoreboard
    >>> board = Scoreboard(hs.add, environment=hs.RISCV)
    >>> board.check(np.float16(1), np.float16(2), value=np.float16(3), flags=0)
    >>> try:
    ...     board.check(np.float16(1), np.float16(2**-11), value=np.float16(1), flags=0)
    ... except AssertionError as error:
    ...     print(str(error).splitlines()[0])
    add(0x3C00, 0x1000), roundTiesToEven, RISCV: flags are none, want inexact
    """

    def __init__(
        self,
        operation: Operation | MatrixProduct,
        *,
        rounding: RoundingLike = "rne",
        environment: Environment = IEEE,
        accumulator: AccumulatorLike | None = None,
        flag_order: str = "testfloat",
        limit: int = 1,
        **options: bool,
    ) -> None:
        if isinstance(operation, MatrixProduct) != (accumulator is not None):
            raise TypeError(
                f"Scoreboard: {operation!r} with accumulator={accumulator!r}; halfsim.dot needs an accumulator such as "
                "'a100:f32', and other operations take none"
            )
        self.operation = operation
        self.rounding, self.environment = rounding, environment
        self.checked = 0
        self.mismatches: list[str] = []
        self._accumulator = accumulator
        self._order = order_named(flag_order)
        self._limit = limit
        self._options = options
        self._queue: deque[_Expected] = deque()

    def expect(
        self, *operands: Any, rounding: RoundingLike | None = None, environment: Environment | None = None
    ) -> None:
        """Note operands that the design has taken; results are `observe`-d in the same order.

        Parameters
        ----------
        *operands : float16 scalar or int
            As many as the operation takes, as `sample` returns them; an integer is a bit pattern.
        rounding, environment : Rounding or str, Environment
            Of this result; by default those of the scoreboard.
        """
        self._queue.append(
            _Expected(
                operands,
                self.rounding if rounding is None else rounding,
                self.environment if environment is None else environment,
            )
        )

    def observe(self, value: Any, flags: Any = None) -> None:
        """Compare a result with that of the oldest operands not yet answered.

        Parameters
        ----------
        value : float16 or float32 scalar, or int
            The result, as `sample` returns it; an integer is a bit pattern.
        flags : int, optional
            The flag port, in the scoreboard's order; without it flags are not compared.

        Raises
        ------
        MismatchError
            If they differ, or no operands are waiting.
        TypeError
            If the result is a Python float.
        ValueError
            If the flags have a bit that is no flag.
        """
        if not self._queue:
            raise MismatchError(f"{self.operation.name}: the design gave a result for which no operands are waiting")
        expected = self._queue.popleft()
        want, want_flags = self._model(expected, flags is not None)
        self.checked += 1
        differences = []
        got, _ = word(value, "observe")
        want_bits, width = word(want, "observe")
        if got != want_bits:
            digits = max(width // 4, 1)
            differences.append(f"value is 0x{got:0{digits}X}, want 0x{want_bits:0{digits}X} ({want!s})")
        if flags is not None and (raised := self._decode(flags)) != want_flags:
            differences.append(f"flags are {_names(raised)}, want {_names(want_flags)}")
        if differences:
            self._complain(expected, "; ".join(differences))

    def check(
        self,
        *operands: Any,
        value: Any,
        flags: Any = None,
        rounding: RoundingLike | None = None,
        environment: Environment | None = None,
    ) -> None:
        """`expect` and `observe` at once, for a combinational design.

        Parameters
        ----------
        *operands : float16 scalar or int
            As of `expect`.
        value, flags : scalar or int
            As of `observe`.
        rounding, environment : Rounding or str, Environment
            As of `expect`.

        Raises
        ------
        MismatchError
            If the result differs, or others are still to be observed.
        TypeError, ValueError
            As of `observe`.
        """
        if self._queue:
            raise MismatchError(f"{self.operation.name}: {len(self._queue)} expected results are still to be observed")
        self.expect(*operands, rounding=rounding, environment=environment)
        self.observe(value, flags)

    def finish(self) -> int:
        """Return the number of results compared.

        Raises
        ------
        MismatchError
            If any differed, operands still wait for a result, or nothing was compared at all.
        """
        name = self.operation.name
        if self.mismatches:
            raise MismatchError("\n\n".join([f"{len(self.mismatches)} of {self.checked} results", *self.mismatches]))
        if self._queue:
            raise MismatchError(f"{len(self._queue)} results never came; the first is {self._asked(self._queue[0])}")
        if not self.checked:
            raise MismatchError(f"{name}: nothing was compared")
        return self.checked

    def _model(self, expected: _Expected, flagged: bool) -> tuple[Any, int]:
        """Return the simulator's result and flags."""
        model: Any = self.operation.flagged if flagged else self.operation
        given: dict[str, Any] = {"accumulator": self._accumulator}
        if self._accumulator is None:
            given = {"rounding": expected.rounding, "environment": expected.environment, **self._options}
        result = model(*expected.operands, **given)
        return (result.value, int(result.flags)) if flagged else (result, 0)

    def _decode(self, flags: Any) -> int:
        word = int(flags)
        if not 0 <= word <= 255 or (raised := int(self._order.decode(np.array([word], np.uint8))[0])) < 0:
            raise ValueError(f"observe: flags={flags!r} has bits that are no flag in the order {self._order.name}")
        return raised

    def _asked(self, expected: _Expected) -> str:
        """Return an operation and its operands, and how it was to be rounded."""
        operands = ", ".join(_shown(x) for x in expected.operands)
        how = f"{rounding_name(expected.rounding)}, {environment_name(expected.environment)}"
        how = how if self._accumulator is None else f"accumulator {self._accumulator}"
        return f"{self.operation.name}({operands}), {how}"

    def _complain(self, expected: _Expected, difference: str) -> None:
        steps: Any
        if self._accumulator is not None:
            steps = explain_dot(*expected.operands, accumulator=self._accumulator)
        else:
            mode, environment = expected.rounding, expected.environment
            name = self.operation.name
            steps = explain(name, *expected.operands, rounding=mode, environment=environment, **self._options)
        message = f"{self._asked(expected)}: {difference}\n\n{steps}"
        self.mismatches.append(message)
        if len(self.mismatches) >= self._limit:
            raise MismatchError(message)


def _names(flags: int) -> str:
    return Flags(flags).name or "none"


def _shown(value: Any) -> str:
    """Return an operand as its bit pattern."""
    array = np.asarray(value)
    if array.dtype.kind != "f":
        return str(value)
    digits = 2 * array.dtype.itemsize
    words = [f"0x{bits:0{digits}X}" for bits in array.reshape(-1).view(f"u{array.dtype.itemsize}").tolist()]
    return words[0] if array.ndim == 0 else f"[{' '.join(words)}]"
