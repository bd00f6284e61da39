// The operations of a tile: eight vectors that stay in processor registers (the accumulator) while step after step
// changes them. A step reads at most two more operands, from memory or as an immediate, so that a chain of n
// instructions costs about n loads instead of 2n loads and n stores.

#define CK_TILE (8 * CK_LANES)

// Values of one operation, a and b being vectors. true is 1.
#define CK_TRUTH(condition) ((condition) ? (vf)1.0f : (vf)0.0f)

// X(name, value)
#define CK_CHEAP_UNARY(X)                                                                                          \
  X(NEG, -a)                                                                                                       \
  X(ABS, vabs(a))                                                                                                  \
  X(SIGN, a > 0.0f ? (vf)1.0f : (a < 0.0f ? (vf)-1.0f : a))                                                        \
  X(SQUARE, a * a)                                                                                                 \
  X(SQRT, __builtin_elementwise_sqrt(a))                                                                           \
  X(RSQRT, 1.0f / __builtin_elementwise_sqrt(a))                                                                   \
  X(RECIPROCAL, 1.0f / a)                                                                                          \
  X(RELU, a < 0.0f ? (vf)0.0f : a)                                                                                 \
  X(FLOOR, __builtin_elementwise_floor(a))                                                                         \
  X(CEIL, __builtin_elementwise_ceil(a))                                                                           \
  X(ROUND, __builtin_elementwise_roundeven(a))                                                                     \
  X(NOT, CK_TRUTH(a == 0.0f))                                                                                      \
  X(ISFINITE, CK_TRUTH(vabs(a) < infinity_f))                                                                      \
  X(ISNAN, CK_TRUTH(a != a))
#define CK_HEAVY_UNARY(X)                                                                                          \
  X(EXP, vexp(a))                                                                                                  \
  X(EXPM1, vexpm1(a))                                                                                              \
  X(LOG, vlog(a))                                                                                                  \
  X(LOG1P, vlog1p(a))                                                                                              \
  X(SIN, vsin(a))                                                                                                  \
  X(COS, vcos(a))                                                                                                  \
  X(TANH, vtanh(a))                                                                                                \
  X(SIGMOID, vsigmoid(a))                                                                                          \
  X(ERF, verf(a))                                                                                                  \
  X(SOFTPLUS, vsoftplus(a))                                                                                        \
  X(GELU, vgelu(a))                                                                                                \
  X(GELU_SLOPE, vgelu_slope(a))
#define CK_CHEAP_BINARY(X)                                                                                         \
  X(ADD, a + b)                                                                                                    \
  X(SUB, a - b)                                                                                                    \
  X(MUL, a * b)                                                                                                    \
  X(DIV, a / b)                                                                                                    \
  X(MAX, vmax(a, b))                                                                                               \
  X(MIN, vmin(a, b))                                                                                               \
  X(EQ, CK_TRUTH(a == b))                                                                                          \
  X(NE, CK_TRUTH(a != b))                                                                                          \
  X(LT, CK_TRUTH(a < b))                                                                                           \
  X(LE, CK_TRUTH(a <= b))                                                                                          \
  X(GT, CK_TRUTH(a > b))                                                                                           \
  X(GE, CK_TRUTH(a >= b))                                                                                          \
  X(AND, CK_TRUTH((a != 0.0f) & (b != 0.0f)))                                                                      \
  X(OR, CK_TRUTH((a != 0.0f) | (b != 0.0f)))                                                                       \
  X(RELU_GRADIENT, b > 0.0f ? a : (vf)0.0f)
/// Of a, b and the step's immediate.
#define CK_MIXED(X)                                                                                                \
  X(MULADD_I, vmuladd(a, vset(immediate), b))                                                                      \
  X(LERP_I, vmuladd(b - a, vset(immediate), a))
#define CK_TERNARY(X)                                                                                              \
  X(MULADD, vmuladd(a, b, c))                                                                                      \
  X(SELECT, a != 0.0f ? b : c)

