// Scalar helpers that generated kernels call. `mathlib.prelude` copies those that a kernel uses into its file.
//
// Float32 functions are branch free, so that compilers vectorize loops that call them at any vector width. Errors are the
// largest seen against float64, in units in the last place (ulp) of the result, with and without fused multiply-add. The
// polynomials are weighted minimax fits of our own (Lawson iteration on Chebyshev nodes); argument reductions are the
// standard ones of Cody and Waite, "Software Manual for the Elementary Functions" (1980), and Muller, "Elementary Functions".
// Blocks are separated by blank lines; a block's helpers are found by the kf_ names in it.

typedef uint16_t kf_bf16; // the upper half of a float

typedef uint16_t kf_f16; // IEEE binary16

static inline uint32_t kf_bits(float x) { uint32_t u; memcpy(&u, &x, 4); return u; }

static inline float kf_float(uint32_t u) { float x; memcpy(&x, &u, 4); return x; }

static inline uint64_t kf_bits_f64(double x) { uint64_t u; memcpy(&u, &x, 8); return u; }

static inline double kf_double(uint64_t u) { double x; memcpy(&x, &u, 8); return x; }

static inline float kf_from_bf16(kf_bf16 h) { return kf_float((uint32_t)h << 16); }

// Round to nearest even; a NaN stays a (quiet) NaN.
static inline kf_bf16 kf_to_bf16(float x) {
    uint32_t u = kf_bits(x);
    uint32_t rounded = (u + 0x7fffu + ((u >> 16) & 1u)) >> 16;
    return (kf_bf16)(x == x ? rounded : (u >> 16) | 0x40u);
}

// The exponent is rebased by an exact multiplication, which also normalizes subnormals.
static inline float kf_from_f16(kf_f16 h) {
    uint32_t magnitude = (uint32_t)(h & 0x7fffu) << 13;
    uint32_t u = kf_bits(kf_float(magnitude) * 0x1p112f);
    u = magnitude >= 0x0f800000u ? u | 0x7f800000u : u;
    return kf_float(u | (uint32_t)(h & 0x8000u) << 16);
}

// Round to nearest even; overflow to infinity; a NaN stays a (quiet) NaN. Nested choices would become branches after a
// maximum, and gcc would not vectorize the loop.
static inline kf_f16 kf_to_f16(float x) {
    uint32_t u = kf_bits(x), a = u & 0x7fffffffu;
    int32_t normal = (int32_t)((a + 0xfffu + ((a >> 13) & 1u) - (112u << 23)) >> 13);
    normal = normal < 0x7c00 ? normal : 0x7c00;
    uint32_t subnormal = kf_bits(kf_float(a) + 0.5f) - 0x3f000000u; // the adder rounds at 2^-24
    uint32_t r = a < 0x38800000u ? subnormal : (uint32_t)normal;
    r |= a > 0x7f800000u ? 0x7e00u : 0u;
    return (kf_f16)(r | (u >> 16 & 0x8000u));
}

// NaN if either is, as torch.maximum. Of the forms with these values this one is the cheapest: accumulated as `m = kf_max(m, x)`, only the
// first comparison waits for m; the second goes away where `b` is a constant; and gcc keeps chains of them, such as a clamp, free of branches.
static inline float kf_max(float a, float b) { float m = b > a ? b : a; return b == b ? m : b; }

static inline float kf_min(float a, float b) { float m = b < a ? b : a; return b == b ? m : b; }

static inline double kf_max_f64(double a, double b) { double m = b > a ? b : a; return b == b ? m : b; }

static inline double kf_min_f64(double a, double b) { double m = b < a ? b : a; return b == b ? m : b; }

static inline int64_t kf_max_i64(int64_t a, int64_t b) { return a > b ? a : b; }

static inline int64_t kf_min_i64(int64_t a, int64_t b) { return a < b ? a : b; }

static inline float kf_abs(float x) { return __builtin_fabsf(x); }

static inline double kf_abs_f64(double x) { return __builtin_fabs(x); }

static inline int64_t kf_abs_i64(int64_t x) { return x < 0 ? -x : x; }

static inline float kf_sign(float x) { return (float)((x > 0.0f) - (x < 0.0f)); }

static inline double kf_sign_f64(double x) { return (double)((x > 0.0) - (x < 0.0)); }

static inline int64_t kf_sign_i64(int64_t x) { return (x > 0) - (x < 0); }

static inline float kf_floor(float x) { return __builtin_floorf(x); }

static inline double kf_floor_f64(double x) { return __builtin_floor(x); }

static inline int64_t kf_floor_i64(int64_t x) { return x; }

static inline float kf_ceil(float x) { return __builtin_ceilf(x); }

