// Small products: c = activation(a · b + bias), with both operands read where they lie.
//
// A tile of CK_MATMUL_ROWS × 2 vectors of c stays in registers while one walk along k adds a broadcast element of a
// times two vectors of b to each of its rows. Nothing is packed but b when it is transposed and the last columns, so a
// product of a few microseconds doesn't spend half of them on preparations, and the result may go through a block
// program while it is still in the first-level cache: a weight's gradient is never written to memory.

#if CK_LANES == 16
#define CK_MATMUL_ROWS 13  // 26 sums, 2 vectors of b, and a broadcast from memory: 28 of 32 registers
#else
#define CK_MATMUL_ROWS 6  // 12 sums, 2 of b, 1 broadcast: 15 of 16
#endif
#define CK_MATMUL_COLUMNS (2 * CK_LANES)
/// A block of results that goes through a program lies in the first-level cache: at most this many elements, in rows of
/// at most CK_MATMUL_WIDTH, or of all columns when those are few.
#define CK_MATMUL_BLOCK 4096
#define CK_MATMUL_WIDTH 128

typedef vf tile[CK_MATMUL_ROWS][2];

/// sums = a · b for `rows` rows and `vectors` vectors of columns, both known when this is compiled.
CK_INLINE void multiply_tile(
  tile sums, const int rows, const int vectors, const float *a, int64_t row_step, int64_t k_step, const float *b,
  int64_t b_step, int64_t k) {
#pragma clang loop unroll(full)
  for (int i = 0; i < rows; i++) {
#pragma clang loop unroll(full)
    for (int v = 0; v < vectors; v++) sums[i][v] = 0;
  }
  // Every third row has a pointer; the two after it are reached by the step, so that addresses fit into registers.
  const float *p[(CK_MATMUL_ROWS + 2) / 3];
#pragma clang loop unroll(full)
  for (int i = 0; i < (rows + 2) / 3; i++) p[i] = a + 3 * i * row_step;
#pragma clang loop unroll_count(2)
  for (int64_t j = 0; j < k; j++) {
    vf columns[2];
#pragma clang loop unroll(full)
    for (int v = 0; v < vectors; v++) columns[v] = vload(b + v * CK_LANES);
    b += b_step;
#pragma clang loop unroll(full)
    for (int i = 0; i < rows; i++) {
      const vf x = vset(p[i / 3][(i % 3) * row_step]);
#pragma clang loop unroll(full)
      for (int v = 0; v < vectors; v++) sums[i][v] = vmuladd(x, columns[v], sums[i][v]);
    }
#pragma clang loop unroll(full)
    for (int i = 0; i < (rows + 2) / 3; i++) p[i] += k_step;
  }
}

/// One tile to memory: `columns` of its columns, plus bias, through relu.
CK_INLINE void store_tile(
  tile sums, const int rows, const int vectors, float *c, int64_t c_step, const float *bias, bool relu, int64_t columns) {
#pragma clang loop unroll(full)
  for (int v = 0; v < vectors; v++) {
    const int64_t left = columns - v * CK_LANES;
    if (left <= 0) continue;
    const bool whole = left >= CK_LANES;
    vf shift = 0;
    if (bias) shift = whole ? vload(bias + v * CK_LANES) : load_part(bias + v * CK_LANES, left, 0);
#pragma clang loop unroll(full)
    for (int i = 0; i < rows; i++) {
      vf x = sums[i][v] + shift;
      if (relu) x = x < 0.0f ? (vf)0.0f : x;
      if (whole) {
        vstore(c + i * c_step + v * CK_LANES, x);
      } else {
        store_part(c + i * c_step + v * CK_LANES, x, left);
      }
    }
  }
}

typedef struct {
  const float *a, *b, *bias;
  float *c;
  int64_t a_row, a_k, b_step, c_step, k, columns;
  bool relu;
} tile_job;

#define CK_TILE_OF(rows, vectors)                                                                                  \
  case rows * 4 + vectors: {                                                                                       \
    tile sums;                                                                                                     \
    multiply_tile(sums, rows, vectors, t->a, t->a_row, t->a_k, t->b, t->b_step, t->k);                             \
    store_tile(sums, rows, vectors, t->c, t->c_step, t->bias, t->relu, t->columns);                                \
    return;                                                                                                        \
  }
#define CK_TILES(rows) CK_TILE_OF(rows, 1) CK_TILE_OF(rows, 2)

