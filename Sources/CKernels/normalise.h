// Layer normalisation: rows brought to mean 0 and variance 1, scaled and shifted. Each row is read from memory once; what
// further passes over it cost is the first-level cache's.

/// A row's elements from j on; beyond its end `fill`.
CK_INLINE vf row_part(const float *row, int64_t j, int64_t width, float fill) {
  return j + CK_LANES <= width ? vload(row + j) : load_part(row + j, width - j, fill);
}
CK_INLINE void store_row_part(float *row, int64_t j, int64_t width, vf v) {
  if (j + CK_LANES <= width) {
    vstore(row + j, v);
  } else {
    store_part(row + j, v, width - j);
  }
}

CK_INLINE float row_mean(const float *x, int64_t width) {
  vf a = 0, b = 0;
  int64_t j = 0;
  for (; j + 2 * CK_LANES <= width; j += 2 * CK_LANES) {
    a += vload(x + j);
    b += vload(x + j + CK_LANES);
  }
  for (; j < width; j += CK_LANES) a += row_part(x, j, width, 0);
  return vsum(a + b) / (float)width;
}

static void normalise_rows(void *context, int64_t begin, int64_t end) {
  const ck_normalise *n = context;
  const int64_t width = n->width;
  for (int64_t row = begin; row < end; row++) {
    const float *x = n->src + row * width;
    float *y = n->dst + row * width;
    const float mean = n->centred ? row_mean(x, width) : 0;
    vf squares = 0;
    for (int64_t j = 0; j < width; j += CK_LANES) {
      const vf distance = row_part(x, j, width, mean) - mean;
      squares += distance * distance;
    }
    const float inverse = 1 / sqrtf(vsum(squares) / (float)width + n->epsilon);
    for (int64_t j = 0; j < width; j += CK_LANES) {
      const vf scaled = (row_part(x, j, width, 0) - mean) * inverse;
      store_row_part(y, j, width, vmuladd(scaled, row_part(n->gamma, j, width, 0), row_part(n->beta, j, width, 0)));
    }
  }
}
CK_KERNEL(ck_normalise_run) {
  const ck_normalise *n = context;
  if (n->width > 0) ck_parallel_for(n->rows, row_grain(n->width), normalise_rows, context);
}

// Gamma's and beta's gradients are sums over all rows: in float32 over the rows of a stretch, whose results lie in `sums`
// and are added up in double.

/// So many rows at once share each load and store of the sums.
enum { rows_together = 4 };

/// What a row's gradient is made of: dx = inverse · (g·gamma − shift − (x − mean) · slope).
typedef struct {
  float mean, inverse, shift, slope;
} row_gradient;

static row_gradient measure_row(const ck_normalise_gradient *n, const float *x, const float *g) {
  const int64_t width = n->width;
  const float mean = n->centred ? row_mean(x, width) : 0;
  vf squares = 0, gradients = 0, products = 0;
  for (int64_t j = 0; j < width; j += CK_LANES) {
    const vf distance = row_part(x, j, width, mean) - mean;
    const vf gradient = row_part(g, j, width, 0) * row_part(n->gamma, j, width, 0);
    squares += distance * distance;
    gradients += gradient;
    products += gradient * distance;
  }
  const float each = 1 / (float)width, inverse = 1 / sqrtf(vsum(squares) * each + n->epsilon);
  return (row_gradient){
    .mean = mean, .inverse = inverse, .shift = n->centred ? vsum(gradients) * each : 0,
    .slope = vsum(products) * each * inverse * inverse};
}

/// `count` rows of which `first` is the first; their part of gamma's and beta's gradients is added to the sums.
CK_INLINE void differentiate_rows(
  const ck_normalise_gradient *n, int64_t first, int count, float *gamma_sums, float *beta_sums) {
  const int64_t width = n->width;
  row_gradient rows[rows_together];
  for (int r = 0; r < count; r++) rows[r] = measure_row(n, n->src + (first + r) * width, n->g + (first + r) * width);
  for (int64_t j = 0; j < width; j += CK_LANES) {
    const vf gamma = row_part(n->gamma, j, width, 0);
    vf gamma_sum = row_part(gamma_sums, j, width, 0), beta_sum = row_part(beta_sums, j, width, 0);
    for (int r = 0; r < count; r++) {
      const int64_t row = (first + r) * width;
      const vf g = row_part(n->g + row, j, width, 0), distance = row_part(n->src + row, j, width, 0) - rows[r].mean;
      gamma_sum += g * (distance * rows[r].inverse);
      beta_sum += g;
      store_row_part(
        n->dx + row, j, width, (vmuladd(g, gamma, vset(-rows[r].shift)) - distance * rows[r].slope) * rows[r].inverse);
    }
    store_row_part(gamma_sums, j, width, gamma_sum);
    store_row_part(beta_sums, j, width, beta_sum);
  }
}

static void differentiate_stretches(void *context, int64_t begin, int64_t end) {
  const ck_normalise_gradient *n = context;
  for (int64_t stretch = begin; stretch < end; stretch++) {
    float *gamma_sums = n->sums + stretch * 2 * n->width, *beta_sums = gamma_sums + n->width;
    memset(gamma_sums, 0, (size_t)(2 * n->width) * sizeof(float));
    int64_t row = stretch * CK_NORMALISE_STRETCH;
    const int64_t last = least(n->rows, row + CK_NORMALISE_STRETCH);
    for (; row + rows_together <= last; row += rows_together) {
      differentiate_rows(n, row, rows_together, gamma_sums, beta_sums);
    }
    for (; row < last; row++) differentiate_rows(n, row, 1, gamma_sums, beta_sums);
  }
}
CK_KERNEL(ck_normalise_gradient_run) {
  const ck_normalise_gradient *n = context;
  const int64_t width = n->width, stretches = ceil_div(n->rows, CK_NORMALISE_STRETCH);
  if (width == 0) return;
  const int64_t grain = most(1, 8192 / (CK_NORMALISE_STRETCH * width));
  ck_parallel_for(stretches, grain, differentiate_stretches, context);
  for (int64_t j = 0; j < width; j++) {
    double gamma_sum = 0, beta_sum = 0;
    for (int64_t s = 0; s < stretches; s++) {
      gamma_sum += n->sums[s * 2 * width + j];
      beta_sum += n->sums[s * 2 * width + width + j];
    }
    n->dgamma[j] = (float)gamma_sum;
    n->dbeta[j] = (float)beta_sum;
  }
}
