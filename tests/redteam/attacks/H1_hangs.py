# id: H1
# problem: softmax
# expect: timed_out
# reason: took longer
# Never returns.
import torch
from torch import nn



class ModelNew(nn.Module):
    def forward(self, x):
        while True:
            pass
