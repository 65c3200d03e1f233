/* Graphs as programs of 3-input functions over wide words, and their runs. Read from Python by kerf/verification/compiled.py.

   cover: a graph of ANDs to functions of three inputs, by enumerating the cuts of each node and keeping those of least area flow
   (Mishchenko, Chatterjee and Brayton, "Improvements to technology mapping for LUT-based FPGAs", IEEE TCAD 26(2), 2007). A multiplexer
   or an exclusive-or is then one operation instead of three.
   The operations of one depth and one function stand together, so that a run is a few hundred loops with nothing to decide inside. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#ifdef __AVX512F__
#include <immintrin.h>
#endif

#define WORDS 8
#define CUTS 8
#define AND 3
typedef uint64_t V __attribute__((vector_size(8 * WORDS), aligned(8 * WORDS)));
typedef struct { uint32_t a, b, c, out; } Operation;
typedef struct { int32_t leaf[3]; float flow; uint8_t size, table; } Cut;
typedef struct { Cut cut[CUTS]; int count; } CutSet;

/* ---- cover ---- */

static const uint8_t PLACE[3] = {0xaa, 0xcc, 0xf0};

static uint8_t moved(uint8_t table, const int to[3]) { /* input i of the table becomes input to[i] */
  uint8_t made = 0;
  for (int row = 0; row < 8; row++) {
    int from = (row >> to[0] & 1) | (row >> to[1] & 1) << 1 | (row >> to[2] & 1) << 2;
    made |= (table >> from & 1) << row;
  }
  return made;
}

static int merge(const Cut *x, const Cut *y, int invert_x, int invert_y, Cut *made) {
  int size = 0, i = 0, j = 0, px[3] = {0, 1, 2}, py[3] = {0, 1, 2};
  while (i < x->size || j < y->size) {
    if (size == 3) return 0;
    int32_t left = i < x->size ? x->leaf[i] : INT32_MAX, right = j < y->size ? y->leaf[j] : INT32_MAX;
    made->leaf[size] = left < right ? left : right;
    if (left <= right) px[i++] = size;
    if (right <= left) py[j++] = size;
    size++;
  }
  for (; i < 3; i++) px[i] = 0; /* inputs that a table does not depend on */
  for (; j < 3; j++) py[j] = 0;
  made->size = size;
  made->table = (uint8_t)((moved(x->table, px) ^ -invert_x) & (moved(y->table, py) ^ -invert_y));
  return 1;
}

static void insert(CutSet *set, const Cut *cut) { /* in order of flow, the dearest falls off the end */
  for (int k = 0; k < set->count; k++)
    if (set->cut[k].size == cut->size && !memcmp(set->cut[k].leaf, cut->leaf, 4 * cut->size)) return;
  if (set->count == CUTS && set->cut[CUTS - 1].flow <= cut->flow) return;
  int place = set->count < CUTS ? set->count++ : CUTS - 1;
  for (; place > 0 && set->cut[place - 1].flow > cut->flow; place--) set->cut[place] = set->cut[place - 1];
  set->cut[place] = *cut;
}

static void cuts_of(int32_t node, const int32_t *left, const int32_t *right, CutSet *sets, float *flow, const float *uses) {
  int32_t a = left[node] >> 1, b = right[node] >> 1;
  CutSet *set = &sets[node];
  memset(set, 0, sizeof *set);
  for (int i = -1; i < sets[a].count; i++)
    for (int j = -1; j < sets[b].count; j++) {
      Cut single_a = {{a}, 0, 1, PLACE[0]}, single_b = {{b}, 0, 1, PLACE[0]}, made = {{0}};
      const Cut *x = i < 0 ? &single_a : &sets[a].cut[i], *y = j < 0 ? &single_b : &sets[b].cut[j];
      if (!merge(x, y, left[node] & 1, right[node] & 1, &made)) continue;
      made.flow = 1;
      for (int k = 0; k < made.size; k++) made.flow += flow[made.leaf[k]];
      insert(set, &made);
    }
  flow[node] = set->cut[0].flow / uses[node];
}

/* The needed nodes' chosen cuts: best[node].size > 0. */
static void choose(long nodes, const uint8_t *kind, const uint8_t *root, const CutSet *sets, Cut *best, float *uses) {
  memset(best, 0, nodes * sizeof *best);
  uint8_t *needed = malloc(nodes);
  memcpy(needed, root, nodes);
  for (long n = 0; n < nodes; n++) uses[n] = root[n];
  for (long n = nodes - 1; n > 0; n--) {
    if (!needed[n] || kind[n] != AND) continue;
    best[n] = sets[n].cut[0];
    for (int k = 0; k < best[n].size; k++) needed[best[n].leaf[k]] = 1, uses[best[n].leaf[k]] += 1;
  }
  free(needed);
}

