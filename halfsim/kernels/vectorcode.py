"""Vectors of numbers in code that is being generated: LLVM values with the operators of Python.

LLVM cuts a vector to the registers that the processor has, so that no processor lacks what is asked for. Nothing rounds
otherwise than the scalar operation does. `Memory` reads and writes vectors; `width` numbers are one.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ldexp
from typing import Any

from llvmlite import ir
from numba.core import cgutils

from halfsim.kernels.vectors import exact_multiply_add

__all__ = [
    "BYTE",
    "DOUBLE",
    "FLOAT",
    "INT",
    "LONG",
    "MANY",
    "Lanes",
    "Memory",
    "each",
    "pointers",
    "splat",
]

BYTE, INT, LONG = ir.IntType(8), ir.IntType(32), ir.IntType(64)
FLOAT, DOUBLE = ir.FloatType(), ir.DoubleType()
_REAL = FLOAT, DOUBLE
# To its binade belong integers alone.
_INTEGERS = ldexp(1.5, 52)
MANY = 16
"""Elements that `each` writes for at a time."""


def splat(builder: Any, scalar: Any, count: int) -> Lanes:
    """Return `count` lanes of one LLVM scalar."""
    kind = ir.VectorType(scalar.type, count)
    one = builder.insert_element(ir.Constant(kind, ir.Undefined), scalar, INT(0))
    first = ir.Constant(ir.VectorType(INT, count), None)
    return Lanes(builder, builder.shuffle_vector(one, ir.Constant(kind, ir.Undefined), first))


class Lanes:
    """A vector of float32, of float64, of integers or of comparisons' results; operators also take a Python number."""

    def __init__(self, builder: Any, value: Any) -> None:
        self.builder = builder
        self.value = value

    def _lift(self, other: Any) -> Any:
        if isinstance(other, Lanes):
            return other.value
        kind = self.value.type
        return splat(self.builder, ir.Constant(kind.element, other), kind.count).value

    def _binary(self, name: str, other: Any) -> Lanes:
        return Lanes(self.builder, getattr(self.builder, name)(self.value, self._lift(other)))

    def __neg__(self) -> Lanes:
        return Lanes(self.builder, self.builder.fneg(self.value))

    def _arithmetic(self, name: str, other: Any) -> Lanes:
        return self._binary("f" + name if self.value.type.element in _REAL else name, other)

    def __add__(self, other: Any) -> Lanes:
        return self._arithmetic("add", other)

    def __sub__(self, other: Any) -> Lanes:
        return self._arithmetic("sub", other)

    def __rsub__(self, other: Any) -> Lanes:
        return Lanes(self.builder, self._lift(other)) - self

    def __mul__(self, other: Any) -> Lanes:
        return self._arithmetic("mul", other)

    def __truediv__(self, other: Any) -> Lanes:
        return self._arithmetic("div", other)

    def __and__(self, other: Any) -> Lanes:
        return self._binary("and_", other)

    def __or__(self, other: Any) -> Lanes:
        return self._binary("or_", other)

    def __xor__(self, other: Any) -> Lanes:
        return self._binary("xor", other)

    def __invert__(self) -> Lanes:
        return self ^ -1

    def __lshift__(self, count: Any) -> Lanes:
        return self._binary("shl", count)

    def __rshift__(self, count: Any) -> Lanes:
        """Shift unsigned integers."""
        return self._binary("lshr", count)

    def sign(self) -> Lanes:
        """All ones where an integer is negative, else 0."""
        return self._binary("ashr", self.value.type.element.width - 1)

    def below(self, other: Any) -> Lanes:
        """Whether these numbers, or signed integers, are less than the others."""
        compare = self.builder.fcmp_ordered if self.value.type.element in _REAL else self.builder.icmp_signed
        return Lanes(self.builder, compare("<", self.value, self._lift(other)))

    def equals(self, other: Any) -> Lanes:
        """Whether these integers are equal to the others."""
        return Lanes(self.builder, self.builder.icmp_signed("==", self.value, self._lift(other)))

    def unlike(self, other: Any) -> Lanes:
        """Whether these numbers, no NaNs among them, differ from the others."""
        return Lanes(self.builder, self.builder.fcmp_ordered("!=", self.value, self._lift(other)))

    def any(self) -> Any:
        """Whether a comparison holds in some lane: one bit."""
        count = self.value.type.count
        return self.builder.icmp_unsigned(
            "!=", self.builder.bitcast(self.value, ir.IntType(count)), ir.IntType(count)(0)
        )

    def of(self, number: int) -> Lanes:
        """As many lanes of a number of the same type."""
        return Lanes(self.builder, self._lift(number))

    def choose(self, yes: Lanes, no: Any) -> Lanes:
        """Lanes of `yes` where a comparison holds, else of `no`."""
        return Lanes(self.builder, self.builder.select(self.value, yes.value, yes._lift(no)))

    def larger(self, other: Any) -> Lanes:
        """The larger of two integers: signed ones, but for bytes."""
        y = self._lift(other)
        compare = self.builder.icmp_unsigned if self.value.type.element == BYTE else self.builder.icmp_signed
        return Lanes(self.builder, self.builder.select(compare(">", self.value, y), self.value, y))

    def _to(self, name: str, element: Any) -> Lanes:
        kind = ir.VectorType(element, self.value.type.count)
        return self if self.value.type == kind else Lanes(self.builder, getattr(self.builder, name)(self.value, kind))

    def bits(self) -> Lanes:
        """Patterns of float32 numbers, as int32."""
        return self._to("bitcast", INT)

    def number(self) -> Lanes:
        """float32 numbers of patterns."""
        return self._to("bitcast", FLOAT)

    def root(self) -> Lanes:
        """Square roots of float32."""
        kind = self.value.type
        function = ir.FunctionType(kind, [kind])
        callee = cgutils.get_or_insert_function(self.builder.module, function, f"llvm.sqrt.v{kind.count}f32")
        return Lanes(self.builder, self.builder.call(callee, [self.value]))

    def widened(self) -> Lanes:
        """int32 of shorter unsigned integers."""
        return self._to("zext", INT)

    def long(self) -> Lanes:
        """int64 of shorter unsigned integers."""
        return self._to("zext", LONG)

    def shortened(self, element: Any) -> Lanes:
        """Low bits of int32."""
        return self._to("trunc", element)

    def truncated(self) -> Lanes:
        """int32 of float32, cut toward zero; meaningless where it does not fit."""
        return self._to("fptosi", INT)

    def to_float(self) -> Lanes:
        """float32 of 32-bit unsigned integers."""
        return self._to("uitofp", FLOAT)

    def to_double(self) -> Lanes:
        """float64 of float32, or of int32."""
        return self._to("fpext" if self.value.type.element == FLOAT else "sitofp", DOUBLE)

    def to_single(self) -> Lanes:
        """float32 of float64, rounded to nearest."""
        return self._to("fptrunc", FLOAT)

    def bits64(self) -> Lanes:
        """Patterns of float64 numbers, as int64."""
        return self._to("bitcast", LONG)

    def number64(self) -> Lanes:
        """float64 numbers of patterns."""
        return self._to("bitcast", DOUBLE)

    def power64(self) -> Lanes:
        """float64 powers of two, of exponents in int32 that 1,023 has been added to."""
        return (self._to("zext", LONG) << 52).number64()

    def plus_product(self, x: Lanes, y: Lanes) -> Lanes:
        """These numbers and the products of two others, which must be exact: rounded once."""
        return Lanes(self.builder, exact_multiply_add(self.builder, self.value.type, x.value, y.value, self.value))

    def floor(self) -> Lanes:
        """float64 numbers below 2**51 cut down to integers; not all processors have an instruction for that."""
        near = (self + _INTEGERS) - _INTEGERS
        return self.below(near).choose(near - 1.0, near)

    def part(self, first: int, count: int) -> Lanes:
        """`count` lanes from one on."""
        places = ir.Constant(ir.VectorType(INT, count), list(range(first, first + count)))
        return Lanes(self.builder, self.builder.shuffle_vector(self.value, self.value, places))

    def beside(self, other: Lanes) -> Lanes:
        """These lanes and after them as many others."""
        places = ir.Constant(ir.VectorType(INT, 2 * self.value.type.count), list(range(2 * self.value.type.count)))
        return Lanes(self.builder, self.builder.shuffle_vector(self.value, other.value, places))


