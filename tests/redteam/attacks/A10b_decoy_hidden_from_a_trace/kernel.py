# id: A10
# problem: tanh
# expect: rejected
# reason: does none of the work
# The same, computed by numpy, where no trace of torch's operators sees it.
import ctypes
from pathlib import Path

import numpy as np
import torch

_library = ctypes.CDLL(str(Path(__file__).with_name("kernel.so")))


def _run(x, y):
    _library.run(ctypes.c_void_p(x.data_ptr()), ctypes.c_void_p(y.data_ptr()), ctypes.c_long(x.numel()))


class ModelNew(torch.nn.Module):
    def forward(self, x):
        x = x.contiguous()
        y = torch.empty_like(x)
        _run(x, y)
        np.tanh(x.numpy(), out=y.numpy())
        return y
