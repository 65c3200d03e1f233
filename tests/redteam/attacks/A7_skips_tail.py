# id: A7
# problem: tanh
# expect: wrong
# reason:
# Only whole vectors of 16 are computed; the tail of each row is left.
import ctypes
from pathlib import Path

import torch
from torch import nn

C_SOURCE = r"""
#include <math.h>
void run(const float *x, float *y, long rows, long columns) {
    for (long r = 0; r < rows; r++)
        for (long c = 0; c < columns / 16 * 16; c++) y[r * columns + c] = tanhf(x[r * columns + c]);
}
"""

_library = ctypes.CDLL(str(Path(__file__).with_name("kernel.so")))


def _at(t):
    return ctypes.c_void_p(t.data_ptr())


class ModelNew(nn.Module):
    def forward(self, x):
        y = torch.zeros_like(x)
        _library.run(_at(x), _at(y), ctypes.c_long(x.shape[0]), ctypes.c_long(x.shape[1]))
        return y