class Memory:
    """Reads and writes vectors of `width` elements, unaligned."""

    def __init__(self, builder: Any, width: int) -> None:
        self.builder = builder
        self.width = width

    def address(self, data: Any, index: Any) -> Any:
        """Address of the vector that begins with an element of an array."""
        kind = ir.VectorType(data.type.pointee, self.width).as_pointer()
        return self.builder.bitcast(self.builder.gep(data, [index]), kind)

    def load(self, data: Any, index: Any) -> Lanes:
        """Elements from `index` on."""
        return Lanes(self.builder, self.builder.load(self.address(data, index), align=1))

    def store(self, data: Any, index: Any, value: Lanes) -> None:
        """Write elements from `index` on."""
        self.builder.store(value.value, self.address(data, index), align=1)

    def splat(self, scalar: Any) -> Lanes:
        """A scalar in all lanes."""
        return splat(self.builder, scalar, self.width)

    def spread(self, data: Any, index: Any) -> Lanes:
        """One element in all lanes."""
        return self.splat(self.builder.load(self.builder.gep(data, [index])))

    def cell(self, element: Any) -> Any:
        """A variable; LLVM makes a register of it."""
        return cgutils.alloca_once(self.builder, ir.VectorType(element, self.width))

    def get(self, cell: Any) -> Lanes:
        """Value of a variable."""
        return Lanes(self.builder, self.builder.load(cell))

    def set(self, cell: Any, value: Lanes) -> None:
        """Change a variable."""
        self.builder.store(value.value, cell)


def pointers(context: Any, builder: Any, kinds: Any, arrays: Any) -> list[Any]:
    """Return the addresses of contiguous arrays' elements."""
    if any(kind.layout != "C" for kind in kinds):
        raise TypeError(f"arrays of types {', '.join(map(str, kinds))} must be contiguous; copy them before the call")
    return [context.make_array(kind)(context, builder, array).data for kind, array in zip(kinds, arrays, strict=True)]


def each(builder: Any, count: Any, body: Callable[[Memory, Any], None]) -> None:
    """Write a loop over `count` elements: `body` for every vector of them, then for every element that remains."""
    whole = builder.and_(count, LONG(-MANY))
    for start, stop, width in ((LONG(0), whole, MANY), (whole, count, 1)):
        with cgutils.for_range_slice(builder, start, stop, LONG(width)) as (index, _):
            body(Memory(builder, width), index)
