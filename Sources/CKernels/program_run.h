// Running a planned program: blocks, units, and the fold over units.

typedef struct {
  const program_plan *plan;
  float *slots[CK_MAX_SLOTS];
  float *input_buffers[CK_MAX_REGISTERS], *output_buffers[CK_MAX_OUTPUTS];  // a block, or one tile for the last part
  float *block;  // what stands for the replaced input, from element `block_start` on
  int64_t block_start;
  double totals[CK_MAX_OUTPUTS][column_chunk];
} program_worker;

static inline int64_t worker_floats(const program_plan *p) {
  int64_t floats = (int64_t)p->list.tile_slots * CK_TILE;
  for (int i = 0; i < p->program->input_count; i++) {
    floats += p->input_place[i] >= PLACE_BUFFERED ? p->block + CK_TILE : p->input_place[i] == PLACE_DIRECT ? CK_TILE : 0;
  }
  for (int o = 0; o < p->program->output_count; o++) {
    floats += p->output_place[o] == PLACE_BUFFERED ? p->block + CK_TILE : CK_TILE;
  }
  return floats + CK_LANES;
}

/// buffer (compact) = the operand's part of a block. `together`: its rows lie one after the other.
static void gather_block(
  const program_plan *p, const ck_operand *operand, bool together, float *buffer, int64_t row, int64_t rows,
  int64_t column, int64_t columns) {
  const int64_t stride = together ? 1 : stride_of(p, operand, p->outer), size = size_of(operand->dtype);
  if (together) {
    columns *= rows;
    rows = 1;
  }
  for (int64_t r = 0; r < rows; r++) {
    const int64_t offset = row_offset(p, operand, row + r) + column * stride;
    load_run(buffer + r * columns, (const char *)operand->data + offset * size, operand->dtype, stride, columns);
  }
}

static void start_worker(program_worker *w, const program_plan *p, float *memory) {
  const ck_program *g = p->program;
  w->plan = p;
  const uintptr_t mask = sizeof(vf) - 1;
  memory = (float *)(((uintptr_t)memory + mask) & ~mask);
  for (int i = 0; i < g->input_count; i++) {
    w->input_buffers[i] = memory;
    w->slots[i] = memory;
    if (p->input_place[i] == PLACE_DIRECT) memory += CK_TILE;
    if (p->input_place[i] >= PLACE_BUFFERED) {
      memset(memory + p->block, 0, CK_TILE * sizeof(float));
      memory += p->block + CK_TILE;
    }
    if (p->input_place[i] == PLACE_CONSTANT) {
      gather_block(p, &g->inputs[i], false, w->input_buffers[i], 0, least(p->rows, p->block_rows), 0, p->n);
    }
  }
  for (int o = 0; o < g->output_count; o++) {
    w->output_buffers[o] = memory;
    memory += p->output_place[o] == PLACE_BUFFERED ? p->block + CK_TILE : CK_TILE;
  }
  float **tile_slots = w->slots + g->input_count + g->output_count;
  for (int t = 0; t < p->list.tile_slots; t++) tile_slots[t] = memory + t * CK_TILE;
  for (int f = 0; f < p->list.fill_count; f++) {
    float *slot = w->slots[p->list.fills[f].slot];
    const vf value = p->values.values[p->list.fills[f].value].scalar;
    for (int i = 0; i < CK_TILE; i += CK_LANES) vstore(slot + i, value);
  }
}

