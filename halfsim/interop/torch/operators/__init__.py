"""What every operator of PyTorch computes, by its name."""

from halfsim.interop.torch.operators import convolution as convolution
from halfsim.interop.torch.operators import functions as functions
from halfsim.interop.torch.operators import losses as losses
from halfsim.interop.torch.operators import normalization as normalization
from halfsim.interop.torch.operators import optimizers as optimizers
from halfsim.interop.torch.operators import pointwise as pointwise
from halfsim.interop.torch.operators import pooling as pooling
from halfsim.interop.torch.operators import products as products
from halfsim.interop.torch.operators import reductions as reductions
from halfsim.interop.torch.operators import softmax as softmax
from halfsim.interop.torch.operators.exact import CONSTANTS as CONSTANTS
from halfsim.interop.torch.operators.exact import EXACT as EXACT
from halfsim.interop.torch.operators.exact import RANDOM as RANDOM
from halfsim.interop.torch.operators.exact import WHOLE as WHOLE
from halfsim.interop.torch.operators.exact import constants as constants
from halfsim.interop.torch.operators.exact import exact as exact
from halfsim.interop.torch.operators.exact import makes as makes
from halfsim.interop.torch.operators.exact import narrow as narrow
from halfsim.interop.torch.operators.exact import narrows as narrows
from halfsim.interop.torch.operators.exact import selected_wide as selected_wide
from halfsim.interop.torch.operators.optimizers import FOREACH as FOREACH
from halfsim.interop.torch.operators.optimizers import each as each
from halfsim.interop.torch.operators.table import HANDLERS as HANDLERS
from halfsim.interop.torch.operators.table import Handler as Handler
from halfsim.interop.torch.operators.table import decomposition as decomposition
