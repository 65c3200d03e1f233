# id: A6n
# problem: tanh
# expect: wrong
# reason: expected
# Every second element of the destination is left as it was.
import ctypes
from pathlib import Path

import torch

_library = ctypes.CDLL(str(Path(__file__).with_name("kernel.so")))


class ModelNew(torch.nn.Module):
    def run(self, x, out):
        n = ctypes.c_long(x.numel())
        _library.run(ctypes.c_void_p(x.data_ptr()), ctypes.c_void_p(out[0].data_ptr()), n)
