/* What one machine can do: fused multiply-adds a second, and bytes a second by kind of access.
 *
 * Every probe runs on `threads` OpenMP threads, each on its own part of the memory, and returns the wall seconds of the
 * best of `samples` samples. The kinds: 0 read, 1 write, 2 copy, 3 triad (a = b + s * c). Stores bypass the caches where
 * `stream` is 1 and the machine can. */
#include <omp.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif
#if defined(__AVX512F__)
#define BYTES 64
#define STREAM(p, v) _mm512_stream_ps((float *)(p), (__m512)(v))
#elif defined(__AVX__)
#define BYTES 32
#define STREAM(p, v) _mm256_stream_ps((float *)(p), (__m256)(v))
#elif defined(__SSE__)
#define BYTES 16
#define STREAM(p, v) _mm_stream_ps((float *)(p), (__m128)(v))
#else
#define BYTES 16
#define STREAM(p, v) (*(p) = (v))
#endif

typedef float vec __attribute__((vector_size(BYTES)));
#define LANES (BYTES / 4)
#define CHAINS 12 /* enough independent chains to cover latency 4-6 on two pipes */

static volatile float sink;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + 1e-9 * t.tv_nsec;
}

static float total(vec v) {
    float s = 0;
    for (int i = 0; i < LANES; i++) s += v[i];
    return s;
}

#if defined(__aarch64__)
#define IN_REGISTER "+w"
#elif defined(__x86_64__)
#define IN_REGISTER "+x"
#else
#define IN_REGISTER "+m"
#endif
#define EACH(f) f(0) f(1) f(2) f(3) f(4) f(5) f(6) f(7) f(8) f(9) f(10) f(11)
#define DECLARE(c) vec a##c = x * (float)c;
#define STEP(c) a##c = a##c * x + y; __asm__ volatile("" : IN_REGISTER(a##c)); /* or the loop would be folded */
#define ADD(c) s += a##c;

static void multiply_add(long rounds) {
    vec x = {0}, y = {0}, s = {0};
    x += 0.999f;
    y += 1e-3f;
    EACH(DECLARE)
    for (long i = 0; i < rounds; i++) { EACH(STEP) }
    EACH(ADD)
    sink = total(s);
}

/* Wall seconds of the best sample for `rounds` rounds of `work` on every thread. */
static double timed(void (*work)(long), int threads, long rounds, int samples) {
    double best = 1e30;
    for (int k = 0; k < samples; k++) {
        double start = 0, stop = 0;
#pragma omp parallel num_threads(threads)
        {
            work(rounds / 8);
#pragma omp barrier
#pragma omp master
            start = now();
            work(rounds);
#pragma omp barrier
#pragma omp master
            stop = now();
        }
        if (stop - start < best) best = stop - start;
    }
    return best;
}

/* 2 * LANES * CHAINS operations a round and thread. */
double probe_fma(int threads, long rounds, int samples, long *operations) {
    *operations = 2L * LANES * CHAINS * rounds * threads;
    return timed(multiply_add, threads, rounds, samples);
}

#if defined(__AMX_BF16__) && defined(__linux__)
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>
typedef struct { uint8_t palette, start, reserved[14]; uint16_t bytes[16]; uint8_t rows[16]; } tiles;

static void multiply_tiles(long rounds) {
    static const tiles shape = {1, 0, {0}, {64, 64, 64, 64, 64, 64, 64, 64}, {16, 16, 16, 16, 16, 16, 16, 16}};
    _tile_loadconfig(&shape);
    _tile_zero(0); _tile_zero(1); _tile_zero(2); _tile_zero(3);
    _tile_zero(4); _tile_zero(5); _tile_zero(6); _tile_zero(7);
    for (long i = 0; i < rounds; i++) {
        _tile_dpbf16ps(0, 4, 6); _tile_dpbf16ps(1, 4, 7); _tile_dpbf16ps(2, 5, 6); _tile_dpbf16ps(3, 5, 7);
    }
    _tile_release();
}

/* Four instructions a round and thread; six of them make 16 x 16 x 32 float32 multiply-adds. Negative where the system grants no registers. */
double probe_products(int threads, long rounds, int samples, long *operations) {
    *operations = 4L * 2 * 16 * 16 * 32 * rounds * threads / 6;
    if (syscall(SYS_arch_prctl, 0x1023, 18)) return -1; /* ARCH_REQ_XCOMP_PERM, XTILEDATA */
    return timed(multiply_tiles, threads, rounds, samples);
}
#else
double probe_products(int threads, long rounds, int samples, long *operations) {
    (void)threads; (void)rounds; (void)samples; (void)operations;
    return -1;
}
#endif

static void read_all(const vec *a, long n) {
    vec s[8] = {0};
    for (long i = 0; i + 8 <= n; i += 8)
        for (int j = 0; j < 8; j++) s[j] += a[i + j];
    for (int j = 1; j < 8; j++) s[0] += s[j];
    sink = total(s[0]);
}

static void touch(int kind, int stream, vec *a, const vec *b, const vec *c, long n) {
    vec s = {0};
    s += 0.5f;
    if (kind == 0) read_all(a, n);
    else if (kind == 1 && stream) for (long i = 0; i < n; i++) STREAM(a + i, s);
    else if (kind == 1) for (long i = 0; i < n; i++) { a[i] = s; __asm__ volatile("" ::: "memory"); }
    else if (kind == 2 && stream) for (long i = 0; i < n; i++) STREAM(a + i, b[i]);
    else if (kind == 2) for (long i = 0; i < n; i++) { a[i] = b[i]; __asm__ volatile("" ::: "memory"); }
    else if (stream) for (long i = 0; i < n; i++) STREAM(a + i, b[i] + s * c[i]);
    else for (long i = 0; i < n; i++) { a[i] = b[i] + s * c[i]; __asm__ volatile("" ::: "memory"); }
}

/* Wall seconds for `repeats` passes over a working set of `bytes` in all (over every thread and array); *moved: the bytes
 * that they move. Negative when memory runs out. */
double probe_bandwidth(int kind, int stream, int threads, long bytes, int repeats, int samples, long *moved) {
    int arrays = kind < 2 ? 1 : kind;
    long n = bytes / arrays / threads / BYTES;
    double best = 1e30;
    int failed = 0;
#pragma omp parallel num_threads(threads) reduction(| : failed)
    {
        long pad = 4096 / BYTES + 4; /* arrays at the same offset in a page would alias */
        vec *memory = aligned_alloc(4096, ((n + pad) * arrays * BYTES + 8192) / 4096 * 4096);
        failed = memory == NULL;
        if (memory) memset(memory, 0, (n + pad) * arrays * BYTES);
#pragma omp barrier
        if (memory) {
            vec *a = memory, *b = memory + (arrays > 1 ? n + pad : 0), *c = memory + (arrays > 2 ? 2 * (n + pad) : 0);
            double start = 0;
            for (int k = 0; k < samples; k++) {
                touch(kind, stream, a, b, c, n);
#pragma omp barrier
                start = now();
                for (int r = 0; r < repeats; r++) touch(kind, stream, a, b, c, n);
#pragma omp barrier
#pragma omp master
                { double t = now() - start; if (t < best) best = t; }
#pragma omp barrier
            }
            free(memory);
        }
    }
    *moved = n * arrays * threads * BYTES * (long)repeats;
    return failed ? -1.0 : best;
}
