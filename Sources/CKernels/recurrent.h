// Recurrent cells along the time axis: the recurrent product and what the cell makes of it, step by step.
//
// Rows of the batch don't know of each other, so a thread takes a few of them through all steps without waiting for
// anybody. The recurrent kernel is packed once, and lies in the second-level cache: for a vector of units the columns of
// all its gates stand side by side, so that a tile's sums are all that a unit's new state needs.

/// Rows of the batch that go through the steps together, at most.
#define CK_RECURRENT_ROWS 8
/// Sums that a tile keeps in registers.
#define CK_RECURRENT_SUMS (CK_LANES == 16 ? 24 : 12)

typedef vf gate_sums[CK_RECURRENT_ROWS][4];

static inline int64_t recurrent_gates(int32_t cell) { return cell == CK_SIMPLE_CELL ? 1 : cell == CK_LSTM_CELL ? 4 : 3; }

/// Units rounded up to whole vectors of any instruction set.
static inline int64_t padded_units(int64_t units) { return ceil_div(units, 16) * 16; }

/// A quarter of a small batch, so that several threads have something to do.
static inline int64_t recurrent_rows(int64_t batch) { return most(1, least(CK_RECURRENT_ROWS, ceil_div(batch, 4))); }

/// States (or their gradients) of a piece: four arrays of [rows, padded units], and the gates' gradients.
static inline int64_t piece_floats(int64_t rows, int64_t units, int64_t gates) {
  return rows * padded_units(units) * (4 + gates);
}

CK_INLINE vf load_some(const float *p, int64_t count) {
  return count >= CK_LANES ? vload(p) : load_part(p, count, 0);
}
CK_INLINE void store_some(float *p, vf v, int64_t count) {
  if (count >= CK_LANES) {
    vstore(p, v);
  } else {
    store_part(p, v, count);
  }
}

// MARK: The product

/// sums[row][gate] = Σ h[row, k] · panel[k, gate]
CK_INLINE void multiply_gates(
  gate_sums sums, const int rows, const int gates, const float *h, int64_t step, const float *panel, int64_t k) {
  vf total[CK_TILE_SUMS];
  multiply_tile(total, rows, gates, true, h, step, panel, gates * CK_LANES, k);
#pragma clang loop unroll(full)
  for (int i = 0; i < rows; i++) {
#pragma clang loop unroll(full)
    for (int g = 0; g < gates; g++) sums[i][g] = total[i * gates + g];
  }
}

#define CK_GATES_OF(rows, gates)                                                                                   \
  case rows * 8 + gates: multiply_gates(sums, rows, gates, h, step, panel, k); return;

CK_KEEP void run_gates(
  gate_sums sums, int64_t rows, int64_t gates, const float *h, int64_t step, const float *panel, int64_t k) {
  switch (rows * 8 + gates) {
    CK_GATES_OF(1, 1) CK_GATES_OF(2, 1) CK_GATES_OF(3, 1) CK_GATES_OF(4, 1)
    CK_GATES_OF(5, 1) CK_GATES_OF(6, 1) CK_GATES_OF(7, 1) CK_GATES_OF(8, 1)
    CK_GATES_OF(1, 2) CK_GATES_OF(2, 2) CK_GATES_OF(3, 2) CK_GATES_OF(4, 2) CK_GATES_OF(5, 2) CK_GATES_OF(6, 2)
    CK_GATES_OF(1, 3) CK_GATES_OF(2, 3) CK_GATES_OF(3, 3) CK_GATES_OF(4, 3)
    CK_GATES_OF(1, 4) CK_GATES_OF(2, 4) CK_GATES_OF(3, 4)
#if CK_LANES == 16
    CK_GATES_OF(7, 2) CK_GATES_OF(8, 2)
    CK_GATES_OF(5, 3) CK_GATES_OF(6, 3) CK_GATES_OF(7, 3) CK_GATES_OF(8, 3)
    CK_GATES_OF(4, 4) CK_GATES_OF(5, 4) CK_GATES_OF(6, 4)
#endif
  }
}

