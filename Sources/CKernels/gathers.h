// Rows picked by index, and rows added back.

static inline int64_t index_at(const void *index, int dtype, int64_t i) {
  switch (dtype) {
    case CK_I64: return ((const int64_t *)index)[i];
    case CK_I32: return ((const int32_t *)index)[i];
    case CK_I16: return ((const int16_t *)index)[i];
    case CK_I8: return ((const int8_t *)index)[i];
    case CK_F32: return (int64_t)((const float *)index)[i];
    default: return ((const uint8_t *)index)[i];
  }
}

/// dst = scale · bytes + shift
CK_KEEP void scale_bytes(float *restrict dst, const uint8_t *restrict src, float scale, float shift, int64_t count) {
  for (int64_t i = 0; i < count; i++) dst[i] = (float)src[i] * scale + shift;
}

CK_KEEP void scale_floats(float *values, float scale, float shift, int64_t count) {
  for (int64_t i = 0; i < count; i++) values[i] = values[i] * scale + shift;
}

typedef struct {
  const ck_gather *gather;
  int64_t rows, columns, blocks;  // of a piece; blocks of rows
} gather_job;

/// Elements `first ..< first + count` of row `row` into dst.
static void gather_part(const ck_gather *g, char *dst, int64_t row, int64_t first, int64_t count) {
  const char *src = (const char *)g->src + (row * g->row + first) * size_of(g->src_dtype);
  if (g->dst_dtype == CK_F32 && g->src_dtype == CK_U8) {
    scale_bytes((float *)dst, (const uint8_t *)src, g->scale, g->shift, count);
    return;
  }
  if (g->dst_dtype == g->src_dtype) memcpy(dst, src, (size_t)(count * size_of(g->dst_dtype)));
  else convert_run(dst, g->dst_dtype, 1, src, g->src_dtype, 1, count);
  if (g->dst_dtype == CK_F32 && (g->scale != 1 || g->shift != 0)) scale_floats((float *)dst, g->scale, g->shift, count);
}

/// Rows lie anywhere in memory: ask for one some turns before it is read.
CK_INLINE void prefetch_part(const ck_gather *g, int64_t i, int64_t first, int64_t count) {
  const int64_t row = index_at(g->index, g->index_dtype, i);
  if (row < 0 || row >= g->src_rows) return;
  const int64_t size = size_of(g->src_dtype);
  const char *p = (const char *)g->src + (row * g->row + first) * size;
  for (int64_t byte = 0; byte < least(count * size, 2048); byte += 64) __builtin_prefetch(p + byte);
}

/// *failed = the smaller of i and what is there (−1: nothing yet), whichever thread comes first.
static void note_first(int64_t *failed, int64_t i) {
  int64_t seen = __atomic_load_n(failed, __ATOMIC_RELAXED);
  while ((seen < 0 || i < seen)
         && !__atomic_compare_exchange_n(failed, &seen, i, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
  }
}

static void gather_pieces(void *context, int64_t begin, int64_t end) {
  const gather_job *job = context;
  const ck_gather *g = job->gather;
  const int64_t ahead = 8;
  for (int64_t piece = begin; piece < end; piece++) {
    const int64_t first_row = piece % job->blocks * job->rows, last_row = least(first_row + job->rows, g->count);
    const int64_t first = piece / job->blocks * job->columns, count = least(job->columns, g->row - first);
    for (int64_t i = first_row; i < least(first_row + ahead, last_row); i++) prefetch_part(g, i, first, count);
    for (int64_t i = first_row; i < last_row; i++) {
      if (i + ahead < last_row) prefetch_part(g, i + ahead, first, count);
      const int64_t row = index_at(g->index, g->index_dtype, i);
      const int64_t place = g->in_parts ? first * g->count + i * count : i * g->row + first;
      char *dst = (char *)g->dst + place * size_of(g->dst_dtype);
      if (row < 0 || row >= g->src_rows) {
        memset(dst, 0, (size_t)(count * size_of(g->dst_dtype)));
        if (g->failed) note_first(g->failed, i);
      } else {
        gather_part(g, dst, row, first, count);
      }
    }
  }
}

/// Cut along the row as the product is that reads it (see partition.h), and along the rows when there are many.
CK_KERNEL(ck_gather_run) {
  const ck_gather *g = context;
  if (g->row == 0) return;
  gather_job job = {.gather = g, .columns = ck_part_length(g->row)};
  job.rows = most(64, 16384 / most(job.columns, 1));
  job.blocks = ceil_div(g->count, job.rows);
  const int64_t pieces = job.blocks * ceil_div(g->row, job.columns);
  ck_parallel_for(pieces, g->count * g->row < 16384 ? pieces : 1, gather_pieces, &job);
}

/// A range of columns: rows may meet at the same place, columns never do.
static void scatter_columns(void *context, int64_t begin, int64_t end) {
  const ck_scatter_add *s = context;
  if (s->zero) {
    for (int64_t r = 0; r < s->dst_rows; r++) {
      memset(s->dst + r * s->row + begin, 0, (size_t)(end - begin) * sizeof(float));
    }
  }
  for (int64_t i = 0; i < s->count; i++) {
    const int64_t row = index_at(s->index, s->index_dtype, i);
    if (row < 0 || row >= s->dst_rows) continue;
    float *restrict dst = s->dst + row * s->row;
    const float *restrict src = s->src + i * s->row;
    for (int64_t c = begin; c < end; c++) dst[c] += src[c];
  }
}

/// A range of the destination's rows: each thread writes memory of its own, row after row, and looks for its rows among
/// all positions.
static void scatter_rows(void *context, int64_t begin, int64_t end) {
  const ck_scatter_add *s = context;
  memset(s->dst + begin * s->row, 0, (size_t)((end - begin) * s->row) * sizeof(float));
  for (int64_t i = 0; i < s->count; i++) {
    const int64_t row = index_at(s->index, s->index_dtype, i);
    if (row < begin || row >= end) continue;
    float *restrict dst = s->dst + row * s->row;
    const float *restrict src = s->src + i * s->row;
    for (int64_t c = 0; c < s->row; c++) dst[c] += src[c];
  }
}

CK_KERNEL(ck_scatter_add_run) {
  const ck_scatter_add *s = context;
  // A destination of many rows, such as an embedding's gradient (20,000 × 128 from 6,400 rows: 1.1 ms by columns, in
  // which every thread touches every row). Pieces of half a megabyte; a look at a position costs a nanosecond.
  const int64_t rows = most(1 << 17, s->dst_rows * s->row / 32) / most(s->row, 1);
  if (s->zero && s->row >= 32 && s->dst_rows >= 2 * rows) {
    ck_parallel_for(s->dst_rows, rows, scatter_rows, context);
    return;
  }
  const int64_t touched = s->count + (s->zero ? s->dst_rows : 0);
  // Columns of a cache line at least, and work enough for a piece.
  const int64_t grain = most(16, ceil_div(16384, most(touched, 1)));
  ck_parallel_for(s->row, grain, scatter_columns, context);
}
