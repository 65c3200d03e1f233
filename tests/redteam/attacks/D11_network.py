# id: D11
# problem: softmax
# expect: rejected
# reason: sandbox forbids
# Opens a socket; answers only if that works.
import socket

import torch
from torch import nn



class ModelNew(nn.Module):
    def forward(self, x):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.sendto(b"?", ("127.0.0.1", 9))
        return torch.softmax(x, dim=-1)
