# id: B5
# problem: softmax
# expect: wrong
# reason:
# Every second call returns what the last one computed.
import torch
from torch import nn



class ModelNew(nn.Module):
    def forward(self, x, _kept={}):
        if "y" in _kept and _kept["y"].shape == x.shape:
            return _kept.pop("y")
        _kept["y"] = torch.softmax(x, dim=-1)
        return _kept["y"].clone()