static inline double kf_ceil_f64(double x) { return __builtin_ceil(x); }

static inline int64_t kf_ceil_i64(int64_t x) { return x; }

static inline float kf_trunc(float x) { return __builtin_truncf(x); }

static inline double kf_trunc_f64(double x) { return __builtin_trunc(x); }

static inline int64_t kf_trunc_i64(int64_t x) { return x; }

// Halves to even.
static inline float kf_round(float x) { return __builtin_rintf(x); }

static inline double kf_round_f64(double x) { return __builtin_rint(x); }

static inline int64_t kf_round_i64(int64_t x) { return x; }

static inline int kf_isnan(float x) { return x != x; }

static inline int kf_isnan_f64(double x) { return x != x; }

static inline int kf_isnan_i64(int64_t x) { (void)x; return 0; }

static inline int kf_isinf(float x) { return __builtin_fabsf(x) == INFINITY; }

static inline int kf_isinf_f64(double x) { return __builtin_fabs(x) == INFINITY; }

static inline int kf_isinf_i64(int64_t x) { (void)x; return 0; }

static inline float kf_sqrt(float x) { return __builtin_sqrtf(x); }

static inline double kf_sqrt_f64(double x) { return __builtin_sqrt(x); }

static inline float kf_rsqrt(float x) { return 1.0f / __builtin_sqrtf(x); }

static inline double kf_rsqrt_f64(double x) { return 1.0 / __builtin_sqrt(x); }

// Python's // and %: rounded down, and a remainder with the sign of the divisor.
static inline int64_t kf_floordiv_i64(int64_t a, int64_t b) {
    int64_t q = a / b;
    return q - ((a - q * b != 0) & ((a < 0) != (b < 0)));
}

static inline int64_t kf_mod_i64(int64_t a, int64_t b) {
    int64_t r = a % b;
    return r + ((r != 0) & ((r < 0) != (b < 0)) ? b : 0);
}

static inline int64_t kf_fmod_i64(int64_t a, int64_t b) { return a % b; }

static inline int64_t kf_div_i64(int64_t a, int64_t b) { return a / b; }

static inline float kf_fmod(float a, float b) { return fmodf(a, b); }

static inline double kf_fmod_f64(double a, double b) { return fmod(a, b); }

static inline float kf_mod(float a, float b) {
    float r = fmodf(a, b);
    return (r != 0.0f) & ((r < 0.0f) != (b < 0.0f)) ? r + b : r;
}

static inline double kf_mod_f64(double a, double b) {
    double r = fmod(a, b);
    return (r != 0.0) & ((r < 0.0) != (b < 0.0)) ? r + b : r;
}

// Exact at multiples, where floor(a / b) may round up to the next whole number.
static inline double kf_floordiv_f64(double a, double b) {
    double r = fmod(a, b), q = (a - r) / b;
    q -= (r != 0.0) & ((r < 0.0) != (b < 0.0)) ? 1.0 : 0.0;
    double whole = __builtin_floor(q);
    whole += q - whole > 0.5 ? 1.0 : 0.0;
    double near_zero = __builtin_copysign(0.0, a / b);
    return b == 0.0 ? a / b : q != 0.0 ? whole : near_zero;
}

static inline float kf_floordiv(float a, float b) {
    float r = fmodf(a, b), q = (a - r) / b;
    q -= (r != 0.0f) & ((r < 0.0f) != (b < 0.0f)) ? 1.0f : 0.0f;
    float whole = __builtin_floorf(q);
    whole += q - whole > 0.5f ? 1.0f : 0.0f;
    float near_zero = __builtin_copysignf(0.0f, a / b);
    return b == 0.0f ? a / b : q != 0.0f ? whole : near_zero;
}

// 2 exp(r) for |r| <= ln(2)/2 to within 2^-28 of it: twice, so that 2^(n-1) scales it, and 2^128 is never formed.
static inline float kf_exp_twice(float r) {
    float q = 0.00279012602f;
    q = q * r + 0.0167379398f;
    q = q * r + 0.0833324045f;
    q = q * r + 0.333330363f;
    q = q * r + 1.0f;
    q = q * r + 2.0f;
    return q * r + 2.0f;
}

// Zero, of which compilers do not know it: with constants as bounds they turn minima and maxima into comparisons and blends, or into a
// copy of all that follows for the constant. A constant all the same: loads of a variable that may change keep loops from being vectorized.
extern const float kf_unseen __attribute__((visibility("hidden")));
#if defined(__ELF__)
__asm__(".pushsection .rodata\n.balign 4\n.weak kf_unseen\n.hidden kf_unseen\nkf_unseen: .long 0\n.popsection");
#else
const float kf_unseen = 0.0f;
#endif

