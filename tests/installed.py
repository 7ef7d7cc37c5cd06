"""What an installed wheel must do, in an interpreter that has it and its three dependencies alone."""

import doctest
import importlib
import importlib.metadata
import pathlib
import subprocess
import sys

import numpy as np

import halfsim as hs

home = pathlib.Path(hs.__file__).resolve()
assert home.is_relative_to(pathlib.Path(sys.prefix).resolve()), home
assert hs.__version__ == importlib.metadata.version("halfsim")
assert {"py.typed", "__init__.pyi", "_callables.pyi"} <= {path.name for path in home.parent.iterdir()}
assert hs.to_bits(hs.add(np.float16(2048), np.float16(1), rounding="rup")) == 0x6801
assert (
    hs.matmul(np.ones((2, 3), np.float16), np.ones((3, 2), np.float16), accumulator="h100:f32").tolist() == [[3, 3]] * 2
)
ran = 0
for name in ("halfsim.flags", "halfsim.formats", "halfsim.rounding", "halfsim.environment", "halfsim.arrays"):
    result = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    assert result.failed == 0
    ran += result.attempted
assert ran > 10, ran
command = pathlib.Path(sys.prefix) / ("Scripts" if sys.platform == "win32" else "bin") / "halfsim"
for arguments, expected in (
    (["--help"], "explain"),
    (["--version"], hs.__version__),
    (["study", "list"], "master-weights"),
    (["explain", "fma", "0x3c01", "0x3c01", "0x8001", "--rounding", "rtz"], "roundTowardZero"),
    (["models", "h100"], "h100"),
):
    done = subprocess.run([str(command), *arguments], capture_output=True, text=True)
    assert done.returncode == 0, (arguments, done.stderr)
    assert expected in done.stdout, (arguments, done.stdout)
print("ok", sys.version.split()[0], np.__version__, ran, "examples")
