// Attention: softmax(scale · q · kᵀ) · v, tile by tile, so that the matrix of scores is never in memory.
//
// A tile is 64 queries by 64 keys and stays in the first-level cache. Forward, each row carries its largest score and the
// sum of its exponentials from tile to tile (Milakov and Gimelshein, 2018) and what it has added up is scaled down when a
// larger score comes; what is kept for the backward pass is the logarithm of that sum. Backward, a tile's weights are
// computed again from it (Dao et al., 2022). Products are the tiles of matmul.h, read where their operands lie:
// [batch, time, heads, dim] needs no transposition but that of one tile of keys.
//
// Columns after a row's own in causal attention are neither computed nor read.

#define CK_SCORES 64
/// Columns of an operand that are taken together.
#define CK_ATTENTION_COLUMNS 64

typedef struct {
  _Alignas(64) float weights[CK_SCORES * CK_SCORES];
  _Alignas(64) float slopes[CK_SCORES * CK_SCORES];
  /// What is transposed, or filled up to whole vectors.
  _Alignas(64) float packed[CK_SCORES * CK_ATTENTION_COLUMNS];
  float largest[CK_SCORES], sums[CK_SCORES], shifts[CK_SCORES];
} attention_memory;

/// A tile of scores: which queries, which keys, and how many of these a row sees.
typedef struct {
  int64_t query, key, rows, keys;
  bool causal;
} score_tile;

/// Keys of the tile that its row sees, masks aside.
CK_INLINE int64_t visible_keys(const score_tile *t, int64_t row) {
  return t->causal ? most(0, least(t->keys, t->query + row + 1 - t->key)) : t->keys;
}

/// The first of the tile's rows that sees its key.
CK_INLINE int64_t first_seeing(const score_tile *t, int64_t key) {
  return t->causal ? most(0, t->key + key - t->query) : 0;
}

/// dst[column][row] = src[row][column], rows of dst CK_SCORES apart.
CK_KEEP void transpose_keys(float *dst, const float *src, int64_t src_step, int64_t rows, int64_t columns) {
  int64_t row = 0;
#if CK_HAS_AVX512
  for (; row + 16 <= rows; row += 16) {
    int64_t column = 0;
    for (; column + 16 <= columns; column += 16) {
      transpose_16(dst + column * CK_SCORES + row, CK_SCORES, src + row * src_step + column, src_step, 16);
    }
    for (; column < columns; column++) {
      for (int64_t i = row; i < row + 16; i++) dst[column * CK_SCORES + i] = src[i * src_step + column];
    }
  }
#endif
  for (; row < rows; row++) {
    for (int64_t column = 0; column < columns; column++) dst[column * CK_SCORES + row] = src[row * src_step + column];
  }
}

/// scores [rows, keys] = x · yᵀ over `dim` elements of rows that lie x_step and y_step apart.
static void multiply_scores(
  float *scores, attention_memory *memory, const score_tile *t, const float *x, int64_t x_step, const float *y,
  int64_t y_step, int64_t dim) {
  for (int64_t first = 0; first < dim; first += CK_ATTENTION_COLUMNS) {
    const int64_t width = least(CK_ATTENTION_COLUMNS, dim - first);
    transpose_keys(memory->packed, y + first, y_step, t->keys, width);
    const int64_t height = tile_height(t->rows, true);
    for (int64_t row = 0; row < t->rows; row += height) {
      const int64_t rows = least(height, t->rows - row), seen = visible_keys(t, row + rows - 1);
      tile_job job = {.a = {x + row * x_step + first, x_step, true}, .b_step = CK_SCORES, .c_step = CK_SCORES,
        .k = width, .adds = first > 0};
      for (int64_t column = 0; column < seen; column += CK_TILE_COLUMNS) {
        job.b = memory->packed + column;
        job.c = scores + row * CK_SCORES + column;
        job.columns = least(CK_TILE_COLUMNS, t->keys - column);
        run_tile(&job, rows);
      }
    }
  }
}