CK_KEEP void run_tile(const tile_job *t, int64_t rows) {
  switch (rows * 4 + (t->columns > CK_LANES ? 2 : 1)) {
    CK_TILES(1) CK_TILES(2) CK_TILES(3) CK_TILES(4) CK_TILES(5) CK_TILES(6)
#if CK_MATMUL_ROWS == 13
    CK_TILES(7) CK_TILES(8) CK_TILES(9) CK_TILES(10) CK_TILES(11) CK_TILES(12) CK_TILES(13)
#endif
  }
}

/// A single row, with as few columns as `t` says: b is read as it lies, since packing its last columns would cost more
/// than multiplying by them. Four sums in turn, so that none waits for the one before it.
CK_KEEP void run_row(const tile_job *t) {
  const int64_t first = least(t->columns, CK_LANES), second = most(t->columns - CK_LANES, 0);
  vf sums[4][2] = {0};
  int64_t j = 0;
#define CK_MULTIPLY_ROW(sum)                                                                                        \
  do {                                                                                                             \
    const float *b = t->b + j * t->b_step;                                                                         \
    const vf x = vset(t->a[j * t->a_k]);                                                                           \
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
  store_tile(sums, 1, 2, t->c, t->c_step, t->bias, t->relu, t->columns);
}

// MARK: Packing b

#if CK_HAS_AVX512
/// 16 × 16 elements, rows `src_step` apart, transposed.
CK_KEEP void transpose_16(float *dst, int64_t dst_step, const float *src, int64_t src_step) {
  __m512 r[16], t[16];
  for (int i = 0; i < 16; i++) r[i] = _mm512_loadu_ps(src + i * src_step);
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
    _mm512_storeu_ps(dst + j * dst_step, _mm512_shuffle_f32x4(low, low2, 0x88));
    _mm512_storeu_ps(dst + (j + 4) * dst_step, _mm512_shuffle_f32x4(high, high2, 0x88));
    _mm512_storeu_ps(dst + (j + 8) * dst_step, _mm512_shuffle_f32x4(low, low2, 0xdd));
    _mm512_storeu_ps(dst + (j + 12) * dst_step, _mm512_shuffle_f32x4(high, high2, 0xdd));
  }
}
#endif

/// Columns first ..< first + count of b into rows of CK_MATMUL_COLUMNS, the missing ones 0.
CK_KEEP void pack_columns(float *packed, const ck_matmul *p, int64_t first, int64_t count) {
  if (count < CK_MATMUL_COLUMNS) memset(packed, 0, (size_t)(p->k * CK_MATMUL_COLUMNS) * sizeof(float));
  if (!p->transpose_b) {
    for (int64_t j = 0; j < p->k; j++) {
      memcpy(packed + j * CK_MATMUL_COLUMNS, p->b + j * p->n + first, (size_t)count * sizeof(float));
    }
    return;
  }
  for (int64_t column = 0; column < count;) {
    const float *src = p->b + (first + column) * p->k;
    int64_t j = 0;
#if CK_HAS_AVX512
    if (count - column >= 16) {
      for (; j + 16 <= p->k; j += 16) {
        transpose_16(packed + j * CK_MATMUL_COLUMNS + column, CK_MATMUL_COLUMNS, src + j, p->k);
      }
      for (int64_t c = 0; c < 16; c++) {
        for (int64_t i = j; i < p->k; i++) packed[i * CK_MATMUL_COLUMNS + column + c] = src[c * p->k + i];
      }
      column += 16;
      continue;
    }
#endif
    for (; j < p->k; j++) packed[j * CK_MATMUL_COLUMNS + column] = src[j];
    column++;
  }
}

/// Where a panel of CK_MATMUL_COLUMNS columns is read.
typedef struct {
  const float *data;
  int64_t step;
} panel;

/// Whether c is one row that reads b where it lies (`run_row`).
static bool is_row(const ck_matmul *p) { return p->m == 1 && !p->transpose_b; }

static panel panel_of(const ck_matmul *p, int64_t index) {
  const int64_t whole = is_row(p) ? INT64_MAX : p->n / CK_MATMUL_COLUMNS;
  if (p->transpose_b) return (panel){p->packed + index * p->k * CK_MATMUL_COLUMNS, CK_MATMUL_COLUMNS};
  if (index == whole) return (panel){p->packed, CK_MATMUL_COLUMNS};
  return (panel){p->b + index * CK_MATMUL_COLUMNS, p->n};
}

static inline int64_t panel_count(int64_t n) { return ceil_div(n, CK_MATMUL_COLUMNS); }

