"""Bridges to other tools: hardware simulators through cocotb and through a C interface."""
