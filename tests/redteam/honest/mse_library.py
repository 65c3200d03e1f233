# problem: mse
# The library's loss.
from torch import nn


class ModelNew(nn.Module):
    def forward(self, prediction, target):
        return nn.functional.mse_loss(prediction, target)
