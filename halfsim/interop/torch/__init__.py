"""PyTorch models under simulated arithmetic; what is public of it is in `halfsim.torch`. Only this imports PyTorch."""

import importlib.util

if importlib.util.find_spec("torch") is None:
    raise ModuleNotFoundError(
        "halfsim.torch needs torch, which is not installed: pip install 'halfsim[torch]'", name="torch"
    )
