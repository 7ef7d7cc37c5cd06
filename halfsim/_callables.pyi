"""How the operations are called, for type checkers and editors: at run time each is a `halfsim.operation.Operation`.

Scalars give a scalar, arrays an array; S is the result's scalar type. On a device, what comes back depends on where
the operands lie. As in NumPy's stubs, what types cannot tell is Any: a dot product of arrays of unknown dimensions, the
sum along an axis, a number rounded to a format.
"""

from collections.abc import Sequence
from typing import Any, Generic, Literal, Never, TypeAlias, TypeVar, overload

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from halfsim.conversion import Conversion
from halfsim.environment import IEEE, Environment
from halfsim.flags import Flagged
from halfsim.formats import Format
from halfsim.linalg import MatrixProduct, Total
from halfsim.operation import Operation
from halfsim.rounding import RoundingLike
from halfsim.tensorcores import AccumulatorLike

S = TypeVar("S", bound=np.generic)
Integer = TypeVar("Integer", bound=np.integer[Any])
Out = TypeVar("Out", bound=NDArray[Any])

U = TypeVar("U")

Vector: TypeAlias = np.ndarray[tuple[int], np.dtype[Any]]
Matrices: TypeAlias = np.ndarray[tuple[int, int, *tuple[int, ...]], np.dtype[Any]]
Unknown: TypeAlias = np.ndarray[tuple[Never, Never, Never, Never, Never], np.dtype[Any]]
"""What only arrays of unknown dimensions are, as of `numpy.array`: they would match the first overload of any."""

class Unary(Operation, Generic[S]):
    """An operation on one operand."""

    @overload  # type: ignore[override]
    def __call__(
        self,
        a: np.float16,
        /,
        *,
        rounding: RoundingLike = "rne",
        environment: Environment = IEEE,
        out: None = None,
        where: ArrayLike | bool = True,
        device: None = None,
    ) -> S: ...
    @overload
    def __call__(
        self,
        a: ArrayLike,
        /,
        *,
        rounding: RoundingLike = "rne",
        environment: Environment = IEEE,
        out: NDArray[Any] | None = None,
        where: ArrayLike | bool = True,
        device: None = None,
    ) -> NDArray[S]: ...
    @overload
    def __call__(
        self,
        a: Any,
        /,
        *,
        rounding: RoundingLike = "rne",
        environment: Environment = IEEE,
        out: NDArray[Any] | None = None,
        where: ArrayLike | bool = True,
        device: str,
    ) -> Any: ...
    @overload  # type: ignore[override]
    def flagged(
        self,
        a: np.float16,
        /,
        *,
        rounding: RoundingLike = "rne",
        environment: Environment = IEEE,
        out: None = None,
        where: ArrayLike | bool = True,
        device: None = None,
    ) -> Flagged[S, np.uint8]: ...
    @overload
    def flagged(
        self,
        a: ArrayLike,
        /,
        *,
        rounding: RoundingLike = "rne",
        environment: Environment = IEEE,
        out: NDArray[Any] | None = None,
        where: ArrayLike | bool = True,
        device: None = None,
    ) -> Flagged[NDArray[S], NDArray[np.uint8]]: ...
    @overload
    def flagged(
        self,
        a: Any,
        /,
        *,
        rounding: RoundingLike = "rne",
        environment: Environment = IEEE,
        out: NDArray[Any] | None = None,
        where: ArrayLike | bool = True,
        device: str,
    ) -> Flagged: ...

