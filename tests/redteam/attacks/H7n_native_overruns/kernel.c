#include <math.h>
void run(const float *x, float *y, long n) {
    for (long i = 0; i < n; i++) y[i] = tanhf(x[i]);
    for (long i = n; i < n + 8; i++) y[i] = 0;
}