/// Where the accumulator and the other operands stand in an operation: FORM_AM is f(accumulator, memory), FORM_IA is
/// f(immediate, accumulator), and so on.
typedef enum {
  STEP_END, STEP_LOAD, STEP_SET, STEP_STORE, STEP_CALL,
  // m += the accumulator, column by column: its eight vectors are rows of one, two, four or eight vectors
  STEP_SUM_1, STEP_SUM_2, STEP_SUM_4, STEP_SUM_8,
#define X(name, value) STEP_##name##_A,
  CK_CHEAP_UNARY(X) CK_HEAVY_UNARY(X)
#undef X
#define X(name, value) STEP_##name##_AM, STEP_##name##_MA, STEP_##name##_AI, STEP_##name##_IA,
  CK_CHEAP_BINARY(X) X(POW, )
#undef X
#define X(name, value) STEP_##name##_AM, STEP_##name##_MA,
  CK_MIXED(X)
#undef X
#define X(name, value) STEP_##name##_AMM, STEP_##name##_MAM, STEP_##name##_MMA,
  CK_TERNARY(X)
#undef X
  STEP_COUNT
} step_operation;

typedef struct {
  uint16_t operation;
  uint16_t m, m2;  // slots of the memory operands
  uint16_t call;   // the CK_CALL instruction's index
  float immediate;
} step;

#define X(name, value)                                                                                             \
  CK_KEEP void tile_##name(float *tile) {                                                                          \
    for (int i = 0; i < CK_TILE; i += CK_LANES) {                                                                  \
      const vf a = vload(tile + i);                                                                                \
      vstore(tile + i, value);                                                                                     \
    }                                                                                                              \
  }
CK_HEAVY_UNARY(X)
#undef X
CK_KEEP void tile_pow(float *base, const float *exponent) {
  for (int i = 0; i < CK_TILE; i += CK_LANES) vstore(base + i, vpow(vload(base + i), vload(exponent + i)));
}

/// Runs the steps over `tiles` tiles. `slots` are the operands' places; the first `moving` of them advance from tile to
/// tile, the rest are scratch that every tile uses anew. CK_CALL functions are told `count` elements.
CK_KEEP void run_tiles(
  const step *steps, const ck_instruction *instructions, float **slots, int moving, int64_t tiles, int64_t count) {
  static const void *const labels[] = {
    &&label_END, &&label_LOAD, &&label_SET, &&label_STORE, &&label_CALL,
    &&label_SUM_1, &&label_SUM_2, &&label_SUM_4, &&label_SUM_8,
#define X(name, value) &&label_##name##_A,
    CK_CHEAP_UNARY(X) CK_HEAVY_UNARY(X)
#undef X
#define X(name, value) &&label_##name##_AM, &&label_##name##_MA, &&label_##name##_AI, &&label_##name##_IA,
    CK_CHEAP_BINARY(X) X(POW, )
#undef X
#define X(name, value) &&label_##name##_AM, &&label_##name##_MA,
    CK_MIXED(X)
#undef X
#define X(name, value) &&label_##name##_AMM, &&label_##name##_MAM, &&label_##name##_MMA,
    CK_TERNARY(X)
#undef X
  };
  float spilled[CK_TILE], exponents[CK_TILE];
  vf x0 = 0, x1 = 0, x2 = 0, x3 = 0, x4 = 0, x5 = 0, x6 = 0, x7 = 0;
  const step *s = steps;
  float *m, *m2;

#define NEXT                                                                                                       \
  s++;                                                                                                             \
  goto *labels[s->operation];
#define EACH(E) E(x0, 0) E(x1, 1) E(x2, 2) E(x3, 3) E(x4, 4) E(x5, 5) E(x6, 6) E(x7, 7)
#define SPILL(x, i) vstore(spilled + i * CK_LANES, x);
#define UNSPILL(x, i) x = vload(spilled + i * CK_LANES);

  if (tiles <= 0) return;
  goto *labels[s->operation];

label_END:
  if (--tiles == 0) return;
  for (int i = 0; i < moving; i++) slots[i] += CK_TILE;
  s = steps;
  goto *labels[s->operation];

label_LOAD:
  m = slots[s->m];
#define E(x, i) x = vload(m + i * CK_LANES);
  EACH(E)
#undef E
  NEXT

label_SET:
#define E(x, i) x = vset(s->immediate);
  EACH(E)
#undef E
  NEXT

label_STORE:
  m = slots[s->m];
#define E(x, i) vstore(m + i * CK_LANES, x);
  EACH(E)
#undef E
  NEXT

#define SUM(i, value) vstore(m + i * CK_LANES, vload(m + i * CK_LANES) + (value));
label_SUM_1:
  m = slots[s->m];
  SUM(0, ((x0 + x1) + (x2 + x3)) + ((x4 + x5) + (x6 + x7)))
  NEXT

label_SUM_2:
  m = slots[s->m];
  SUM(0, (x0 + x2) + (x4 + x6)) SUM(1, (x1 + x3) + (x5 + x7))
  NEXT

label_SUM_4:
  m = slots[s->m];
  SUM(0, x0 + x4) SUM(1, x1 + x5) SUM(2, x2 + x6) SUM(3, x3 + x7)
  NEXT

label_SUM_8:
  m = slots[s->m];
#define E(x, i) SUM(i, x)
  EACH(E)
#undef E
#undef SUM
  NEXT

label_CALL:
  instructions[s->call].function(instructions[s->call].context, spilled, slots[s->m], slots[s->m2], count);
  EACH(UNSPILL)
  NEXT

#define X(name, value)                                                                                             \
  label_##name##_A : {                                                                                             \
    CK_UNARY_EACH(value)                                                                                           \
    NEXT                                                                                                           \
  }