/// out [rows, dim] = or += weights · x, or of the weights' transpose: rows of `out` and of `x` lie a step apart.
static void multiply_weights(
  float *out, int64_t out_step, attention_memory *memory, const score_tile *t, const float *weights, bool transposed,
  const float *x, int64_t x_step, int64_t dim, bool adds) {
  const int64_t count = transposed ? t->keys : t->rows, inner = transposed ? t->rows : t->keys;
  for (int64_t first = 0; first < dim; first += CK_ATTENTION_COLUMNS) {
    const int64_t width = least(CK_ATTENTION_COLUMNS, dim - first);
    const float *b = x + first;
    int64_t b_step = x_step;
    if (dim % CK_LANES != 0) {
      // Tiles read whole vectors.
      for (int64_t i = 0; i < inner; i++) {
        float *row = memory->packed + i * CK_ATTENTION_COLUMNS;
        memcpy(row, x + i * x_step + first, (size_t)width * sizeof(float));
        memset(row + width, 0, (size_t)(CK_ATTENTION_COLUMNS - width) * sizeof(float));
      }
      b = memory->packed;
      b_step = CK_ATTENTION_COLUMNS;
    }
    const int64_t height = tile_height(count, !transposed);
    for (int64_t row = 0; row < count; row += height) {
      const int64_t rows = least(height, count - row);
      const int64_t begin = transposed ? first_seeing(t, row) : 0;
      const int64_t end = transposed ? inner : visible_keys(t, row + rows - 1);
      if (begin >= end && adds) continue;
      const float *a = transposed ? weights + row + begin * CK_SCORES : weights + row * CK_SCORES;
      tile_job job = {.a = {a, CK_SCORES, !transposed}, .b_step = b_step, .c_step = out_step,
        .k = most(0, end - begin), .adds = adds};
      for (int64_t column = 0; column < width; column += CK_TILE_COLUMNS) {
        job.b = b + begin * b_step + column;
        job.c = out + row * out_step + first + column;
        job.columns = least(CK_TILE_COLUMNS, width - column);
        run_tile(&job, rows);
      }
    }
  }
}

// MARK: Masks

/// Where the mask of a query begins.
CK_INLINE const uint8_t *mask_row(const ck_attention *p, int64_t batch, int64_t head, int64_t query) {
  return p->mask + batch * p->mask_steps[0] + head * p->mask_steps[1] + query * p->mask_steps[2];
}

/// scores · scale, −∞ where the mask hides a key.
CK_INLINE void scale_scores(float *x, const ck_attention *p, const uint8_t *mask, int64_t key, int64_t count) {
  scale_row(x, p->scale, count);
  if (!mask) return;
  const int64_t step = p->mask_steps[3];
  for (int64_t j = 0; j < count; j++) {
    if (!mask[(key + j) * step]) x[j] = -infinity_f;
  }
}

/// Whether a query sees no key at all.
CK_INLINE bool sees_nothing(const ck_attention *p, int64_t batch, int64_t head, int64_t query) {
  if (!p->mask) return false;
  const uint8_t *mask = mask_row(p, batch, head, query);
  const int64_t count = p->causal ? least(p->keys, query + 1) : p->keys, step = p->mask_steps[3];
  for (int64_t j = 0; j < count; j++) {
    if (mask[j * step]) return false;
  }
  return true;
}

// MARK: Forward

/// A tile's scores to weights: exp(score − the largest so far). `out` is what the row has added up.
CK_INLINE void weigh_row(
  attention_memory *memory, int64_t row, float *x, int64_t seen, int64_t keys, float *out, int64_t dim) {
  const float before = memory->largest[row];
  const float largest = seen > 0 ? row_largest(x, seen) : -infinity_f;
  if (largest == -infinity_f) {
    memset(x, 0, (size_t)keys * sizeof(float));
    return;
  }
  const float now = largest > before || largest != largest ? largest : before;
  float sum = row_exponentials(x, x, now, seen);
  memset(x + seen, 0, (size_t)(keys - seen) * sizeof(float));
  if (before != -infinity_f && now != before) {
    const float factor = expf(before - now);
    scale_row(out, factor, dim);
    sum += memory->sums[row] * factor;
  } else {
    sum += memory->sums[row];
  }
  memory->largest[row] = now;
  memory->sums[row] = sum;
}

/// The row's weights made to add up to 1, and the logarithm of their sum; for a query that sees nothing the mean of all
/// values, or 0.
static void finish_row(const ck_attention *p, float *out, float *logarithm, const float *v, float largest, float sum) {
  if (sum != 0) {
    scale_row(out, 1 / sum, p->value_dim);
    *logarithm = largest + logf(sum);
    return;
  }
  memset(out, 0, (size_t)p->value_dim * sizeof(float));
  *logarithm = 0;
  if (p->hides_rows) return;
  for (int64_t key = 0; key < p->keys; key++) {
    for (int64_t i = 0; i < p->value_dim; i++) out[i] += v[key * p->groups * p->value_dim + i];
  }
  scale_row(out, 1 / (float)p->keys, p->value_dim);
}

