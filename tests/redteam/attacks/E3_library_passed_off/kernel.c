#include <math.h>
void run(float *y, const float *bias, long rows, long columns) {
    for (long i = 0; i < rows; i++)
        for (long j = 0; j < columns; j++) {
            float v = y[i * columns + j] + bias[j];
            y[i * columns + j] = 0.5f * v * (1.0f + erff(v * 0.70710678f));
        }
}
