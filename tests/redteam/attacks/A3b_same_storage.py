# id: A3b
# problem: relu
# expect: wrong
# reason:
# The input object itself.
from torch import nn


class ModelNew(nn.Module):
    def forward(self, x):
        return x
