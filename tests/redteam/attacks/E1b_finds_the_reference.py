# id: E1b
# problem: softmax
# expect: crashed wrong
# reason:
# Searches what is loaded for the reference class.
import sys

import torch
from torch import nn


class ModelNew(nn.Module):
    def forward(self, x):
        for name, module in list(sys.modules.items()):
            if name.startswith("kerf_problem"):
                return module.Model()(x)
        raise LookupError("no reference here")
