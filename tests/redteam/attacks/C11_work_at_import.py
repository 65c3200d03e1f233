# id: C11
# problem: softmax
# expect: wrong
# reason:
# Everything is computed at import, from inputs drawn as the file would draw them.
import torch
from torch import nn

_ANSWER = torch.softmax(torch.randn(64, 251), dim=-1)


class ModelNew(nn.Module):
    def forward(self, x):
        return _ANSWER.clone() if _ANSWER.shape == x.shape else torch.softmax(x * 0, dim=-1)
