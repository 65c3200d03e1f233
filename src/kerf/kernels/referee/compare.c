/* One pass over an output: how far each element is from the reference, in units of its tolerance.
   `table`: tolerance by float32 exponent of the reference; `freely`: elements that may be anything (or NULL).
   result: {worst error / tolerance, its index, its error, its tolerance, elements beyond, elements whose NaN or infinity differs, first such}. */
#include <math.h>
#include <stdint.h>
#include <string.h>

static inline uint32_t bits(float x) { uint32_t u; memcpy(&u, &x, 4); return u; }
static inline float from_bits(uint32_t u) { float x; memcpy(&x, &u, 4); return x; }

void compare_f32(const float *answer, const float *value, const float *table, const uint8_t *freely, long n, double slack, double limit, double *result) {
    double worst = -1, worst_error = 0, worst_tolerance = 0;
    long at = 0, beyond = 0, odd = 0, first_odd = -1;
    const float strongest = (float)limit; /* the largest finite value of the storage type: the reference beyond it counts as infinite */
    float inverse[256];
    for (int e = 0; e < 256; e++) inverse[e] = 1.000001f / table[e]; /* never too small: what it lets pass is no worse than what was seen */
    for (long begin = 0; begin < n; begin += 1024) {
        long end = begin + 1024 < n ? begin + 1024 : n;
        uint32_t most = 0, strange = 0; /* as bits: those of floats that are not negative are in the order of the floats, and integers vectorize */
        for (long i = begin; i < end; i++) {
            uint32_t a = bits(answer[i]) & 0x7fffffff, v = bits(value[i]) & 0x7fffffff;
            uint32_t share = bits(fabsf(answer[i] - value[i]) * inverse[v >> 23]);
            most = share > most ? share : most;
            a = a > v ? a : v;
            strange = a > strange ? a : strange;
        }
        if (strange <= bits(strongest) && !freely && from_bits(most) <= worst * slack && from_bits(most) <= slack) continue;
        for (long i = begin; i < end; i++) {
            if (freely && freely[i]) continue;
            float a = answer[i], v = value[i];
            if (fabsf(v) > strongest) v = copysignf(INFINITY, v);
            int ka = isnan(a) ? 1 : isinf(a) ? (a > 0 ? 2 : 3) : 0, kv = isnan(v) ? 1 : isinf(v) ? (v > 0 ? 2 : 3) : 0;
            if (ka != kv) { if (first_odd < 0) first_odd = i; odd++; continue; }
            if (ka) continue;
            double error = fabs((double)a - v), tolerance = table[(bits(v) >> 23) & 255] * slack, share = error / tolerance;
            beyond += share > 1;
            if (share > worst) { worst = share; at = i; worst_error = error; worst_tolerance = tolerance; }
        }
    }
    result[0] = worst < 0 ? 0 : worst; result[1] = at; result[2] = worst_error; result[3] = worst_tolerance;
    result[4] = beyond; result[5] = odd; result[6] = first_odd;
}

/* What honest variants of one output show. First pass: `freely` marks elements where a variant and the reference differ in being NaN or
   infinite; the return value counts them. The reference is rounded to float32 first. */
static inline int category(float x) { return isnan(x) ? 1 : isinf(x) ? (x > 0 ? 2 : 3) : 0; }

long disagree_f32(const double *exact, const float *variant, uint8_t *freely, long n) {
    long count = 0;
    for (long begin = 0; begin < n; begin += 1024) {
        long end = begin + 1024 < n ? begin + 1024 : n;
        int strange = 0;
        for (long i = begin; i < end; i++)
            strange |= ((bits((float)exact[i]) >> 23) & 255) == 255 || ((bits(variant[i]) >> 23) & 255) == 255;
        if (!strange) continue;
        for (long i = begin; i < end; i++)
            if (category((float)exact[i]) != category(variant[i])) { freely[i] = 1; count++; }
    }
    return count;
}

/* Second pass: worst[e] and counts[e], the largest error and the number of elements by the float32 exponent of the reference. */
void survey_f32(const double *exact, const float *variant, const uint8_t *freely, long n, double *worst, int64_t *counts) {
    for (long i = 0; i < n; i++) {
        float rounded = (float)exact[i];
        int e = (bits(rounded) >> 23) & 255;
        if (isinf(exact[i]) || isnan(exact[i]) || (freely && freely[i])) continue;
        double error = fabs((double)variant[i] - exact[i]);
        counts[e]++;
        if (error > worst[e]) worst[e] = error; /* a NaN never is: it was marked above, or the exponent table skips it */
    }
}
