"""A cocotb bench of the binary16 units: random operands in every mode, each result compared with halfsim."""

import dataclasses
import os

import cocotb
import numpy as np
from cocotb.triggers import Timer

import halfsim as hs
from halfsim.interop.cocotb import Scoreboard, drive, sample

UNITS = {"binary16_add": hs.add, "binary16_multiply": hs.multiply, "binary16_fma": hs.fma}
MODES = [(rounding, tininess) for rounding in list(hs.Rounding)[:5] for tininess in hs.Tininess]
COUNT = int(os.environ.get("COUNT", "2000"))


@cocotb.test()
async def results_and_flags_agree(dut):
    """Every result and flag is the simulator's, whatever the rounding and tininess."""
    board = Scoreboard(UNITS[dut._name], environment=hs.RISCV)
    rng = np.random.default_rng(1)
    # Exponents near each other, and one fraction in two of few bits: cancellation and ties are common.
    patterns = rng.integers(0, 1 << 16, (COUNT, 3)) & rng.choice([0xFFFF, 0x9FFF, 0xFFC0, 0x83FF], (COUNT, 3))
    for i, row in enumerate(patterns):
        rounding, tininess = MODES[i % len(MODES)]
        operands = hs.from_bits(row.astype(np.uint16))[: board.operation.arity]
        for port, operand in zip((dut.a, dut.b, getattr(dut, "c", None)), operands, strict=False):
            drive(port, operand)
        drive(dut.rounding, rounding)
        drive(dut.tininess_before, tininess)
        await Timer(1, unit="ns")
        board.check(
            *operands,
            value=sample(dut.z),
            flags=sample(dut.flags, int),
            rounding=rounding,
            environment=dataclasses.replace(hs.RISCV, tininess=tininess),
        )
    dut._log.info("%d results agree", board.finish())