class Binary(Operation, Generic[S]):
    """An operation on two operands."""

    @overload  # type: ignore[override]
    def __call__(
        self,
        a: np.float16,
        b: np.float16,
        /,
        *,
        rounding: RoundingLike = "rne",
        environment: Environment = IEEE,
        out: None = None,
        where: ArrayLike | bool = True,
        device: None = None,
    ) -> S: ...
    @overload
    def __call__(
        self,
        a: ArrayLike,
        b: ArrayLike,
        /,
        *,
        rounding: RoundingLike = "rne",
        environment: Environment = IEEE,
        out: NDArray[Any] | None = None,
        where: ArrayLike | bool = True,
        device: None = None,
    ) -> NDArray[S]: ...
    @overload
    def __call__(
        self,
        a: Any,
        b: Any,
        /,
        *,
        rounding: RoundingLike = "rne",
        environment: Environment = IEEE,
        out: NDArray[Any] | None = None,
        where: ArrayLike | bool = True,
        device: str,
    ) -> Any: ...
    @overload  # type: ignore[override]
    def flagged(
        self,
        a: np.float16,
        b: np.float16,
        /,
        *,
        rounding: RoundingLike = "rne",
        environment: Environment = IEEE,
        out: None = None,
        where: ArrayLike | bool = True,
        device: None = None,
    ) -> Flagged[S, np.uint8]: ...
    @overload
    def flagged(
        self,
        a: ArrayLike,
        b: ArrayLike,
        /,
        *,
        rounding: RoundingLike = "rne",
        environment: Environment = IEEE,
        out: NDArray[Any] | None = None,
        where: ArrayLike | bool = True,
        device: None = None,
    ) -> Flagged[NDArray[S], NDArray[np.uint8]]: ...
    @overload
    def flagged(
        self,
        a: Any,
        b: Any,
        /,
        *,
        rounding: RoundingLike = "rne",
        environment: Environment = IEEE,
        out: NDArray[Any] | None = None,
        where: ArrayLike | bool = True,
        device: str,
    ) -> Flagged: ...

class Ternary(Operation, Generic[S]):
    """An operation on three operands."""

    @overload  # type: ignore[override]
    def __call__(
        self,
        a: np.float16,
        b: np.float16,
        c: np.float16,
        /,
        *,
        rounding: RoundingLike = "rne",
        environment: Environment = IEEE,
        out: None = None,
        where: ArrayLike | bool = True,
        device: None = None,
    ) -> S: ...
    @overload
    def __call__(
        self,
        a: ArrayLike,
        b: ArrayLike,
        c: ArrayLike,
        /,
        *,
        rounding: RoundingLike = "rne",
        environment: Environment = IEEE,
        out: NDArray[Any] | None = None,
        where: ArrayLike | bool = True,
        device: None = None,
    ) -> NDArray[S]: ...
    @overload
    def __call__(
        self,
        a: Any,
        b: Any,
        c: Any,
        /,
        *,
        rounding: RoundingLike = "rne",
        environment: Environment = IEEE,
        out: NDArray[Any] | None = None,
        where: ArrayLike | bool = True,
        device: str,
    ) -> Any: ...
    @overload  # type: ignore[override]
    def flagged(
        self,
        a: np.float16,
        b: np.float16,
        c: np.float16,
        /,
        *,
        rounding: RoundingLike = "rne",
        environment: Environment = IEEE,
        out: None = None,
        where: ArrayLike | bool = True,
        device: None = None,
    ) -> Flagged[S, np.uint8]: ...
    @overload
    def flagged(
        self,
        a: ArrayLike,
        b: ArrayLike,
        c: ArrayLike,
        /,
        *,
        rounding: RoundingLike = "rne",
        environment: Environment = IEEE,
        out: NDArray[Any] | None = None,
        where: ArrayLike | bool = True,
        device: None = None,
    ) -> Flagged[NDArray[S], NDArray[np.uint8]]: ...
    @overload
    def flagged(
        self,
        a: Any,
        b: Any,
        c: Any,
        /,
        *,
        rounding: RoundingLike = "rne",
        environment: Environment = IEEE,
        out: NDArray[Any] | None = None,
        where: ArrayLike | bool = True,
        device: str,
    ) -> Flagged: ...

