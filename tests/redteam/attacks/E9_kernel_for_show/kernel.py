# id: E9
# problem: tanh
# expect: rejected
# reason: generated code only
# A kernel lies there and is never called.
import ctypes
from pathlib import Path

import torch

_library = ctypes.CDLL(str(Path(__file__).with_name("kernel.so")))


def _run(x, y):
    _library.run(ctypes.c_void_p(x.data_ptr()), ctypes.c_void_p(y.data_ptr()), ctypes.c_long(x.numel()))


class ModelNew(torch.nn.Module):
    def forward(self, x):
        return torch.tanh(x)
