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

static void gather_rows(void *context, int64_t begin, int64_t end) {
  const ck_gather *g = context;
  const int64_t dst_size = g->row * size_of(g->dst_dtype), src_size = g->row * size_of(g->src_dtype);
  const bool scaled = g->dst_dtype == CK_F32 && (g->scale != 1 || g->shift != 0);
  for (int64_t i = begin; i < end; i++) {
    // Rows lie anywhere: ask for one a few turns ahead.
    if (i + 4 < end) {
      const int64_t ahead = index_at(g->index, g->index_dtype, i + 4);
      if (ahead >= 0 && ahead < g->src_rows) {
        const char *p = (const char *)g->src + ahead * src_size;
        for (int64_t byte = 0; byte < least(src_size, 4096); byte += 64) __builtin_prefetch(p + byte);
      }
    }
    const int64_t row = index_at(g->index, g->index_dtype, i);
    char *dst = (char *)g->dst + i * dst_size;
    if (row < 0 || row >= g->src_rows) {
      memset(dst, 0, (size_t)dst_size);
      if (g->failed) *g->failed = i;
      continue;
    }
    const char *src = (const char *)g->src + row * src_size;
    if (g->dst_dtype == CK_F32 && g->src_dtype == CK_U8) {
      scale_bytes((float *)dst, (const uint8_t *)src, g->scale, g->shift, g->row);
      continue;
    }
    if (g->dst_dtype == g->src_dtype) memcpy(dst, src, (size_t)dst_size);
    else convert_run(dst, g->dst_dtype, 1, src, g->src_dtype, 1, g->row);
    if (scaled) scale_floats((float *)dst, g->scale, g->shift, g->row);
  }
}

CK_KERNEL(ck_gather_run) {
  const ck_gather *g = context;
  ck_parallel_for(g->count, most(1, 16384 / most(g->row, 1)), gather_rows, context);
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

CK_KERNEL(ck_scatter_add_run) {
  const ck_scatter_add *s = context;
  const int64_t touched = s->count + (s->zero ? s->dst_rows : 0);
  // Columns of a cache line at least, and work enough for a piece.
  const int64_t grain = most(16, ceil_div(16384, most(touched, 1)));
  ck_parallel_for(s->row, grain, scatter_columns, context);
}
