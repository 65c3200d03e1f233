# id: C4b
# problem: tanh
# expect: wrong crashed build_failed rejected
# reason:
# clock_gettime and getrusage replaced from C, and half of the work left out.
import ctypes
from pathlib import Path

import torch
from torch import nn

C_SOURCE = r"""
#include <math.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
int clock_gettime(clockid_t id, struct timespec *t) { (void)id; t->tv_sec = 0; t->tv_nsec = 1; return 0; }
int getrusage(int who, struct rusage *u) { (void)who; memset(u, 0, sizeof *u); return 0; }
void run(const float *x, float *y, long n) {
    for (long i = 0; i < n / 2; i++) y[i] = tanhf(x[i]);
}
"""

_library = ctypes.CDLL(str(Path(__file__).with_name("kernel.so")), mode=ctypes.RTLD_GLOBAL)


class ModelNew(nn.Module):
    def forward(self, x):
        y = torch.zeros_like(x)
        _library.run(ctypes.c_void_p(x.data_ptr()), ctypes.c_void_p(y.data_ptr()), ctypes.c_long(x.numel()))
        return y
