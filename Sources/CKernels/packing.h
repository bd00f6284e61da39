// Copies of a product's operands in the order in which tiles read them.

#if CK_HAS_AVX512
/// 16 elements of `rows` rows (at most 16), which lie `src_step` apart, transposed: 16 rows of 16 elements, those beyond
/// `rows` of no meaning. Rows of dst may overlap: the later stays.
CK_KEEP void transpose_16(float *dst, int64_t dst_step, const float *src, int64_t src_step, int64_t rows) {
  __m512 r[16], t[16];
  for (int i = 0; i < 16; i++) r[i] = _mm512_loadu_ps(src + least(i, rows - 1) * src_step);
  for (int i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_ps(r[i], r[i + 1]);
    t[i + 1] = _mm512_unpackhi_ps(r[i], r[i + 1]);
  }
  for (int i = 0; i < 16; i += 4) {
    const __m512d a = (__m512d)t[i], b = (__m512d)t[i + 1], c = (__m512d)t[i + 2], d = (__m512d)t[i + 3];
    r[i] = (__m512)_mm512_unpacklo_pd(a, c);
    r[i + 1] = (__m512)_mm512_unpackhi_pd(a, c);
    r[i + 2] = (__m512)_mm512_unpacklo_pd(b, d);
    r[i + 3] = (__m512)_mm512_unpackhi_pd(b, d);
  }
  // r[4g + j] holds, in its four 128-bit lanes, columns j, j+4, j+8, j+12 of rows 4g ... 4g+3.
  for (int j = 0; j < 4; j++) {
    const __m512 low = _mm512_shuffle_f32x4(r[j], r[4 + j], 0x88), high = _mm512_shuffle_f32x4(r[j], r[4 + j], 0xdd);
    const __m512 low2 = _mm512_shuffle_f32x4(r[8 + j], r[12 + j], 0x88);
    const __m512 high2 = _mm512_shuffle_f32x4(r[8 + j], r[12 + j], 0xdd);
    t[j] = _mm512_shuffle_f32x4(low, low2, 0x88);
    t[j + 4] = _mm512_shuffle_f32x4(high, high2, 0x88);
    t[j + 8] = _mm512_shuffle_f32x4(low, low2, 0xdd);
    t[j + 12] = _mm512_shuffle_f32x4(high, high2, 0xdd);
  }
  for (int i = 0; i < 16; i++) _mm512_storeu_ps(dst + i * dst_step, t[i]);
}
#endif

/// Columns first ..< first + count of b into rows of CK_TILE_COLUMNS, the missing ones 0.
CK_KEEP void pack_columns(float *packed, const ck_matmul *p, int64_t first, int64_t count) {
  if (count < CK_TILE_COLUMNS) memset(packed, 0, (size_t)(p->k * CK_TILE_COLUMNS) * sizeof(float));
  if (!p->transpose_b) {
    for (int64_t j = 0; j < p->k; j++) {
      memcpy(packed + j * CK_TILE_COLUMNS, p->b + j * p->n + first, (size_t)count * sizeof(float));
    }
    return;
  }
  for (int64_t column = 0; column < count;) {
    const float *src = p->b + (first + column) * p->k;
    int64_t j = 0;
#if CK_HAS_AVX512
    if (count - column >= 16) {
      for (; j + 16 <= p->k; j += 16) {
        transpose_16(packed + j * CK_TILE_COLUMNS + column, CK_TILE_COLUMNS, src + j, p->k, 16);
      }
      for (int64_t c = 0; c < 16; c++) {
        for (int64_t i = j; i < p->k; i++) packed[i * CK_TILE_COLUMNS + column + c] = src[c * p->k + i];
      }
      column += 16;
      continue;
    }
#endif
    for (; j < p->k; j++) packed[j * CK_TILE_COLUMNS + column] = src[j];
    column++;
  }
}

/// Some rows of a, over a part of k, as tiles read them.
typedef struct {
  operand a;             // its step is 0 where tiles are packed: each has its own number of rows
  int64_t rows, height;  // height: rows of a tile
  int64_t row_step;      // from a tile's row to the next tile's
} row_block;

static row_block rows_in_place(operand a, int64_t rows) {
  return (row_block){a, rows, tile_height(rows, a.by_rows), a.by_rows ? a.step : 1};
}

#if CK_HAS_AVX512
/// `rows` rows, k after k.
static void pack_tile(float *packed, operand a, int64_t rows, int64_t k) {
  int64_t j = 0;
  if (!a.by_rows) {
    const __mmask16 mask = (__mmask16)((1u << rows) - 1);
    for (; j < k; j++) {
      _mm512_mask_storeu_ps(packed + j * rows, mask, _mm512_maskz_loadu_ps(mask, a.data + j * a.step));
    }
    return;
  }
  for (; j + 16 <= k; j += 16) transpose_16(packed + j * rows, rows, a.data + j, a.step, rows);
  for (; j < k; j++) {
    for (int64_t i = 0; i < rows; i++) packed[j * rows + i] = a.data[i * a.step + j];
  }
}

/// Tiles of rows, each k after k: rows · k elements and room for 16 more.
static row_block pack_rows(float *packed, operand a, int64_t rows, int64_t k) {
  const int64_t height = tile_height(rows, false);
  for (int64_t row = 0; row < rows; row += height) {
    operand tile = a;
    tile.data += row * (a.by_rows ? a.step : 1);
    pack_tile(packed + row * k, tile, least(height, rows - row), k);
  }
  return (row_block){{packed, 0, false}, rows, height, k};
}
#endif
