"""How the operations are called, for type checkers and editors: at run time each is a `halfsim.operation.Operation`.

Scalars give a scalar, arrays an array; S is the result's scalar type. On a device, what comes back depends on where
the operands lie. Products, sums and conversions of arrays give arrays of some dtype.
"""

from collections.abc import Sequence
from typing import Any, Generic, TypeVar, overload

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
    def flagged(  # type: ignore[override]
        self,
        a: Any,
        /,
        *,
        rounding: RoundingLike = "rne",
        environment: Environment = IEEE,
        out: NDArray[Any] | None = None,
        where: ArrayLike | bool = True,
        device: str | None = None,
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
    def flagged(  # type: ignore[override]
        self,
        a: Any,
        b: Any,
        /,
        *,
        rounding: RoundingLike = "rne",
        environment: Environment = IEEE,
        out: NDArray[Any] | None = None,
        where: ArrayLike | bool = True,
        device: str | None = None,
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
    def flagged(  # type: ignore[override]
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
        device: str | None = None,
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
    def flagged(  # type: ignore[override]
        self,
        a: Any,
        /,
        *,
        rounding: RoundingLike = "rne",
        environment: Environment = IEEE,
        out: NDArray[Any] | None = None,
        where: ArrayLike | bool = True,
        device: str | None = None,
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
    def flagged(  # type: ignore[override]
        self,
        a: Any,
        b: Any,
        /,
        *,
        rounding: RoundingLike = "rne",
        environment: Environment = IEEE,
        out: NDArray[Any] | None = None,
        where: ArrayLike | bool = True,
        device: str | None = None,
    ) -> Flagged: ...

class Cast(Conversion):
    """A conversion: the dtype of its result is that of a format, which is a value and no type."""

    @overload  # type: ignore[override]
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

class Product(MatrixProduct):
    """A product: the dtype of its result is that of an accumulator, which is a value and no type."""

    @overload  # type: ignore[override]
    def __call__(
        self,
        A: Any,
        B: Any,
        C: Any = None,
        *,
        accumulator: AccumulatorLike = ...,
        out: NDArray[Any] | None = None,
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
        out: Any = None,
        device: str,
    ) -> Any: ...

class Sum(Total):
    """A sum: the dtype of its result is that of an accumulator, which is a value and no type."""

    @overload  # type: ignore[override]
    def __call__(
        self,
        x: Any,
        axis: int | Sequence[int] | None = None,
        *,
        accumulator: AccumulatorLike = ...,
        keepdims: bool = False,
        out: NDArray[Any] | None = None,
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
        out: Any = None,
        device: str,
    ) -> Any: ...