/// The unit's place: heads of one sample, each in blocks of queries.
static void attend(void *context, int64_t begin, int64_t end) {
  const ck_attention *p = context;
  attention_memory memory;
  const int64_t blocks = ceil_div(p->queries, CK_SCORES);
  const int64_t q_step = p->heads * p->dim, k_step = p->groups * p->dim;
  const int64_t v_step = p->groups * p->value_dim, out_step = p->heads * p->value_dim;
  for (int64_t unit = begin; unit < end; unit++) {
    const int64_t query = unit % blocks * CK_SCORES, head = unit / blocks % p->heads;
    const int64_t batch = unit / blocks / p->heads, group = head / (p->heads / p->groups);
    const float *q = p->q + (batch * p->queries + query) * q_step + head * p->dim;
    const float *k = p->k + batch * p->keys * k_step + group * p->dim;
    const float *v = p->v + batch * p->keys * v_step + group * p->value_dim;
    float *out = p->out + (batch * p->queries + query) * out_step + head * p->value_dim;
    score_tile t = {.query = query, .rows = least(CK_SCORES, p->queries - query), .causal = p->causal};
    for (int64_t row = 0; row < t.rows; row++) {
      memory.largest[row] = -infinity_f;
      memory.sums[row] = 0;
    }
    const int64_t last = p->causal ? least(p->keys, query + t.rows) : p->keys;
    for (t.key = 0; t.key < last; t.key += CK_SCORES) {
      t.keys = least(CK_SCORES, p->keys - t.key);
      multiply_scores(memory.weights, &memory, &t, q, q_step, k + t.key * k_step, k_step, p->dim);
      for (int64_t row = 0; row < t.rows; row++) {
        float *x = memory.weights + row * CK_SCORES;
        const int64_t seen = visible_keys(&t, row);
        scale_scores(x, p, p->mask ? mask_row(p, batch, head, query + row) : NULL, t.key, seen);
        weigh_row(&memory, row, x, seen, t.keys, out + row * out_step, p->value_dim);
      }
      multiply_weights(
        out, out_step, &memory, &t, memory.weights, false, v + t.key * v_step, v_step, p->value_dim, t.key > 0);
    }
    for (int64_t row = 0; row < t.rows; row++) {
      float *logarithm = p->logarithms + (batch * p->heads + head) * p->queries + query + row;
      finish_row(p, out + row * out_step, logarithm, v, memory.largest[row], memory.sums[row]);
    }
  }
}

CK_KERNEL(ck_attention_run) {
  const ck_attention *p = context;
  const int64_t units = p->batch * p->heads * ceil_div(p->queries, CK_SCORES);
  ck_parallel_for(units, 1, attend, context);
}

// MARK: Backward

CK_INLINE float row_product(const float *x, const float *y, int64_t width) {
  vf sum = 0;
  int64_t i = 0;
  for (; i + CK_LANES <= width; i += CK_LANES) sum = vmuladd(vload(x + i), vload(y + i), sum);
  if (i < width) sum = vmuladd(load_part(x + i, width - i, 0), load_part(y + i, width - i, 0), sum);
  return vsum(sum);
}

/// weights = exp(scores − logarithm), slopes = weights · (slopes − shift) · scale.
CK_INLINE void slope_row(float *weights, float *slopes, float logarithm, float shift, float scale, int64_t seen) {
  for (int64_t j = 0; j < seen; j += CK_LANES) {
    const vf w = vexp(vload(weights + j) - logarithm);
    vstore(weights + j, w);
    vstore(slopes + j, w * (vload(slopes + j) - shift) * scale);
  }
}

/// What one query that sees nothing gives to the values: the same to all.
static void spread_gradient(const ck_attention *p, float *dv, const float *g) {
  if (p->hides_rows) return;
  for (int64_t key = 0; key < p->keys; key++) {
    for (int64_t i = 0; i < p->value_dim; i++) dv[key * p->groups * p->value_dim + i] += g[i] / (float)p->keys;
  }
}

typedef struct {
  const float *q, *k, *v, *g;
  float *dq, *dk, *dv;
  int64_t batch, head;
} attention_place;