/* Operations in a normal form: false for all inputs false (else the inverse is kept and `flip` says so), inputs in the order that gives
   the smallest table. */
static uint8_t normal(const Cut *cut, uint8_t *flip, int32_t node, int32_t leaf[3]) {
  static const int ORDERS[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
  uint8_t table = cut->table, best = 255;
  for (int k = 0; k < cut->size; k++)
    if (flip[cut->leaf[k]]) table = (uint8_t)((table & PLACE[k]) >> (1 << k) | (table & ~PLACE[k]) << (1 << k));
  flip[node] = table & 1;
  if (table & 1) table = ~table;
  for (int k = 0; k < 6; k++) {
    uint8_t made = moved(table, ORDERS[k]);
    if (made >= best) continue;
    best = made;
    for (int i = 0; i < 3; i++) leaf[ORDERS[k][i]] = i < cut->size ? cut->leaf[i] : cut->leaf[0];
  }
  return best;
}

typedef struct { int32_t node, level, leaf[3]; uint8_t table; } Planned;

static int by_level(const void *x, const void *y) {
  const Planned *a = x, *b = y;
  if (a->level != b->level) return a->level < b->level ? -1 : 1;
  if (a->table != b->table) return a->table < b->table ? -1 : 1;
  return a->node < b->node ? -1 : a->node > b->node;
}

/* slot[node]: where its value is, -1 where it has none; sources keep theirs (0 is false), others share. The number of slots. */
static uint32_t allocate(const Planned *plan, long count, long nodes, const uint8_t *kind, const uint8_t *root, int32_t *slot) {
  uint32_t top = 0, spare = 0;
  int32_t *last = malloc(nodes * sizeof *last), *open = malloc((count + 1) * sizeof *open);
  for (long n = 0; n < nodes; n++) slot[n] = kind[n] == AND ? -1 : (int32_t)top++, last[n] = -1;
  for (long k = 0; k < count; k++)
    for (int i = 0; i < 3; i++) last[plan[k].leaf[i]] = k;
  for (long k = 0; k < count; k++) {
    slot[plan[k].node] = spare ? open[--spare] : (int32_t)top++;
    for (int i = 0; i < 3; i++) {
      int32_t leaf = plan[k].leaf[i];
      if (last[leaf] == k && kind[leaf] == AND && !root[leaf]) open[spare++] = slot[leaf], last[leaf] = -1;
    }
  }
  free(last), free(open);
  return top;
}

/* left, right: literals; root[node]: 1 where its value is asked for. Fills operation and segment (table, length), both with room for
   a row a node; slot and flip: a row a node. counts: operations, segments, slots. */
void lanes_cover(long nodes, const uint8_t *kind, const int32_t *left, const int32_t *right, const uint8_t *root,
           Operation *operation, int32_t (*segment)[2], int32_t *slot, uint8_t *flip, int64_t *counts) {
  CutSet *sets = calloc(nodes, sizeof *sets);
  Cut *best = malloc(nodes * sizeof *best);
  float *flow = calloc(nodes, sizeof *flow), *uses = calloc(nodes, sizeof *uses);
  for (long n = 1; n < nodes; n++)
    if (kind[n] == AND) uses[left[n] >> 1] += 1, uses[right[n] >> 1] += 1;
  for (int pass = 0; pass < 2; pass++) {
    for (long n = 1; n < nodes; n++) {
      if (uses[n] < 1) uses[n] = 1;
      if (kind[n] == AND) cuts_of(n, left, right, sets, flow, uses);
    }
    choose(nodes, kind, root, sets, best, uses);
  }
  Planned *plan = malloc(nodes * sizeof *plan);
  int32_t *level = calloc(nodes, sizeof *level);
  long count = 0, segments = 0;
  memset(flip, 0, nodes);
  for (long n = 1; n < nodes; n++) {
    if (!best[n].size) continue;
    Planned *p = &plan[count++];
    p->node = n, p->table = normal(&best[n], flip, n, p->leaf);
    for (int i = 0; i < 3; i++)
      if (level[n] <= level[p->leaf[i]]) level[n] = level[p->leaf[i]] + 1;
    p->level = level[n];
  }
  qsort(plan, count, sizeof *plan, by_level);
  counts[2] = allocate(plan, count, nodes, kind, root, slot);
  for (long k = 0; k < count; k++) {
    const Planned *p = &plan[k];
    operation[k] = (Operation){slot[p->leaf[0]], slot[p->leaf[1]], slot[p->leaf[2]], slot[p->node]};
    if (!k || p->table != plan[k - 1].table || p->level != plan[k - 1].level) {
      segment[segments][0] = p->table, segment[segments++][1] = 0;
    }
    segment[segments - 1][1]++;
  }
  counts[0] = count, counts[1] = segments;
  free(sets), free(best), free(flow), free(uses), free(plan), free(level);
}

/* ---- run ---- */

static inline V function(V a, V b, V c, const int table) {
#if defined(__AVX512F__) && WORDS == 8
  return (V)_mm512_ternarylogic_epi64((__m512i)c, (__m512i)b, (__m512i)a, table);
#else
  V zero = a ^ a, low[4];
  for (int k = 0; k < 4; k++) {
    int pair = table >> 2 * k & 3;
    low[k] = pair == 0 ? zero : pair == 1 ? ~a : pair == 2 ? a : ~zero;
  }
  V x = (b & low[1]) | (~b & low[0]), y = (b & low[3]) | (~b & low[2]);
  return (c & y) | (~c & x);
#endif
}

#define CASE(t) \
  case t: for (long i = 0; i < n; i++) values[p[i].out] = function(values[p[i].a], values[p[i].b], values[p[i].c], t); break;
#define FOUR(t) CASE(t) CASE(t + 2) CASE(t + 4) CASE(t + 6)
#define ROW(t) FOUR(t) FOUR(t + 8) FOUR(t + 16) FOUR(t + 24)

void lanes_evaluate(V *values, const Operation *p, const int32_t (*segment)[2], long segments) {
  for (long s = 0; s < segments; s++) {
    long n = segment[s][1];
    switch (segment[s][0]) { ROW(0) ROW(32) ROW(64) ROW(96) ROW(128) ROW(160) ROW(192) ROW(224) }
    p += n;
  }
}

static inline V read(const V *values, uint32_t code) {
  V value = values[code >> 1];
  return code & 1 ? ~value : value;
}

/* latch[k] takes the value of next[k] (2 * slot + inverted); room for a value a latch. */
void lanes_step(V *values, const uint32_t *latch, const uint32_t *next, long latches, V *room) {
  for (long k = 0; k < latches; k++) room[k] = read(values, next[k]);
  for (long k = 0; k < latches; k++) values[latch[k]] = room[k];
}

typedef struct {
  const Operation *operation; const int32_t (*segment)[2]; long segments;
  const uint32_t *latch, *next; long latches; V *room;
  const uint32_t *input; long inputs; /* slots that stimulus drives */
  const uint32_t *watch; long watches; /* 2 * slot + inverted */
} Program;

/* One block of lanes for some cycles. stimulus: (cycles, inputs) rows of `stride` words, of which `words` are this block's (stride 0: one
   word for all lanes). expected: (cycles, watches) of 0, 1 or 2 (anything), or null. What comes out, `keep` 0: (watches) rows, or-ed over
   cycles, of the values or of the differences from what was expected; 1: (cycles, watches) rows. Rows are `stride_out` words apart. */
void lanes_run(V *values, const Program *p, long cycles, const uint64_t *stimulus, long stride, long words, const uint8_t *expected,
         int keep, uint64_t *out, long stride_out) {
  for (long t = 0; t < cycles; t++) {
    for (long k = 0; k < p->inputs; k++) {
      const uint64_t *row = stimulus + (t * p->inputs + k) * (stride ? stride : 1);
      if (stride) memcpy(&values[p->input[k]], row, 8 * words);
      else values[p->input[k]] = (V){0} + *row;
    }
    lanes_evaluate(values, p->operation, p->segment, p->segments);
    for (long k = 0; k < p->watches; k++) {
      V seen = read(values, p->watch[k]);
      if (expected) {
        uint8_t wanted = expected[t * p->watches + k];
        if (wanted == 2) continue;
        if (wanted) seen = ~seen;
      }
      uint64_t *row = out + (keep ? t * p->watches + k : k) * stride_out;
      for (long w = 0; w < words; w++) row[w] = keep ? seen[w] : row[w] | seen[w];
    }
    lanes_step(values, p->latch, p->next, p->latches, p->room);
  }
}
