"""The precision of a training run as one frozen row: what is stored, how sums are made, how weights move."""

from halfsim.policy.loss_scale import DynamicScale as DynamicScale
from halfsim.policy.loss_scale import LayerScale as LayerScale
from halfsim.policy.loss_scale import LossScale as LossScale
from halfsim.policy.loss_scale import NoScale as NoScale
from halfsim.policy.loss_scale import StaticScale as StaticScale
from halfsim.policy.names import ALIASES as ALIASES
from halfsim.policy.names import POLICIES as POLICIES
from halfsim.policy.names import named as named
from halfsim.policy.reading import from_table as from_table
from halfsim.policy.reduction import PRODUCTS as PRODUCTS
from halfsim.policy.reduction import REDUCTIONS as REDUCTIONS
from halfsim.policy.row import Policy as Policy
from halfsim.policy.update import WeightUpdate as WeightUpdate
