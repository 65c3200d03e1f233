/* A cache of two levels, each set-associative with least recently used replacement, fed with a trace of addresses. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define LINE 64

typedef struct { long sets, ways; uint64_t *lines; } Level;

static int touch(const Level *level, uint64_t line) { /* 1 where it was there */
    uint64_t *set = level->lines + (long)(line % (uint64_t)level->sets) * level->ways;
    long at = 0;
    while (at < level->ways && set[at] != line + 1) at++;
    int hit = at < level->ways;
    memmove(set + 1, set, sizeof *set * (size_t)(hit ? at : level->ways - 1));
    set[0] = line + 1;
    return hit;
}

/* missed[i]: 0 in the first level, 1 in the second, 2 beyond both, 3 a line that this trace touches for the first time. -1: no memory. */
int cache_run(const uint64_t *address, long count, long sets1, long ways1, long sets2, long ways2, int8_t *missed) {
    long room = 1;
    while (room < 2 * count) room <<= 1;
    Level one = {sets1, ways1, calloc((size_t)(sets1 * ways1), 8)}, two = {sets2, ways2, calloc((size_t)(sets2 * ways2), 8)};
    uint64_t *seen = calloc((size_t)room, 8);
    int ok = one.lines && two.lines && seen;
    for (long i = 0; ok && i < count; i++) {
        uint64_t line = address[i] / LINE, slot = (line * 0x9E3779B97F4A7C15u) >> 20 & (uint64_t)(room - 1);
        while (seen[slot] && seen[slot] != line + 1) slot = (slot + 1) & (uint64_t)(room - 1);
        int first = !seen[slot], hit1 = touch(&one, line), hit2 = hit1 ? 1 : touch(&two, line);
        seen[slot] = line + 1;
        missed[i] = (int8_t)(hit1 ? 0 : hit2 ? 1 : first ? 3 : 2);
    }
    free(one.lines), free(two.lines), free(seen);
    return ok ? 0 : -1;
}