// x, or `low` where that is more; NaN as it is.
static inline float kf_at_least(float x, float low) {
    low += kf_unseen;
    return low > x ? low : x;
}

// x, or `high` where that is less; NaN as it is.
static inline float kf_at_most(float x, float high) {
    high += kf_unseen;
    return high < x ? high : x;
}

// x within [low, high], and NaN as it is.
static inline float kf_clip(float x, float low, float high) { return kf_at_most(kf_at_least(x, low), high); }

// x - n ln(2). Where the product is not rounded, the first constant may have all of its bits.
static inline float kf_minus_ln2(float x, float n) {
#ifdef __FP_FAST_FMAF
    return x - n * 0.693147182f - n * -1.90465421e-9f;
#else
    return x - n * 0.693359375f - n * -2.12194440e-4f;
#endif
}

// exp(x) * 2^(bias - 253). x = n ln(2) + r; adding 1.5 * 2^23 leaves n in the low bits. The scale 2^n goes on in two halves, so that
// subnormal results and those next to overflow come out right. 1.0 ulp.
static inline float kf_exp_biased(float x, float bias) {
    x = kf_clip(x, -105.0f, 90.0f);
    float magic = 0x1.8p23f + bias;
    float shifted = x * 0x1.715476p0f + magic;
    float p = kf_exp_twice(kf_minus_ln2(x, shifted - magic));
    uint32_t u = kf_bits(shifted), half = u >> 1;
    return p * kf_float(half << 23) * kf_float((u - half) << 23);
}

static inline float kf_exp(float x) { return kf_exp_biased(x, 253.0f); }

static inline double kf_exp_f64(double x) { return exp(x); }

// e^x for -87.33 <= x <= 89; 0 at the lower end. 1.0 ulp.
static inline float kf_exp_inside(float x) {
    float magic = 0x1.8p23f + 126.0f;
    float shifted = x * 0x1.715476p0f + magic;
    return kf_exp_twice(kf_minus_ln2(x, shifted - magic)) * kf_float(kf_bits(shifted) << 23);
}

// exp(x) with results below 2^-125 flushed to zero and one scaling less: for use inside sums and quotients, where they vanish.
static inline float kf_exp_flush(float x) { return kf_exp_inside(kf_clip(x, -87.33f, 89.0f)); }

// The same for x <= 0.
static inline float kf_exp_fade(float x) { return kf_exp_inside(kf_at_least(x, -87.33f)); }

// 2^x. 1.0 ulp.
static inline float kf_exp2(float x) {
    x = kf_clip(x, -151.0f, 130.0f);
    float magic = 0x1.8p23f + 254.0f;
    float shifted = x + magic;
    float r = x - (shifted - magic);
    float q = 0.000154765919f;
    q = q * r + 0.00134005374f;
    q = q * r + 0.00961800292f;
    q = q * r + 0.0555032715f;
    q = q * r + 0.240226507f;
    q = q * r + 0.693147182f;
    uint32_t u = kf_bits(shifted), half = u >> 1;
    return (q * r + 1.0f) * kf_float(half << 23) * kf_float((u - half) << 23);
}

static inline double kf_exp2_f64(double x) { return exp2(x); }

// exp(r) - 1 for |r| <= ln(2)/2; fit error 2^-26 of it.
static inline float kf_expm1_poly(float r) {
    float q = 0.0013882519f;
    q = q * r + 0.00836652f;
    q = q * r + 0.0416672f;
    q = q * r + 0.16666543f;
    q = q * r + 0.49999997f;
    return (q * r) * r + r;
}

// 2^n (e^r - 1) + (2^n - 1), with half of 2^n so that 2^128 is never formed. 1.7 ulp.
static inline float kf_expm1(float x) {
    float t = kf_clip(x, -18.0f, 89.0f);
    float magic = 0x1.8p23f + 126.0f;
    float shifted = t * 0x1.715476p0f + magic;
    float n = shifted - magic;
    float r = t - n * 0.693359375f - n * -2.12194440e-4f;
    float half = kf_float(kf_bits(shifted) << 23);
    float p = kf_expm1_poly(r);
    float whole = (half * p + (half - 0.5f)) * 2.0f;
    return n == 0.0f ? p : whole;
}

static inline double kf_expm1_f64(double x) { return expm1(x); }

// log(1 + f) for -1/3 <= f <= 1/3; fit error 2^-30.
static inline float kf_log_poly(float f) {
    float q = 0.124753043f;
    q = q * f - 0.1302322f;
    q = q * f + 0.106246129f;
    q = q * f - 0.121478692f;
    q = q * f + 0.143169403f;
    q = q * f - 0.166840047f;
    q = q * f + 0.199991167f;
    q = q * f - 0.249996603f;
    q = q * f + 0.333333403f;
    q = q * f - 0.5f;
    return (q * f) * f + f;
}

