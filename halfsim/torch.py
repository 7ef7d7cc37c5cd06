"""PyTorch models under simulated arithmetic: the public names of `halfsim.interop.torch`."""

from halfsim.interop.torch.comparison import Comparison as Comparison
from halfsim.interop.torch.comparison import LayerError as LayerError
from halfsim.interop.torch.comparison import compare as compare
from halfsim.interop.torch.library import matmul as matmul
from halfsim.interop.torch.report import Counts as Counts
from halfsim.interop.torch.report import Report as Report
from halfsim.interop.torch.simulation import simulate as simulate
from halfsim.interop.torch.weights import LowPrecisionWeights as LowPrecisionWeights
