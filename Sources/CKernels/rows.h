// Softmax, cross-entropy and arg-max over rows.

/// A row's end, filled up with `fill` to a whole vector.
CK_INLINE vf load_part(const float *p, int64_t count, float fill) {
#if CK_HAS_AVX512
  return (vf)_mm512_mask_loadu_ps(_mm512_set1_ps(fill), (__mmask16)((1u << count) - 1), p);
#else
  float lanes[CK_LANES];
  for (int i = 0; i < CK_LANES; i++) lanes[i] = i < count ? p[i] : fill;
  return vload(lanes);
#endif
}
CK_INLINE void store_part(float *p, vf v, int64_t count) {
#if CK_HAS_AVX512
  _mm512_mask_storeu_ps(p, (__mmask16)((1u << count) - 1), (__m512)v);
#else
  float lanes[CK_LANES];
  vstore(lanes, v);
  memcpy(p, lanes, (size_t)count * sizeof(float));
#endif
}

CK_INLINE vf load_lanes(const float *p, int64_t count) { return count == CK_LANES ? vload(p) : load_part(p, count, 0); }
CK_INLINE void store_lanes(float *p, vf v, int64_t count) {
  if (count == CK_LANES) vstore(p, v);
  else store_part(p, v, count);
}

CK_INLINE float row_largest(const float *x, int64_t width) {
  vf largest = width >= CK_LANES ? vload(x) : load_part(x, width, -infinity_f);
  int64_t i = CK_LANES;
  for (; i + CK_LANES <= width; i += CK_LANES) largest = vmax(largest, vload(x + i));
  if (i < width) largest = vmax(largest, load_part(x + i, width - i, -infinity_f));
  return vlargest(largest);
}

/// e = exp(x − shift), stored; returns its sum. The lanes are added in one fixed order.
CK_INLINE float row_exponentials(float *e, const float *x, float shift, int64_t width) {
  vf sum = 0;
  int64_t i = 0;
  for (; i + CK_LANES <= width; i += CK_LANES) {
    const vf y = vexp(vload(x + i) - shift);
    vstore(e + i, y);
    sum += y;
  }
  if (i < width) {
    const vf y = vexp(load_part(x + i, width - i, -infinity_f) - shift);
    store_part(e + i, y, width - i);
    // A lane beyond the row is exp(−∞) = 0, or NaN where the whole row is.
    sum += y;
  }
  return vsum(sum);
}

CK_INLINE void scale_row(float *x, float factor, int64_t width) {
  int64_t i = 0;
  for (; i + CK_LANES <= width; i += CK_LANES) vstore(x + i, vload(x + i) * factor);
  if (i < width) store_part(x + i, load_part(x + i, width - i, 0) * factor, width - i);
}

/// softmax(x) into y; returns log Σ e^x.
CK_INLINE float softmax_row(float *y, const float *x, int64_t width) {
  if (width == 0) return -infinity_f;
  const float largest = row_largest(x, width);
  const float sum = row_exponentials(y, x, largest, width);
  scale_row(y, 1 / sum, width);
  return largest + logf(sum);
}

/// Rows enough for a piece.
static inline int64_t row_grain(int64_t width) { return most(1, 8192 / most(width, 1)); }

static void softmax_rows(void *context, int64_t begin, int64_t end) {
  const ck_rows *r = context;
  for (int64_t i = begin; i < end; i++) softmax_row(r->dst + i * r->width, r->src + i * r->width, r->width);
}
CK_KERNEL(ck_softmax_run) {
  const ck_rows *r = context;
  ck_parallel_for(r->rows, row_grain(r->width), softmax_rows, context);
}

static void log_softmax_rows(void *context, int64_t begin, int64_t end) {
  const ck_rows *r = context;
  for (int64_t i = begin; i < end; i++) {
    const float *x = r->src + i * r->width;
    float *y = r->dst + i * r->width;
    if (r->width == 0) continue;
    const float largest = row_largest(x, r->width);
    vf sum = 0;
    for (int64_t j = 0; j < r->width; j += CK_LANES) {
      const int64_t left = r->width - j;
      sum += vexp((left >= CK_LANES ? vload(x + j) : load_part(x + j, left, -infinity_f)) - largest);
    }
    const float shift = logf(vsum(sum));
    for (int64_t j = 0; j < r->width; j++) y[j] = (x[j] - largest) - shift;
  }
}
CK_KERNEL(ck_log_softmax_run) {
  const ck_rows *r = context;
  ck_parallel_for(r->rows, row_grain(r->width), log_softmax_rows, context);
}

static void softmax_gradient_rows(void *context, int64_t begin, int64_t end) {
  const ck_rows_gradient *r = context;
  for (int64_t i = begin; i < end; i++) {
    const float *y = r->y + i * r->width, *g = r->g + i * r->width;
    float *dst = r->dst + i * r->width;
    vf sum = 0;
    for (int64_t j = 0; j < r->width; j += CK_LANES) {
      const int64_t left = r->width - j;
      sum += left >= CK_LANES ? vload(y + j) * vload(g + j) : load_part(y + j, left, 0) * load_part(g + j, left, 0);
    }
    const float mean = vsum(sum);
    for (int64_t j = 0; j < r->width; j++) dst[j] = y[j] * (g[j] - mean);
  }
}
CK_KERNEL(ck_softmax_gradient_run) {
  const ck_rows_gradient *r = context;
  ck_parallel_for(r->rows, row_grain(r->width), softmax_gradient_rows, context);
}

