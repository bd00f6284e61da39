// Folding runs of float32 to one value, in an order that depends on their length alone.

CK_INLINE vf fold_vectors(int reduction, vf a, vf b) {
  switch (reduction) {
    case CK_SUM: return a + b;
    case CK_PRODUCT: return a * b;
    case CK_MAXIMUM: return vmax(a, b);
    default: return vmin(a, b);
  }
}
CK_INLINE float fold_floats(int reduction, float a, float b) {
  switch (reduction) {
    case CK_SUM: return a + b;
    case CK_PRODUCT: return a * b;
    case CK_MAXIMUM: return a != a ? a : (a > b ? a : b);
    default: return a != a ? a : (a < b ? a : b);
  }
}
CK_INLINE double fold_doubles(int reduction, double a, double b) {
  switch (reduction) {
    case CK_SUM: return a + b;
    case CK_PRODUCT: return a * b;
    case CK_MAXIMUM: return a != a ? a : (a > b ? a : b);
    default: return a != a ? a : (a < b ? a : b);
  }
}
static inline double identity_of(int reduction) {
  switch (reduction) {
    case CK_SUM: return 0;
    case CK_PRODUCT: return 1;
    case CK_MAXIMUM: return -__builtin_inf();
    default: return __builtin_inf();
  }
}

/// One run of at most a block: four vectors of partial results, folded as a tree.
CK_INLINE float fold_run_of(int reduction, const float *x, int64_t count) {
  const float identity = (float)identity_of(reduction);
  int64_t i = 0;
  float rest = identity;
  if (count >= CK_LANES) {
    vf a = vload(x), b = identity, c = identity, d = identity;
    for (i = CK_LANES; i + 4 * CK_LANES <= count; i += 4 * CK_LANES) {
      a = fold_vectors(reduction, a, vload(x + i));
      b = fold_vectors(reduction, b, vload(x + i + CK_LANES));
      c = fold_vectors(reduction, c, vload(x + i + 2 * CK_LANES));
      d = fold_vectors(reduction, d, vload(x + i + 3 * CK_LANES));
    }
    for (; i + CK_LANES <= count; i += CK_LANES) b = fold_vectors(reduction, b, vload(x + i));
    a = fold_vectors(reduction, fold_vectors(reduction, a, b), fold_vectors(reduction, c, d));
    float lanes[CK_LANES];
    vstore(lanes, a);
    for (int width = CK_LANES / 2; width > 0; width /= 2) {
      for (int k = 0; k < width; k++) lanes[k] = fold_floats(reduction, lanes[k], lanes[k + width]);
    }
    rest = lanes[0];
  }
  for (; i < count; i++) rest = fold_floats(reduction, rest, x[i]);
  return rest;
}
CK_KEEP float fold_run(int reduction, const float *x, int64_t count) {
  switch (reduction) {
    case CK_SUM: return fold_run_of(CK_SUM, x, count);
    case CK_PRODUCT: return fold_run_of(CK_PRODUCT, x, count);
    case CK_MAXIMUM: return fold_run_of(CK_MAXIMUM, x, count);
    default: return fold_run_of(CK_MINIMUM, x, count);
  }
}

/// totals[j] = fold of totals[j] and column j of `rows` rows of n. Up to four vectors of columns at once, at most 64
/// rows in float32 before they enter the double. Reads up to four vectors past the last row.
CK_INLINE void fold_columns_of(int reduction, double *totals, const float *x, int64_t rows, int64_t n) {
  const float identity = (float)identity_of(reduction);
  for (int64_t j = 0; j < n; j += 4 * CK_LANES) {
    const int64_t columns = least(4 * CK_LANES, n - j), vectors = ceil_div(columns, CK_LANES);
    for (int64_t r = 0; r < rows; r += 64) {
      const int64_t end = least(rows, r + 64);
      const float *row = x + r * n + j;
      float folded[4 * CK_LANES];
      // Four sums at once in every case: one alone waits for each of its additions.
      if (vectors == 1) {
        vf a = identity, b = identity, c = identity, d = identity;
        int64_t k = r;
        for (; k + 4 <= end; k += 4, row += 4 * n) {
          a = fold_vectors(reduction, a, vload(row));
          b = fold_vectors(reduction, b, vload(row + n));
          c = fold_vectors(reduction, c, vload(row + 2 * n));
          d = fold_vectors(reduction, d, vload(row + 3 * n));
        }
        for (; k < end; k++, row += n) a = fold_vectors(reduction, a, vload(row));
        vstore(folded, fold_vectors(reduction, fold_vectors(reduction, a, b), fold_vectors(reduction, c, d)));
      } else if (vectors == 2) {
        vf a = identity, b = identity, c = identity, d = identity;
        int64_t k = r;
        for (; k + 2 <= end; k += 2, row += 2 * n) {
          a = fold_vectors(reduction, a, vload(row));
          b = fold_vectors(reduction, b, vload(row + CK_LANES));
          c = fold_vectors(reduction, c, vload(row + n));
          d = fold_vectors(reduction, d, vload(row + n + CK_LANES));
        }
        if (k < end) {
          a = fold_vectors(reduction, a, vload(row));
          b = fold_vectors(reduction, b, vload(row + CK_LANES));
        }
        vstore(folded, fold_vectors(reduction, a, c));
        vstore(folded + CK_LANES, fold_vectors(reduction, b, d));
      } else {
        vf a = vload(row), b = vload(row + CK_LANES), c = vload(row + 2 * CK_LANES), d = vload(row + 3 * CK_LANES);
        for (int64_t k = r + 1; k < end; k++) {
          row += n;
          a = fold_vectors(reduction, a, vload(row));
          b = fold_vectors(reduction, b, vload(row + CK_LANES));
          c = fold_vectors(reduction, c, vload(row + 2 * CK_LANES));
          d = fold_vectors(reduction, d, vload(row + 3 * CK_LANES));
        }
        vstore(folded, a);
        vstore(folded + CK_LANES, b);
        vstore(folded + 2 * CK_LANES, c);
        vstore(folded + 3 * CK_LANES, d);
      }
      for (int64_t k = 0; k < columns; k++) totals[j + k] = fold_doubles(reduction, totals[j + k], folded[k]);
    }
  }
}
CK_KEEP void fold_columns(int reduction, double *totals, const float *x, int64_t rows, int64_t n) {
  switch (reduction) {
    case CK_SUM: fold_columns_of(CK_SUM, totals, x, rows, n); return;
    case CK_PRODUCT: fold_columns_of(CK_PRODUCT, totals, x, rows, n); return;
    case CK_MAXIMUM: fold_columns_of(CK_MAXIMUM, totals, x, rows, n); return;
    default: fold_columns_of(CK_MINIMUM, totals, x, rows, n); return;
  }
}
