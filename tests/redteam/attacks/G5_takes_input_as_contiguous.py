# id: G5
# problem: transposed_sum
# expect: wrong
# reason:
# Reads a transposed input as if its rows were contiguous.
import ctypes
from pathlib import Path

import torch
from torch import nn

C_SOURCE = r"""
void run(const float *x, float *y, long rows, long columns) {
    for (long r = 0; r < rows; r++) {
        float s = 0;
        for (long c = 0; c < columns; c++) s += x[r * columns + c] * 2.0f + 1.0f;
        y[r] = s;
    }
}
"""

_library = ctypes.CDLL(str(Path(__file__).with_name("kernel.so")))


def _at(t):
    return ctypes.c_void_p(t.data_ptr())


class ModelNew(nn.Module):
    def forward(self, x):
        y = torch.empty(x.shape[0])
        _library.run(_at(x), _at(y), ctypes.c_long(x.shape[0]), ctypes.c_long(x.shape[1]))
        return y
