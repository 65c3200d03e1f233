# problem: tanh
# The native interface: the result is written to where the evaluator wants it.
import ctypes
from pathlib import Path

import torch

_library = ctypes.CDLL(str(Path(__file__).with_name("kernel.so")))


class ModelNew(torch.nn.Module):
    def run(self, x, out):
        n = ctypes.c_long(x.numel())
        _library.run(ctypes.c_void_p(x.data_ptr()), ctypes.c_void_p(out[0].data_ptr()), n)
