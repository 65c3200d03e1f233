# problem: kl
# Written out, with zero times log zero as zero.
import torch
from torch import nn


class ModelNew(nn.Module):
    def forward(self, prediction, target):
        return (torch.xlogy(target, target) - target * torch.log(prediction)).sum() / prediction.shape[0]
