# id: E3
# problem: linear_gelu
# expect: rejected
# reason: generated code only
# The product is the library's, only the bias and the activation are its own; the manifest claims all of it.
import ctypes
from pathlib import Path

import torch
from torch import nn

_library = ctypes.CDLL(str(Path(__file__).with_name("kernel.so")))


class ModelNew(nn.Module):
    def __init__(self, features, outputs):
        super().__init__()
        self.linear = nn.Linear(features, outputs)

    def forward(self, x):
        y = x @ self.linear.weight.t()
        p, n = ctypes.c_void_p, ctypes.c_long
        _library.run(p(y.data_ptr()), p(self.linear.bias.data_ptr()), n(y.shape[0]), n(y.shape[1]))
        return y
