/* One more token through the whole network: what decoding.py does with torch, in one call.

   Each thread has its share of the rows of every matrix, and waits for the others where it needs theirs. A row is
   always summed by one thread in the same order, so that the number of threads changes no result.

   Names: B batch, C width, H heads, K key-value heads, D numbers per head, S tokens in view. */

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#ifdef _OPENMP
#include <omp.h>
#endif

enum { FLOAT32, BF16, INT8 };

typedef struct {
    const void *weights; /* FLOAT32: (rows, columns). Else panels of 64 rows: (rows / 64, columns, 64) */
    const float *scales; /* (rows), of int8: what 1 stands for in each row */
    const float *bias;   /* (rows), or none */
    int64_t kind, rows, columns;
} Matrix;

typedef struct {
    const float *scale, *shift; /* no shift: divided by the root mean square, else LayerNorm */
} Norm;

typedef struct {
    Norm norm_1, norm_2, q_norm, k_norm; /* the latter two without scale: heads are not normed */
    Matrix qkv, out, gate, up, down; /* gate only where the network is gated */
} Block;

typedef struct {
    int64_t n_layer, n_embd, n_head, n_kv_head, head_size, n_inner, gated;
    float epsilon;
    const float *token_embedding;
    const float *position_embedding; /* or none: then heads are turned */
    const float *cos, *sin;          /* (positions, D) */
    const Block *blocks;
    Norm final_norm;
    Matrix head;
} Network;

typedef struct {
    float *buffer; /* (n_layer, 2, B, K, capacity, D) */
    int64_t batch, capacity, length;
} Cache;

/* exp, which compilers can do several at a time: 2^n by its bits, the rest by a polynomial; exact to 2e-7. */
static inline float exponential(float x) {
    x = x < -87.0f ? -87.0f : x > 88.0f ? 88.0f : x; /* what is no number stays none */
    float n = floorf(x * 1.44269504f + 0.5f);
    float r = x - n * 0.693359375f + n * 2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    union { int32_t i; float f; } power = {((int32_t)n + 127) << 23};
    return p * power.f;
}

static inline float bf16_value(uint16_t bits) {
    union { uint32_t i; float f; } value = {(uint32_t)bits << 16};
    return value.f;
}

enum { PANEL = 64, AHEAD = 4096 };

/* What `n` weights of PANEL rows, column after column, make of x: sums. They come from memory faster if they are asked for
   AHEAD bytes before their turn, and four columns at once keep the sums from waiting for themselves. */
#define PANEL_SUMS(NAME, TYPE, VALUE)                                                                                  \
    static void NAME(const TYPE *restrict w, int64_t n, const float *restrict x, float *restrict sums) {               \
        for (int r = 0; r < PANEL; r++) sums[r] = 0;                                                                   \
        int64_t i = 0;                                                                                                 \
        for (; i + 4 <= n; i += 4, w += 4 * PANEL) {                                                                   \
            float a = x[i], b = x[i + 1], c = x[i + 2], d = x[i + 3];                                                  \
            for (int at = 0; at < 4 * PANEL * (int)sizeof(TYPE); at += 64)                                             \
                __builtin_prefetch((const char *)w + AHEAD + at);                                                      \
            _Pragma("omp simd") for (int r = 0; r < PANEL; r++) sums[r] +=                                             \
                (VALUE(w[r]) * a + VALUE(w[PANEL + r]) * b) +                                                          \
                (VALUE(w[2 * PANEL + r]) * c + VALUE(w[3 * PANEL + r]) * d);                                           \
        }                                                                                                              \
        for (; i < n; i++, w += PANEL)                                                                                 \
            for (int r = 0; r < PANEL; r++) sums[r] += VALUE(w[r]) * x[i];                                             \
    }

PANEL_SUMS(panel_bf16, uint16_t, bf16_value)
PANEL_SUMS(panel_int8, int8_t, (float))

/* Of (rows, n) weights, row after row, those from `first` until `last`, times x: sums[row - first]. Four rows at once,
   for the same reason. */
static void row_sums(const float *weights, int64_t first, int64_t last, int64_t n, const float *x, float *sums) {
    int64_t row = first;
    const float *w = weights + first * n;
    for (; row + 4 <= last; row += 4, w += 4 * n, sums += 4) {
        const float *w1 = w + n, *w2 = w1 + n, *w3 = w2 + n;
        float a = 0, b = 0, c = 0, d = 0;
#pragma omp simd reduction(+ : a, b, c, d)
        for (int64_t i = 0; i < n; i++) {
            a += w[i] * x[i];
            b += w1[i] * x[i];
            c += w2[i] * x[i];
            d += w3[i] * x[i];
        }
        sums[0] = a, sums[1] = b, sums[2] = c, sums[3] = d;
    }
    for (; row < last; row++, w += n) {
        float a = 0;
#pragma omp simd reduction(+ : a)
        for (int64_t i = 0; i < n; i++) a += w[i] * x[i];
        *sums++ = a;
    }
}