/// Columns of gates `first ..< first + gates`, vector by vector of units: [vector, k, gate, lane].
static void pack_gates(float *dst, const ck_recurrent *p, int64_t first, int64_t gates) {
  const int64_t units = p->units, width = recurrent_gates(p->cell) * units;
  for (int64_t unit = 0; unit < units; unit += CK_LANES) {
    const int64_t count = least(CK_LANES, units - unit);
    for (int64_t k = 0; k < units; k++) {
      for (int64_t g = 0; g < gates; g++, dst += CK_LANES) {
        vstore(dst, load_some(p->kernel + k * width + (first + g) * units + unit, count));
      }
    }
  }
}

// MARK: One step

/// Some rows at one step.
typedef struct {
  const ck_recurrent *p;
  const float *packed;
  const float *h;            // states before: [rows, padded]
  float *h_new, *c, *reset;  // states after; the LSTM's cells; r · h of a GRU that resets before the product
  int64_t padded, first, rows;
  int64_t step, position;    // number of the step, and its place in the inputs
  int64_t next;              // place of the next step; -1: none
} recurrent_step;

/// What the cell makes of a vector of units' sums.
CK_INLINE void finish_units(const int cell, const recurrent_step *s, int64_t row, int64_t unit, const vf *sums) {
  const ck_recurrent *p = s->p;
  const int gates = cell == CK_SIMPLE_CELL ? 1 : cell == CK_LSTM_CELL ? 4 : 3;
  const int64_t units = p->units, count = least(CK_LANES, units - unit), steps = (s->first + row) * p->time;
  const int64_t local = row * s->padded + unit, place = (steps + s->position) * gates * units + unit;
  const float *x = p->x + place;
  if (s->next >= 0) {
    const float *ahead = x + (s->next - s->position) * gates * units;
    for (int g = 0; g < gates; g++) __builtin_prefetch(ahead + g * units, 0, 2);
  }
  const vf old = vload(s->h + local);
  vf value[4], h, extra = 0;
  if (cell == CK_SIMPLE_CELL) {
    h = value[0] = vtanh(load_some(x, count) + sums[0]);
  } else if (cell == CK_LSTM_CELL) {
    value[0] = vsigmoid(load_some(x, count) + sums[0]);
    value[1] = vsigmoid(load_some(x + units, count) + sums[1]);
    value[2] = vtanh(load_some(x + 2 * units, count) + sums[2]);
    value[3] = vsigmoid(load_some(x + 3 * units, count) + sums[3]);
    extra = vmuladd(value[1], vload(s->c + local), value[0] * value[2]);
    h = value[3] * vtanh(extra);
  } else {
    vf product[3] = {sums[0], sums[1], sums[2]};
    if (p->bias) {
      for (int g = 0; g < 3; g++) product[g] += load_some(p->bias + g * units + unit, count);
    }
    value[0] = vsigmoid(load_some(x, count) + product[0]);
    value[1] = vsigmoid(load_some(x + units, count) + product[1]);
    extra = product[2];
    value[2] = vtanh(vmuladd(value[1], extra, load_some(x + 2 * units, count)));
    h = vmuladd(value[0], old - value[2], value[2]);
  }
  if (p->gates) {
    for (int g = 0; g < gates; g++) store_some(p->gates + place + g * units, value[g], count);
  }
  const bool stays = p->mask && !p->mask[steps + s->position];
  if (stays) h = old;
  if (cell == CK_LSTM_CELL) {
    if (stays) extra = vload(s->c + local);
    vstore(s->c + local, extra);
  }
  if (p->extra && cell != CK_SIMPLE_CELL) store_some(p->extra + (steps + s->position) * units + unit, extra, count);
  vstore(s->h_new + local, h);
  if (p->outputs) store_some(p->outputs + (steps + s->step) * units + unit, h, count);
  if (p->previous && s->next >= 0) store_some(p->previous + (steps + s->next) * units + unit, h, count);
}

