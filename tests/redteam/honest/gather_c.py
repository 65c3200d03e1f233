# problem: gather
# Row copies.
import ctypes
from pathlib import Path

import torch
from torch import nn

C_SOURCE = r"""
#include <string.h>
void run(const float *t, const long *index, float *y, long count, long width) {
    for (long i = 0; i < count; i++) memcpy(y + i * width, t + index[i] * width, width * sizeof(float));
}
"""

_library = ctypes.CDLL(str(Path(__file__).with_name("kernel.so")))


def _at(t):
    return ctypes.c_void_p(t.data_ptr())


def _n(*sizes):
    return [ctypes.c_long(s) for s in sizes]


class ModelNew(nn.Module):
    def forward(self, table, index):
        y = torch.empty(index.shape[0], table.shape[1])
        _library.run(_at(table), _at(index), _at(y), *_n(*y.shape))
        return y