/// Runs the steps over one block: `rows` whole rows, or part of one. Results that are reduced are left in their buffers.
static void run_block(program_worker *w, int64_t row, int64_t rows, int64_t column, int64_t columns) {
  const program_plan *p = w->plan;
  const ck_program *g = p->program;
  const int64_t count = rows * columns, tiles = count / CK_TILE, rest = count % CK_TILE;
  const int moving = g->input_count + g->output_count;
  for (int i = 0; i < g->input_count; i++) {
    switch (p->input_place[i]) {
      case PLACE_DIRECT:
        w->slots[i] = i == p->replaced
                        ? w->block + (column - w->block_start)
                        : (float *)g->inputs[i].data + row_offset(p, &g->inputs[i], row) + column;
        break;
      case PLACE_BUFFERED:
        gather_block(
          p, &g->inputs[i], p->input_together[i], w->input_buffers[i], row, rows, column, columns);
        w->slots[i] = w->input_buffers[i];
        break;
      default: w->slots[i] = w->input_buffers[i]; break;
    }
  }
  for (int o = 0; o < g->output_count; o++) {
    const ck_operand *operand = &g->outputs[o].operand;
    w->slots[g->input_count + o] = p->output_place[o] == PLACE_DIRECT
                                     ? (float *)operand->data + row_offset(p, operand, row) + column
                                     : w->output_buffers[o];
  }
  for (int o = 0; o < g->output_count; o++) {
    if (p->output_place[o] == PLACE_SUMMED) memset(w->slots[p->list.sums[o]], 0, CK_TILE * sizeof(float));
  }
  run_tiles(p->list.steps, g->instructions, w->slots, moving, tiles, CK_TILE);
  if (rest > 0) {
    float *destinations[CK_MAX_OUTPUTS];
    const size_t bytes = (size_t)rest * sizeof(float);
    const int64_t ahead = tiles > 0 ? CK_TILE : 0;  // run_tiles leaves the slots at its last tile
    for (int i = 0; i < g->input_count; i++) {
      if (p->input_place[i] == PLACE_DIRECT) {
        memcpy(w->input_buffers[i], w->slots[i] + ahead, bytes);
        w->slots[i] = w->input_buffers[i];
      } else {
        w->slots[i] += ahead;
      }
    }
    for (int o = 0; o < g->output_count; o++) {
      float **slot = &w->slots[g->input_count + o];
      destinations[o] = *slot + ahead;
      *slot = p->output_place[o] == PLACE_DIRECT ? w->output_buffers[o] : destinations[o];
    }
    run_tiles(p->list.steps, g->instructions, w->slots, moving, 1, rest);
    for (int o = 0; o < g->output_count; o++) {
      if (p->output_place[o] == PLACE_DIRECT) memcpy(destinations[o], w->output_buffers[o], bytes);
    }
  }
  for (int o = 0; o < g->output_count; o++) {
    const ck_output *output = &g->outputs[o];
    if (p->output_place[o] == PLACE_DIRECT || (output->reduction != CK_STORE && p->form != PLAN_ELEMENTS)) continue;
    float *buffer = w->output_buffers[o];
    if (output->reduction != CK_STORE) {  // a reduction over nothing
      for (int64_t i = 0; i < count; i++) buffer[i] *= output->scale;
    }
    const ck_operand *operand = &output->operand;
    const bool together = p->output_together[o];
    const int64_t stride = together ? 1 : stride_of(p, operand, p->outer), size = size_of(operand->dtype);
    const int64_t runs = together ? 1 : rows, length = count / runs;
    for (int64_t r = 0; r < runs; r++) {
      const int64_t offset = row_offset(p, operand, row + r) + column * stride;
      store_run((char *)operand->data + offset * size, operand->dtype, stride, buffer + r * length, length);
    }
  }
}

/// Writes `count` folded values of the output that belong to one row, from its column on.
static void write_folded(
  const program_plan *p, const ck_output *output, int64_t row, int64_t column, const double *totals, int64_t count) {
  float values[column_chunk];
  for (int64_t i = 0; i < count; i++) values[i] = (float)(totals[i] * output->scale);
  const ck_operand *operand = &output->operand;
  const int64_t stride = stride_of(p, operand, p->outer);
  const int64_t offset = row_offset(p, operand, row) + column * stride;
  store_run((char *)operand->data + offset * size_of(operand->dtype), operand->dtype, stride, values, count);
}

/// Blocks over rows × columns, each handed to `fold` (NULL: nothing is reduced).
static void run_blocks(
  program_worker *w, int64_t row, int64_t row_end, int64_t column, int64_t column_end,
  void (*fold)(program_worker *w, int64_t row, int64_t rows, int64_t from, int64_t columns)) {
  const program_plan *p = w->plan;
  if (p->many_rows) {
    for (; row < row_end; row += p->block_rows) {
      const int64_t rows = least(p->block_rows, row_end - row);
      run_block(w, row, rows, 0, p->n);
      if (fold) fold(w, row, rows, 0, p->n);
    }
    return;
  }
  for (; row < row_end; row++) {
    for (int64_t c = column; c < column_end; c += p->block) {
      const int64_t columns = least(p->block, column_end - c);
      run_block(w, row, 1, c, columns);
      if (fold) fold(w, row, 1, c - column, columns);
    }
  }
}

static void reset_totals(program_worker *w, int64_t count) {
  const ck_program *g = w->plan->program;
  for (int o = 0; o < g->output_count; o++) {
    if (g->outputs[o].reduction == CK_STORE) continue;
    const double identity = identity_of(g->outputs[o].reduction);
    for (int64_t i = 0; i < count; i++) w->totals[o][i] = identity;
  }
}