static void pack_panel(const ck_matmul *p, int64_t index) {
  if (is_row(p) || (!p->transpose_b && index < p->n / CK_MATMUL_COLUMNS)) return;
  const int64_t first = index * CK_MATMUL_COLUMNS;
  float *packed = p->transpose_b ? p->packed + index * p->k * CK_MATMUL_COLUMNS : p->packed;
  pack_columns(packed, p, first, least(CK_MATMUL_COLUMNS, p->n - first));
}

static void pack_panels(const ck_matmul *p) {
  for (int64_t index = 0; index < panel_count(p->n); index++) pack_panel(p, index);
}

// MARK: The product

typedef struct {
  int64_t first, last;
} span;

/// Where a's element (row, k) is read: at data + row · row_step + k · k_step.
typedef struct {
  const float *data;
  int64_t row_step, k_step;
} operand;

/// For rows, or ks, of one part of a's stored columns.
static operand operand_of(const ck_matmul *p, span rows, span k) {
  if (!p->a_in_parts) {
    return p->transpose_a ? (operand){p->a, 1, p->m} : (operand){p->a, p->k, 1};
  }
  const int64_t columns = p->transpose_a ? p->m : p->k, stored_rows = p->transpose_a ? p->k : p->m;
  const int64_t length = ck_part_length(columns), column = p->transpose_a ? rows.first : k.first;
  const int64_t first = column / length * length, width = least(length, columns - first);
  const float *data = p->a + first * stored_rows - first;
  return p->transpose_a ? (operand){data, 1, width} : (operand){data, width, 1};
}

/// Rows of the columns of one panel, over a part of k, to c, where the first of them lies.
static void multiply_rows(
  const ck_matmul *p, int64_t index, span rows, span k, bool finish, float *c, int64_t c_step) {
  const operand a = operand_of(p, rows, k);
  const panel b = panel_of(p, index);
  const int64_t column = index * CK_MATMUL_COLUMNS, first = rows.first, last = rows.last;
  tile_job t = {
    .b = b.data + k.first * b.step, .b_step = b.step, .bias = finish && p->bias ? p->bias + column : NULL,
    .c_step = c_step, .k = k.last - k.first, .a_row = a.row_step, .a_k = a.k_step,
    .columns = least(CK_MATMUL_COLUMNS, p->n - column), .relu = finish && p->relu};
  if (is_row(p)) {
    t.a = a.data + k.first * t.a_k;
    t.c = c;
    run_row(&t);
    return;
  }
  for (int64_t row = first; row < last; row += CK_MATMUL_ROWS) {
    t.a = a.data + row * t.a_row + k.first * t.a_k;
    t.c = c + (row - first) * c_step;
    run_tile(&t, least(CK_MATMUL_ROWS, last - row));
  }
}

typedef struct {
  const ck_matmul *product;
  int64_t part_rows, blocks;  // rows of a part of a, and the blocks that each part is cut into
  int64_t row_blocks;         // in all
  int64_t width;              // columns of a block that goes through a program
  const program_plan *plan;
  float *sums;                // along k: a c for each part
} matmul_job;

/// Blocks of at most `rows` rows. They are of about the same height and even in number: a last block of 4 rows would
/// leave one of two threads with nothing to do for as long as the other takes for 52.
static matmul_job cut_rows(const ck_matmul *p, int64_t rows) {
  const bool by_part = p->a_in_parts && p->transpose_a;
  matmul_job job = {.product = p, .part_rows = by_part ? ck_part_length(p->m) : p->m};
  job.blocks = ceil_div(job.part_rows, rows);
  if (job.blocks > 1) job.blocks += job.blocks % 2;
  job.row_blocks = job.blocks * ceil_div(p->m, job.part_rows);
  return job;
}

static span rows_of(const matmul_job *job, int64_t block) {
  const int64_t part = block / job->blocks * job->part_rows, length = least(job->part_rows, job->product->m - part);
  const int64_t rows = ceil_div(length, job->blocks), first = least(block % job->blocks * rows, length);
  return (span){part + first, part + least(first + rows, length)};
}

/// Units of one row block and one panel, panel by panel: a thread's neighbours share the panel.
static void multiply_units(void *context, int64_t begin, int64_t end) {
  const matmul_job *job = context;
  const ck_matmul *p = job->product;
  for (int64_t unit = begin; unit < end; unit++) {
    const span rows = rows_of(job, unit % job->row_blocks);
    // A panel that one unit reads is packed by the thread that reads it.
    if (job->row_blocks == 1) pack_panel(p, unit);
    multiply_rows(p, unit / job->row_blocks, rows, (span){0, p->k}, true,
      p->c + rows.first * p->n + unit / job->row_blocks * CK_MATMUL_COLUMNS, p->n);
  }
}