static void log_softmax_gradient_rows(void *context, int64_t begin, int64_t end) {
  const ck_rows_gradient *r = context;
  for (int64_t i = begin; i < end; i++) {
    const float *y = r->y + i * r->width, *g = r->g + i * r->width;
    float *dst = r->dst + i * r->width;
    vf sum = 0;
    for (int64_t j = 0; j < r->width; j += CK_LANES) {
      const int64_t left = r->width - j;
      sum += left >= CK_LANES ? vload(g + j) : load_part(g + j, left, 0);
    }
    const float total = vsum(sum);
    int64_t j = 0;
    for (; j + CK_LANES <= r->width; j += CK_LANES) vstore(dst + j, vload(g + j) - vexp(vload(y + j)) * total);
    if (j < r->width) {
      const int64_t left = r->width - j;
      store_part(dst + j, load_part(g + j, left, 0) - vexp(load_part(y + j, left, 0)) * total, left);
    }
  }
}
CK_KERNEL(ck_log_softmax_gradient_run) {
  const ck_rows_gradient *r = context;
  ck_parallel_for(r->rows, row_grain(r->width), log_softmax_gradient_rows, context);
}

static void crossentropy_rows(void *context, int64_t begin, int64_t end) {
  const ck_sparse_crossentropy *r = context;
  for (int64_t i = begin; i < end; i++) {
    const float *x = r->logits + i * r->width;
    float *y = r->probabilities + i * r->width;
    const int64_t label = index_at(r->labels, r->label_dtype, i);
    if (label < 0 || label >= r->width) {
      r->loss[i] = nan_f;
      for (int64_t j = 0; j < r->width; j++) y[j] = nan_f;
    } else {
      const float chosen = x[label];  // before y is written: it may be x
      r->loss[i] = softmax_row(y, x, r->width) - chosen;
    }
  }
}
CK_KERNEL(ck_sparse_crossentropy_run) {
  const ck_sparse_crossentropy *r = context;
  ck_parallel_for(r->rows, row_grain(r->width), crossentropy_rows, context);
}

static void crossentropy_gradient_rows(void *context, int64_t begin, int64_t end) {
  const ck_sparse_crossentropy_gradient *r = context;
  for (int64_t i = begin; i < end; i++) {
    const float *y = r->probabilities + i * r->width;
    float *dst = r->dst + i * r->width;
    const float g = r->g[i * r->g_stride];
    const int64_t label = index_at(r->labels, r->label_dtype, i);
    int64_t j = 0;
    for (; j + CK_LANES <= r->width; j += CK_LANES) vstore(dst + j, vload(y + j) * g);
    if (j < r->width) store_part(dst + j, load_part(y + j, r->width - j, 0) * g, r->width - j);
    if (label >= 0 && label < r->width) dst[label] = (y[label] - 1) * g;
  }
}
CK_KERNEL(ck_sparse_crossentropy_gradient_run) {
  const ck_sparse_crossentropy_gradient *r = context;
  ck_parallel_for(r->rows, row_grain(r->width), crossentropy_gradient_rows, context);
}

static inline bool beats(float a, float best, bool smallest) {
  return best == best && (a != a || (smallest ? a < best : a > best));
}

/// The position of the first `largest` of a row, or of its first NaN.
CK_INLINE int32_t position_of(const float *x, float largest, int64_t width) {
  const bool wants_nan = largest != largest;
  int64_t i = 0;
#if CK_HAS_AVX512
  const __m512 wanted = _mm512_set1_ps(largest);
  for (; i < width; i += CK_LANES) {
    const __m512 v = (__m512)(width - i >= CK_LANES ? vload(x + i) : load_part(x + i, width - i, 0));
    const __mmask16 inside = width - i >= CK_LANES ? 0xffff : (__mmask16)((1u << (width - i)) - 1);
    const __mmask16 found = inside & (wants_nan ? _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q)
                                                : _mm512_cmp_ps_mask(v, wanted, _CMP_EQ_OQ));
    if (found) return (int32_t)(i + __builtin_ctz(found));
  }
#endif
  for (; i < width; i++) {
    if (wants_nan ? x[i] != x[i] : x[i] == largest) return (int32_t)i;
  }
  return 0;
}

static void arg_max_rows(void *context, int64_t begin, int64_t end) {
  const ck_arg_extreme *r = context;
  for (int64_t i = begin; i < end; i++) {
    const float *x = r->src + i * r->n;
    r->dst[i] = position_of(x, row_largest(x, r->n), r->n);
  }
}

static void arg_extreme_outer(void *context, int64_t begin, int64_t end) {
  const ck_arg_extreme *r = context;
  for (int64_t o = begin; o < end; o++) {
    const float *x = r->src + o * r->n * r->inner;
    int32_t *dst = r->dst + o * r->inner;
    for (int64_t k = 0; k < r->inner; k++) dst[k] = 0;
    for (int64_t j = 1; j < r->n; j++) {
      for (int64_t k = 0; k < r->inner; k++) {
        if (beats(x[j * r->inner + k], x[dst[k] * r->inner + k], r->smallest)) dst[k] = (int32_t)j;
      }
    }
  }
}
CK_KERNEL(ck_arg_extreme_run) {
  const ck_arg_extreme *r = context;
  const bool is_row_maximum = r->inner == 1 && !r->smallest && r->n > 0;
  ck_parallel_for(
    r->outer, row_grain(r->n * r->inner), is_row_maximum ? arg_max_rows : arg_extreme_outer, context);
}