/// A block of whole groups: their results are written at once.
static void fold_groups(program_worker *w, int64_t row, int64_t rows, int64_t from, int64_t columns) {
  (void)from;
  const program_plan *p = w->plan;
  const ck_program *g = p->program;
  for (int o = 0; o < g->output_count; o++) {
    const ck_output *output = &g->outputs[o];
    if (output->reduction == CK_STORE) continue;
    const float *x = w->output_buffers[o];
    const int64_t length = p->group_rows * columns;
    if (p->form == PLAN_TRAILING && p->group_rows == 1 && p->outer == 1) {
      // The commonest case, a sum over each short row: all rows' results leave together.
      float values[CK_BLOCK];
      for (int64_t r = 0; r < rows; r++) values[r] = fold_run(output->reduction, x + r * length, length) * output->scale;
      const int64_t stride = stride_of(p, &output->operand, 0);
      store_run(
        (char *)output->operand.data + row * stride * size_of(output->operand.dtype), output->operand.dtype, stride,
        values, rows);
      continue;
    }
    for (int64_t r = 0; r < rows; r += p->group_rows) {
      double totals[column_chunk];
      if (p->form == PLAN_TRAILING) {
        totals[0] = fold_run(output->reduction, x + r * columns, length);
        write_folded(p, output, row + r, 0, totals, 1);
      } else {
        for (int64_t i = 0; i < columns; i++) totals[i] = identity_of(output->reduction);
        fold_columns(output->reduction, totals, x + r * columns, p->group_rows, columns);
        write_folded(p, output, row + r, 0, totals, columns);
      }
    }
  }
}

/// A part of one group, `from` columns from the chunk's first, enters the totals.
static void fold_part(program_worker *w, int64_t row, int64_t rows, int64_t from, int64_t columns) {
  (void)row;
  const program_plan *p = w->plan;
  const ck_program *g = p->program;
  for (int o = 0; o < g->output_count; o++) {
    const int reduction = g->outputs[o].reduction;
    if (reduction == CK_STORE) continue;
    if (p->form == PLAN_TRAILING) {
      const float folded = fold_run(reduction, w->output_buffers[o], rows * columns);
      w->totals[o][0] = fold_doubles(reduction, w->totals[o][0], folded);
    } else if (p->output_place[o] == PLACE_SUMMED) {
      fold_columns(reduction, w->totals[o] + from, w->slots[p->list.sums[o]], 1, columns);
    } else {
      fold_columns(reduction, w->totals[o] + from, w->output_buffers[o], rows, columns);
    }
  }
}

static void run_unit(program_worker *w, int64_t unit) {
  const program_plan *p = w->plan;
  const ck_program *g = p->program;
  if (p->form == PLAN_ELEMENTS) {
    if (p->many_rows) {
      run_blocks(w, unit * p->unit, least(p->rows, (unit + 1) * p->unit), 0, p->n, NULL);
    } else {
      const int64_t row = unit / p->unit_chunks, column = unit % p->unit_chunks * p->unit;
      run_blocks(w, row, row + 1, column, least(p->n, column + p->unit), NULL);
    }
    return;
  }
  if (folds_whole_groups(p)) {
    const int64_t first = unit * p->unit, last = least(p->groups, first + p->unit);
    run_blocks(w, first * p->group_rows, last * p->group_rows, 0, p->n, fold_groups);
    return;
  }
  // Row by row, as products are cut: each thread then reads the rows that it wrote.
  const int64_t group = unit / (p->chunks * p->spans), span = unit / p->chunks % p->spans, chunk = unit % p->chunks;
  int64_t row = group * p->group_rows, row_end = row + p->group_rows;
  int64_t column = chunk * p->chunk, column_end = least(p->n, column + p->chunk);
  if (p->by_columns) {
    column = span * p->span;
    column_end = least(p->n, column + p->span);
  } else {
    row += span * p->span;
    row_end = least(row_end, row + p->span);
  }
  const int64_t width = p->form == PLAN_TRAILING ? 1 : column_end - column;
  reset_totals(w, width);
  run_blocks(w, row, row_end, column, column_end, fold_part);
  for (int o = 0, reduced = 0; o < g->output_count; o++) {
    if (g->outputs[o].reduction == CK_STORE) continue;
    if (p->spans == 1) {
      write_folded(p, &g->outputs[o], row, p->form == PLAN_TRAILING ? 0 : column, w->totals[o], width);
    } else {
      const int64_t partial_width = p->form == PLAN_TRAILING ? 1 : p->chunk;
      double *partial = p->partials + (reduced * p->units + (group * p->chunks + chunk) * p->spans + span) * partial_width;
      memcpy(partial, w->totals[o], (size_t)width * sizeof(double));
    }
    reduced++;
  }
}

static int64_t partial_count(const program_plan *p) {
  if (p->spans == 1) return 0;
  return p->reduced_outputs * p->units * (p->form == PLAN_TRAILING ? 1 : p->chunk);
}