class Integral(Operation, Generic[S]):
    """An operation on one operand, and a word on what is exact."""

    @overload  # type: ignore[override]
    def __call__(
        self,
        a: np.float16,
        /,
        *,
        rounding: RoundingLike = "rne",
        environment: Environment = IEEE,
        out: None = None,
        where: ArrayLike | bool = True,
        device: None = None,
        exact: bool = False,
    ) -> S: ...
    @overload
    def __call__(
        self,
        a: ArrayLike,
        /,
        *,
        rounding: RoundingLike = "rne",
        environment: Environment = IEEE,
        out: NDArray[Any] | None = None,
        where: ArrayLike | bool = True,
        device: None = None,
        exact: bool = False,
    ) -> NDArray[S]: ...
    @overload
    def __call__(
        self,
        a: Any,
        /,
        *,
        rounding: RoundingLike = "rne",
        environment: Environment = IEEE,
        out: NDArray[Any] | None = None,
        where: ArrayLike | bool = True,
        device: str,
        exact: bool = False,
    ) -> Any: ...
    @overload  # type: ignore[override]
    def flagged(
        self,
        a: np.float16,
        /,
        *,
        rounding: RoundingLike = "rne",
        environment: Environment = IEEE,
        out: None = None,
        where: ArrayLike | bool = True,
        device: None = None,
        exact: bool = False,
    ) -> Flagged[S, np.uint8]: ...
    @overload
    def flagged(
        self,
        a: ArrayLike,
        /,
        *,
        rounding: RoundingLike = "rne",
        environment: Environment = IEEE,
        out: NDArray[Any] | None = None,
        where: ArrayLike | bool = True,
        device: None = None,
        exact: bool = False,
    ) -> Flagged[NDArray[S], NDArray[np.uint8]]: ...
    @overload
    def flagged(
        self,
        a: Any,
        /,
        *,
        rounding: RoundingLike = "rne",
        environment: Environment = IEEE,
        out: NDArray[Any] | None = None,
        where: ArrayLike | bool = True,
        device: str,
        exact: bool = False,
    ) -> Flagged: ...

class Scaling(Operation, Generic[S]):
    """An operation on a number and an exponent."""

    @overload  # type: ignore[override]
    def __call__(
        self,
        a: np.float16,
        b: int | np.integer[Any],
        /,
        *,
        rounding: RoundingLike = "rne",
        environment: Environment = IEEE,
        out: None = None,
        where: ArrayLike | bool = True,
        device: None = None,
    ) -> S: ...
    @overload
    def __call__(
        self,
        a: ArrayLike,
        b: ArrayLike,
        /,
        *,
        rounding: RoundingLike = "rne",
        environment: Environment = IEEE,
        out: NDArray[Any] | None = None,
        where: ArrayLike | bool = True,
        device: None = None,
    ) -> NDArray[S]: ...
    @overload
    def __call__(
        self,
        a: Any,
        b: Any,
        /,
        *,
        rounding: RoundingLike = "rne",
        environment: Environment = IEEE,
        out: NDArray[Any] | None = None,
        where: ArrayLike | bool = True,
        device: str,
    ) -> Any: ...
    @overload  # type: ignore[override]
    def flagged(
        self,
        a: np.float16,
        b: int | np.integer[Any],
        /,
        *,
        rounding: RoundingLike = "rne",
        environment: Environment = IEEE,
        out: None = None,
        where: ArrayLike | bool = True,
        device: None = None,
    ) -> Flagged[S, np.uint8]: ...
    @overload
    def flagged(
        self,
        a: ArrayLike,
        b: ArrayLike,
        /,
        *,
        rounding: RoundingLike = "rne",
        environment: Environment = IEEE,
        out: NDArray[Any] | None = None,
        where: ArrayLike | bool = True,
        device: None = None,
    ) -> Flagged[NDArray[S], NDArray[np.uint8]]: ...
    @overload
    def flagged(
        self,
        a: Any,
        b: Any,
        /,
        *,
        rounding: RoundingLike = "rne",
        environment: Environment = IEEE,
        out: NDArray[Any] | None = None,
        where: ArrayLike | bool = True,
        device: str,
    ) -> Flagged: ...

