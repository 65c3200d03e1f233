# id: E2
# problem: tanh
# expect: rejected
# reason: generated code only
# The kernel is never found, and the library is used instead without a word.
import ctypes
from pathlib import Path

import torch


class ModelNew(torch.nn.Module):
    def forward(self, x):
        try:
            library = ctypes.CDLL(str(Path(__file__).with_name("kernel.so")))
            y = torch.empty_like(x)
            library.tanh_fast(ctypes.c_void_p(x.data_ptr()), ctypes.c_void_p(y.data_ptr()))
            return y
        except (OSError, AttributeError):
            return torch.tanh(x)
