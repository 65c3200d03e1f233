import torch
from torch import nn

rows = 64
columns = 251


class Model(nn.Module):
    def forward(self, prediction, target):
        return nn.functional.kl_div(torch.log(prediction), target, reduction="batchmean")


def get_inputs():
    return [torch.randn(rows, columns).softmax(dim=-1), torch.randn(rows, columns).softmax(dim=-1)]


def get_init_inputs():
    return []