/// Units of one row block and one block of columns, each gone through the program before the next.
static void multiply_and_continue(void *context, int64_t begin, int64_t end) {
  const matmul_job *job = context;
  const ck_matmul *p = job->product;
  _Alignas(64) float block[CK_MATMUL_BLOCK];
  program_worker w;
  float memory[worker_floats(job->plan)];
  start_worker(&w, job->plan, memory);
  for (int64_t unit = begin; unit < end; unit++) {
    const span rows = rows_of(job, unit % job->row_blocks);
    const int64_t first = unit / job->row_blocks * job->width, columns = least(job->width, p->n - first);
    for (int64_t column = first; column < first + columns; column += CK_MATMUL_COLUMNS) {
      multiply_rows(
        p, column / CK_MATMUL_COLUMNS, rows, (span){0, p->k}, true, block + (column - first), columns);
    }
    if (columns == p->n) {
      run_elements(&w, rows.first * p->n, rows.last * p->n, block);
      continue;
    }
    for (int64_t row = rows.first; row < rows.last; row++) {
      const int64_t element = row * p->n + first;
      run_elements(&w, element, element + columns, block + (row - rows.first) * columns);
    }
  }
}

/// Parts of k, each into a c of its own.
static void multiply_parts(void *context, int64_t begin, int64_t end) {
  const matmul_job *job = context;
  const ck_matmul *p = job->product;
  const int64_t length = ck_part_length(p->k);
  for (int64_t part = begin; part < end; part++) {
    const span k = {part * length, least((part + 1) * length, p->k)};
    for (int64_t index = 0; index < panel_count(p->n); index++) {
      multiply_rows(
        p, index, (span){0, p->m}, k, false, job->sums + part * p->m * p->n + index * CK_MATMUL_COLUMNS, p->n);
    }
  }
}

/// c = activation(sum of the parts, in order, + bias)
static void add_parts(const ck_matmul *p, const float *parts, int64_t count) {
  for (int64_t row = 0; row < p->m; row++) {
    float *c = p->c + row * p->n;
    for (int64_t j = 0; j < p->n; j += CK_LANES) {
      const int64_t left = p->n - j;
      const bool whole = left >= CK_LANES;
      const float *x = parts + row * p->n + j;
      vf sum = 0;
      for (int64_t part = 0; part < count; part++, x += p->m * p->n) {
        sum += whole ? vload(x) : load_part(x, left, 0);
      }
      if (p->bias) sum += whole ? vload(p->bias + j) : load_part(p->bias + j, left, 0);
      if (p->relu) sum = sum < 0.0f ? (vf)0.0f : sum;
      if (whole) {
        vstore(c + j, sum);
      } else {
        store_part(c + j, sum, left);
      }
    }
  }
}

CK_KERNEL(ck_matmul_run) {
  const ck_matmul *p = context;
  // A quarter of a million multiply-adds a piece: about 4 µs, enough to pay for handing it over.
  const int64_t piece = 1 << 18;
  if (p->program) {
    pack_panels(p);
    program_plan fresh;
    const int64_t width = p->n <= 2 * CK_MATMUL_WIDTH ? p->n : CK_MATMUL_WIDTH;
    matmul_job job = cut_rows(p, most(1, least(CK_MATMUL_BLOCK / width, piece / most(p->k * width, 1))));
    job.width = width;
    job.plan = plan_for(p->program, p->program_input, &fresh);
    ck_parallel_for(job.row_blocks * ceil_div(p->n, width), 1, multiply_and_continue, &job);
    return;
  }
  // Fewer than two pieces' worth: not worth a second thread.
  const bool small = p->m * p->n * p->k < piece / 2;
  const int64_t parts = ck_matmul_parts(p->m, p->k, p->n, p->transpose_b);
  if (parts > 1) {
    pack_panels(p);
    matmul_job job = {.product = p, .sums = p->packed};
    if (p->n % CK_MATMUL_COLUMNS != 0) job.sums += p->k * CK_MATMUL_COLUMNS;
    ck_parallel_for(parts, small ? parts : 1, multiply_parts, &job);
    add_parts(p, job.sums, parts);
    return;
  }
  matmul_job job = cut_rows(p, most(CK_MATMUL_ROWS, piece / most(p->k * CK_MATMUL_COLUMNS, 1)));
  if (job.row_blocks > 1) pack_panels(p);
  const int64_t units = job.row_blocks * panel_count(p->n);
  ck_parallel_for(units, small ? units : 1, multiply_units, &job);
}