/// The gradients that come from one tile.
static void differentiate_tile(
  const ck_attention_gradient *r, attention_memory *memory, const score_tile *t, const attention_place *at) {
  const ck_attention *p = &r->forward;
  const int64_t q_step = p->heads * p->dim, k_step = p->groups * p->dim;
  const int64_t v_step = p->groups * p->value_dim, out_step = p->heads * p->value_dim;
  const float *k = at->k + t->key * k_step, *v = at->v + t->key * v_step;
  multiply_scores(memory->weights, memory, t, at->q, q_step, k, k_step, p->dim);
  multiply_scores(memory->slopes, memory, t, at->g, out_step, v, v_step, p->value_dim);
  const float *logarithms = p->logarithms + (at->batch * p->heads + at->head) * p->queries + t->query;
  for (int64_t row = 0; row < t->rows; row++) {
    float *x = memory->weights + row * CK_SCORES, *slopes = memory->slopes + row * CK_SCORES;
    const int64_t seen = visible_keys(t, row);
    const uint8_t *mask = p->mask ? mask_row(p, at->batch, at->head, t->query + row) : NULL;
    scale_scores(x, p, mask, t->key, seen);
    slope_row(x, slopes, logarithms[row], memory->shifts[row], p->scale, seen);
    memset(x + seen, 0, (size_t)(t->keys - seen) * sizeof(float));
    memset(slopes + seen, 0, (size_t)(t->keys - seen) * sizeof(float));
  }
  multiply_weights(
    at->dv + t->key * v_step, v_step, memory, t, memory->weights, true, at->g, out_step, p->value_dim, true);
  multiply_weights(at->dk + t->key * k_step, k_step, memory, t, memory->slopes, true, at->q, q_step, p->dim, true);
  multiply_weights(at->dq, q_step, memory, t, memory->slopes, false, k, k_step, p->dim, t->key > 0);
}

/// Units are the heads of keys and values: each adds up its own gradients, in one order.
static void differentiate_attention(void *context, int64_t begin, int64_t end) {
  const ck_attention_gradient *r = context;
  const ck_attention *p = &r->forward;
  attention_memory memory;
  const int64_t q_step = p->heads * p->dim, k_step = p->groups * p->dim, ratio = p->heads / p->groups;
  const int64_t v_step = p->groups * p->value_dim, out_step = p->heads * p->value_dim;
  for (int64_t unit = begin; unit < end; unit++) {
    attention_place at = {.batch = unit / p->groups};
    const int64_t group = unit % p->groups;
    const int64_t k_place = at.batch * p->keys * k_step + group * p->dim;
    const int64_t v_place = at.batch * p->keys * v_step + group * p->value_dim;
    at.k = p->k + k_place;
    at.v = p->v + v_place;
    at.dk = r->dk + k_place;
    at.dv = r->dv + v_place;
    for (int64_t key = 0; key < p->keys; key++) {
      memset(at.dk + key * k_step, 0, (size_t)p->dim * sizeof(float));
      memset(at.dv + key * v_step, 0, (size_t)p->value_dim * sizeof(float));
    }
    for (at.head = group * ratio; at.head < (group + 1) * ratio; at.head++) {
      for (int64_t query = 0; query < p->queries; query += CK_SCORES) {
        score_tile t = {.query = query, .rows = least(CK_SCORES, p->queries - query), .causal = p->causal};
        const int64_t q_place = (at.batch * p->queries + query) * q_step + at.head * p->dim;
        const int64_t out_place = (at.batch * p->queries + query) * out_step + at.head * p->value_dim;
        at.q = p->q + q_place;
        at.dq = r->dq + q_place;
        at.g = r->g + out_place;
        const int64_t row_place = (at.batch * p->heads + at.head) * p->queries + query;
        for (int64_t row = 0; row < t.rows; row++) {
          const float *g = at.g + row * out_step;
          memory.shifts[row] = row_product(g, p->out + out_place + row * out_step, p->value_dim);
          if (r->logarithms_g) memory.shifts[row] -= r->logarithms_g[row_place + row];
          if (sees_nothing(p, at.batch, at.head, query + row)) spread_gradient(p, at.dv, g);
        }
        const int64_t last = p->causal ? least(p->keys, query + t.rows) : p->keys;
        for (t.key = 0; t.key < last; t.key += CK_SCORES) {
          t.keys = least(CK_SCORES, p->keys - t.key);
          differentiate_tile(r, &memory, &t, &at);
        }
      }
    }
  }
}

CK_KERNEL(ck_attention_gradient_run) {
  const ck_attention_gradient *r = context;
  ck_parallel_for(r->forward.batch * r->forward.groups, 1, differentiate_attention, context);
}