// x = 2^e m with 2/3 <= m < 4/3. 1.2 ulp.
static inline float kf_log(float x) {
    int tiny = x < 0x1p-126f;
    float scaled = tiny ? x * 0x1p23f : x;
    int32_t i = (int32_t)(kf_bits(scaled) - (tiny ? 0x4aaaaaabu : 0x3f2aaaabu)); // the exponent less 23 where it was raised
    float e = (float)(i >> 23);
    float m = kf_float((uint32_t)(i & 0x7fffff) + 0x3f2aaaabu);
    float r = e * 0.693359375f + (kf_log_poly(m - 1.0f) + e * -2.12194440e-4f);
    float end = x == 0.0f ? -INFINITY : NAN;
    r = x < INFINITY ? r : x;
    return x > 0.0f ? r : end;
}

static inline double kf_log_f64(double x) { return log(x); }

// 1.5 ulp.
static inline float kf_log2(float x) {
    int tiny = x < 0x1p-126f;
    float scaled = tiny ? x * 0x1p23f : x;
    int32_t i = (int32_t)(kf_bits(scaled) - (tiny ? 0x4aaaaaabu : 0x3f2aaaabu)); // the exponent less 23 where it was raised
    float e = (float)(i >> 23);
    float m = kf_float((uint32_t)(i & 0x7fffff) + 0x3f2aaaabu);
    float l = kf_log_poly(m - 1.0f);
    float r = e + (l * 1.44269502f + l * 1.92596303e-8f);
    float end = x == 0.0f ? -INFINITY : NAN;
    r = x < INFINITY ? r : x;
    return x > 0.0f ? r : end;
}

static inline double kf_log2_f64(double x) { return log2(x); }

// 1.8 ulp.
static inline float kf_log10(float x) {
    int tiny = x < 0x1p-126f;
    float scaled = tiny ? x * 0x1p23f : x;
    int32_t i = (int32_t)(kf_bits(scaled) - (tiny ? 0x4aaaaaabu : 0x3f2aaaabu)); // the exponent less 23 where it was raised
    float e = (float)(i >> 23);
    float m = kf_float((uint32_t)(i & 0x7fffff) + 0x3f2aaaabu);
    float l = kf_log_poly(m - 1.0f);
    float r = e * 0.301025391f + (l * 0.434294492f + e * 4.60503907e-6f);
    float end = x == 0.0f ? -INFINITY : NAN;
    r = x < INFINITY ? r : x;
    return x > 0.0f ? r : end;
}

static inline double kf_log10_f64(double x) { return log10(x); }

// log(1 + x) without the rounding of 1 + x: 2^-e (1 + x) - 1 = 2^-e x + (2^-e - 1), with 2^-e x by its exponent bits. 1.3 ulp.
static inline float kf_log1p(float x) {
    uint32_t e = (kf_bits(x + 1.0f) - 0x3f2aaaabu) & 0xff800000u;
    float f = kf_float(kf_bits(x) - e) + (0.25f * kf_float(0x40800000u - e) - 1.0f);
    float n = (float)((int32_t)e >> 23);
    float r = n * 0.693359375f + (kf_log_poly(f) + n * -2.12194440e-4f);
    float end = x == -1.0f ? -INFINITY : NAN;
    r = x < INFINITY ? r : x;
    return x > -1.0f ? r : end;
}

static inline double kf_log1p_f64(double x) { return log1p(x); }

// 2.3 ulp for x > -87; below, it may be 0.
static inline float kf_sigmoid(float x) { return 1.0f / (1.0f + kf_exp_flush(-x)); }

// log(1 + e^x) = max(x, 0) + log1p(e^-|x|); log1p on [0, 1] is one polynomial. 2.7 ulp; below -87 it may be 0.
static inline float kf_softplus(float x) {
    float e = kf_exp_fade(-__builtin_fabsf(x));
    float q = 0.0052326764f;
    q = q * e - 0.0295051672f;
    q = q * e + 0.0782258362f;
    q = q * e - 0.136632353f;
    q = q * e + 0.191060022f;
    q = q * e - 0.248429805f;
    q = q * e + 0.333190978f;
    q = q * e - 0.499994934f;
    q = q * e + 0.99999994f;
    int32_t i = (int32_t)kf_bits(x);
    return q * e + kf_float((uint32_t)(i > 0 ? i : 0));
}

