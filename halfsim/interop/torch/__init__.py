"""PyTorch models under simulated arithmetic; `halfsim.torch` is this package."""

from halfsim.interop.torch.report import Counts as Counts
from halfsim.interop.torch.report import Report as Report
from halfsim.interop.torch.simulation import simulate as simulate