class Cast(Conversion):
    """A conversion: the dtype of its result is that of a format, which is a value, or an integer type."""

    @overload  # type: ignore[override]
    def __call__(
        self,
        x: float | np.generic,
        to: type[Integer] | np.dtype[Integer],
        *,
        rounding: RoundingLike = "rne",
        environment: Environment = IEEE,
        out: None = None,
        where: ArrayLike | bool = True,
        exact: bool = False,
        saturate: bool = False,
        device: None = None,
    ) -> Integer: ...
    @overload
    def __call__(
        self,
        x: float | np.generic,
        to: Format | DTypeLike,
        *,
        rounding: RoundingLike = "rne",
        environment: Environment = IEEE,
        out: None = None,
        where: ArrayLike | bool = True,
        exact: bool = False,
        saturate: bool = False,
        device: None = None,
    ) -> Any: ...
    @overload
    def __call__(
        self,
        x: ArrayLike,
        to: type[Integer] | np.dtype[Integer],
        *,
        rounding: RoundingLike = "rne",
        environment: Environment = IEEE,
        out: None = None,
        where: ArrayLike | bool = True,
        exact: bool = False,
        saturate: bool = False,
        device: None = None,
    ) -> NDArray[Integer]: ...
    @overload
    def __call__(
        self,
        x: ArrayLike,
        to: Format | DTypeLike,
        *,
        rounding: RoundingLike = "rne",
        environment: Environment = IEEE,
        out: Out,
        where: ArrayLike | bool = True,
        exact: bool = False,
        saturate: bool = False,
        device: None = None,
    ) -> Out: ...
    @overload
    def __call__(
        self,
        x: ArrayLike,
        to: Format | DTypeLike,
        *,
        rounding: RoundingLike = "rne",
        environment: Environment = IEEE,
        out: NDArray[Any] | None = None,
        where: ArrayLike | bool = True,
        exact: bool = False,
        saturate: bool = False,
        device: None = None,
    ) -> NDArray[Any]: ...
    @overload
    def __call__(
        self,
        x: Any,
        to: Format | DTypeLike,
        *,
        rounding: RoundingLike = "rne",
        environment: Environment = IEEE,
        out: Any = None,
        where: ArrayLike | bool = True,
        exact: bool = False,
        saturate: bool = False,
        device: str,
    ) -> Any: ...
    @overload  # type: ignore[override]
    def flagged(
        self,
        x: float | np.generic,
        to: type[Integer] | np.dtype[Integer],
        *,
        rounding: RoundingLike = "rne",
        environment: Environment = IEEE,
        out: None = None,
        where: ArrayLike | bool = True,
        exact: bool = False,
        saturate: bool = False,
        device: None = None,
    ) -> Flagged[Integer, np.uint8]: ...
    @overload
    def flagged(
        self,
        x: float | np.generic,
        to: Format | DTypeLike,
        *,
        rounding: RoundingLike = "rne",
        environment: Environment = IEEE,
        out: None = None,
        where: ArrayLike | bool = True,
        exact: bool = False,
        saturate: bool = False,
        device: None = None,
    ) -> Flagged: ...
    @overload
    def flagged(
        self,
        x: ArrayLike,
        to: type[Integer] | np.dtype[Integer],
        *,
        rounding: RoundingLike = "rne",
        environment: Environment = IEEE,
        out: None = None,
        where: ArrayLike | bool = True,
        exact: bool = False,
        saturate: bool = False,
        device: None = None,
    ) -> Flagged[NDArray[Integer], NDArray[np.uint8]]: ...
    @overload
    def flagged(
        self,
        x: ArrayLike,
        to: Format | DTypeLike,
        *,
        rounding: RoundingLike = "rne",
        environment: Environment = IEEE,
        out: Out,
        where: ArrayLike | bool = True,
        exact: bool = False,
        saturate: bool = False,
        device: None = None,
    ) -> Flagged[Out, NDArray[np.uint8]]: ...
    @overload
    def flagged(
        self,
        x: ArrayLike,
        to: Format | DTypeLike,
        *,
        rounding: RoundingLike = "rne",
        environment: Environment = IEEE,
        out: NDArray[Any] | None = None,
        where: ArrayLike | bool = True,
        exact: bool = False,
        saturate: bool = False,
        device: None = None,
    ) -> Flagged[NDArray[Any], NDArray[np.uint8]]: ...
    @overload
    def flagged(
        self,
        x: Any,
        to: Format | DTypeLike,
        *,
        rounding: RoundingLike = "rne",
        environment: Environment = IEEE,
        out: Any = None,
        where: ArrayLike | bool = True,
        exact: bool = False,
        saturate: bool = False,
        device: str,
    ) -> Flagged: ...

