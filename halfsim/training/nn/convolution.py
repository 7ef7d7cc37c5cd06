"""Convolution as one matrix product per pass, as implicit-GEMM kernels do it, and pooling.

An image batch has the shape (n, height, width, channels); convolutions leave it channel by channel in memory, in which
their products are fast.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from halfsim.checks import integer
from halfsim.kernels.pooling import pick, spread
from halfsim.training.arithmetic import Arithmetic, Array
from halfsim.training.nn.checks import check_shape
from halfsim.training.tape import Tape, Variable

__all__ = ["conv2d", "global_average", "max_pool"]

_LARGEST = 2**53
# Signed patterns, what masks their sign off, and infinity, by the bytes of a number.
_WORDS = {2: (np.int16, 0x7FFF, 0x7C00), 4: (np.int32, 0x7FFFFFFF, 0x7F800000)}


def conv2d(
    tape: Tape, x: Variable, w: Variable, b: Variable | None = None, stride: int = 1, padding: int = 0
) -> Variable:
    """Return the cross-correlation of x (n, h, w, c) with w (kh, kw, c, o), plus b (o,).

    Every output is one dot product over (kh, kw, c) in ascending order. dL/dx is one as well, over (kh, kw, o) of the
    gradient, spread by the stride, with the kernel turned round; dL/dw one over all positions of all images. Each is
    summed by the accumulator of its kind of product, as in implicit GEMM.

    Parameters
    ----------
    tape : Tape
        What computes and records.
    x : Variable
        Images (n, h, w, c).
    w, b : Variable
        Kernel (kh, kw, c, o); bias (o,), from which every sum starts, or None.
    stride, padding : int
        Pixels from one output to the next, and of zeros on each side of an image.

    Returns
    -------
    Variable
        (n, (h + 2 padding - kh) // stride + 1, the same of w and kw, o), stored as activations are.

    Raises
    ------
    ValueError
        For images, a kernel or a bias whose shape does not fit, a stride below 1, a negative padding or one not below
        the kernel's size, or a kernel larger than the padded image.

    Examples
    --------
    >>> import numpy as np
    >>> from halfsim.policy import named
    >>> from halfsim.training import nn
    >>> from halfsim.training.machine import Machine
    >>> from halfsim.training.tape import Tape
    >>> tape = Tape(Machine(named("mixed")))
    >>> x = tape.parameter(np.ones((1, 4, 4, 1), np.float16))
    >>> w = tape.parameter(np.ones((3, 3, 1, 2), np.float16))
    >>> y = nn.conv2d(tape, x, w, padding=1)
    >>> y.value.shape
    (1, 4, 4, 2)
    >>> y.value[0, :, :, 0]
    array([[4., 6., 6., 4.],
           [6., 9., 9., 6.],
           [6., 9., 9., 6.],
           [4., 6., 6., 4.]], dtype=float16)
    """
    check_shape("conv2d", "x", x.value, "n", "h", "w", "c")
    check_shape("conv2d", "w", w.value, "kh", "kw", x.value.shape[3], "o")
    if b is not None:
        check_shape("conv2d", "b", b.value, w.value.shape[3])
    stride = integer("conv2d", "stride", stride, 1, _LARGEST)
    padding = integer("conv2d", "padding", padding, 0, _LARGEST)
    machine = tape.machine
    kh, kw, channels, outputs = w.value.shape
    n, height, width, _ = x.value.shape
    oh, ow = (height + 2 * padding - kh) // stride + 1, (width + 2 * padding - kw) // stride + 1
    if padding >= min(kh, kw) or min(oh, ow) < 1:
        raise ValueError(
            f"conv2d: padding={padding} and a kernel of {kh} x {kw} do not fit images of {height} x {width}; "
            "pass a padding below the kernel's size and a kernel no larger than the padded image"
        )

    def columns() -> Array:
        planes = _padded(x.value, 1, (padding, padding), (height + 2 * padding, width + 2 * padding))
        return _columns(planes, kh, kw, stride, oh, ow)

    y = machine.forward(columns().T, w.value.reshape(-1, outputs), None if b is None else b.value)

    def backward(g: Array) -> Sequence[Array | None]:
        rows = g.reshape(-1, outputs)
        # The columns are made again rather than kept: they are kh kw times the image.
        dw = machine.weight_gradient(columns(), rows).reshape(w.value.shape)
        dx = None
        if x.needed:
            planes = _padded(g, stride, (kh - 1 - padding, kw - 1 - padding), (height + kh - 1, width + kw - 1))
            turned = w.value[::-1, ::-1].transpose(0, 1, 3, 2).reshape(-1, channels)
            product = machine.data_gradient(_columns(planes, kh, kw, 1, height, width).T, turned)
            dx = _images(product, n, height, width)
        return (dx, dw) if b is None else (dx, dw, machine.bias_gradient(rows))

    return tape.record(_images(y, n, oh, ow), (x, w) if b is None else (x, w, b), backward)


def _padded(x: Array, spread: int, before: tuple[int, int], size: tuple[int, int]) -> Array:
    """Return images as planes (c, n, *size), spread by a stride, in zeros that begin `before` them."""
    n, height, width, channels = x.shape
    planes = np.zeros((channels, n, *size), x.dtype)
    top, left = before
    planes[:, :, top : top + spread * height : spread, left : left + spread * width : spread] = x.transpose(3, 0, 1, 2)
    return planes


def _columns(planes: Array, kh: int, kw: int, stride: int, oh: int, ow: int) -> Array:
    """Return the patches under a kernel as columns: (kh kw c, n oh ow), contiguous."""
    channels, n = planes.shape[:2]
    columns = np.empty((kh, kw, channels, n, oh, ow), planes.dtype)
    for i in range(kh):
        for j in range(kw):
            columns[i, j] = planes[:, :, i : i + stride * oh : stride, j : j + stride * ow : stride]
    return columns.reshape(kh * kw * channels, -1)


def _images(rows: Array, n: int, height: int, width: int) -> Array:
    """Return (n h w, c) as images, leaving the numbers where they lie in memory."""
    if rows.flags.f_contiguous:
        return rows.T.reshape(-1, n, height, width).transpose(1, 2, 3, 0)
    return rows.reshape(n, height, width, -1)


def max_pool(tape: Tape, x: Variable, size: int) -> Variable:
    """Return the largest of every size × size window; windows do not overlap, a rest at the border is dropped.

    The gradient goes to the first largest element of each window: a selection, which rounds nothing. Result and
    gradient lie in memory as x does, so that flattening images that lie row by row copies nothing.

    Parameters
    ----------
    tape : Tape
        What computes and records.
    x : Variable
        Images (n, h, w, c). A window with a NaN gives a NaN.
    size : int
        Side of a window in pixels.

    Returns
    -------
    Variable
        (n, h // size, w // size, c), in the format of x.

    Raises
    ------
    ValueError
        For images of another shape, or a size below 1 or above that of the images.

    Examples
    --------
    >>> import numpy as np
    >>> from halfsim.policy import named
    >>> from halfsim.training import nn
    >>> from halfsim.training.machine import Machine
    >>> from halfsim.training.tape import Tape
    >>> tape = Tape(Machine(named("mixed")))
    >>> x = tape.parameter(np.arange(16, dtype=np.float16).reshape(1, 4, 4, 1))
    >>> nn.max_pool(tape, x, 2).value[0, :, :, 0]
    array([[ 5.,  7.],
           [13., 15.]], dtype=float16)
    """
    check_shape("max_pool", "x", x.value, "n", "h", "w", "c")
    machine, (n, height, width, channels) = tape.machine, x.value.shape
    size = integer("max_pool", "size", size, 1, min(height, width))
    planes, small = (channels * n, height, width), (channels * n, height // size, width // size)
    words, magnitude, infinity = _WORDS[x.value.dtype.itemsize]
    y, chosen = np.empty(small, x.value.dtype), np.empty(small, np.min_scalar_type(size * size - 1))
    pick(_planes(x.value, words).reshape(planes), size, magnitude, infinity, y.view(words), chosen)

    def backward(g: Array) -> Sequence[Array | None]:
        dx = np.zeros(planes, g.dtype)
        patterns = _WORDS[g.dtype.itemsize][0]
        spread(_planes(g, patterns).reshape(small), chosen, size, dx.view(patterns))
        return (machine.selected("activation gradient", laid(dx)),)

    def laid(results: Array) -> Array:
        images = results.reshape(channels, n, *results.shape[1:]).transpose(1, 2, 3, 0)
        return np.ascontiguousarray(images) if x.value.flags.c_contiguous else images

    return tape.record(machine.selected("activation", laid(y)), (x,), backward)


def _planes(images: Array, dtype: Any) -> Array:
    """Return images as planes (c, n, h, w), contiguous, under another dtype."""
    return np.ascontiguousarray(images.transpose(3, 0, 1, 2)).view(dtype)


def global_average(tape: Tape, x: Variable) -> Variable:
    """Return the means over height and width, (n, c), in the arithmetic of batch normalisation.

    dL/dx = g / (h w) at every position.

    Parameters
    ----------
    tape : Tape
        What computes and records.
    x : Variable
        Images (n, h, w, c).

    Returns
    -------
    Variable
        (n, c), stored as activations are.

    Raises
    ------
    ValueError
        For images of another shape.

    Examples
    --------
    >>> import numpy as np
    >>> from halfsim.policy import named
    >>> from halfsim.training import nn
    >>> from halfsim.training.machine import Machine
    >>> from halfsim.training.tape import Tape
    >>> tape = Tape(Machine(named("mixed")))
    >>> x = tape.parameter(np.arange(16, dtype=np.float16).reshape(1, 4, 4, 1))
    >>> nn.global_average(tape, x).value
    array([[7.5]], dtype=float16)
    """
    check_shape("global_average", "x", x.value, "n", "h", "w", "c")
    machine, (n, height, width, channels) = tape.machine, x.value.shape
    count = height * width

    def means(a: Arithmetic) -> Array:
        planes = a.convert(x.value.transpose(1, 2, 0, 3).reshape(count, n * channels))
        return np.asarray(a.divide(a.sum(planes, 0), a.number(count))).reshape(n, channels)

    def backward(g: Array) -> Sequence[Array | None]:
        share = machine.gradient(
            "activation gradient", machine.batch_norm, lambda a: a.divide(a.convert(g), a.number(count))
        )
        return (np.broadcast_to(share[:, None, None], x.value.shape),)

    return tape.record(machine.value(machine.batch_norm, means), (x,), backward)
