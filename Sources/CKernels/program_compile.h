// From a program's instructions to steps. Each definition of a register is a value of its own; a value goes to memory
// only when something other than the very next instruction reads it. What depends on uniform inputs alone (every
// stride 0) is computed once, here.

#define CK_MAX_VALUES (CK_MAX_REGISTERS + CK_MAX_INSTRUCTIONS)
#define CK_MAX_STEPS (4 * CK_MAX_INSTRUCTIONS + 2 * CK_MAX_OUTPUTS + 1)
/// Slots: the inputs, the outputs, then scratch of one tile each.
#define CK_MAX_TILE_SLOTS 96
#define CK_MAX_SLOTS (CK_MAX_REGISTERS + CK_MAX_OUTPUTS + CK_MAX_TILE_SLOTS)

typedef struct {
  int step_count, tile_slots, fill_count;
  step steps[CK_MAX_STEPS];
  // Tile scratch that holds a uniform value throughout.
  struct { uint16_t slot; int16_t value; } fills[CK_MAX_TILE_SLOTS];
  // Steps whose immediate is a uniform value.
  struct { uint16_t step; int16_t value; } immediates[CK_MAX_STEPS];
  int immediate_count;
  uint16_t sums[CK_MAX_OUTPUTS];  // where the tiles of an output are summed, when they are
} step_list;

typedef struct {
  int16_t last_use;  // the last instruction that reads it; CK_USED_BY_OUTPUT when an output does
  int16_t slot;      // where it lies in memory, or -1
  bool uniform, scratch;
  float scalar;
} program_value;

#define CK_USED_BY_OUTPUT INT16_MAX

typedef struct {
  const ck_program *program;
  program_value values[CK_MAX_VALUES];
  int16_t sources[CK_MAX_INSTRUCTIONS][3];  // value ids; -1: none
  int16_t output_values[CK_MAX_OUTPUTS];
} value_graph;

static inline int operand_count(int opcode) {
  switch (opcode) {
    case CK_SET_I: return 0;
    case CK_MULADD: case CK_SELECT: return 3;
    case CK_ADD: case CK_SUB: case CK_MUL: case CK_DIV: case CK_MAX: case CK_MIN: case CK_POW: case CK_EQ: case CK_NE:
    case CK_LT: case CK_LE: case CK_GT: case CK_GE: case CK_AND: case CK_OR: case CK_MULADD_I: case CK_LERP_I:
    case CK_RELU_GRADIENT: case CK_CALL:
      return 2;
    default: return 1;
  }
}

_Noreturn static void program_error(const char *what, int64_t found, int64_t limit) {
  fprintf(stderr, "block program: %s: %lld, at most %lld\n", what, (long long)found, (long long)limit);
  abort();
}

/// Names the values and finds their last readers.
CK_KEEP void read_values(value_graph *g, const ck_program *p) {
  if (p->register_count > CK_MAX_REGISTERS) program_error("registers", p->register_count, CK_MAX_REGISTERS);
  if (p->input_count > CK_MAX_REGISTERS) program_error("inputs", p->input_count, CK_MAX_REGISTERS);
  if (p->output_count > CK_MAX_OUTPUTS) program_error("outputs", p->output_count, CK_MAX_OUTPUTS);
  if (p->instruction_count > CK_MAX_INSTRUCTIONS) {
    program_error("instructions", p->instruction_count, CK_MAX_INSTRUCTIONS);
  }
  int16_t current[CK_MAX_REGISTERS];
  g->program = p;
  for (int r = 0; r < CK_MAX_REGISTERS; r++) current[r] = -1;
  for (int i = 0; i < p->input_count; i++) {
    g->values[i] = (program_value){.last_use = -1, .slot = (int16_t)i};
    current[i] = (int16_t)i;
  }
  for (int i = 0; i < p->instruction_count; i++) {
    const ck_instruction *in = &p->instructions[i];
    const uint16_t registers[3] = {in->a, in->b, in->c};
    const int operands = operand_count(in->opcode);
    for (int k = 0; k < 3; k++) {
      g->sources[i][k] = -1;
      if (k >= operands) continue;
      if (registers[k] >= CK_MAX_REGISTERS || current[registers[k]] < 0) {
        program_error("reads a register that nothing wrote", registers[k], p->register_count - 1);
      }
      g->sources[i][k] = current[registers[k]];
      g->values[g->sources[i][k]].last_use = (int16_t)i;
    }
    if (in->dst >= CK_MAX_REGISTERS) program_error("register", in->dst, CK_MAX_REGISTERS - 1);
    current[in->dst] = (int16_t)(p->input_count + i);
    g->values[p->input_count + i] = (program_value){.last_use = -1, .slot = -1};
  }
  for (int o = 0; o < p->output_count; o++) {
    const int r = p->outputs[o].reg;
    if (r >= CK_MAX_REGISTERS || current[r] < 0) {
      program_error("stores a register that nothing wrote", r, p->register_count - 1);
    }
    g->output_values[o] = current[r];
    g->values[current[r]].last_use = CK_USED_BY_OUTPUT;
  }
}