class Product(MatrixProduct, Generic[U]):
    """A product: the dtype of its result is that of an accumulator, which is a value and no type.

    Vectors give a scalar, matrices an array; U is what arrays of unknown dimensions are taken to give.
    """

    @overload  # type: ignore[override]
    def __call__(
        self,
        A: Any,
        B: Any,
        C: Any = None,
        *,
        accumulator: AccumulatorLike = ...,
        out: Out,
        device: None = None,
    ) -> Out: ...
    @overload
    def __call__(
        self,
        A: Unknown,
        B: Any,
        C: Any = None,
        *,
        accumulator: AccumulatorLike = ...,
        out: None = None,
        device: None = None,
    ) -> U: ...
    @overload
    def __call__(
        self,
        A: Any,
        B: Unknown,
        C: Any = None,
        *,
        accumulator: AccumulatorLike = ...,
        out: None = None,
        device: None = None,
    ) -> U: ...
    @overload
    def __call__(
        self,
        A: Vector,
        B: Vector,
        C: Any = None,
        *,
        accumulator: AccumulatorLike = ...,
        out: None = None,
        device: None = None,
    ) -> np.floating[Any]: ...
    @overload
    def __call__(
        self,
        A: Matrices,
        B: Any,
        C: Any = None,
        *,
        accumulator: AccumulatorLike = ...,
        out: None = None,
        device: None = None,
    ) -> NDArray[Any]: ...
    @overload
    def __call__(
        self,
        A: Any,
        B: Matrices,
        C: Any = None,
        *,
        accumulator: AccumulatorLike = ...,
        out: None = None,
        device: None = None,
    ) -> NDArray[Any]: ...
    @overload
    def __call__(
        self,
        A: Any,
        B: Any,
        C: Any = None,
        *,
        accumulator: AccumulatorLike = ...,
        out: NDArray[Any] | None = None,
        device: None = None,
    ) -> U: ...
    @overload
    def __call__(
        self,
        A: Any,
        B: Any,
        C: Any = None,
        *,
        accumulator: AccumulatorLike = ...,
        out: Any = None,
        device: str,
    ) -> Any: ...
    @overload  # type: ignore[override]
    def flagged(
        self,
        A: Any,
        B: Any,
        C: Any = None,
        *,
        accumulator: AccumulatorLike = ...,
        out: Out,
        device: None = None,
    ) -> Flagged[Out, NDArray[np.uint8]]: ...
    @overload
    def flagged(
        self,
        A: Unknown,
        B: Any,
        C: Any = None,
        *,
        accumulator: AccumulatorLike = ...,
        out: None = None,
        device: None = None,
    ) -> Flagged[U, Any]: ...
    @overload
    def flagged(
        self,
        A: Any,
        B: Unknown,
        C: Any = None,
        *,
        accumulator: AccumulatorLike = ...,
        out: None = None,
        device: None = None,
    ) -> Flagged[U, Any]: ...
    @overload
    def flagged(
        self,
        A: Vector,
        B: Vector,
        C: Any = None,
        *,
        accumulator: AccumulatorLike = ...,
        out: None = None,
        device: None = None,
    ) -> Flagged[np.floating[Any], np.uint8]: ...
    @overload
    def flagged(
        self,
        A: Matrices,
        B: Any,
        C: Any = None,
        *,
        accumulator: AccumulatorLike = ...,
        out: None = None,
        device: None = None,
    ) -> Flagged[NDArray[Any], NDArray[np.uint8]]: ...
    @overload
    def flagged(
        self,
        A: Any,
        B: Matrices,
        C: Any = None,
        *,
        accumulator: AccumulatorLike = ...,
        out: None = None,
        device: None = None,
    ) -> Flagged[NDArray[Any], NDArray[np.uint8]]: ...
    @overload
    def flagged(
        self,
        A: Any,
        B: Any,
        C: Any = None,
        *,
        accumulator: AccumulatorLike = ...,
        out: NDArray[Any] | None = None,
        device: None = None,
    ) -> Flagged[U, Any]: ...
    @overload
    def flagged(
        self,
        A: Any,
        B: Any,
        C: Any = None,
        *,
        accumulator: AccumulatorLike = ...,
        out: Any = None,
        device: str,
    ) -> Flagged: ...

