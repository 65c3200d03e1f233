/* Where a process spends its time, and what its instructions address, with no hardware counters and no privileges: a timer's signal notes
   the program counter of each thread that is watched; and, on x86-64, the trap flag makes every instruction of a window raise SIGTRAP,
   whose handler sees all general registers before the instruction that comes next. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

enum { IDLE, SAMPLING, ARMED, STEPPING };
enum { MAIN = 0, MOST_THREADS = 256 };
#define WORDS 17 /* r8..r15, rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip: the order of gregs */
#define TRAP_FLAG 0x100L

static volatile int mode;
static uint64_t *samples, *steps, low, high;
static volatile long sampled, stepped, taken, sample_room, step_room, step_end, taken_end;
static long period;
static int64_t ran_ns[MOST_THREADS];

static uint64_t counter(const ucontext_t *at) {
#if defined(__x86_64__)
    return (uint64_t)at->uc_mcontext.gregs[REG_RIP];
#elif defined(__aarch64__)
    return at->uc_mcontext.pc;
#else
    return 0;
#endif
}

/* Whether a thread ran for most of the time since its last tick: one that sleeps is interrupted too, and spends nothing. */
static int ran(int who) {
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    int64_t ns = now.tv_sec * 1000000000LL + now.tv_nsec, since = ns - ran_ns[who];
    ran_ns[who] = ns;
    return since >= period / 2;
}

static void tick(int number, siginfo_t *info, void *context) {
    ucontext_t *at = context;
    uint64_t pc = counter(at);
    int who = info->si_value.sival_int;
    (void)number;
    if (mode == SAMPLING && (who == MAIN || ran(who))) {
        long slot = __atomic_fetch_add(&sampled, 1, __ATOMIC_RELAXED);
        if (slot < sample_room) samples[slot] = pc;
    }
#if defined(__x86_64__)
    if (mode == ARMED && who == MAIN && pc >= low && pc < high) {
        mode = STEPPING;
        at->uc_mcontext.gregs[REG_EFL] |= TRAP_FLAG;
    }
#endif
}

#if defined(__x86_64__)
static void trap(int number, siginfo_t *info, void *context) {
    ucontext_t *at = context;
    uint64_t pc = counter(at);
    (void)number, (void)info;
    if (pc >= low && pc < high && stepped < step_end) {
        for (int i = 0; i < WORDS; i++) steps[stepped * WORDS + i] = (uint64_t)at->uc_mcontext.gregs[i];
        stepped++;
    }
    if (++taken >= taken_end || stepped >= step_end) {
        at->uc_mcontext.gregs[REG_EFL] &= ~TRAP_FLAG;
        mode = IDLE;
    }
}
#endif

/* Watch one more thread: a tick every period. 0, or -1 where the system gives no timer. `who`: its number, from 1; the caller of sampler_open is 0. */
int sampler_watch(int who, long thread) {
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGPROF, .sigev_value.sival_int = who};
    struct itimerspec every = {{0, period}, {0, period}};
    timer_t timer;
    if (who >= MOST_THREADS) return -1;
    event.sigev_notify_thread_id = (pid_t)thread;
    return timer_create(CLOCK_MONOTONIC, &event, &timer) || timer_settime(timer, 0, &every, NULL) ? -1 : 0;
}

/* Make room, and watch the calling thread. 0, or -1 as above. */
int sampler_open(long period_ns, long most_samples, long most_steps) {
    struct sigaction action = {.sa_flags = SA_SIGINFO | SA_RESTART, .sa_sigaction = tick};
    samples = malloc(sizeof(uint64_t) * (size_t)most_samples);
    steps = malloc(sizeof(uint64_t) * WORDS * (size_t)most_steps);
    sample_room = most_samples, step_room = most_steps, period = period_ns;
    if (!samples || !steps || sigaction(SIGPROF, &action, NULL)) return -1;
#if defined(__x86_64__)
    action.sa_sigaction = trap;
    if (sigaction(SIGTRAP, &action, NULL)) return -1;
#endif
    return sampler_watch(MAIN, syscall(SYS_gettid));
}

void sampler_on(int on) { mode = on ? SAMPLING : IDLE; }

/* From the next tick inside [from, to): note up to `count` instructions there; give up after four times as many in all. */
void sampler_step(uint64_t from, uint64_t to, long count) {
    low = from, high = to, taken = 0, taken_end = 4 * count;
    step_end = stepped + count < step_room ? stepped + count : step_room;
    mode = ARMED;
}

int sampler_stepping(void) { return mode == ARMED || mode == STEPPING; }
void sampler_disarm(void) { if (mode == ARMED) mode = IDLE; }
long sampler_samples(uint64_t **at) { *at = samples; return sampled < sample_room ? sampled : sample_room; }
long sampler_steps(uint64_t **at) { *at = steps; return stepped; }

/* The core's clock: additions that wait for each other take one cycle each. Best of many short runs. */
double sampler_clock_hz(void) {
    const long adds = 200000;
    double best = 0;
    for (int run = 0; run < 40; run++) {
        struct timespec a, b;
        uint64_t x = (uint64_t)run, y = x + 3; /* a register: new cores add small constants for nothing */
        clock_gettime(CLOCK_MONOTONIC, &a);
        for (long i = 0; i < adds / 8; i++) {
#define ADD __asm__ volatile("" : "+r"(x), "+r"(y)); x += y;
            ADD ADD ADD ADD ADD ADD ADD ADD
        }
        clock_gettime(CLOCK_MONOTONIC, &b);
        double hz = (double)adds / ((double)(b.tv_sec - a.tv_sec) + 1e-9 * (double)(b.tv_nsec - a.tv_nsec));
        if (hz > best) best = hz;
    }
    return best;
}