#define ONE(x, value)                                                                                              \
  {                                                                                                                \
    const vf a = x;                                                                                                \
    x = value;                                                                                                     \
  }
#define CK_UNARY_EACH(value)                                                                                       \
  ONE(x0, value) ONE(x1, value) ONE(x2, value) ONE(x3, value) ONE(x4, value) ONE(x5, value) ONE(x6, value)         \
  ONE(x7, value)
  CK_CHEAP_UNARY(X)
#undef X

#define X(name, value)                                                                                             \
  label_##name##_A : {                                                                                             \
    EACH(SPILL)                                                                                                    \
    tile_##name(spilled);                                                                                          \
    EACH(UNSPILL)                                                                                                  \
    NEXT                                                                                                           \
  }
  CK_HEAVY_UNARY(X)
#undef X

// One vector of an operation: the accumulator's part x stands for `mine`, memory's (or the immediate's) for `other`.
#define TWO(x, i, mine, other, value)                                                                              \
  {                                                                                                                \
    const vf mine = x, other = vload(m + i * CK_LANES);                                                            \
    x = value;                                                                                                     \
  }
#define TWO_EACH(mine, other, value)                                                                               \
  TWO(x0, 0, mine, other, value) TWO(x1, 1, mine, other, value) TWO(x2, 2, mine, other, value)                     \
  TWO(x3, 3, mine, other, value) TWO(x4, 4, mine, other, value) TWO(x5, 5, mine, other, value)                     \
  TWO(x6, 6, mine, other, value) TWO(x7, 7, mine, other, value)
#define IMM(x, mine, other, value)                                                                                 \
  {                                                                                                                \
    const vf mine = x, other = constant;                                                                           \
    x = value;                                                                                                     \
  }
#define IMM_EACH(mine, other, value)                                                                               \
  IMM(x0, mine, other, value) IMM(x1, mine, other, value) IMM(x2, mine, other, value)                              \
  IMM(x3, mine, other, value) IMM(x4, mine, other, value) IMM(x5, mine, other, value)                              \
  IMM(x6, mine, other, value) IMM(x7, mine, other, value)
