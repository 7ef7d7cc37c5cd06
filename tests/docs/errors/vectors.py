"""Errors of test vectors, of bridges to other tools, and of captures."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import numpy as np

from halfsim.capture import DeviceError, Record
from halfsim.testvectors import subject
from halfsim.testvectors.formats import Header, VectorFileError, read
from halfsim.testvectors.setting import Setting
from tests.docs.errors.row import Row

__all__ = ["ROWS"]

ADD = Header(operation="add", operands=("f16", "f16"), result="f16")


def _reading(text: str) -> Any:
    def call(function: Any, folder: Path) -> object:
        (folder / "a.tv").write_text(text)
        with function(folder / "a.tv") as vectors:
            return list(vectors.blocks)

    return call


def _checking_nothing(function: Any, folder: Path) -> object:
    (folder / "a.tv").write_text("")
    with read(folder / "a.tv", ADD) as vectors:
        return function(vectors, Setting(subject=subject("add")))


def _on_another_machine(function: Any, folder: Path) -> object:
    with patch("sys.byteorder", "big"):
        return function(folder)


def _driverless(*args: Any) -> Any:
    def call(function: Any, folder: Path) -> object:
        with patch("ctypes.CDLL", side_effect=OSError("none")):
            return function(*(folder if each is Path else each for each in args))

    return call


def _of_other_shapes(function: Any, folder: Path) -> object:
    operands = {"a": np.uint16([0x3C00, 0x8000])}
    return function(Record("a GPU", (9, 0), "unary", "neg.f16", "neg.f16", operands, np.uint16([0xBC00])))


def _port(text: str) -> Any:
    return SimpleNamespace(value=SimpleNamespace(binstr=text, is_resolvable="x" not in text), __len__=lambda: len(text))


FORMATS = "halfsim.testvectors.formats"
COCOTB = "halfsim.interop.cocotb"
ROWS = [
    Row("halfsim.testvectors.subject", lambda f, _: f("ad"), ValueError, "unknown operation 'ad'; did you mean add"),
    Row("halfsim.testvectors.check.check", _checking_nothing, VectorFileError, "a.tv"),
    Row(f"{FORMATS}.environment_of", lambda f, _: f("mips"), ValueError, "mips"),
    Row(f"{FORMATS}.flag_order", lambda f, _: f("vax"), ValueError, "unknown order 'vax'; known are"),
    Row(f"{FORMATS}.format_of", lambda f, _: f(Path("a.xls")), ValueError, "names no format"),
    Row(f"{FORMATS}.format_of", lambda f, _: f(None), ValueError, "have no suffix"),
    Row(f"{FORMATS}.read", _reading(""), VectorFileError, "a.tv"),
    Row(f"{FORMATS}.read", lambda f, p: f(p / "a.xls").__enter__(), ValueError, "names no format"),
    Row(f"{FORMATS}.read", lambda f, p: f(p / "a.tv").__enter__(), OSError, "a.tv"),
    Row(f"{FORMATS}.rounding_name", lambda f, _: f(1.5), TypeError, "1.5"),
    Row(f"{FORMATS}.rounding_name", lambda f, _: f("up"), ValueError, "unknown rounding 'up'"),
    Row(f"{FORMATS}.rounding_of", lambda f, _: f("up"), ValueError, "unknown rounding 'up'"),
    Row(f"{FORMATS}.write", lambda f, p: f(p / "a.xls", ADD, []), ValueError, "names no format"),
    Row(f"{FORMATS}.write", lambda f, p: f(p, ADD, [], "tv"), IsADirectoryError, "Is a directory"),
    Row("halfsim.testvectors.tiles.numbers", lambda f, _: f(np.uint16([1]), "b99"), ValueError, "b99"),
    Row("halfsim.testvectors.tiles.tile_header", lambda f, _: f(16), TypeError, "accumulator"),
    Row("halfsim.testvectors.tiles.tile_header", lambda f, _: f("h1000:f32"), ValueError, "h1000"),
    Row("halfsim.testvectors.tiles.tile_header", lambda f, _: f("h100:f32", count=0), ValueError, "0 tiles"),
    Row("halfsim.testvectors.cases.plan.plan", lambda f, _: f(subject("add"), ["ties"]), ValueError, "'ties'"),
    Row("halfsim.testvectors.cases.plan.plan", lambda f, _: f(subject("add"), level=3), ValueError, "level=3"),
    Row(f"{COCOTB}.drive", lambda f, _: f(_port("0" * 16), 1.5), TypeError, "drive: "),
    Row(f"{COCOTB}.drive", lambda f, _: f(_port("0" * 8), np.float16(1)), ValueError, "drive: "),
    Row(f"{COCOTB}.sample", lambda f, _: f(_port("x" * 16)), ValueError, "sample: "),
    Row("halfsim.interop.dpi.write_dpi", lambda f, p: f(p, ["ad"]), ValueError, "unknown operation 'ad'"),
    Row("halfsim.interop.dpi.write_dpi", lambda f, p: f(p, [], ["exact"]), ValueError, "'exact'"),
    Row("halfsim.interop.dpi.write_dpi", _on_another_machine, RuntimeError, "a little-endian machine"),
    Row("halfsim.capture.check", lambda f, p: list(f(p / "nothing")), ValueError, "nothing"),
    Row("halfsim.capture.capture", lambda f, p: f(p, only=["nothing"]), ValueError, "nothing"),
    Row("halfsim.capture.open_device", _driverless(), DeviceError, "driver"),
    Row("halfsim.capture.capture", _driverless(Path), DeviceError, "driver"),
    Row("halfsim.capture.compare", _of_other_shapes, ValueError, "operands give (2,)"),
    Row("halfsim.capture.read", lambda f, p: f(p / "nothing"), ValueError, "nothing"),
]