/* Rows of y (B, rows) = weights x (B, columns) + bias, or added to what y holds. A panel at a time for all of the batch,
   so that weights are read from memory once. */
static void multiply(const Matrix *m, int64_t first, int64_t last, const float *x, int64_t batch, float *y, int adds) {
    float sums[PANEL];
    for (int64_t row = first; row < last; row += PANEL) {
        int64_t end = row + PANEL < last ? row + PANEL : last;
        for (int64_t b = 0; b < batch; b++) {
            const float *from = x + b * m->columns;
            if (m->kind == FLOAT32) row_sums(m->weights, row, end, m->columns, from, sums);
            else if (m->kind == BF16) panel_bf16((const uint16_t *)m->weights + row * m->columns, m->columns, from, sums);
            else panel_int8((const int8_t *)m->weights + row * m->columns, m->columns, from, sums);
            float *to = y + b * m->rows;
            for (int64_t r = row; r < end; r++) {
                float value = sums[r - row] * (m->scales ? m->scales[r] : 1.0f) + (m->bias ? m->bias[r] : 0.0f);
                to[r] = adds ? to[r] + value : value;
            }
        }
    }
}

/* `n` numbers, normed; y may be x. */
static void norm(const Norm *norm, float epsilon, const float *x, int64_t n, float *y) {
    float mean = 0, square = 0;
    if (norm->shift) {
#pragma omp simd reduction(+ : mean)
        for (int64_t i = 0; i < n; i++) mean += x[i];
        mean /= n;
    }
#pragma omp simd reduction(+ : square)
    for (int64_t i = 0; i < n; i++) square += (x[i] - mean) * (x[i] - mean);
    float factor = 1.0f / sqrtf(square / n + epsilon);
    for (int64_t i = 0; i < n; i++) y[i] = (x[i] - mean) * factor * norm->scale[i] + (norm->shift ? norm->shift[i] : 0);
}

/* Each pair of numbers of a head by its position's angle, halves concatenated. */
static void turn(float *x, const float *cos, const float *sin, int64_t n) {
    for (int64_t i = 0, half = n / 2; i < half; i++) {
        float first = x[i], second = x[i + half];
        x[i] = first * cos[i] - second * sin[i];
        x[i + half] = second * cos[i + half] + first * sin[i + half];
    }
}

/* What one query (D) sees: `scores` is room for S numbers. */
static void attend(const float *q, const float *keys, const float *values, int64_t seen, int64_t size, float *scores,
                   float *mixed) {
    float scale = 1.0f / sqrtf((float)size), largest = -INFINITY, total = 0;
    row_sums(keys, 0, seen, size, q, scores);
#pragma omp simd reduction(max : largest)
    for (int64_t s = 0; s < seen; s++) largest = scores[s] > largest ? scores[s] : largest;
#pragma omp simd reduction(+ : total)
    for (int64_t s = 0; s < seen; s++) {
        scores[s] = exponential((scores[s] - largest) * scale);
        total += scores[s];
    }
    memset(mixed, 0, size * sizeof(float));
    int64_t s = 0;
    for (; s + 4 <= seen; s += 4) {
        const float *v = values + s * size, *p = scores + s;
#pragma omp simd
        for (int64_t i = 0; i < size; i++)
            mixed[i] += (p[0] * v[i] + p[1] * v[size + i]) + (p[2] * v[2 * size + i] + p[3] * v[3 * size + i]);
    }
    for (; s < seen; s++)
        for (int64_t i = 0; i < size; i++) mixed[i] += scores[s] * values[s * size + i];
    for (int64_t i = 0; i < size; i++) mixed[i] /= total;
}

/* Key-value head `k` of a text, and the query heads that look through it: normed, turned, kept, attended. */
static void group(const Network *net, const Block *block, float *heads, int64_t k, int64_t place, float *keys,
                  float *values, float *scores, float *mixed) {
    int64_t size = net->head_size, each = net->n_head / net->n_kv_head;
    const float *cos = net->cos + place * size, *sin = net->sin + place * size;
    float *key = heads + (net->n_head + k) * size;
    if (block->k_norm.scale) norm(&block->k_norm, net->epsilon, key, size, key);
    if (!net->position_embedding) turn(key, cos, sin, size);
    memcpy(keys + place * size, key, size * sizeof(float));
    memcpy(values + place * size, heads + (net->n_head + net->n_kv_head + k) * size, size * sizeof(float));
    for (int64_t h = k * each; h < (k + 1) * each; h++) {
        float *q = heads + h * size;
        if (block->q_norm.scale) norm(&block->q_norm, net->epsilon, q, size, q);
        if (!net->position_embedding) turn(q, cos, sin, size);
        attend(q, keys, values, place + 1, size, scores, mixed + h * size);
    }
}

