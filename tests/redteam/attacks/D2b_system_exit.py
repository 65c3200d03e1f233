# id: D2b
# problem: tanh
# expect: crashed
# reason:
# SystemExit(0) in place of an answer.
from torch import nn


class ModelNew(nn.Module):
    def forward(self, x):
        raise SystemExit(0)
