// How a program is cut: which dimensions come first, what one block is, which operands are used where they lie, and
// into how many units the work is cut. All of it follows from sizes and strides alone, so results don't depend on the
// number of threads.

typedef enum {
  PLAN_ELEMENTS,  // nothing is reduced
  PLAN_TRAILING,  // [kept..., reduced..., n reduced]: segments of neighbours are folded to one value each
  PLAN_LEADING    // [kept..., reduced..., n kept]: rows of a group are folded into one row
} plan_form;

typedef enum {
  PLACE_UNUSED,
  PLACE_UNIFORM,   // one value, an immediate of the steps
  PLACE_DIRECT,    // float32, lying in memory as a block does
  PLACE_SUMMED,    // an output whose tiles are added up as they are made, and never kept
  PLACE_BUFFERED,  // converted or gathered into scratch (outputs: written from it) block by block
  PLACE_CONSTANT   // the same for every block: gathered once
} operand_place;

enum {
  block_budget = 6144,      // floats of all buffered operands of a block, 24 KiB of L1
  long_row = 1024,          // rows this long are blocks of their own
  unit_elements = 4096,     // what is worth handing to a thread
  segment_span = 8192,      // a long reduction is cut into spans of about this many elements
  column_chunk = 512,       // columns folded together when rows are summed
  max_partials = 64,        // spans of one reduction
  parallel_cycles = 7000    // below this, forking costs more than it gains
};

typedef struct {
  const ck_program *program;
  plan_form form;
  int lanes;                    // of the instruction set it was made for
  int replaced;                 // the input that is handed over block by block instead of lying in memory; or -1
  value_graph values;
  int outer;                    // dimensions before the innermost
  int axis[CK_MAX_DIMS];        // the program's dimension whose strides hold
  int64_t extent[CK_MAX_DIMS];
  bool axis_reduced[CK_MAX_DIMS];
  int64_t rows, n;              // n elements in a row, of which there are `rows`
  int64_t group_rows, groups;   // rows that are folded together; 1 group when nothing is reduced
  bool many_rows;               // a block is several whole rows
  int64_t block;                // elements of the longest block
  int64_t block_rows;           // rows of a block, when many_rows
  int64_t chunk, chunks;        // leading: columns folded together
  int64_t spans, span;          // parts of one group, and the rows (or columns, when `by_columns`) of each
  bool by_columns;
  int64_t units, unit;          // units of work, and the rows, segments or columns of one
  int64_t unit_chunks;          // elements: column chunks of a row
  int reduced_outputs;
  bool empty;
  double cycles;
  uint8_t input_place[CK_MAX_REGISTERS], output_place[CK_MAX_OUTPUTS];
  bool input_together[CK_MAX_REGISTERS], output_together[CK_MAX_OUTPUTS];  // rows without gaps
  step_list list;
  double *partials;             // reduced output × unit × chunk
} program_plan;

static inline int64_t stride_of(const program_plan *p, const ck_operand *operand, int d) {
  return operand->strides[p->axis[d]];
}

/// Elements from the operand's start to the first element of a row.
static inline int64_t row_offset(const program_plan *p, const ck_operand *operand, int64_t row) {
  if (p->outer == 1) return row * operand->strides[p->axis[0]];
  int64_t offset = 0;
  for (int d = p->outer - 1; d >= 0 && row > 0; d--) {
    offset += row % p->extent[d] * operand->strides[p->axis[d]];
    row /= p->extent[d];
  }
  return offset;
}

/// Whether a step of 1 in dimension d is `extent[d + 1]` steps in d + 1, for every operand.
static inline bool steps_alike(const program_plan *p, int d) {
  const ck_program *g = p->program;
  for (int i = 0; i < g->input_count; i++) {
    if (stride_of(p, &g->inputs[i], d) != p->extent[d + 1] * stride_of(p, &g->inputs[i], d + 1)) return false;
  }
  for (int o = 0; o < g->output_count; o++) {
    const ck_operand *operand = &g->outputs[o].operand;
    if (stride_of(p, operand, d) != p->extent[d + 1] * stride_of(p, operand, d + 1)) return false;
  }
  return p->axis_reduced[d] == p->axis_reduced[d + 1];
}

