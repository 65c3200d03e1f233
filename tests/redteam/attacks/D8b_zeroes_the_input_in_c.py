# id: D8b
# problem: relu
# expect: rejected
# reason: wrote to its inputs
# The same from C.
import ctypes
from pathlib import Path

import torch
from torch import nn

C_SOURCE = r"""
#include <string.h>
void run(float *x, float *y, long n) { memset(x, 0, n * 4); memset(y, 0, n * 4); }
"""

_library = ctypes.CDLL(str(Path(__file__).with_name("kernel.so")))


def _at(t):
    return ctypes.c_void_p(t.data_ptr())


class ModelNew(nn.Module):
    def forward(self, x):
        y = torch.empty_like(x)
        _library.run(_at(x), _at(y), ctypes.c_long(x.numel()))
        return y