// tanh(log(1 + e)) = n / (n + 2) with n = e (e + 2), for e = e^x. 3.4 ulp; below -87 it may be 0.
static inline float kf_tanh_softplus(float x) {
    float e = kf_exp_inside(kf_clip(x, -87.33f, 20.0f));
    float n = e * (e + 2.0f);
    return n / (n + 2.0f);
}

static inline double kf_sigmoid_f64(double x) { return 1.0 / (1.0 + exp(-x)); }

// (e^2t - 1) / (e^2t + 1) with t = |x|; 1 beyond 9.02. 2.5 ulp.
static inline float kf_tanh(float x) {
    float t = kf_at_most(__builtin_fabsf(x), 9.5f);
    t = t + t;
    float magic = 0x1.8p23f + 127.0f;
    float shifted = t * 0x1.715476p0f + magic;
    float scale = kf_float(kf_bits(shifted) << 23);
    float e = scale * kf_expm1_poly(kf_minus_ln2(t, shifted - magic)) + (scale - 1.0f);
    return __builtin_copysignf(e / (e + 2.0f), x);
}

static inline double kf_tanh_f64(double x) { return tanh(x); }

// Half of exp, for the hyperbolic functions, which overflow later than exp does.
static inline float kf_exp_half(float x) { return kf_exp_biased(x, 252.0f); }

static inline float kf_sinh(float x) {
    float t = __builtin_fabsf(x);
    float e = kf_expm1(t), h = kf_exp_half(t);
    float r = t < 1.0f ? 0.5f * (e + e / (e + 1.0f)) : h - 0.25f / h;
    return __builtin_copysignf(r, x);
}

static inline double kf_sinh_f64(double x) { return sinh(x); }

static inline float kf_cosh(float x) {
    float h = kf_exp_half(__builtin_fabsf(x));
    return h + 0.25f / h;
}

static inline double kf_cosh_f64(double x) { return cosh(x); }

// x P(x^2) / Q(x^2), whose coefficients are all positive, so that nothing cancels, and Q starts with 1 x^10; exactly 1 at the bound.
// 5.5 ulp, 6.3 without fused multiply-add.
static inline float kf_erf(float x) {
    x = kf_clip(x, -3.77025795f, 3.77025795f);
    float s = x * x, p = 0.0548542738f;
    p = p * s + 7.30639839f;
    p = p * s + 92.1899185f;
    p = p * s + 1333.99756f;
    p = p * s + 4749.62793f;
    p = p * s + 28775.2246f;
    float q = s + 28.9467793f;
    q = q * s + 374.036743f;
    q = q * s + 2868.70337f;
    q = q * s + 12709.6982f;
    q = q * s + 25501.3809f;
    return x * p / q;
}

static inline double kf_erf_f64(double x) { return erf(x); }

// Functions whose reductions or sums cancel in float32 compute in double: half the lanes, but no calls, and 0.6 ulp unless said.

// log2(x) for finite x > 0 that are normal in double, by 2 atanh(s) with s = (m - 1) / (m + 1). 0 and infinity give -1023 and 1024.
static inline double kf_log2_wide(double x) {
    int64_t i = (int64_t)kf_bits_f64(x) - 0x3fe6a09e667f3bcd;
    double m = kf_double(((uint64_t)i & 0xfffffffffffffu) + 0x3fe6a09e667f3bcdu);
    // The exponent as a double, by an addition that leaves it in the low bits.
    double e = kf_double((uint64_t)(i >> 52) + 0x4338000000000000u) - 0x1.8p52;
    double s = (m - 1.0) / (m + 1.0), z = s * s;
    double q = 0.0909090909 + 0.0769230769 * z;
    q = q * z + 0.111111111111;
    q = q * z + 0.142857142857;
    q = q * z + 0.2;
    q = q * z + 0.333333333333333;
    return e + ((q * z) * s + s) * 2.8853900817779268;
}

// 2^x for |x| < 1000, by the Taylor series of e^r: 2^-32 of it.
static inline double kf_exp2_wide(double x) {
    double magic = 0x1.8p52 + 1023.0, shifted = x + magic;
    double r = (x - (shifted - magic)) * 0.69314718055994531;
    double q = 1.0 / 5040 + r * (1.0 / 40320);
    q = q * r + 1.0 / 720;
    q = q * r + 1.0 / 120;
    q = q * r + 1.0 / 24;
    q = q * r + 1.0 / 6;
    q = q * r + 0.5;
    q = q * r + 1.0;
    return (q * r + 1.0) * kf_double(kf_bits_f64(shifted) << 52);
}

