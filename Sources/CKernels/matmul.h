// Products: c = activation(a · b + bias), with both operands read where they lie as far as that is no slower.
//
// b is packed when it is transposed or large, and for the last columns; rows of a that many columns are multiplied by
// are packed for the tiles (tiles.h) to read them from one pointer. So a product of a few microseconds doesn't spend
// half of them on preparations, and the result may go through a block program while it is still in the first-level
// cache: a weight's gradient is never written to memory.

/// A block of results that goes through a program lies in the first-level cache: at most this many elements, in rows of
/// at most CK_MATMUL_WIDTH, or of all columns when those are few.
#define CK_MATMUL_BLOCK 4096
#define CK_MATMUL_WIDTH 128
/// Panels of b from which on packing a pays: where it is read by rows, and where it is transposed.
#define CK_ROW_PANELS 6
#define CK_COLUMN_PANELS 4
/// Elements of a that are packed at a time, on the stack: 64 kB.
#define CK_MATMUL_PACKED (1 << 14)

/// Where a panel of CK_TILE_COLUMNS columns is read.
typedef struct {
  const float *data;
  int64_t step;
} panel;

/// Whether c is one row that reads b where it lies (`run_row`).
static bool is_row(const ck_matmul *p) { return p->m == 1 && !p->transpose_b; }

static bool packs_b(const ck_matmul *p) { return ck_matmul_packs(p->m, p->k, p->n, p->transpose_b); }

static panel panel_of(const ck_matmul *p, int64_t index) {
  const int64_t whole = is_row(p) ? INT64_MAX : p->n / CK_TILE_COLUMNS;
  if (packs_b(p)) return (panel){p->packed + index * p->k * CK_TILE_COLUMNS, CK_TILE_COLUMNS};
  if (index == whole) return (panel){p->packed, CK_TILE_COLUMNS};
  return (panel){p->b + index * CK_TILE_COLUMNS, p->n};
}

static inline int64_t panel_count(int64_t n) { return ceil_div(n, CK_TILE_COLUMNS); }

static void pack_panel(const ck_matmul *p, int64_t index) {
  if (is_row(p) || (!packs_b(p) && index < p->n / CK_TILE_COLUMNS)) return;
  const int64_t first = index * CK_TILE_COLUMNS;
  float *packed = packs_b(p) ? p->packed + index * p->k * CK_TILE_COLUMNS : p->packed;
  pack_columns(packed, p, first, least(CK_TILE_COLUMNS, p->n - first));
}

static void pack_some_panels(void *context, int64_t begin, int64_t end) {
  for (int64_t index = begin; index < end; index++) pack_panel(context, index);
}

static void pack_panels(const ck_matmul *p) {
  const int64_t panels = panel_count(p->n);
  if (!packs_b(p) && panels * CK_TILE_COLUMNS == p->n) return;
  const int64_t grain = most(1, (1 << 14) / most(1, p->k * CK_TILE_COLUMNS));
  ck_parallel_for(panels, packs_b(p) ? grain : panels, pack_some_panels, (void *)p);
}

// MARK: The product

typedef struct {
  int64_t first, last;
} span;

/// a from row `rows.first` and place `k.first` on, both of one part of its stored columns.
static operand operand_of(const ck_matmul *p, span rows, span k) {
  const int64_t columns = p->transpose_a ? p->m : p->k, stored_rows = p->transpose_a ? p->k : p->m;
  const int64_t column = p->transpose_a ? rows.first : k.first, row = p->transpose_a ? k.first : rows.first;
  int64_t first = 0, width = columns;
  if (p->a_in_parts) {
    const int64_t length = ck_part_length(columns);
    first = column / length * length;
    width = least(length, columns - first);
  }
  return (operand){p->a + first * stored_rows + row * width + column - first, width, !p->transpose_a};
}

/// Packed where that pays and they fit.
static row_block rows_for(float *packed, operand a, int64_t rows, int64_t k, int64_t panels) {
#if CK_HAS_AVX512
  if (rows > 1 && panels >= (a.by_rows ? CK_ROW_PANELS : CK_COLUMN_PANELS) && rows * k <= CK_MATMUL_PACKED) {
    return pack_rows(packed, a, rows, k);
  }
#endif
  return rows_in_place(a, rows);
}