/* Units of the MLP from `first` until `last`: GELU of what `up` gave, or SiLU of the gates times it. */
static void activate(float *hidden, const float *gates, int64_t first, int64_t last) {
    if (gates) {
#pragma omp simd
        for (int64_t i = first; i < last; i++) hidden[i] *= gates[i] / (1.0f + exponential(-gates[i]));
    } else {
#pragma omp simd
        for (int64_t i = first; i < last; i++) {
            float x = hidden[i], inner = 0.7978845608f * (x + 0.044715f * x * x * x);
            hidden[i] = x - x / (1.0f + exponential(2.0f * inner)); /* x (1 + tanh(inner)) / 2 */
        }
    }
}

/* Where the share of a thread begins: in whole panels, or groups of four rows. */
static int64_t begin(const Matrix *m, int64_t thread, int64_t threads) {
    int64_t together = m->kind == FLOAT32 ? 4 : PANEL, groups = (m->rows + together - 1) / together;
    int64_t at = groups * thread / threads * together;
    return at < m->rows ? at : m->rows;
}

static inline void wait_for_all(void) {
#pragma omp barrier
}

/* Logits (B, vocabulary) of the token after `ids` (B), which follow the `length` tokens that the cache holds. Returns
   0, or 1 where there is no memory. */
int next_logits(const Network *net, const int64_t *ids, const Cache *cache, int64_t threads, float *logits) {
    int64_t batch = cache->batch, width = net->n_embd, size = net->head_size, place = cache->length;
    int64_t n_heads = net->n_head + 2 * net->n_kv_head, mixes = net->n_head * size, inner = net->n_inner;
    int64_t shared = width + n_heads * size + mixes + 2 * inner, own = width + (place + 1 + batch) / batch;
    float *room = malloc(batch * (shared + threads * own) * sizeof(float));
    if (!room) return 1;
    float *x = room, *heads = x + batch * width, *mixed = heads + batch * n_heads * size;
    float *hidden = mixed + batch * mixes, *gates = hidden + batch * inner, *own_rooms = gates + batch * inner;
    for (int64_t b = 0; b < batch; b++)
        for (int64_t i = 0; i < width; i++)
            x[b * width + i] = net->token_embedding[ids[b] * width + i] +
                               (net->position_embedding ? net->position_embedding[place * width + i] : 0.0f);
    int64_t per_head = cache->capacity * size, per_kind = batch * net->n_kv_head * per_head;
#pragma omp parallel num_threads(threads)
    {
        int64_t me = 0, all = 1;
#ifdef _OPENMP
        me = omp_get_thread_num(), all = omp_get_num_threads();
#endif
        float *normed = own_rooms + me * batch * own, *scores = normed + batch * width;
#define ROWS(M) M, begin(M, me, all), begin(M, me + 1, all)
        for (int64_t layer = 0; layer < net->n_layer; layer++) {
            const Block *block = net->blocks + layer;
            for (int64_t b = 0; b < batch; b++)
                norm(&block->norm_1, net->epsilon, x + b * width, width, normed + b * width);
            multiply(ROWS(&block->qkv), normed, batch, heads, 0);
            wait_for_all();
            int64_t groups = batch * net->n_kv_head;
            for (int64_t g = groups * me / all; g < groups * (me + 1) / all; g++) {
                int64_t b = g / net->n_kv_head, k = g % net->n_kv_head;
                float *keys = cache->buffer + 2 * layer * per_kind + g * per_head;
                group(net, block, heads + b * n_heads * size, k, place, keys, keys + per_kind, scores,
                      mixed + b * mixes);
            }
            wait_for_all();
            multiply(ROWS(&block->out), mixed, batch, x, 1);
            wait_for_all();
            for (int64_t b = 0; b < batch; b++)
                norm(&block->norm_2, net->epsilon, x + b * width, width, normed + b * width);
            multiply(ROWS(&block->up), normed, batch, hidden, 0);
            if (net->gated) multiply(ROWS(&block->gate), normed, batch, gates, 0);
            for (int64_t b = 0; b < batch; b++)
                activate(hidden + b * inner, net->gated ? gates + b * inner : NULL, begin(&block->up, me, all),
                         begin(&block->up, me + 1, all));
            wait_for_all();
            multiply(ROWS(&block->down), hidden, batch, x, 1);
            wait_for_all();
        }
        for (int64_t b = 0; b < batch; b++)
            norm(&net->final_norm, net->epsilon, x + b * width, width, normed + b * width);
        multiply(ROWS(&net->head), normed, batch, logits, 0);
    }
    free(room);
    return 0;
}