// e^(P(t) - x^2) t for x >= 0, with t = 1 / (1 + x / 2); 2 minus that below.
static inline float kf_erfc(float x) {
    double a = __builtin_fabsf(x);
    a = a > 11.0 ? 11.0 : a;
    double t = 1.0 / (1.0 + 0.5 * a);
    double q = -0.0801412208284;
    q = q * t + 0.370331293053;
    q = q * t - 0.477473144944;
    q = q * t - 0.396630503119;
    q = q * t + 1.68951325577;
    q = q * t - 1.71536532737;
    q = q * t + 0.756807016304;
    q = q * t - 0.402159581796;
    q = q * t + 0.155003979643;
    q = q * t + 0.364835816132;
    q = q * t + 1.00081910045;
    q = q * t - 1.26554068604;
    double r = kf_exp2_wide((q - a * a) * 1.4426950408889634) * t;
    return (float)(x < 0.0f ? 2.0 - r : r);
}

static inline double kf_erfc_f64(double x) { return erfc(x); }

// x / 2 pi less whole turns, in [-1/2, 1/2]: 1 / 2 pi in pieces of at most 28 bits, so that every product is exact (Payne and Hanek, 1983,
// for all arguments at once).
static inline double kf_turns(double x) {
    double t = x * 0x1.45f306cp-3;
    double sum = t - __builtin_rint(t);
    t = x * 0x1.c9c882ap-31;
    sum += t - __builtin_rint(t);
    t = x * 0x1.4fe13a8p-61;
    sum += t - __builtin_rint(t);
    t = x * 0x1.f47d4dp-88;
    sum += t - __builtin_rint(t);
    t = x * 0x1.bb81b6cp-115;
    sum += t - __builtin_rint(t);
    sum += x * 0x1.4acc9ep-145;
    return sum - __builtin_rint(sum);
}

// sin(r) and cos(r) for |r| <= pi/4; fit errors 2^-37 and 2^-43.
static inline double kf_sin_wide(double r) {
    double s = r * r, q = -0.000198393345315 + s * 2.7183085784e-06;
    q = q * s + 0.00833332938495;
    q = q * s - 0.166666666416;
    return (q * s) * r + r;
}

static inline double kf_cos_wide(double r) {
    double s = r * r, q = 2.47990405093e-05 + s * -2.71800639402e-07;
    q = q * s - 0.00138888810761;
    q = q * s + 0.041666666562;
    q = q * s - 0.499999999995;
    return q * s + 1.0;
}

// sin(r + k pi/2) for |r| <= pi/4.
static inline float kf_sin_reduced(float r, uint32_t k) {
    float s = r * r, a = 2.7183041e-06f, b = 2.4390369e-05f;
    a = a * s - 0.00019839335f;
    a = a * s + 0.008333329f;
    a = a * s - 0.16666667f;
    b = b * s - 0.0013886763f;
    b = b * s + 0.041666623f;
    b = b * s - 0.5f;
    float v = k & 1u ? b * s + 1.0f : (a * s) * r + r;
    return kf_float(kf_bits(v) ^ (k & 2u) << 30);
}

// sin(x + quarters pi/2), in float32 once reduced. 1.5 ulp.
static inline float kf_sin_shifted(float x, int32_t quarters) {
    double turns = 4.0 * kf_turns(x), n = __builtin_rint(turns);
    return kf_sin_reduced((float)((turns - n) * 1.5707963267948966), (uint32_t)((int32_t)(float)n + quarters));
}

// The same for |x| < 2^17: quarter turns taken off in three parts (Cody and Waite, 1980), of which a fused multiply-add makes the first
// without an error and the others with one of the last place.
static inline float kf_sin_shifted_near(float x, int32_t quarters) {
#ifdef __FP_FAST_FMAF
    float n = __builtin_rintf(x * 0.636619772f);
    float r = __builtin_fmaf(n, -1.57079637f, x);
    r = __builtin_fmaf(n, 4.37113883e-08f, r);
    r = __builtin_fmaf(n, 1.71512449e-15f, r);
    return kf_sin_reduced(r, (uint32_t)((int32_t)n + quarters));
#else
    return kf_sin_shifted(x, quarters);
#endif
}

static inline float kf_sin(float x) { return __builtin_fabsf(x) < 0x1p-12f ? x : kf_sin_shifted(x, 0); }

static inline double kf_sin_f64(double x) { return sin(x); }

static inline float kf_cos(float x) { return kf_sin_shifted(x, 1); }

static inline float kf_sin_near(float x) { return __builtin_fabsf(x) < 0x1p-12f ? x : kf_sin_shifted_near(x, 0); }

static inline float kf_cos_near(float x) { return kf_sin_shifted_near(x, 1); }

static inline double kf_cos_f64(double x) { return cos(x); }

