# problem: softmax
# A static scratch row that grows, kept over calls.
import ctypes
from pathlib import Path

import torch
from torch import nn

C_SOURCE = r"""
#include <math.h>
#include <stdlib.h>
static float *scratch;
static long room;
void run(const float *x, float *y, long rows, long n) {
    if (n > room) { free(scratch); scratch = malloc(n * sizeof(float)); room = n; }
    for (long r = 0; r < rows; r++, x += n, y += n) {
        float m = -INFINITY, s = 0;
        for (long i = 0; i < n; i++) m = fmaxf(m, x[i]);
        for (long i = 0; i < n; i++) s += scratch[i] = expf(x[i] - m);
        for (long i = 0; i < n; i++) y[i] = scratch[i] / s;
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
        y = torch.empty_like(x)
        _library.run(_at(x), _at(y), *_n(*x.shape))
        return y
