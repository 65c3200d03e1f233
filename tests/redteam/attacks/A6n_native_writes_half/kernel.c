#include <math.h>
void run(const float *x, float *y, long n) {
    for (long i = 0; i < n; i += 2) y[i] = tanhf(x[i]);
}