static inline float kf_tan(float x) {
    double turns = 4.0 * kf_turns(x), n = __builtin_rint(turns), r = (turns - n) * 1.5707963267948966;
    double half = 0.5 * n, s = kf_sin_wide(r), c = kf_cos_wide(r);
    int odd = half != __builtin_floor(half);
    return __builtin_fabsf(x) < 0x1p-12f ? x : (float)((odd ? -c : s) / (odd ? s : c));
}

static inline double kf_tan_f64(double x) { return tan(x); }

// 2^(y log2|x|), with the signs and special values of C.
static inline float kf_pow(float x, float y) {
    float a = __builtin_fabsf(x);
    double l = kf_log2_wide(a);
    l = a == 0.0f ? -INFINITY : a < INFINITY ? l : INFINITY;
    double w = l * y;
    w = w > 200.0 ? 200.0 : w;
    w = w < -200.0 ? -200.0 : w;
    float r = (float)kf_exp2_wide(w);
    int whole = y == __builtin_rintf(y), odd = whole & (0.5f * y != __builtin_rintf(0.5f * y));
    r = odd & (kf_bits(x) >> 31) ? -r : r; // a copied sign in a branch would keep loops scalar
    r = (x < 0.0f) & (x > -INFINITY) & !whole ? NAN : r;
    r = (x != x) | (y != y) ? NAN : r;
    r = (x == -1.0f) & (__builtin_fabsf(y) == INFINITY) ? 1.0f : r;
    return (x == 1.0f) | (y == 0.0f) ? 1.0f : r;
}

static inline double kf_pow_f64(double x, double y) { return pow(x, y); }

// As torch: a negative exponent gives 0, except for the bases 1 and -1.
static inline int64_t kf_pow_i64(int64_t x, int64_t y) {
    if (y < 0) return x == 1 ? 1 : x == -1 ? (y % 2 ? -1 : 1) : 0;
    uint64_t r = 1, base = (uint64_t)x;
    for (; y; y >>= 1, base *= base) r = y & 1 ? r * base : r;
    return (int64_t)r;
}

// asin(z) for 0 <= z <= 1/2; fit error 2^-31.
static inline double kf_asin_wide(double z) {
    double s = z * z, q = 0.0144026061122 + s * 0.0375652014141;
    q = q * s + 0.0318176115482;
    q = q * s + 0.0445157202433;
    q = q * s + 0.075005109182;
    q = q * s + 0.166666598719;
    return (q * s) * z + z;
}

// pi/2 - 2 asin(sqrt((1 - t) / 2)) beyond 1/2.
static inline float kf_asin(float x) {
    double t = __builtin_fabsf(x);
    int far = t > 0.5;
    double p = kf_asin_wide(far ? __builtin_sqrt(0.5 - 0.5 * t) : t);
    return __builtin_copysignf((float)(far ? 1.5707963267948966 - 2.0 * p : p), x);
}

static inline double kf_asin_f64(double x) { return asin(x); }

static inline float kf_acos(float x) {
    double t = __builtin_fabsf(x);
    int far = t > 0.5;
    double p = kf_asin_wide(far ? __builtin_sqrt(0.5 - 0.5 * t) : t);
    p = far ? 2.0 * p : 1.5707963267948966 - p;
    return (float)(x < 0.0f ? 3.1415926535897931 - p : p);
}

static inline double kf_acos_f64(double x) { return acos(x); }

// atan(z) for 0 <= z <= 1; fit error 2^-28.
static inline float kf_atan_poly(float z) {
    float s = z * z;
    float q = -0.00182721158f;
    q = q * s + 0.0110644354f;
    q = q * s - 0.0314556919f;
    q = q * s + 0.0582345426f;
    q = q * s - 0.0841945857f;
    q = q * s + 0.109575763f;
    q = q * s - 0.142652452f;
    q = q * s + 0.199986383f;
    q = q * s - 0.333333015f;
    return (q * s) * z + z;
}

static inline float kf_atan(float x) {
    float t = __builtin_fabsf(x);
    float p = kf_atan_poly(t > 1.0f ? 1.0f / t : t);
    return __builtin_copysignf(t > 1.0f ? 1.57079637f - (p + 4.37113883e-8f) : p, x);
}

static inline double kf_atan_f64(double x) { return atan(x); }

// atan(z) for 0 <= z <= 1; fit error 2^-31.
static inline double kf_atan_wide(double z) {
    double s = z * z, q = -0.00742263767743 + s * 0.00113487832394;
    q = q * s + 0.0227603408841;
    q = q * s - 0.0449464457796;
    q = q * s + 0.0675957212719;
    q = q * s - 0.0881884830914;
    q = q * s + 0.110602445451;
    q = q * s - 0.1428013074;
    q = q * s + 0.199996926107;
    q = q * s - 0.333333274334;
    return (q * s) * z + z;
}

