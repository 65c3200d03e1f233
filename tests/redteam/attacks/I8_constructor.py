# id: I8
# problem: softmax
# expect: rejected
# reason: ended its own process
# Code that runs when the library is loaded leaves with status 0.
import ctypes
from pathlib import Path

import torch
from torch import nn

C_SOURCE = r"""
#include <unistd.h>
__attribute__((constructor)) static void early(void) { _exit(0); }
"""

_library = ctypes.CDLL(str(Path(__file__).with_name("kernel.so")))


def _at(t):
    return ctypes.c_void_p(t.data_ptr())


class ModelNew(nn.Module):
    def forward(self, x):
        return torch.softmax(x, dim=-1)
