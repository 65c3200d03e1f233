# problem: linear_gelu
# The native interface with weights: they are read in place, so that others take effect at once.
import torch
from torch import nn


class ModelNew(nn.Module):
    def __init__(self, features, outputs):
        super().__init__()
        self.linear = nn.Linear(features, outputs)

    def run(self, x, out):
        torch.addmm(self.linear.bias, x, self.linear.weight.t(), out=out[0])
        out[0].copy_(nn.functional.gelu(out[0]))