/// Folds the spans of each group, in order.
static void fold_spans(const program_plan *p) {
  const ck_program *g = p->program;
  const int64_t partial_width = p->form == PLAN_TRAILING ? 1 : p->chunk;
  for (int o = 0, reduced = 0; o < g->output_count; o++) {
    const ck_output *output = &g->outputs[o];
    if (output->reduction == CK_STORE) continue;
    for (int64_t part = 0; part < p->groups * p->chunks; part++) {
      const int64_t group = part / p->chunks, column = part % p->chunks * p->chunk;
      const int64_t width = p->form == PLAN_TRAILING ? 1 : least(p->n, column + p->chunk) - column;
      double *totals = p->partials + (reduced * p->units + part * p->spans) * partial_width;
      for (int64_t s = 1; s < p->spans; s++) {
        const double *next = totals + s * partial_width;
        for (int64_t i = 0; i < width; i++) totals[i] = fold_doubles(output->reduction, totals[i], next[i]);
      }
      write_folded(p, output, group * p->group_rows, column, totals, width);
    }
    reduced++;
  }
}

/// Reductions of arrays without elements: every kept position gets the identity.
static void write_identities(const ck_program *g) {
  for (int o = 0; o < g->output_count; o++) {
    const ck_output *output = &g->outputs[o];
    if (output->reduction == CK_STORE) continue;
    int64_t kept = 1;
    for (int d = 0; d < g->rank; d++) {
      if (!(g->reduced >> d & 1)) kept *= g->dims[d];
    }
    const float value = (float)(identity_of(output->reduction) * output->scale);
    for (int64_t i = 0; i < kept; i++) {
      int64_t offset = 0, rest = i;
      for (int d = g->rank - 1; d >= 0; d--) {
        if (g->reduced >> d & 1) continue;
        offset += rest % g->dims[d] * output->operand.strides[d];
        rest /= g->dims[d];
      }
      store_run(
        (char *)output->operand.data + offset * size_of(output->operand.dtype), output->operand.dtype, 1, &value, 1);
    }
  }
}

static void run_units(const program_plan *p, int64_t begin, int64_t end) {
  program_worker w;
  float memory[worker_floats(p)];
  start_worker(&w, p, memory);
  for (int64_t unit = begin; unit < end; unit++) run_unit(&w, unit);
}

static void run_units_of(void *context, int64_t begin, int64_t end) { run_units(context, begin, end); }

CK_KERNEL(ck_program_run) {
  program_plan fresh, *plan = plan_for(context, -1, &fresh);
  if (plan->empty) {
    write_identities(plan->program);
    return;
  }
  double partials[partial_count(plan) + 1];
  plan->partials = partials;
  if (plan->cycles < parallel_cycles || plan->units == 1) {
    run_units(plan, 0, plan->units);
  } else {
    ck_parallel_shares(plan->units, run_units_of, plan);
  }
  if (plan->spans > 1) fold_spans(plan);
}

typedef struct {
  program_plan *plans[8];
  int64_t first[9];
  int count;
} program_batch;

static void run_units_of_batch(void *context, int64_t begin, int64_t end) {
  const program_batch *b = context;
  for (int i = 0; i < b->count; i++) {
    const int64_t from = most(begin, b->first[i]), to = least(end, b->first[i + 1]);
    if (from < to) run_units(b->plans[i], from - b->first[i], to - b->first[i]);
  }
}

/// Eight programs at a time share a parallel loop; reductions cut into spans run by themselves.
CK_KERNEL(ck_program_list_run) {
  const ck_program_list *list = context;
  for (int64_t next = 0; next < list->count;) {
    program_batch batch;
    program_plan fresh[8];
    double cycles = 0;
    batch.count = 0;
    batch.first[0] = 0;
    for (; next < list->count && batch.count < 8; next++) {
      program_plan *plan = plan_for(list->programs[next], -1, &fresh[batch.count]);
      batch.plans[batch.count] = plan;
      if (plan->empty || plan->spans > 1) {
        CK_LOCAL(ck_program_run)(list->programs[next]);
        continue;
      }
      cycles += plan->cycles;
      batch.first[batch.count + 1] = batch.first[batch.count] + plan->units;
      batch.count++;
    }
    const int64_t units = batch.first[batch.count];
    if (cycles < parallel_cycles || units == 1) {
      run_units_of_batch(&batch, 0, units);
    } else {
      ck_parallel_shares(units, run_units_of_batch, &batch);
    }
  }
}

/// Elements begin ..< end of a program with one dimension and no reductions, on this thread. The replaced input is read
/// from `block`, whose first element is `begin`.
static void run_elements(program_worker *w, int64_t begin, int64_t end, float *block) {
  w->block = block;
  w->block_start = begin;
  run_blocks(w, 0, 1, begin, end, NULL);
}