/// The gates z and r of a GRU that resets before the product; z stays in `h_new`.
CK_INLINE void finish_reset(const recurrent_step *s, int64_t row, int64_t unit, const vf *sums) {
  const ck_recurrent *p = s->p;
  const int64_t units = p->units, count = least(CK_LANES, units - unit);
  const int64_t local = row * s->padded + unit;
  const int64_t place = ((s->first + row) * p->time + s->position) * 3 * units + unit;
  const vf z = vsigmoid(load_some(p->x + place, count) + sums[0]);
  const vf r = vsigmoid(load_some(p->x + place + units, count) + sums[1]);
  if (p->gates) {
    store_some(p->gates + place, z, count);
    store_some(p->gates + place + units, r, count);
  }
  vstore(s->reset + local, r * vload(s->h + local));
  vstore(s->h_new + local, z);
}

/// Its new state, from the product of r · h.
CK_INLINE void finish_candidate(const recurrent_step *s, int64_t row, int64_t unit, const vf *sums) {
  const ck_recurrent *p = s->p;
  const int64_t units = p->units, count = least(CK_LANES, units - unit), steps = (s->first + row) * p->time;
  const int64_t local = row * s->padded + unit, place = (steps + s->position) * 3 * units + 2 * units + unit;
  const vf old = vload(s->h + local), candidate = vtanh(load_some(p->x + place, count) + sums[0]);
  if (p->gates) store_some(p->gates + place, candidate, count);
  vf h = vmuladd(vload(s->h_new + local), old - candidate, candidate);
  if (p->mask && !p->mask[steps + s->position]) h = old;
  vstore(s->h_new + local, h);
  if (p->outputs) store_some(p->outputs + (steps + s->step) * units + unit, h, count);
  if (p->previous && s->next >= 0) store_some(p->previous + (steps + s->next) * units + unit, h, count);
}

/// All units: `gates` sums each, from `h`, finished by `finish`.
#define CK_FOR_UNITS(s, gate_count, h, packed, finish)                                                             \
  do {                                                                                                             \
    const int64_t all = (s)->rows, k = (s)->p->units, tiles = ceil_div(all, CK_RECURRENT_SUMS / (gate_count));     \
    const int64_t height = least(CK_RECURRENT_ROWS, ceil_div(all, tiles));                                         \
    const float *panel = packed;                                                                                   \
    for (int64_t unit = 0; unit < k; unit += CK_LANES, panel += k * (gate_count) * CK_LANES) {                     \
      for (int64_t row = 0; row < all; row += height) {                                                            \
        const int64_t rows = least(height, all - row);                                                             \
        gate_sums sums;                                                                                            \
        run_gates(sums, rows, gate_count, (h) + row * (s)->padded, (s)->padded, panel, k);                         \
        for (int64_t i = 0; i < rows; i++) finish;                                                                 \
      }                                                                                                            \
    }                                                                                                              \
  } while (0)

CK_KEEP void step_forward(const recurrent_step *s) {
  const int64_t units = s->p->units;
  switch (s->p->cell) {
    case CK_SIMPLE_CELL:
      CK_FOR_UNITS(s, 1, s->h, s->packed, finish_units(CK_SIMPLE_CELL, s, row + i, unit, sums[i]));
      break;
    case CK_LSTM_CELL:
      CK_FOR_UNITS(s, 4, s->h, s->packed, finish_units(CK_LSTM_CELL, s, row + i, unit, sums[i]));
      break;
    case CK_GRU_CELL:
      CK_FOR_UNITS(s, 3, s->h, s->packed, finish_units(CK_GRU_CELL, s, row + i, unit, sums[i]));
      break;
    case CK_GRU_CELL_RESET_BEFORE:
      CK_FOR_UNITS(s, 2, s->h, s->packed, finish_reset(s, row + i, unit, sums[i]));
      CK_FOR_UNITS(
        s, 1, s->reset, s->packed + padded_units(units) * units * 2, finish_candidate(s, row + i, unit, sums[i]));
      break;
  }
}