/// The block's rows of one panel's columns, over a part of k, to c, where the first of them lies.
static void multiply_panel(
  const ck_matmul *p, const row_block *block, int64_t index, span k, bool finish, float *c, int64_t c_step) {
  const panel b = panel_of(p, index);
  const int64_t column = index * CK_TILE_COLUMNS;
  tile_job t = {
    .a = block->a, .b = b.data + k.first * b.step, .b_step = b.step, .c_step = c_step,
    .k = k.last - k.first, .columns = least(CK_TILE_COLUMNS, p->n - column), .relu = finish && p->relu,
    .bias = finish && p->bias ? p->bias + column : NULL};
  if (is_row(p)) {
    t.c = c;
    run_row(&t);
    return;
  }
  for (int64_t row = 0; row < block->rows; row += block->height) {
    const int64_t rows = least(block->height, block->rows - row);
    t.a.data = block->a.data + row * block->row_step;
    if (block->a.step == 0) t.a.step = rows;
    t.c = c + row * c_step;
    run_tile(&t, rows);
  }
}

/// Blocks of rows, and of columns.
typedef struct {
  const ck_matmul *product;
  int64_t part_rows, blocks;  // rows of a part of a, and the blocks that each part is cut into
  int64_t row_blocks;         // in all
  int64_t width;              // columns of a block
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

/// A quarter of a million multiply-adds: about 4 µs, enough to pay for handing a piece over.
static const int64_t matmul_piece = 1 << 18;

/// Blocks of whole tiles, and of all columns where there are tiles enough for two threads and some more.
static matmul_job cut_product(const ck_matmul *p) {
  const int64_t pieces = least(32, most(2, p->m * p->n * p->k / matmul_piece)), panels = panel_count(p->n);
  const int64_t height = tile_rows(!p->transpose_a && panels < CK_ROW_PANELS), tiles = ceil_div(p->m, height);
  // Rows of an operand that has to be packed first stay together: each panel is packed by the thread that reads it.
  const bool by_columns = panels >= pieces && (tiles < pieces || p->transpose_b);
  matmul_job job = cut_rows(p, by_columns ? p->m : ceil_div(tiles, pieces) * height);
  const int64_t groups = by_columns ? pieces : job.row_blocks * 2 > pieces ? 1 : ceil_div(pieces, job.row_blocks);
  job.width = ceil_div(panels, least(groups, panels)) * CK_TILE_COLUMNS;
  return job;
}

/// Rows of a block of `width` columns that goes through a program. Few are whole tiles, and no fewer than one, however
/// long the sums: tiles of two rows would take twice the time.
static int64_t rows_of_block(const ck_matmul *p, int64_t width) {
  const int64_t most_rows = CK_MATMUL_BLOCK / width, wanted = matmul_piece / most(p->k * width, 1);
  const int64_t rows = least(most_rows, most(wanted, CK_TILE_ROWS));
  return rows < CK_TILE_ROWS || rows >= 3 * CK_TILE_ROWS ? most(rows, 1) : rows / CK_TILE_ROWS * CK_TILE_ROWS;
}

static span rows_of(const matmul_job *job, int64_t block) {
  const int64_t part = block / job->blocks * job->part_rows, length = least(job->part_rows, job->product->m - part);
  const int64_t rows = ceil_div(length, job->blocks), first = least(block % job->blocks * rows, length);
  return (span){part + first, part + least(first + rows, length)};
}

/// Units of one block of rows and one of columns.
static void multiply_units(void *context, int64_t begin, int64_t end) {
  const matmul_job *job = context;
  const ck_matmul *p = job->product;
  _Alignas(64) float packed[CK_MATMUL_PACKED + 16];
  for (int64_t unit = begin; unit < end; unit++) {
    const span rows = rows_of(job, unit % job->row_blocks), k = {0, p->k};
    const int64_t first = unit / job->row_blocks * job->width / CK_TILE_COLUMNS;
    const int64_t last = least(first + job->width / CK_TILE_COLUMNS, panel_count(p->n));
    // A panel that one unit reads is packed by the thread that reads it.
    for (int64_t index = first; job->row_blocks == 1 && index < last; index++) pack_panel(p, index);
    // As many rows at a time as can be packed.
    const int64_t all = rows.last - rows.first, most_rows = CK_MATMUL_PACKED / most(p->k, 1);
    const int64_t height = most_rows < CK_TILE_ROWS ? all : most(1, ceil_div(all, most(1, ceil_div(all, most_rows))));
    for (int64_t row = rows.first; row < rows.last; row += height) {
      const span some = {row, least(row + height, rows.last)};
      const row_block block = rows_for(packed, operand_of(p, some, k), some.last - some.first, p->k, last - first);
      for (int64_t index = first; index < last; index++) {
        multiply_panel(p, &block, index, k, true, p->c + row * p->n + index * CK_TILE_COLUMNS, p->n);
      }
    }
  }
}

/// Units of one block of rows and one of columns, each gone through the program before the next.
static void multiply_and_continue(void *context, int64_t begin, int64_t end) {
  const matmul_job *job = context;
  const ck_matmul *p = job->product;
  _Alignas(64) float result[CK_MATMUL_BLOCK], packed[CK_MATMUL_PACKED + 16];
  program_worker w;
  float memory[worker_floats(job->plan)];
  start_worker(&w, job->plan, memory);
  for (int64_t unit = begin; unit < end; unit++) {
    const span rows = rows_of(job, unit % job->row_blocks), k = {0, p->k};
    const int64_t first = unit / job->row_blocks * job->width, columns = least(job->width, p->n - first);
    const row_block block =
      rows_for(packed, operand_of(p, rows, k), rows.last - rows.first, p->k, panel_count(columns));
    for (int64_t column = first; column < first + columns; column += CK_TILE_COLUMNS) {
      multiply_panel(p, &block, column / CK_TILE_COLUMNS, k, true, result + (column - first), columns);
    }
    if (columns == p->n) {
      run_elements(&w, rows.first * p->n, rows.last * p->n, result);
      continue;
    }
    for (int64_t row = rows.first; row < rows.last; row++) {
      const int64_t element = row * p->n + first;
      run_elements(&w, element, element + columns, result + (row - rows.first) * columns);
    }
  }
}

/// Parts of k, each into a c of its own.
static void multiply_parts(void *context, int64_t begin, int64_t end) {
  const matmul_job *job = context;
  const ck_matmul *p = job->product;
  const int64_t length = ck_part_length(p->k);
  for (int64_t part = begin; part < end; part++) {
    const span k = {part * length, least((part + 1) * length, p->k)}, rows = {0, p->m};
    const row_block block = rows_in_place(operand_of(p, rows, k), p->m);
    for (int64_t index = 0; index < panel_count(p->n); index++) {
      multiply_panel(p, &block, index, k, false, job->sums + part * p->m * p->n + index * CK_TILE_COLUMNS, p->n);
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
  if (p->program) {
    pack_panels(p);
    program_plan fresh;
    const int64_t width = p->n <= 2 * CK_MATMUL_WIDTH ? p->n : CK_MATMUL_WIDTH;
    matmul_job job = cut_rows(p, rows_of_block(p, width));
    job.width = width;
    job.plan = plan_for(p->program, p->program_input, &fresh);
    ck_parallel_for(job.row_blocks * ceil_div(p->n, width), 1, multiply_and_continue, &job);
    return;
  }
  // Fewer than two pieces' worth: not worth a second thread.
  const bool small = p->m * p->n * p->k < matmul_piece / 2;
  const int64_t parts = ck_matmul_parts(p->m, p->k, p->n, p->transpose_b);
  if (parts > 1) {
    pack_panels(p);
    matmul_job job = {.product = p, .sums = p->packed};
    if (p->n % CK_TILE_COLUMNS != 0) job.sums += p->k * CK_TILE_COLUMNS;
    ck_parallel_for(parts, small ? parts : 1, multiply_parts, &job);
    add_parts(p, job.sums, parts);
    return;
  }
  matmul_job job = cut_product(p);
  if (job.row_blocks > 1) pack_panels(p);
  const int64_t units = job.row_blocks * ceil_div(p->n, job.width);
  ck_parallel_for(units, small ? units : 1, multiply_units, &job);
}