static inline step_operation immediate_form(int opcode) {
  switch (opcode) {
#define X(name) case CK_##name##_I: return STEP_##name##_AI;
    X(ADD) X(MUL) X(DIV) X(MAX) X(MIN) X(POW) X(EQ) X(NE) X(LT) X(LE) X(GT) X(GE)
#undef X
    case CK_RSUB_I: return STEP_SUB_IA;
    case CK_RDIV_I: return STEP_DIV_IA;
    case CK_RPOW_I: return STEP_POW_IA;
    default: return STEP_END;
  }
}

static inline step_operation unary_form(int opcode) {
  switch (opcode) {
#define X(name, value) case CK_##name: return STEP_##name##_A;
    CK_CHEAP_UNARY(X) CK_HEAVY_UNARY(X)
#undef X
    default: return STEP_END;
  }
}

/// The AM form; MA, AI and IA follow it.
static inline step_operation binary_form(int opcode) {
  switch (opcode) {
#define X(name, value) case CK_##name: return STEP_##name##_AM;
    CK_CHEAP_BINARY(X) X(POW, )
#undef X
    default: return STEP_END;
  }
}

static inline bool is_heavy(int operation) {
  switch (operation) {
#define X(name, value) case STEP_##name##_A:
    CK_HEAVY_UNARY(X)
#undef X
    case STEP_POW_AM: case STEP_POW_MA: case STEP_POW_AI: case STEP_POW_IA: case STEP_CALL: return true;
    default: return false;
  }
}

typedef struct {
  value_graph *graph;
  step_list *list;
  int16_t accumulator;  // the value that lies there, or -1
  uint16_t first_tile_slot;
  uint16_t free_slots[CK_MAX_SLOTS];
  int free_count;
} emitter;

/// Field by field: the arrays stay as they are.
static inline void start_emitter(emitter *e, value_graph *g, step_list *list, int first_tile_slot) {
  e->graph = g;
  e->list = list;
  e->accumulator = -1;
  e->first_tile_slot = (uint16_t)first_tile_slot;
  e->free_count = 0;
  list->step_count = list->tile_slots = list->fill_count = list->immediate_count = 0;
}

static inline step *emit(emitter *e, int operation) {
  step *s = &e->list->steps[e->list->step_count++];
  *s = (step){.operation = (uint16_t)operation};
  return s;
}

/// A step whose immediate is a uniform value.
static inline void emit_uniform(emitter *e, int operation, int value) {
  step_list *list = e->list;
  list->immediates[list->immediate_count].step = (uint16_t)list->step_count;
  list->immediates[list->immediate_count++].value = (int16_t)value;
  emit(e, operation)->immediate = e->graph->values[value].scalar;
}

static inline int16_t new_slot(emitter *e) {
  if (e->list->tile_slots == CK_MAX_TILE_SLOTS) {
    program_error("values kept at once", CK_MAX_TILE_SLOTS + 1, CK_MAX_TILE_SLOTS);
  }
  return (int16_t)(e->first_tile_slot + e->list->tile_slots++);
}

static inline int16_t take_slot(emitter *e) {
  return e->free_count > 0 ? (int16_t)e->free_slots[--e->free_count] : new_slot(e);
}

/// A value's place in memory; uniform ones get a tile filled with them.
static inline uint16_t place(emitter *e, int value) {
  program_value *v = &e->graph->values[value];
  if (v->slot < 0 || (v->uniform && !v->scratch)) {
    v->slot = new_slot(e);
    v->scratch = true;
    e->list->fills[e->list->fill_count].slot = (uint16_t)v->slot;
    e->list->fills[e->list->fill_count++].value = (int16_t)value;
  }
  return (uint16_t)v->slot;
}

static inline void load(emitter *e, int value) {
  if (e->accumulator == value) return;
  const program_value *v = &e->graph->values[value];
  if (v->uniform) {
    emit_uniform(e, STEP_SET, value);
  } else {
    emit(e, STEP_LOAD)->m = (uint16_t)v->slot;
  }
  e->accumulator = (int16_t)value;
}

