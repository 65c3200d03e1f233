# id: G1
# problem: cumsum
# expect: wrong crashed
# reason:
# Sizes of the benchmark written into a kernel that says it takes any.
import ctypes
from pathlib import Path

import torch
from torch import nn

C_SOURCE = r"""
void run(const float *x, float *y) {
    for (int r = 0; r < 32; r++) {
        float s = 0;
        for (int c = 0; c < 509; c++) y[r * 509 + c] = s += x[r * 509 + c];
    }
}
"""

_library = ctypes.CDLL(str(Path(__file__).with_name("kernel.so")))


def _at(t):
    return ctypes.c_void_p(t.data_ptr())


class ModelNew(nn.Module):
    def forward(self, x):
        y = torch.zeros(32, 509)
        _library.run(_at(x), _at(y))
        return y[: x.shape[0], : x.shape[1]].contiguous()