class Sum(Total):
    """A sum: the dtype of its result is that of an accumulator, which is a value and no type."""

    @overload
    def __call__(
        self,
        x: Any,
        axis: None = None,
        *,
        accumulator: AccumulatorLike = ...,
        keepdims: Literal[False] = False,
        out: None = None,
        device: None = None,
    ) -> np.floating[Any]: ...
    @overload
    def __call__(
        self,
        x: Any,
        axis: int | Sequence[int] | None = None,
        *,
        accumulator: AccumulatorLike = ...,
        keepdims: Literal[True],
        out: None = None,
        device: None = None,
    ) -> NDArray[Any]: ...
    @overload
    def __call__(
        self,
        x: Any,
        axis: int | Sequence[int] | None = None,
        *,
        accumulator: AccumulatorLike = ...,
        keepdims: bool = False,
        out: Out,
        device: None = None,
    ) -> Out: ...
    @overload
    def __call__(
        self,
        x: Any,
        axis: int | Sequence[int] | None = None,
        *,
        accumulator: AccumulatorLike = ...,
        keepdims: bool = False,
        out: Any = None,
        device: str | None = None,
    ) -> Any: ...
    @overload
    def flagged(
        self,
        x: Any,
        axis: None = None,
        *,
        accumulator: AccumulatorLike = ...,
        keepdims: Literal[False] = False,
        out: None = None,
        device: None = None,
    ) -> Flagged[np.floating[Any], np.uint8]: ...
    @overload
    def flagged(
        self,
        x: Any,
        axis: int | Sequence[int] | None = None,
        *,
        accumulator: AccumulatorLike = ...,
        keepdims: Literal[True],
        out: None = None,
        device: None = None,
    ) -> Flagged[NDArray[Any], NDArray[np.uint8]]: ...
    @overload
    def flagged(
        self,
        x: Any,
        axis: int | Sequence[int] | None = None,
        *,
        accumulator: AccumulatorLike = ...,
        keepdims: bool = False,
        out: Out,
        device: None = None,
    ) -> Flagged[Out, NDArray[np.uint8]]: ...
    @overload
    def flagged(
        self,
        x: Any,
        axis: int | Sequence[int] | None = None,
        *,
        accumulator: AccumulatorLike = ...,
        keepdims: bool = False,
        out: Any = None,
        device: str | None = None,
    ) -> Flagged: ...