/// How often an instruction reads a value.
static inline int reads(const value_graph *g, int instruction, int value) {
  const int16_t *s = g->sources[instruction];
  return (s[0] == value) + (s[1] == value) + (s[2] == value);
}

/// Emits one instruction; its result is then the accumulator.
static void emit_instruction(emitter *e, const ck_instruction *in, const int16_t *sources) {
  program_value *values = e->graph->values;
  int opcode = in->opcode;
  int a = sources[0], b = sources[1], factor = -1;
  const int c = sources[2];

  // A uniform factor makes an immediate of it.
  if (opcode == CK_MULADD && (values[a].uniform || values[b].uniform)) {
    factor = values[b].uniform ? b : a;
    a = values[b].uniform ? a : b;
    b = c;
    opcode = CK_MULADD_I;
  }
  // The accumulator can't be both operands.
  if (opcode == CK_MUL && a == b) opcode = CK_SQUARE;

  const step_operation unary = unary_form(opcode), single = immediate_form(opcode), binary = binary_form(opcode);
  if (opcode == CK_COPY) {
    load(e, a);
  } else if (opcode == CK_SET_I) {
    emit(e, STEP_SET)->immediate = in->immediate;
  } else if (unary != STEP_END) {
    load(e, a);
    emit(e, unary);
  } else if (single != STEP_END) {
    load(e, a);
    emit(e, single)->immediate = in->immediate;
  } else if (opcode == CK_CALL) {
    step *s = emit(e, STEP_CALL);
    s->m = place(e, a);
    s->m2 = place(e, b);
    s->call = (uint16_t)(in - e->graph->program->instructions);
  } else if (binary != STEP_END && values[b].uniform) {
    load(e, a);
    emit_uniform(e, binary + 2, b);
  } else if (binary != STEP_END && values[a].uniform) {
    load(e, b);
    emit_uniform(e, binary + 3, a);
  } else if (binary != STEP_END || opcode == CK_MULADD_I || opcode == CK_LERP_I) {
    const int form =
      binary != STEP_END ? (int)binary : opcode == CK_LERP_I ? (int)STEP_LERP_I_AM : (int)STEP_MULADD_I_AM;
    const bool second = e->accumulator == b && a != b;
    if (!second) load(e, a);
    const uint16_t m = place(e, second ? a : b);
    if (factor >= 0) {
      emit_uniform(e, second ? form + 1 : form, factor);
    } else {
      emit(e, second ? form + 1 : form)->immediate = in->immediate;
    }
    e->list->steps[e->list->step_count - 1].m = m;
  } else {
    const int form = opcode == CK_SELECT ? STEP_SELECT_AMM : STEP_MULADD_AMM;
    if (e->accumulator == b && a != b && b != c) {
      step *s = emit(e, form + 1);
      s->m = place(e, a);
      s->m2 = place(e, c);
    } else if (e->accumulator == c && a != c && b != c) {
      step *s = emit(e, form + 2);
      s->m = place(e, a);
      s->m2 = place(e, b);
    } else {
      load(e, a);
      step *s = emit(e, form);
      s->m = place(e, b);
      s->m2 = place(e, c);
    }
  }
}

/// The value of an instruction whose operands are all uniform.
static float evaluate_uniform(value_graph *g, const ck_instruction *in, const int16_t *sources) {
  step_list list;
  emitter e;
  start_emitter(&e, g, &list, 0);
  program_value saved[3];
  for (int k = 0; k < 3; k++) {
    if (sources[k] < 0) continue;
    saved[k] = g->values[sources[k]];
    g->values[sources[k]].scratch = false;
  }
  emit_instruction(&e, in, sources);
  emit(&e, STEP_STORE)->m = (uint16_t)list.tile_slots;
  emit(&e, STEP_END);
  float scratch[4][CK_TILE];
  float *slots[4] = {scratch[0], scratch[1], scratch[2], scratch[3]};
  for (int f = 0; f < list.fill_count; f++) {
    for (int i = 0; i < CK_TILE; i++) slots[list.fills[f].slot][i] = g->values[list.fills[f].value].scalar;
  }
  run_tiles(list.steps, g->program->instructions, slots, 0, 1, CK_TILE);
  for (int k = 0; k < 3; k++) {
    if (sources[k] >= 0) g->values[sources[k]] = saved[k];
  }
  return scratch[list.tile_slots][0];
}