/// Orders the dimensions (kept before reduced, the innermost stays), without those of extent 1, neighbours merged.
static void order_dimensions(program_plan *p) {
  const ck_program *g = p->program;
  int order[CK_MAX_DIMS], count = 0;
  bool any_reduced = false;
  p->empty = false;
  for (int d = 0; d < g->rank; d++) {
    if (g->dims[d] == 0) p->empty = true;
    if (g->dims[d] == 1) continue;
    order[count++] = d;
    any_reduced |= p->reduced_outputs > 0 && (g->reduced >> d & 1);
  }
  p->form = PLAN_ELEMENTS;
  if (any_reduced) {
    const bool inner_reduced = g->reduced >> order[count - 1] & 1;
    p->form = inner_reduced ? PLAN_TRAILING : PLAN_LEADING;
  }
  int placed = 0;
  for (int pass = 0; pass < 3; pass++) {  // kept, reduced, and last the innermost
    for (int k = 0; k < count; k++) {
      const bool reduced = any_reduced && (g->reduced >> order[k] & 1);
      if (pass != (k == count - 1 ? 2 : reduced ? 1 : 0)) continue;
      p->axis[placed] = order[k];
      p->extent[placed] = g->dims[order[k]];
      p->axis_reduced[placed++] = reduced;
    }
  }
  if (count == 0) {
    p->axis[0] = 0;
    p->extent[0] = 1;
    p->axis_reduced[0] = false;
    count = 1;
  }
  for (int d = count - 2; d >= 0; d--) {
    if (!steps_alike(p, d)) continue;
    p->extent[d] *= p->extent[d + 1];
    p->axis[d] = p->axis[d + 1];
    for (int k = d + 1; k < count - 1; k++) {
      p->axis[k] = p->axis[k + 1];
      p->extent[k] = p->extent[k + 1];
      p->axis_reduced[k] = p->axis_reduced[k + 1];
    }
    count--;
  }
  p->outer = count - 1;
  p->n = p->extent[count - 1];
  p->rows = 1;
  p->group_rows = 1;
  for (int d = 0; d < p->outer; d++) {
    p->rows *= p->extent[d];
    if (p->axis_reduced[d]) p->group_rows *= p->extent[d];
  }
  if (p->empty) return;
  p->groups = p->rows / p->group_rows;
}

/// Whether rows that follow each other do so in memory, without gaps.
static bool lies_together(const program_plan *p, const ck_operand *operand) {
  if (p->n > 1 && stride_of(p, operand, p->outer) != 1) return false;
  if (!p->many_rows) return true;
  for (int d = 0; d < p->outer; d++) {
    const int64_t below = d + 1 == p->outer ? p->n : p->extent[d + 1] * stride_of(p, operand, d + 1);
    if (stride_of(p, operand, d) != below) return false;
  }
  return true;
}

static bool lies_like_a_block(const program_plan *p, const ck_operand *operand) {
  return operand->dtype == CK_F32 && lies_together(p, operand);
}

static bool repeats_in_every_row(const program_plan *p, const ck_operand *operand) {
  for (int d = 0; d < p->outer; d++) {
    if (stride_of(p, operand, d) != 0) return false;
  }
  return true;
}

/// Whether writing output o where it lies, as soon as it is known, would change an input that is still to be read.
static bool overwrites_an_input(const program_plan *plan, int o) {
  const ck_program *p = plan->program;
  const value_graph *g = &plan->values;
  const int value = g->output_values[o];
  const bool at_the_end = value < p->input_count || g->values[value].uniform;
  const int defined = value - p->input_count;
  for (int i = 0; i < p->input_count; i++) {
    if (p->inputs[i].data != p->outputs[o].operand.data || g->values[i].last_use < 0 || i == plan->replaced) continue;
    if (at_the_end || g->values[i].last_use > defined) return true;
  }
  return false;
}

/// Whether sums over rows can be taken tile by tile: a tile is whole rows of whole vectors, and every block whole tiles.
/// What is small enough to be folded group by group is left to that.
static bool sums_by_tile(const program_plan *p) {
  return p->form == PLAN_LEADING && p->rows > 1 && p->n % CK_LANES == 0 && CK_TILE % p->n == 0
         && p->group_rows % (CK_TILE / p->n) == 0 && p->group_rows * p->n > CK_BLOCK;
}

