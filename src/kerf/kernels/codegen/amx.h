// Matrix registers (AMX) and float32 values as sums of bfloat16 values, for `codegen.amx`: the chip's instructions by name, since compilers
// read immintrin.h, which declares them all, for longer than a kernel. One block (see mathlib.h): kernels take all of it or nothing.

#if defined(__AMX_BF16__) && defined(__AVX512BF16__) && defined(__AVX512BW__) && defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#define KF_TILE_ZERO(t) __asm__ volatile("tilezero %%tmm" #t ::)
#define KF_TILE_LOAD(t, p, step) __asm__ volatile("tileloadd (%0,%1,1), %%tmm" #t ::"r"(p), "r"((long)(step)) : "memory")
#define KF_TILE_STORE(t, p, step) __asm__ volatile("tilestored %%tmm" #t ", (%0,%1,1)" ::"r"(p), "r"((long)(step)) : "memory")
#define KF_TILE_MULTIPLY(c, a, b) __asm__ volatile("tdpbf16ps %%tmm" #b ", %%tmm" #a ", %%tmm" #c ::)
// May this process use matrix registers? They are there for those who ask: ARCH_REQ_XCOMP_PERM, XTILEDATA.
static int kf_tiles(void) {
    static int known;
    int found = __atomic_load_n(&known, __ATOMIC_RELAXED);
    if (!found) {
        found = syscall(SYS_arch_prctl, 0x1023, 18) == 0 ? 1 : 2;
        __atomic_store_n(&known, found, __ATOMIC_RELAXED);
    }
    return found == 1;
}
// Eight registers of 16 rows x 64 bytes; only where `kf_tiles` said yes.
static inline void kf_tiles_open(void) {
    static const struct { uint8_t palette, start, reserved[14]; uint16_t bytes[16]; uint8_t rows[16]; } shape = {
        1, 0, {0}, {64, 64, 64, 64, 64, 64, 64, 64}, {16, 16, 16, 16, 16, 16, 16, 16}};
    __asm__ volatile("ldtilecfg %0" ::"m"(shape));
}
static inline void kf_tiles_close(void) { __asm__ volatile("tilerelease" ::: "memory"); }
#define KF_ALWAYS __attribute__((always_inline))
typedef float kf_floats __attribute__((vector_size(64)));
typedef float kf_line __attribute__((vector_size(64), aligned(4), may_alias)); // anywhere in memory
typedef uint32_t kf_words __attribute__((vector_size(64), may_alias));
// The first n of 16 values, and zeros.
static inline KF_ALWAYS kf_floats kf_some(const float *p, long n) {
    kf_floats x = {0};
    if (n >= 16) x = *(const kf_line *)p;
    else if (n > 0) __asm__("vmovups %1, %0%{%2%}%{z%}" : "=v"(x) : "m"(*(const char (*)[64])p), "Yk"((uint16_t)((1u << n) - 1)));
    return x;
}
// x and then y, rounded to bfloat16.
static inline KF_ALWAYS kf_words kf_rounded(kf_floats x, kf_floats y) {
    kf_words both;
    __asm__("vcvtne2ps2bf16 %2, %1, %0" : "=v"(both) : "v"(y), "v"(x));
    return both;
}
// The first 16 of 32 bfloat16 values, and the others.
static inline KF_ALWAYS kf_floats kf_former(kf_words both) {
    kf_words wide;
    __asm__("vpmovzxwd %t1, %0" : "=v"(wide) : "v"(both));
    return (kf_floats)(wide << 16);
}
static inline KF_ALWAYS kf_floats kf_latter(kf_words both) {
    kf_words half;
    __asm__("vextracti64x4 $1, %1, %t0" : "=v"(half) : "v"(both));
    return kf_former(half);
}
// The first 16 of 32 values of 16 bits between the others.
static inline KF_ALWAYS kf_words kf_interleaved(kf_words both) {
    const kf_words order = {0x100000, 0x110001, 0x120002, 0x130003, 0x140004, 0x150005, 0x160006, 0x170007,
        0x180008, 0x190009, 0x1a000a, 0x1b000b, 0x1c000c, 0x1d000d, 0x1e000e, 0x1f000f};
    kf_words taken;
    __asm__("vpermw %1, %2, %0" : "=v"(taken) : "v"(both), "v"(order));
    return taken;
}
// x and y as sums of bfloat16 values, x before y in each 64 bytes, or taking turns, `step` from part to part: the nearest, the nearest to
// what is left, and what is then left.
static inline KF_ALWAYS void kf_split(kf_floats x, kf_floats y, uint16_t *dst, long step, int parts, int turns) {
    for (int i = 0; i < parts; ++i) {
        const kf_words part = kf_rounded(x, y);
        *(kf_words *)(dst + step * i) = turns ? kf_interleaved(part) : part;
        x -= kf_former(part);
        y -= kf_latter(part);
    }
}
// The larger of 16 numbers so far and the magnitudes of 16 values, as their bits.
static inline KF_ALWAYS kf_words kf_larger(kf_words top, kf_floats x) {
    kf_words most;
    __asm__("vpmaxud %2, %1, %0" : "=v"(most) : "v"(top), "v"((kf_words)x & 0x7fffffffu));
    return most;
}
static inline uint32_t kf_largest(kf_words top) {
    uint32_t most = 0;
    for (int i = 0; i < 16; ++i) most = top[i] > most ? top[i] : most;
    return most;
}
// Is a row's or column's largest magnitude neither zero nor between 2^-40 and 2^60? Subnormal parts and products would be lost.
static inline int kf_odd(uint32_t top) { return top && top - (87u << 23) >= (100u << 23); }
#endif
