// Tiles of a product: the sums of a few rows and vectors of columns stay in registers while one walk along k multiplies
// elements of a by vectors of b. Elements are added in the order of k, whatever the tile's size.
//
// An element of a is an operand in memory of each multiply-add that it takes part in. Loaded by itself it would be one
// micro-operation more for two; on a core whose other half works for somebody else, those are what a product waits for
// (a Xeon's: 89-105 GFLOP/s with loads, 125-136 without; 160 both when it is alone. See Decisions.md).

#if CK_HAS_AVX512
#define CK_TILE_ROWS 13   // 26 sums and 2 vectors of b, where all rows are reached from one pointer
#define CK_TILE_POINTERS 11  // rows with a pointer each: what the general registers hold
/// sum += *x · b
CK_INLINE void add_product(vf *sum, const float *x, vf b) {
  __asm__("vfmadd231ps %1%{1to16%}, %2, %0" : "+v"(*sum) : "m"(*x), "v"(b));
}
/// Keeps a pointer in a register of its own: an address of two registers would be a micro-operation more again.
#define CK_PIN(pointer) __asm__("" : "+r"(pointer))
#else
#define CK_TILE_ROWS 6  // 12 sums, 2 vectors of b and an element: 15 of 16 registers
#define CK_TILE_POINTERS 6
CK_INLINE void add_product(vf *sum, const float *x, vf b) { *sum = vmuladd(vset(*x), b, *sum); }
#define CK_PIN(pointer)
#endif
#define CK_TILE_COLUMNS (2 * CK_LANES)
#define CK_TILE_SUMS (2 * CK_TILE_ROWS)

/// Where the elements of a are read: row after row, or k after k, with `step` from one to the next.
typedef struct {
  const float *data;
  int64_t step;
  bool by_rows;
} operand;

/// The most rows of a tile.
CK_INLINE int64_t tile_rows(bool by_rows) { return by_rows ? CK_TILE_POINTERS : CK_TILE_ROWS; }

/// Rows of each tile of so many: about the same for all.
CK_INLINE int64_t tile_height(int64_t rows, bool by_rows) {
  return rows == 0 ? 1 : ceil_div(rows, ceil_div(rows, tile_rows(by_rows)));
}

/// `count` steps along k.
CK_INLINE void multiply_steps(
  vf *sums, const int rows, const int vectors, const bool by_rows, const float **p, int64_t step, const float **b,
  int64_t b_step, const int count) {
#pragma clang loop unroll(full)
  for (int i = 0; i < (by_rows ? rows : 1); i++) CK_PIN(p[i]);
#pragma clang loop unroll(full)
  for (int u = 0; u < count; u++) {
    vf columns[4];
#pragma clang loop unroll(full)
    for (int v = 0; v < vectors; v++) columns[v] = vload(*b + v * CK_LANES);
    *b += b_step;
#pragma clang loop unroll(full)
    for (int i = 0; i < rows; i++) {
#pragma clang loop unroll(full)
      for (int v = 0; v < vectors; v++) {
        add_product(&sums[i * vectors + v], by_rows ? p[i] + u : p[0] + i, columns[v]);
      }
    }
    if (!by_rows) {
      p[0] += step;
      CK_PIN(p[0]);
    }
  }
  if (!by_rows) return;
#pragma clang loop unroll(full)
  for (int i = 0; i < rows; i++) p[i] += count;
}

/// sums[row · vectors + vector] = a · b; rows, vectors and a's order are known when this is compiled.
CK_INLINE void multiply_tile(
  vf *sums, const int rows, const int vectors, const bool by_rows, const float *a, int64_t a_step, const float *b,
  int64_t b_step, int64_t k) {
#pragma clang loop unroll(full)
  for (int i = 0; i < rows * vectors; i++) sums[i] = 0;
  const float *p[CK_TILE_SUMS];
#pragma clang loop unroll(full)
  for (int i = 0; i < (by_rows ? rows : 1); i++) p[i] = a + i * a_step;
  const int count = by_rows ? 4 : 2;
  int64_t j = 0;
  for (; j + count <= k; j += count) multiply_steps(sums, rows, vectors, by_rows, p, a_step, &b, b_step, count);
  for (; j < k; j++) multiply_steps(sums, rows, vectors, by_rows, p, a_step, &b, b_step, 1);
}

