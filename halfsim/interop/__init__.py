"""Bridges to other tools: PyTorch, and hardware simulators through cocotb and through a C interface."""
