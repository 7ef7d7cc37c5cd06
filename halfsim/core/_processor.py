"""Which processor kernels are compiled for: this one, or an older one that it contains."""

from __future__ import annotations

import os
import platform

import numba
from llvmlite import binding as llvm
from numba.core.registry import cpu_target

__all__ = ["choose_processor", "has_feature"]

_AVX2 = ("avx", "avx2", "bmi", "bmi2", "f16c", "fma", "lzcnt", "popcnt", "sse4.2", "ssse3")
_AVX512 = (*_AVX2, "avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl")
# Name for a user: LLVM's name, and what code for it may use beyond the base of its architecture.
_TIERS: dict[str, tuple[str, tuple[str, ...]]] = {
    "generic": ("generic", ()),
    "haswell": ("haswell", _AVX2),
    "avx512": ("skylake-avx512", _AVX512),
    "avx512fp16": ("x86-64-v4", (*_AVX512, "avx512fp16")),
}
_X86 = ("x86_64", "AMD64")


def choose_processor() -> None:
    """Have Numba compile for the processor that ``HALFSIM_CPU`` names: an entry of the table, or ``native``.

    Nothing is done without it, so that ``NUMBA_CPU_NAME`` and ``NUMBA_CPU_FEATURES`` stay in force. Numba's name and
    features of a processor are part of the key of every compiled kernel.

    Raises
    ------
    ValueError
        If the name is unknown, or this processor lacks what it stands for.
    RuntimeError
        If Numba has compiled for this processor already.
    """
    chosen = os.environ.get("HALFSIM_CPU", "native") or "native"
    if chosen == "native":
        return
    if chosen not in _TIERS:
        raise ValueError(f"HALFSIM_CPU={chosen!r} is no processor known here; set it to {', '.join(_TIERS)} or native")
    name, features = _TIERS[chosen]
    have = llvm.get_host_cpu_features()
    lacking = [feature for feature in features if platform.machine() not in _X86 or not have.get(feature)]
    if lacking:
        raise ValueError(
            f"HALFSIM_CPU={chosen!r} needs {', '.join(lacking)}, which this processor lacks; unset it to compile for "
            "this processor"
        )
    os.environ["NUMBA_CPU_NAME"] = name
    os.environ["NUMBA_CPU_FEATURES"] = ",".join(f"+{feature}" for feature in features)
    numba.config.reload_config()
    if cpu_target.target_context.codegen().magic_tuple()[1:] != (name, os.environ["NUMBA_CPU_FEATURES"]):
        raise RuntimeError(
            f"HALFSIM_CPU={chosen!r} came too late, as Numba has compiled already; call an operation of halfsim "
            "before that"
        )


def has_feature(name: str) -> bool:
    """Whether kernels may use a feature of the processor, by LLVM's name, as ``"avx512bw"``."""
    return f"+{name}" in cpu_target.target_context.codegen().magic_tuple()[2].split(",")
