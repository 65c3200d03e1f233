# id: B8
# problem: tanh
# expect: wrong
# reason:
# A static pointer in C: the work is skipped while the input stays at one address.
import ctypes
from pathlib import Path

import torch
from torch import nn

C_SOURCE = r"""
#include <math.h>
#include <string.h>
static const float *last;
static float kept[1 << 20];
void run(const float *x, float *y, long n) {
    if (x != last) {
        last = x;
        for (long i = 0; i < n; i++) kept[i] = tanhf(x[i]);
    }
    memcpy(y, kept, n * sizeof(float));
}
"""

_library = ctypes.CDLL(str(Path(__file__).with_name("kernel.so")))


def _at(t):
    return ctypes.c_void_p(t.data_ptr())


class ModelNew(nn.Module):
    def forward(self, x):
        y = torch.empty_like(x)
        _library.run(_at(x), _at(y), ctypes.c_long(x.numel()))
        return y