// MARK: All steps

/// Rows of [batch, units] into rows of padded units, and back.
static void load_states(float *dst, const float *src, int64_t rows, int64_t units) {
  memset(dst, 0, (size_t)(rows * padded_units(units)) * sizeof(float));
  if (!src) return;
  for (int64_t row = 0; row < rows; row++) {
    memcpy(dst + row * padded_units(units), src + row * units, (size_t)units * sizeof(float));
  }
}
static void store_states(float *dst, const float *src, int64_t rows, int64_t units) {
  for (int64_t row = 0; row < rows; row++) {
    memcpy(dst + row * units, src + row * padded_units(units), (size_t)units * sizeof(float));
  }
}

typedef struct {
  const ck_recurrent *p;
  const float *packed;
  float *memory;
  int64_t rows;
} recurrent_job;

static void run_recurrent(void *context, int64_t begin, int64_t end) {
  const recurrent_job *job = context;
  const ck_recurrent *p = job->p;
  const int64_t units = p->units, time = p->time, array = job->rows * padded_units(units);
  for (int64_t piece = begin; piece < end; piece++) {
    float *memory = job->memory + piece * piece_floats(job->rows, units, recurrent_gates(p->cell));
    float *h = memory, *h_new = memory + array;
    recurrent_step s = {
      .p = p, .packed = job->packed, .c = memory + 2 * array, .reset = memory + 3 * array,
      .padded = padded_units(units), .first = piece * job->rows};
    s.rows = least(job->rows, p->batch - s.first);
    load_states(h, p->states[0] + s.first * units, s.rows, units);
    if (p->cell == CK_LSTM_CELL) load_states(s.c, p->states[1] + s.first * units, s.rows, units);
    if (p->previous && time > 0) {
      for (int64_t row = 0; row < s.rows; row++) {
        const int64_t place = (s.first + row) * time + (p->backwards ? time - 1 : 0);
        memcpy(p->previous + place * units, p->states[0] + (s.first + row) * units, (size_t)units * sizeof(float));
      }
    }
    for (s.step = 0; s.step < time; s.step++) {
      s.position = p->backwards ? time - 1 - s.step : s.step;
      s.next = s.step + 1 == time ? -1 : p->backwards ? s.position - 1 : s.position + 1;
      s.h = h;
      s.h_new = h_new;
      step_forward(&s);
      float *swap = h;
      h = h_new;
      h_new = swap;
    }
    store_states(p->last[0] + s.first * units, h, s.rows, units);
    if (p->cell == CK_LSTM_CELL) store_states(p->last[1] + s.first * units, s.c, s.rows, units);
  }
}

/// A loop over pieces is worth other threads from about 4 µs of work each.
static int64_t recurrent_grain(int64_t pieces, int64_t rows, int64_t time, int64_t units, int64_t gates) {
  return pieces * rows * time * units * units * gates < 1 << 18 ? most(pieces, 1) : 1;
}

CK_KERNEL(ck_recurrent_run) {
  const ck_recurrent *p = context;
  const int64_t gates = recurrent_gates(p->cell), rows = recurrent_rows(p->batch), pieces = ceil_div(p->batch, rows);
  const int64_t size = padded_units(p->units) * p->units;
  if (p->cell == CK_GRU_CELL_RESET_BEFORE) {
    pack_gates(p->scratch, p, 0, 2);
    pack_gates(p->scratch + 2 * size, p, 2, 1);
  } else {
    pack_gates(p->scratch, p, 0, gates);
  }
  recurrent_job job = {
    .p = p, .packed = p->scratch, .rows = rows, .memory = p->scratch + (size + 16 * p->units) * gates};
  ck_parallel_for(pieces, recurrent_grain(pieces, rows, p->time, p->units, gates), run_recurrent, &job);
}
