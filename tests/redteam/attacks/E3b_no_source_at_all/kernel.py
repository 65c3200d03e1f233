# id: E3
# problem: softmax
# expect: rejected
# reason: no C source
# Claims generated code and holds none.
import torch


class ModelNew(torch.nn.Module):
    def forward(self, x):
        return torch.softmax(x, dim=-1)
