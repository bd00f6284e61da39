// Recurrent cells taken back: from the gradients of outputs and final states to those of the projected inputs and of the
// initial states. The recurrent kernel's gradient is one large product over all steps, made elsewhere.

/// Some rows at one step.
typedef struct {
  const ck_recurrent_gradient *p;
  const float *packed;
  float *h, *c;      // gradients of the states: [rows, padded]
  float *product;    // of the recurrent product: [rows, gates · units]
  float *reset;      // of r · h, of a GRU that resets before the product
  int64_t padded, first, rows;
  int64_t step, position;
  int64_t before;    // place of the step before; -1: none
} recurrent_step_back;

/// Gradients of a vector of units' gates from those of the states; the states' are left as what goes past the product.
CK_INLINE void start_units(const int cell, const recurrent_step_back *s, int64_t row, int64_t unit) {
  const ck_recurrent_gradient *p = s->p;
  const int gates = cell == CK_SIMPLE_CELL ? 1 : cell == CK_LSTM_CELL ? 4 : 3;
  const int64_t units = p->units, count = least(CK_LANES, units - unit), steps = (s->first + row) * p->time;
  const int64_t local = row * s->padded + unit, element = (steps + s->position) * units + unit;
  const int64_t place = (steps + s->position) * gates * units + unit;
  vf value[4], sums[4], products[4];
  for (int g = 0; g < gates; g++) value[g] = load_some(p->gates + place + g * units, count);
  if (s->before >= 0) {
    const float *ahead = p->gates + place + (s->before - s->position) * gates * units;
    for (int g = 0; g < gates; g++) __builtin_prefetch(ahead + g * units, 0, 2);
  }
  vf h = vload(s->h + local);
  if (p->g_outputs) h += load_some(p->g_outputs + (steps + s->step) * units + unit, count);
  if (p->mask && !p->mask[steps + s->position]) {
    for (int g = 0; g < gates; g++) sums[g] = products[g] = 0;
    vstore(s->h + local, h);
  } else if (cell == CK_SIMPLE_CELL) {
    sums[0] = products[0] = h * (1.0f - value[0] * value[0]);
    vstore(s->h + local, (vf)0.0f);
  } else if (cell == CK_LSTM_CELL) {
    const vf i = value[0], f = value[1], g = value[2], o = value[3];
    const vf cell_tanh = vtanh(load_some(p->extra + element, count));
    const float *before = s->before >= 0 ? p->extra + (steps + s->before) * units + unit
                                         : p->initial_cell + (s->first + row) * units + unit;
    const vf all = vmuladd(h * o, 1.0f - cell_tanh * cell_tanh, vload(s->c + local));
    sums[0] = all * g * i * (1.0f - i);
    sums[1] = all * load_some(before, count) * f * (1.0f - f);
    sums[2] = all * i * (1.0f - g * g);
    sums[3] = h * cell_tanh * o * (1.0f - o);
    for (int k = 0; k < 4; k++) products[k] = sums[k];
    vstore(s->c + local, all * f);
    vstore(s->h + local, (vf)0.0f);
  } else {
    const vf z = value[0], r = value[1], candidate = value[2];
    const vf before = load_some(p->previous + element, count);
    sums[0] = products[0] = h * (before - candidate) * z * (1.0f - z);
    sums[2] = h * (1.0f - z) * (1.0f - candidate * candidate);
    if (cell == CK_GRU_CELL) {
      sums[1] = products[1] = sums[2] * load_some(p->extra + element, count) * r * (1.0f - r);
      products[2] = sums[2] * r;
    } else {
      sums[1] = products[1] = 0;  // known when the product by U_h has been taken back
      products[2] = sums[2];
    }
    vstore(s->h + local, h * z);
  }
  for (int g = 0; g < gates; g++) {
    store_some(p->projected + place + g * units, sums[g], count);
    store_some(s->product + (row * gates + g) * units + unit, products[g], count);
    if (cell == CK_GRU_CELL) store_some(p->product + place + g * units, products[g], count);
  }
}

/// The reset gate's gradient, now that that of r · h is known.
CK_INLINE void continue_reset(const recurrent_step_back *s, int64_t row, int64_t unit) {
  const ck_recurrent_gradient *p = s->p;
  const int64_t units = p->units, count = least(CK_LANES, units - unit);
  const int64_t place = (s->first + row) * p->time + s->position, local = row * s->padded + unit;
  // z and h̃ may have been overwritten by their gradients; r hasn't been yet where `projected` isn't `gates`.
  const vf r = vload(s->c + local), through = vload(s->reset + local);
  const vf gradient = through * load_some(p->previous + place * units + unit, count) * r * (1.0f - r);
  store_some(p->projected + place * 3 * units + units + unit, gradient, count);
  store_some(s->product + (row * 3 + 1) * units + unit, gradient, count);
  vstore(s->h + local, vmuladd(through, r, vload(s->h + local)));
}

#define CK_BACK_OF(rows)                                                                                           \
  case rows: {                                                                                                     \
    vf sums[CK_TILE_SUMS];                                                                                         \
    multiply_tile(sums, rows, 2, true, a, a_step, b, CK_TILE_COLUMNS, k);                                          \
    for (int i = 0; i < rows; i++) {                                                                               \
      for (int v = 0; v < 2; v++) {                                                                                \
        float *place = c + i * c_step + v * CK_LANES;                                                              \
        if (v * CK_LANES < columns) vstore(place, vload(place) + sums[i * 2 + v]);                                      \
      }                                                                                                            \
    }                                                                                                              \
    break;                                                                                                         \
  }

