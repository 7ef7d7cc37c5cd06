"""A cocotb bench of the tensor-core dot unit: random blocks, each sum compared with a row of halfsim's table."""

import os

import cocotb
import numpy as np
from cocotb.triggers import Timer

import halfsim as hs
from halfsim.interop.cocotb import Scoreboard, drive, sample


@cocotb.test()
async def sums_agree(dut):
    """Every sum is the simulated tensor core's."""
    board = Scoreboard(hs.dot, accumulator=os.environ["ACCUMULATOR"])
    rng = np.random.default_rng(1)
    terms = len(dut.a) // 16
    for _ in range(int(os.environ.get("COUNT", "2000"))):
        a, b = hs.from_bits(rng.integers(0, 1 << 16, (2, terms)).astype(np.uint16) & np.uint16(0xBFFF))
        c = np.float32(rng.normal() * 2.0 ** rng.integers(-20, 20))
        drive(dut.a, a)
        drive(dut.b, b)
        drive(dut.c, c)
        await Timer(1, unit="ns")
        board.check(a, b, c, value=sample(dut.d, np.float32))
    dut._log.info("%d sums agree", board.finish())