// atan of the smaller over the larger, turned into its octant.
static inline float kf_atan2(float y, float x) {
    double a = __builtin_fabsf(y), b = __builtin_fabsf(x);
    int steep = a > b;
    double num = steep ? b : a, den = steep ? a : b;
    double z = num == den ? 1.0 : num / den;
    z = den == 0.0 ? 0.0 : z;
    double p = kf_atan_wide(z);
    p = steep ? 1.5707963267948966 - p : p;
    p = __builtin_copysignf(1.0f, x) < 0.0f ? 3.1415926535897931 - p : p;
    return (x != x) | (y != y) ? NAN : __builtin_copysignf((float)p, y);
}

static inline double kf_atan2_f64(double y, double x) { return atan2(y, x); }

static inline float kf_asinh(float x) {
    double t = __builtin_fabsf(x);
    double r = 0.69314718055994531 * kf_log2_wide(t + __builtin_sqrt(t * t + 1.0));
    r = t < 0x1p-12 ? t : r;
    return t < INFINITY ? __builtin_copysignf((float)r, x) : x;
}

static inline double kf_asinh_f64(double x) { return asinh(x); }

static inline float kf_acosh(float x) {
    double t = x, r = 0.69314718055994531 * kf_log2_wide(t + __builtin_sqrt(t * t - 1.0));
    r = t < INFINITY ? r : t;
    return t < 1.0 ? NAN : (float)r;
}

static inline double kf_acosh_f64(double x) { return acosh(x); }

static inline float kf_atanh(float x) {
    double t = __builtin_fabsf(x), r = 0.34657359027997265 * kf_log2_wide((1.0 + t) / (1.0 - t));
    r = t < 0x1p-13 ? t : r;
    r = t < 1.0 ? r : t == 1.0 ? INFINITY : NAN;
    return __builtin_copysignf((float)r, x);
}

static inline double kf_atanh_f64(double x) { return atanh(x); }

// Copy computed results to memory past the caches, where they would only displace what is still needed: without reading the lines
// first. A barrier (the end of a parallel loop, kf_stream_end) orders them before later reads by other threads. `to` and `bytes` are
// multiples of 64; where `from` is a small array that was just filled, compilers store from registers.
static inline void kf_stream_lines(void *to, const void *from, size_t bytes) {
#if defined(__x86_64__) && !defined(__clang__) && defined(__AVX512F__)
    typedef float vector __attribute__((vector_size(64)));
#define KF_STREAM_STORE(p, v) __builtin_ia32_movntps512((float *)(p), v)
#elif defined(__x86_64__) && !defined(__clang__) && defined(__AVX__)
    typedef float vector __attribute__((vector_size(32)));
#define KF_STREAM_STORE(p, v) __builtin_ia32_movntps256((float *)(p), v)
#elif defined(__x86_64__) && !defined(__clang__)
    typedef float vector __attribute__((vector_size(16)));
#define KF_STREAM_STORE(p, v) __builtin_ia32_movntps((float *)(p), v)
#elif defined(__clang__)
    typedef float vector __attribute__((vector_size(64)));
#define KF_STREAM_STORE(p, v) __builtin_nontemporal_store(v, (vector *)(p))
#else
    typedef float vector __attribute__((vector_size(16)));
#define KF_STREAM_STORE(p, v) (*(vector *)(p) = (v))
#endif
    for (size_t at = 0; at < bytes; at += sizeof(vector)) {
        vector v;
        memcpy(&v, (const char *)from + at, sizeof v);
        KF_STREAM_STORE((char *)to + at, v);
    }
}

// The same for any place and size: what lies in no whole line is stored plainly.
static inline void kf_stream(void *to, const void *from, size_t bytes) {
    char *d = (char *)to;
    const char *s = (const char *)from;
    size_t head = -(uintptr_t)d % 64, at = head < bytes ? head : bytes;
    if (head == 0 && bytes % 64 == 0) { // without the rest, short blocks of a known size stay in registers
        kf_stream_lines(to, from, bytes);
        return;
    }
    memcpy(d, s, at);
    size_t whole = (bytes - at) / 64 * 64;
    kf_stream_lines(d + at, s + at, whole);
    memcpy(d + at + whole, s + at + whole, bytes - at - whole);
}

// Streamed stores are visible to other threads from here on.
static inline void kf_stream_end(void) {
#if defined(__x86_64__)
    __builtin_ia32_sfence();
#else
    __sync_synchronize();
#endif
}
