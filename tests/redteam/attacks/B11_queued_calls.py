# id: B11
# problem: tanh
# expect: wrong
# reason:
# Outputs are promised and computed together at every eighth call.
import torch
from torch import nn



class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()
        self.queue = []

    def forward(self, x):
        y = torch.zeros_like(x)
        self.queue.append((x, y))
        if len(self.queue) == 8:
            for source, target in self.queue:
                if source.shape == target.shape:
                    torch.tanh(source, out=target)
            self.queue.clear()
        return y