/// One tile of a product: some rows and at most CK_TILE_COLUMNS columns of c.
typedef struct {
  operand a;
  const float *b, *bias;
  float *c;
  int64_t b_step, c_step, k, columns;
  bool relu, adds;  // adds: to what c holds
} tile_job;

/// A tile's sums to memory.
CK_INLINE void store_tile(vf *sums, const int rows, const int vectors, const tile_job *t) {
#pragma clang loop unroll(full)
  for (int v = 0; v < vectors; v++) {
    const int64_t left = least(t->columns - v * CK_LANES, CK_LANES);
    if (left <= 0) continue;
    float *c = t->c + v * CK_LANES;
    const vf shift = t->bias ? load_lanes(t->bias + v * CK_LANES, left) : 0;
#pragma clang loop unroll(full)
    for (int i = 0; i < rows; i++) sums[i * vectors + v] += shift;
    if (t->adds) {
#pragma clang loop unroll(full)
      for (int i = 0; i < rows; i++) sums[i * vectors + v] += load_lanes(c + i * t->c_step, left);
    }
    if (t->relu) {
#pragma clang loop unroll(full)
      for (int i = 0; i < rows; i++) {
        const vf x = sums[i * vectors + v];
        sums[i * vectors + v] = x < 0.0f ? (vf)0.0f : x;
      }
    }
#pragma clang loop unroll(full)
    for (int i = 0; i < rows; i++) store_lanes(c + i * t->c_step, sums[i * vectors + v], left);
  }
}

#define CK_TILE_OF(rows, vectors, by_rows)                                                                         \
  case (rows * 2 + vectors) * 2 + by_rows: {                                                                       \
    vf sums[CK_TILE_SUMS];                                                                                         \
    multiply_tile(sums, rows, vectors, by_rows, t->a.data, t->a.step, t->b, t->b_step, t->k);                      \
    store_tile(sums, rows, vectors, t);                                                                            \
    return;                                                                                                        \
  }
#define CK_COLUMN_TILES(rows) CK_TILE_OF(rows, 1, false) CK_TILE_OF(rows, 2, false)
#define CK_TILES(rows) CK_COLUMN_TILES(rows) CK_TILE_OF(rows, 1, true) CK_TILE_OF(rows, 2, true)

/// At most `tile_rows` rows.
CK_KEEP void run_tile(const tile_job *t, int64_t rows) {
  switch ((rows * 2 + (t->columns > CK_LANES ? 2 : 1)) * 2 + t->a.by_rows) {
    CK_TILES(1) CK_TILES(2) CK_TILES(3) CK_TILES(4) CK_TILES(5) CK_TILES(6)
#if CK_TILE_ROWS == 13
    CK_TILES(7) CK_TILES(8) CK_TILES(9) CK_TILES(10) CK_TILES(11) CK_COLUMN_TILES(12) CK_COLUMN_TILES(13)
#endif
  }
}

/// A single row, with as few columns as `t` says: b is read as it lies, since packing its last columns would cost more
/// than multiplying by them. Four sums in turn, so that none waits for the one before it.
CK_KEEP void run_row(const tile_job *t) {
  const int64_t first = least(t->columns, CK_LANES), second = most(t->columns - CK_LANES, 0);
  const int64_t k_step = t->a.by_rows ? 1 : t->a.step;
  vf sums[4][2] = {0};
  int64_t j = 0;
#define CK_MULTIPLY_ROW(sum)                                                                                        \
  do {                                                                                                             \
    const float *b = t->b + j * t->b_step;                                                                         \
    const vf x = vset(t->a.data[j * k_step]);                                                                      \
    sum[0] = vmuladd(x, load_lanes(b, first), sum[0]);                                                             \
    if (second > 0) sum[1] = vmuladd(x, load_lanes(b + CK_LANES, second), sum[1]);                                 \
    j++;                                                                                                           \
  } while (0)
  while (j + 4 <= t->k) {
    CK_MULTIPLY_ROW(sums[0]);
    CK_MULTIPLY_ROW(sums[1]);
    CK_MULTIPLY_ROW(sums[2]);
    CK_MULTIPLY_ROW(sums[3]);
  }
  while (j < t->k) CK_MULTIPLY_ROW(sums[0]);
#undef CK_MULTIPLY_ROW
  for (int v = 0; v < 2; v++) sums[0][v] = (sums[0][v] + sums[1][v]) + (sums[2][v] + sums[3][v]);
  store_tile(sums[0], 1, 2, t);
}
