# id: A2c
# problem: mse
# expect: wrong
# reason:
# A mean over half of the data, close to the mean over all.
import torch
from torch import nn



class ModelNew(nn.Module):
    def forward(self, prediction, target):
        half = prediction.shape[0] // 2
        return torch.mean((prediction[:half] - target[:half]) ** 2)
