# problem: max_pool
# Direct, with clipped windows.
import ctypes
from pathlib import Path

import torch
from torch import nn

C_SOURCE = r"""
#include <math.h>
void run(const float *x, float *y, long planes, long h, long w) {
    long oh = (h - 1) / 2 + 1, ow = (w - 1) / 2 + 1;
    for (long p = 0; p < planes; p++, x += h * w)
        for (long i = 0; i < oh; i++)
            for (long j = 0; j < ow; j++) {
                float m = -INFINITY;
                for (long a = 2 * i - 1; a < 2 * i + 2; a++)
                    for (long b = 2 * j - 1; b < 2 * j + 2; b++)
                        if (a >= 0 && a < h && b >= 0 && b < w && (x[a * w + b] > m || x[a * w + b] != x[a * w + b])) m = x[a * w + b];
                *y++ = m;
            }
}
"""

_library = ctypes.CDLL(str(Path(__file__).with_name("kernel.so")))


def _at(t):
    return ctypes.c_void_p(t.data_ptr())


def _n(*sizes):
    return [ctypes.c_long(s) for s in sizes]


class ModelNew(nn.Module):
    def forward(self, x):
        n, c, h, w = x.shape
        y = torch.empty(n, c, (h - 1) // 2 + 1, (w - 1) // 2 + 1)
        _library.run(_at(x), _at(y), *_n(n * c, h, w))
        return y