static void place_operands(program_plan *p) {
  const value_graph *g = &p->values;
  const ck_program *program = p->program;
  // Long rows are used where they lie; short ones are put together. Many buffered operands make blocks short, and
  // then fewer rows are short.
  int64_t longest = p->form == PLAN_LEADING ? column_chunk + 1 : long_row;
  for (;;) {
    int buffered = 0;
    p->many_rows = p->rows > 1 && p->n < longest;
    for (int i = 0; i < program->input_count; i++) {
      const ck_operand *operand = &program->inputs[i];
      p->input_place[i] = g->values[i].last_use < 0                                        ? PLACE_UNUSED
                          : g->values[i].uniform                                           ? PLACE_UNIFORM
                          : lies_like_a_block(p, operand)                                  ? PLACE_DIRECT
                          : p->many_rows && repeats_in_every_row(p, operand)               ? PLACE_CONSTANT
                                                                                           : PLACE_BUFFERED;
      p->input_together[i] = lies_together(p, operand);
      buffered += p->input_place[i] >= PLACE_BUFFERED;
    }
    for (int o = 0; o < program->output_count; o++) {
      const ck_output *output = &program->outputs[o];
      const bool direct = output->reduction == CK_STORE && lies_like_a_block(p, &output->operand)
                          && !overwrites_an_input(p, o);
      p->output_place[o] = direct                                                 ? PLACE_DIRECT
                           : output->reduction == CK_SUM && sums_by_tile(p)       ? PLACE_SUMMED
                                                                                  : PLACE_BUFFERED;
      p->output_together[o] = lies_together(p, &output->operand);
      buffered += p->output_place[o] == PLACE_BUFFERED;
    }
    p->block = buffered == 0 ? CK_BLOCK : least(CK_BLOCK, block_budget / buffered);
    p->block = most(256, p->block / CK_TILE * CK_TILE);
    if (!p->many_rows || p->n <= p->block) return;
    longest = p->block;
  }
}

static void cut_work(program_plan *p) {
  const int64_t group = p->group_rows * p->n;
  p->spans = 1;
  p->chunks = 1;
  p->chunk = p->n;
  p->by_columns = false;
  p->block_rows = p->many_rows ? most(1, p->block / p->n) : 1;
  switch (p->form) {
    case PLAN_ELEMENTS:
      if (p->many_rows) {
        p->unit = most(1, unit_elements / (p->block_rows * p->n)) * p->block_rows;
        p->units = ceil_div(p->rows, p->unit);
        p->unit_chunks = 1;
      } else {
        p->unit = most(p->block, unit_elements / p->block * p->block);
        p->unit_chunks = ceil_div(p->n, p->unit);
        p->units = p->rows * p->unit_chunks;
      }
      return;

    case PLAN_TRAILING:
      if (group <= p->block && (p->many_rows || p->group_rows == 1)) {  // whole segments to a block
        if (p->many_rows) p->block_rows = most(1, p->block / group) * p->group_rows;
        const int64_t block_groups = most(1, p->block_rows / p->group_rows);
        p->unit = most(1, unit_elements / (block_groups * group)) * block_groups;
        p->units = ceil_div(p->groups, p->unit);
        return;
      }
      p->unit = 1;
      if (p->groups < 16) p->spans = least(max_partials, ceil_div(group, segment_span));
      p->by_columns = p->group_rows < p->spans;
      break;

    case PLAN_LEADING:
      p->chunk = least(p->n, column_chunk);
      p->chunks = ceil_div(p->n, p->chunk);
      if (p->many_rows && p->chunks == 1 && group * 2 <= p->block) {  // whole groups to a block
        p->block_rows = p->block / group * p->group_rows;
        const int64_t block_groups = p->block_rows / p->group_rows;
        p->unit = most(1, unit_elements / (block_groups * group)) * block_groups;
        p->units = ceil_div(p->groups, p->unit);
        return;
      }
      p->unit = 1;
      const int64_t base = p->groups * p->chunks;
      if (base < 16) {
        p->spans = least(least(16, p->group_rows), ceil_div(p->groups * group, segment_span * base));
      }
      break;
  }
  if (p->by_columns) {
    p->span = ceil_div(ceil_div(p->n, p->spans), CK_TILE) * CK_TILE;
    p->spans = ceil_div(p->n, p->span);
  } else {
    const int64_t tile_rows = most(1, CK_TILE / p->n);  // a span begins with a tile
    p->span = ceil_div(ceil_div(p->group_rows, p->spans), tile_rows) * tile_rows;
    p->spans = ceil_div(p->group_rows, p->span);
  }
  p->units = p->groups * p->chunks * p->spans;
}