#define X(name, value)                                                                                             \
  label_##name##_AM : {                                                                                            \
    m = slots[s->m];                                                                                               \
    TWO_EACH(a, b, value)                                                                                          \
    NEXT                                                                                                           \
  }                                                                                                                \
  label_##name##_MA : {                                                                                            \
    m = slots[s->m];                                                                                               \
    TWO_EACH(b, a, value)                                                                                          \
    NEXT                                                                                                           \
  }                                                                                                                \
  label_##name##_AI : {                                                                                            \
    const vf constant = vset(s->immediate);                                                                        \
    IMM_EACH(a, b, value)                                                                                          \
    NEXT                                                                                                           \
  }                                                                                                                \
  label_##name##_IA : {                                                                                            \
    const vf constant = vset(s->immediate);                                                                        \
    IMM_EACH(b, a, value)                                                                                          \
    NEXT                                                                                                           \
  }
  CK_CHEAP_BINARY(X)
#undef X

#define X(name, value)                                                                                             \
  label_##name##_AM : {                                                                                            \
    const float immediate = s->immediate;                                                                          \
    m = slots[s->m];                                                                                               \
    TWO_EACH(a, b, value)                                                                                          \
    NEXT                                                                                                           \
  }                                                                                                                \
  label_##name##_MA : {                                                                                            \
    const float immediate = s->immediate;                                                                          \
    m = slots[s->m];                                                                                               \
    TWO_EACH(b, a, value)                                                                                          \
    NEXT                                                                                                           \
  }
  CK_MIXED(X)
#undef X

#define THREE(x, i, mine, other, third, value)                                                                     \
  {                                                                                                                \
    const vf mine = x, other = vload(m + i * CK_LANES), third = vload(m2 + i * CK_LANES);                          \
    x = value;                                                                                                     \
  }
#define THREE_EACH(mine, other, third, value)                                                                      \
  m = slots[s->m];                                                                                                 \
  m2 = slots[s->m2];                                                                                               \
  THREE(x0, 0, mine, other, third, value) THREE(x1, 1, mine, other, third, value)                                  \
  THREE(x2, 2, mine, other, third, value) THREE(x3, 3, mine, other, third, value)                                  \
  THREE(x4, 4, mine, other, third, value) THREE(x5, 5, mine, other, third, value)                                  \
  THREE(x6, 6, mine, other, third, value) THREE(x7, 7, mine, other, third, value)
#define X(name, value)                                                                                             \
  label_##name##_AMM : {                                                                                           \
    THREE_EACH(a, b, c, value)                                                                                     \
    NEXT                                                                                                           \
  }                                                                                                                \
  label_##name##_MAM : {                                                                                           \
    THREE_EACH(b, a, c, value)                                                                                     \
    NEXT                                                                                                           \
  }                                                                                                                \
  label_##name##_MMA : {                                                                                           \
    THREE_EACH(c, a, b, value)                                                                                     \
    NEXT                                                                                                           \
  }
  CK_TERNARY(X)
#undef X

label_POW_AM:
  EACH(SPILL)
  tile_pow(spilled, slots[s->m]);
  EACH(UNSPILL)
  NEXT

label_POW_MA:
  EACH(SPILL)
  memcpy(exponents, spilled, sizeof exponents);
  memcpy(spilled, slots[s->m], sizeof spilled);
  tile_pow(spilled, exponents);
  EACH(UNSPILL)
  NEXT

label_POW_AI:
  EACH(SPILL)
  for (int i = 0; i < CK_TILE; i++) exponents[i] = s->immediate;
  tile_pow(spilled, exponents);
  EACH(UNSPILL)
  NEXT

label_POW_IA:
  EACH(SPILL)
  memcpy(exponents, spilled, sizeof exponents);
  for (int i = 0; i < CK_TILE; i++) spilled[i] = s->immediate;
  tile_pow(spilled, exponents);
  EACH(UNSPILL)
  NEXT

#undef NEXT
#undef EACH
#undef SPILL
#undef UNSPILL
#undef ONE
#undef CK_UNARY_EACH
#undef TWO
#undef TWO_EACH
#undef IMM
#undef IMM_EACH
#undef THREE
#undef THREE_EACH
}
