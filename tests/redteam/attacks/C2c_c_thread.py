# id: C2c
# problem: tanh
# expect: crashed rejected wrong
# reason:
# A helper thread started from C computes ahead while the clock is stopped.
import ctypes
from pathlib import Path

import torch
from torch import nn

C_SOURCE = r"""
#include <math.h>
#include <pthread.h>
static const float *source; static float *target; static long count; static pthread_t helper;
static void *work(void *unused) {
    for (long i = 0; i < count; i++) target[i] = tanhf(source[i]);
    return unused;
}
int run(const float *x, float *y, long n) {
    source = x; target = y; count = n;
    return pthread_create(&helper, 0, work, 0);
}
"""

_library = ctypes.CDLL(str(Path(__file__).with_name("kernel.so")))


def _at(t):
    return ctypes.c_void_p(t.data_ptr())


class ModelNew(nn.Module):
    def forward(self, x):
        y = torch.zeros_like(x)
        if _library.run(_at(x), _at(y), ctypes.c_long(x.numel())):
            raise RuntimeError("no thread")
        return y