static bool folds_whole_groups(const program_plan *p) {
  return p->form != PLAN_ELEMENTS && p->chunks == 1 && p->spans == 1
         && (p->form == PLAN_TRAILING
               ? p->group_rows * p->n <= p->block && (p->many_rows || p->group_rows == 1)
               : p->many_rows && p->group_rows * p->n * 2 <= p->block);
}

/// A rough price, to decide whether a parallel loop pays.
static void estimate(program_plan *p) {
  double tile = 10;
  for (int i = 0; i < p->list.step_count; i++) tile += is_heavy(p->list.steps[i].operation) ? 160 : 10;
  for (int i = 0; i < p->program->input_count; i++) {
    if (p->input_place[i] == PLACE_BUFFERED) tile += CK_TILE / 4;
  }
  for (int o = 0; o < p->program->output_count; o++) {
    if (p->output_place[o] == PLACE_BUFFERED) tile += CK_TILE / 4;
  }
  p->cycles = tile * ((double)p->rows * p->n / CK_TILE);
}

/// What the uniform inputs hold now; false when that is what they held before.
static bool read_uniform_inputs(program_plan *p) {
  const ck_program *program = p->program;
  bool changed = false;
  for (int i = 0; i < program->input_count; i++) {
    program_value *v = &p->values.values[i];
    if (!v->uniform) continue;
    float scalar;
    load_run(&scalar, program->inputs[i].data, program->inputs[i].dtype, 1, 1);
    changed |= memcmp(&scalar, &v->scalar, sizeof scalar) != 0;
    v->scalar = scalar;
  }
  return changed;
}

static void make_plan(program_plan *p, const ck_program *program, int replaced) {
  value_graph *g = &p->values;
  p->program = program;
  p->lanes = CK_LANES;
  p->replaced = replaced;
  p->partials = NULL;
  p->reduced_outputs = 0;
  for (int o = 0; o < program->output_count; o++) p->reduced_outputs += program->outputs[o].reduction != CK_STORE;
  order_dimensions(p);
  if (p->empty) {
    p->units = 0;
    p->spans = 1;
    p->cycles = 0;
    return;
  }
  read_values(g, program);
  for (int i = 0; i < program->input_count; i++) {
    program_value *v = &g->values[i];
    v->uniform = v->last_use >= 0 && i != replaced && repeats_in_every_row(p, &program->inputs[i])
                 && (p->n == 1 || stride_of(p, &program->inputs[i], p->outer) == 0);
  }
  read_uniform_inputs(p);
  evaluate_uniforms(g);
  place_operands(p);
  step_operation sums[CK_MAX_OUTPUTS];
  for (int o = 0; o < program->output_count; o++) {
    sums[o] = p->output_place[o] != PLACE_SUMMED ? STEP_END
              : p->n == CK_LANES                 ? STEP_SUM_1
              : p->n == 2 * CK_LANES             ? STEP_SUM_2
              : p->n == 4 * CK_LANES             ? STEP_SUM_4
                                                 : STEP_SUM_8;
  }
  compile_steps(g, &p->list, sums);
  cut_work(p);
  estimate(p);
}

/// The plan of a program's first run is `fresh`; one that runs again keeps its plan, of which only the values change that
/// follow from uniform inputs. Planning costs about half a microsecond, as much as a small program's work.
static program_plan *plan_for(ck_program *program, int replaced, program_plan *fresh) {
  if (!program->kept) {
    program->kept = CK_HAS_RUN;
  } else {
    program_plan *kept = program->kept;
    if (program->kept == CK_HAS_RUN) {
      kept = malloc(sizeof *kept);
      if (kept) {
        program->kept = kept;
        make_plan(kept, program, replaced);
        return kept;
      }
    } else if (kept->lanes == CK_LANES && kept->replaced == replaced) {
      if (!kept->empty && read_uniform_inputs(kept)) {
        evaluate_uniforms(&kept->values);
        update_immediates(&kept->values, &kept->list);
      }
      return kept;
    }
  }
  make_plan(fresh, program, replaced);
  return fresh;
}