/// Which values are uniform, and what they are. Inputs must have been marked.
static void evaluate_uniforms(value_graph *g) {
  const ck_program *p = g->program;
  for (int i = 0; i < p->instruction_count; i++) {
    program_value *v = &g->values[p->input_count + i];
    const ck_instruction *in = &p->instructions[i];
    v->uniform = in->opcode != CK_CALL;
    for (int k = 0; k < 3 && v->uniform; k++) {
      if (g->sources[i][k] >= 0) v->uniform = g->values[g->sources[i][k]].uniform;
    }
    if (v->uniform && v->last_use >= 0) v->scalar = evaluate_uniform(g, in, g->sources[i]);
  }
}

/// Immediates that follow from what the uniform inputs hold now.
static void update_immediates(const value_graph *g, step_list *list) {
  for (int i = 0; i < list->immediate_count; i++) {
    list->steps[list->immediates[i].step].immediate = g->values[list->immediates[i].value].scalar;
  }
}

/// Output o's value is the accumulator: keeps it, or adds it to the output's sums.
static void emit_output(emitter *e, int o, step_operation sum) {
  if (sum == STEP_END) {
    emit(e, STEP_STORE)->m = (uint16_t)(e->graph->program->input_count + o);
  } else {
    e->list->sums[o] = (uint16_t)new_slot(e);
    emit(e, sum)->m = e->list->sums[o];
  }
}

/// What is only summed needn't be kept for its output: its last use is the last instruction that reads it, or its own.
static void forget_summed_outputs(value_graph *g, const step_operation *sums) {
  const ck_program *p = g->program;
  for (int o = 0; o < p->output_count; o++) {
    const int value = g->output_values[o];
    bool kept = value < p->input_count;
    for (int k = 0; k < p->output_count; k++) kept |= g->output_values[k] == value && sums[k] == STEP_END;
    if (kept) continue;
    int last = value - p->input_count;
    for (int i = last + 1; i < p->instruction_count; i++) {
      if (reads(g, i, value) > 0) last = i;
    }
    g->values[value].last_use = (int16_t)last;
  }
}

/// The steps of a program whose uniform values are known. Outputs' slots are `input_count + o`, but for those that
/// `sums` names an operation for (STEP_END: none).
static void compile_steps(value_graph *g, step_list *list, const step_operation *sums) {
  const ck_program *p = g->program;
  emitter e;
  start_emitter(&e, g, list, p->input_count + p->output_count);
  forget_summed_outputs(g, sums);
  for (int i = 0; i < p->instruction_count; i++) {
    const int result = p->input_count + i;
    program_value *v = &g->values[result];
    const bool called = p->instructions[i].opcode == CK_CALL;
    if (v->uniform || (v->last_use < 0 && !called)) continue;
    emit_instruction(&e, &p->instructions[i], g->sources[i]);
    e.accumulator = (int16_t)result;
    for (int o = 0; o < p->output_count; o++) {
      if (g->output_values[o] != result) continue;
      emit_output(&e, o, sums[o]);
      if (sums[o] == STEP_END) v->slot = (int16_t)(p->input_count + o);
    }
    // Does it have to be kept for anyone but the next instruction that runs?
    int next = i + 1;
    while (next < p->instruction_count
           && (g->values[p->input_count + next].uniform
               || (g->values[p->input_count + next].last_use < 0 && p->instructions[next].opcode != CK_CALL))) {
      next++;
    }
    const bool passed_on = v->last_use == next && next < p->instruction_count
                           && p->instructions[next].opcode != CK_CALL
                           && (reads(g, next, result) == 1 || p->instructions[next].opcode == CK_MUL);
    if (v->slot < 0 && v->last_use > i && !passed_on) {
      v->slot = take_slot(&e);
      v->scratch = true;
      emit(&e, STEP_STORE)->m = (uint16_t)v->slot;
    }
    for (int k = 0; k < 3; k++) {
      const int source = g->sources[i][k];
      if (source < 0) continue;
      program_value *s = &g->values[source];
      if (s->scratch && !s->uniform && s->last_use == i) {
        e.free_slots[e.free_count++] = (uint16_t)s->slot;
        s->scratch = false;
      }
    }
  }
  for (int o = 0; o < p->output_count; o++) {
    const int value = g->output_values[o];
    if (value >= p->input_count && !g->values[value].uniform) continue;
    load(&e, value);
    emit_output(&e, o, sums[o]);
  }
  emit(&e, STEP_END);
}