/// c += a · b for a few rows and the units of one panel.
CK_KEEP void add_tile(
  float *c, int64_t c_step, const float *a, int64_t a_step, const float *b, int64_t k, int64_t rows, int64_t columns) {
  switch (rows) {
    CK_BACK_OF(1) CK_BACK_OF(2) CK_BACK_OF(3) CK_BACK_OF(4) CK_BACK_OF(5) CK_BACK_OF(6)
#if CK_LANES == 16
    CK_BACK_OF(7) CK_BACK_OF(8)
#endif
  }
}

/// dst += gradients of gates `first ..< last` · their columns of the kernel, transposed.
static void add_through_kernel(const recurrent_step_back *s, float *dst, int64_t first, int64_t last) {
  const int64_t units = s->p->units, width = recurrent_gates(s->p->cell) * units;
  const int64_t height = CK_LANES == 16 ? CK_RECURRENT_ROWS : 6;
  const float *panel = s->packed + first * units * CK_TILE_COLUMNS;
  for (int64_t unit = 0; unit < units; unit += CK_TILE_COLUMNS, panel += width * CK_TILE_COLUMNS) {
    for (int64_t row = 0; row < s->rows; row += height) {
      add_tile(
        dst + row * s->padded + unit, s->padded, s->product + row * width + first * units, width, panel,
        (last - first) * units, least(height, s->rows - row), units - unit);
    }
  }
}

#define CK_FOR_ROWS_AND_UNITS(s, what)                                                                             \
  for (int64_t row = 0; row < (s)->rows; row++) {                                                                  \
    for (int64_t unit = 0; unit < (s)->p->units; unit += CK_LANES) what;                                           \
  }

CK_KEEP void step_back(const recurrent_step_back *s) {
  const ck_recurrent_gradient *p = s->p;
  switch (p->cell) {
    case CK_SIMPLE_CELL: CK_FOR_ROWS_AND_UNITS(s, start_units(CK_SIMPLE_CELL, s, row, unit)); break;
    case CK_LSTM_CELL: CK_FOR_ROWS_AND_UNITS(s, start_units(CK_LSTM_CELL, s, row, unit)); break;
    case CK_GRU_CELL: CK_FOR_ROWS_AND_UNITS(s, start_units(CK_GRU_CELL, s, row, unit)); break;
    case CK_GRU_CELL_RESET_BEFORE: {
      const int64_t units = p->units, width = 3 * units;
      for (int64_t row = 0; row < s->rows; row++) {
        const float *gates = p->gates + ((s->first + row) * p->time + s->position) * width;
        memcpy(s->c + row * s->padded, gates + units, (size_t)units * sizeof(float));
      }
      CK_FOR_ROWS_AND_UNITS(s, start_units(CK_GRU_CELL_RESET_BEFORE, s, row, unit));
      memset(s->reset, 0, (size_t)(s->rows * s->padded) * sizeof(float));
      add_through_kernel(s, s->reset, 2, 3);
      CK_FOR_ROWS_AND_UNITS(s, continue_reset(s, row, unit));
      add_through_kernel(s, s->h, 0, 2);
      return;
    }
  }
  add_through_kernel(s, s->h, 0, recurrent_gates(p->cell));
}

typedef struct {
  const ck_recurrent_gradient *p;
  const float *packed;
  float *memory;
  int64_t rows;
} recurrent_gradient_job;

static void run_recurrent_gradient(void *context, int64_t begin, int64_t end) {
  const recurrent_gradient_job *job = context;
  const ck_recurrent_gradient *p = job->p;
  const int64_t units = p->units, array = job->rows * padded_units(units);
  for (int64_t piece = begin; piece < end; piece++) {
    float *memory = job->memory + piece * piece_floats(job->rows, units, recurrent_gates(p->cell));
    recurrent_step_back s = {
      .p = p, .packed = job->packed, .h = memory, .c = memory + array, .reset = memory + 2 * array,
      .product = memory + 4 * array, .padded = padded_units(units), .first = piece * job->rows};
    s.rows = least(job->rows, p->batch - s.first);
    load_states(s.h, p->g_last[0] ? p->g_last[0] + s.first * units : NULL, s.rows, units);
    load_states(s.c, p->g_last[1] ? p->g_last[1] + s.first * units : NULL, s.rows, units);
    for (s.step = p->time - 1; s.step >= 0; s.step--) {
      s.position = p->backwards ? p->time - 1 - s.step : s.step;
      s.before = s.step == 0 ? -1 : p->backwards ? s.position + 1 : s.position - 1;
      step_back(&s);
    }
    store_states(p->states[0] + s.first * units, s.h, s.rows, units);
    if (p->cell == CK_LSTM_CELL) store_states(p->states[1] + s.first * units, s.c, s.rows, units);
  }
}

CK_KERNEL(ck_recurrent_gradient_run) {
  const ck_recurrent_gradient *p = context;
  const int64_t units = p->units, gates = recurrent_gates(p->cell), width = gates * units;
  const int64_t rows = recurrent_rows(p->batch), pieces = ceil_div(p->batch, rows);
  const ck_matmul transposed = {.b = p->kernel, .k = width, .n = units, .transpose_b = true};
  for (int64_t unit = 0; unit < units; unit += CK_TILE_COLUMNS) {
    pack_columns(p->scratch + unit * width, &transposed, unit, least(CK_TILE_COLUMNS, units - unit));
  }
  recurrent_gradient_job job = {
    .p = p, .packed = p->scratch, .rows = rows,
    .memory = p->scratch + (padded_units(units) + 16) * width};
  ck_parallel_for(pieces, recurrent_grain(pieces, rows, p->time, units, gates), run_recurrent_gradient, &job);
}
