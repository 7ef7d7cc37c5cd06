"""Memory by accounting: how many numbers a training step keeps, and how many bytes each takes under a policy."""

from halfsim.training.accounting.bytes import CLASSES as CLASSES
from halfsim.training.accounting.bytes import STATES as STATES
from halfsim.training.accounting.bytes import bytes_per_parameter as bytes_per_parameter
from halfsim.training.accounting.bytes import memory as memory
from halfsim.training.accounting.convolutional import ALEXNET, RESNET_50, VGG_D
from halfsim.training.accounting.layers import Layer as Layer
from halfsim.training.accounting.layers import Network as Network
from halfsim.training.accounting.recurrent import BIG_LSTM, DEEP_SPEECH
from halfsim.training.accounting.scale import required_scale as required_scale
from halfsim.training.accounting.scale import required_scales as required_scales

PAPER: tuple[Network, ...] = (ALEXNET, VGG_D, RESNET_50, DEEP_SPEECH, BIG_LSTM)
"""Networks of the paper on mixed precision [@micikevicius2018]."""
