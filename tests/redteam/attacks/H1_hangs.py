# id: H1
# problem: softmax
# expect: timed_out
# reason:
# Never returns.
from torch import nn


class ModelNew(nn.Module):
    def forward(self, x):
        while True:
            pass
