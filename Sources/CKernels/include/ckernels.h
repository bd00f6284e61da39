// Vector kernels and the one parallel loop. Everything here works on plain memory: no tensors, no Swift types.
//
// Conventions
// - A kernel is `void kernel(void *context)`: all its arguments lie in one struct, bound once, so that a compiled
//   step is a C array of `ck_call` and running it is a loop (`ck_run`).
// - Work is cut by size, never by thread count, and sums are added in a fixed order: the same bits on any number of
//   threads.
// - Buffers are 64-byte aligned and row-major; nothing here allocates memory while it runs.
#ifndef CKERNELS_H
#define CKERNELS_H

#include <stdbool.h>
#include <stdint.h>

// MARK: Calls

typedef struct {
  void (*run)(void *context);
  void *context;
} ck_call;

/// Runs the calls in order. On x86, numbers below the normal range (2^−126 in float32) count as 0 meanwhile, on all
/// threads, as in TensorFlow's and XLA's steps: Intel's processors take some 150 cycles for each. The moments of weights
/// that get no gradient any more decay into them: the guide's epoch took 0.23 s with them, 0.13 without.
void ck_run(const ck_call *calls, int64_t count);

// MARK: Threads

/// Calls `body(context, begin, end)` over [0, count), cut into pieces of `grain` (the last may be shorter). The cut
/// depends on `count` and `grain` alone. Runs on the calling thread when there is one piece or one thread, and when
/// another caller has the pool.
void ck_parallel_for(int64_t count, int64_t grain, void (*body)(void *context, int64_t begin, int64_t end), void *context);
/// Threads that parallel loops use when called from the calling thread: what was set, else `OMP_NUM_THREADS`, else the
/// processors that this process may use. 1 inside a loop.
int ck_thread_count(void);
void ck_set_thread_count(int count);

// MARK: Instruction sets

/// Name of the instruction set the kernels run with, chosen from what the processor has: "x86-64-v4", "x86-64-v3" or
/// "default". Results may differ in their last bits between instruction sets, never between thread counts.
const char *ck_instruction_set(void);
/// Switches the calling thread to the named instruction set (for tests and comparisons); false when the processor or the build lacks it.
bool ck_set_instruction_set(const char *name);

// MARK: Element types

typedef enum {
  CK_F32, CK_F64, CK_BF16, CK_F16, CK_I8, CK_I16, CK_I32, CK_I64, CK_U8, CK_BOOL
} ck_dtype;

// MARK: Block programs: a chain of element-wise operations in one pass

#define CK_MAX_DIMS 6
/// What one program may hold; a larger one stops the process with a message.
#define CK_MAX_REGISTERS 64
#define CK_MAX_OUTPUTS 16
#define CK_MAX_INSTRUCTIONS 128
/// The longest block (in elements) that a CK_CALL function is given.
#define CK_BLOCK 2048

/// Registers 0 ..< input_count hold the inputs' current block; the rest are free. A block is at most CK_BLOCK float32
/// elements long. All arithmetic is float32; inputs of another dtype are converted when loaded, outputs when stored
/// (bool: 0 or 1).
typedef enum {
  // dst = f(a)
  CK_NEG, CK_ABS, CK_SIGN, CK_SQUARE, CK_SQRT, CK_RSQRT, CK_RECIPROCAL, CK_EXP, CK_EXPM1, CK_LOG, CK_LOG1P,
  CK_SIN, CK_COS, CK_TANH, CK_SIGMOID, CK_ERF, CK_RELU, CK_FLOOR, CK_CEIL, CK_ROUND /* half to even */, CK_NOT,
  CK_ISFINITE, CK_ISNAN, CK_SOFTPLUS, CK_GELU, CK_GELU_SLOPE /* its derivative */, CK_COPY,
  // dst = f(a, b)
  CK_ADD, CK_SUB, CK_MUL, CK_DIV, CK_MAX, CK_MIN /* both keep NaN */, CK_POW,
  CK_EQ, CK_NE, CK_LT, CK_LE, CK_GT, CK_GE, CK_AND, CK_OR,
  // dst = f(a, immediate) and, for the last three, f(immediate, a)
  CK_ADD_I, CK_MUL_I, CK_DIV_I, CK_MAX_I, CK_MIN_I, CK_POW_I, CK_SET_I /* dst = immediate */,
  CK_EQ_I, CK_NE_I, CK_LT_I, CK_LE_I, CK_GT_I, CK_GE_I,
  CK_RSUB_I, CK_RDIV_I, CK_RPOW_I,
  // dst = f(a, b, c)
  CK_MULADD /* a·b + c */, CK_MULADD_I /* a·immediate + b */, CK_LERP_I /* a + immediate·(b − a) */,
  CK_SELECT /* a ? b : c */, CK_RELU_GRADIENT /* b > 0 ? a : 0 */,
  // dst = function(a, b): any function, one block at a time
  CK_CALL
} ck_opcode;

typedef void (*ck_block_function)(void *context, float *dst, const float *a, const float *b, int64_t count);

typedef struct {
  uint16_t opcode;
  uint16_t dst, a, b, c;
  float immediate;
  ck_block_function function;  // CK_CALL only
  void *context;               // CK_CALL only
} ck_instruction;

/// One array a program reads or writes. `strides` are in elements, one for each of the program's dimensions; 0 repeats.
typedef struct {
  void *data;
  int32_t dtype;
  int64_t strides[CK_MAX_DIMS];
} ck_operand;

typedef enum { CK_STORE, CK_SUM, CK_PRODUCT, CK_MAXIMUM, CK_MINIMUM } ck_reduction;

typedef struct {
  ck_operand operand;   // over the reduced dimensions its strides are 0
  uint16_t reg;
  int32_t reduction;    // CK_STORE: one value for each element; else over the dimensions in `reduced`
  float scale;          // the reduced value is multiplied by this (1 for a plain sum, 1/n for a mean)
} ck_output;

typedef struct {
  int32_t rank;                   // already collapsed by the caller: neighbouring dims that step alike are one
  int64_t dims[CK_MAX_DIMS];
  uint32_t reduced;               // bit d set: dimension d is reduced in outputs whose reduction isn't CK_STORE
  int32_t input_count, output_count, instruction_count, register_count;
  const ck_operand *inputs;
  const ck_output *outputs;
  const ck_instruction *instructions;
  void *kept;  // NULL at first: from its second run on, how the program is cut and compiled
} ck_program;

/// Runs one program (`context` is a `ck_program *`). An output may be the very buffer of an input with the same strides.
/// Between two runs nothing of the program may change but the elements of its operands, and no two runs overlap.
void ck_program_run(void *context);
/// Frees what runs kept.
void ck_program_release(ck_program *program);

typedef struct {
  ck_program *const *programs;
  int64_t count;
} ck_program_list;

/// Runs several independent programs in one parallel region (`context` is a `ck_program_list *`).
void ck_program_list_run(void *context);

// MARK: Small products

/// c [m, n] = relu?(a · b + bias?) in float32 (see matmul.h). Row-major; `transpose_a`: a is stored as [k, m]; `transpose_b`: b is stored as [n, k].
///
/// With a `program` c isn't written: its elements are the program's input number `program_input`, block by block. The
/// program has one dimension of m · n elements, no reductions, and every other operand steps by 1 or 0.
typedef struct {
  const float *a, *b, *bias;
  float *c;
  int64_t m, k, n;
  bool transpose_a, transpose_b, relu;
  bool a_in_parts;  // a lies in memory part by part (see partition.h)
  float *packed;  // `ck_matmul_scratch_bytes` of working memory, aligned to 64
  ck_program *program;
  int32_t program_input;
} ck_matmul;
void ck_matmul_run(void *context);
/// How many parts along k a product is cut into, and how many a gather cuts its columns into (see partition.h).
int64_t ck_matmul_part_count(int64_t m, int64_t k, int64_t n, bool transpose_b);
int64_t ck_gather_part_count(int64_t columns);
/// Whether weights that aren't transposed are so large, and rows so many, that they are packed as a whole.
bool ck_matmul_packs_weights(int64_t m, int64_t k, int64_t n);
int64_t ck_matmul_scratch_bytes(int64_t m, int64_t k, int64_t n, bool transpose_b);

// MARK: Copies, casts, permutations, gathers

/// dst = src, both read with strides (any sign, in elements; 0 repeats), converted to dst's dtype: floating point rounds to
/// nearest even, and to an integer truncates and saturates (NaN: 0); an integer to a narrower one drops its high bits.
typedef struct {
  void *dst; const void *src;
  int32_t dst_dtype, src_dtype;
  int32_t rank;
  int64_t dims[CK_MAX_DIMS], src_strides[CK_MAX_DIMS], dst_strides[CK_MAX_DIMS];
} ck_copy;
void ck_copy_run(void *context);  // picks contiguous, 2-D blocked transpose or the general loop

/// dst[i, :] = src[index[i], :] · scale + shift, converted to dst's dtype (scale and shift apply to float32 destinations
/// only). Rows of `row` elements. Indices are int32 or int64. An index out of range leaves the row zero; the first one's
/// position is stored in *failed (initially -1).
typedef struct {
  void *dst; const void *src; const void *index;
  int32_t dst_dtype, src_dtype, index_dtype;
  int64_t count, row, src_rows;
  float scale, shift;
  bool in_parts;  // dst is written part by part (see partition.h)
  int64_t *failed;
} ck_gather;
void ck_gather_run(void *context);

/// dst[index[i], :] += src[i, :] in order of i (float32); dst is zeroed first when `zero`.
typedef struct {
  float *dst; const float *src; const void *index;
  int32_t index_dtype;
  int64_t count, row, dst_rows;
  bool zero;
} ck_scatter_add;
void ck_scatter_add_run(void *context);

// MARK: Rows

/// Softmax and its relatives over rows of `width` (float32).
typedef struct {
  float *dst; const float *src;      // softmax: dst = softmax(src); log-softmax likewise
  int64_t rows, width;
} ck_rows;
void ck_softmax_run(void *context);
void ck_log_softmax_run(void *context);

/// dst = gradient of softmax (y its output, g the gradient of y): y · (g − Σ y·g); of log-softmax: g − exp(y) · Σ g.
typedef struct {
  float *dst; const float *y, *g;
  int64_t rows, width;
} ck_rows_gradient;
void ck_softmax_gradient_run(void *context);
void ck_log_softmax_gradient_run(void *context);

/// dst = (src − mean) / √(variance + epsilon) · gamma + beta, mean and variance being of each row; not `centred`: the
/// mean is taken for 0. dst may be src.
typedef struct {
  float *dst; const float *src, *gamma, *beta;
  int64_t rows, width;
  float epsilon;
  bool centred;
} ck_normalise;
void ck_normalise_run(void *context);

/// From the same, and g, the gradient of dst, to those of src, gamma and beta. dx may be src or g.
typedef struct {
  float *dx, *dgamma, *dbeta; const float *src, *gamma, *g;
  float *sums;  // `ck_normalise_scratch_bytes` of working memory
  int64_t rows, width;
  float epsilon;
  bool centred;
} ck_normalise_gradient;
void ck_normalise_gradient_run(void *context);
enum { CK_NORMALISE_STRETCH = 64 };  // rows whose parts of dgamma and dbeta are added up together
static inline int64_t ck_normalise_scratch_bytes(int64_t rows, int64_t width) {
  return (rows + CK_NORMALISE_STRETCH - 1) / CK_NORMALISE_STRETCH * 2 * width * (int64_t)sizeof(float);
}

/// loss[i] = logsumexp(logits[i, :]) − logits[i, label[i]], and probabilities = softmax(logits), kept for the
/// backward pass. Labels of any integer dtype or float32; outside 0 ..< width: loss is NaN, the row's probabilities too.
typedef struct {
  float *loss, *probabilities; const float *logits; const void *labels;
  int32_t label_dtype;
  int64_t rows, width;
} ck_sparse_crossentropy;
void ck_sparse_crossentropy_run(void *context);

/// dst[i, j] = (probabilities[i, j] − [j = label[i]]) · g[i · g_stride]
typedef struct {
  float *dst; const float *probabilities, *g; const void *labels;
  int32_t label_dtype;
  int64_t rows, width, g_stride;
} ck_sparse_crossentropy_gradient;
void ck_sparse_crossentropy_gradient_run(void *context);

/// dst[outer, inner] = position of the first largest (or smallest) along the middle axis of src [outer, n, inner]; NaN wins.
typedef struct {
  int32_t *dst; const float *src;
  int64_t outer, n, inner;
  bool smallest;
} ck_arg_extreme;
void ck_arg_extreme_run(void *context);

// MARK: Convolutions of a few channels

/// Elements of a band's images with their border, which lie on the stack: 128 kB. The rows of one result must fit.
#define CK_CONVOLUTION_BORDER (1 << 15)

/// dst [batch, out_height, out_width, outputs] = activation(src [batch, height, width, channels] * weights [kernel_height,
/// kernel_width, channels, outputs] + bias), float32.
typedef struct {
  const float *src, *weights, *bias;  // bias may be NULL
  float *dst;
  int64_t batch, height, width, channels;
  int64_t padded_height, padded_width, pad_top, pad_left;  // with the border of zeros
  int64_t kernel_height, kernel_width, stride_y, stride_x;
  int64_t out_height, out_width, outputs;
  bool relu;
  float *packed;  // `ck_convolution_scratch_bytes` of working memory, aligned to 64
} ck_convolution;
void ck_convolution_run(void *context);
/// For so many elements of the kernel for each output.
int64_t ck_convolution_scratch_bytes(int64_t elements);

// MARK: Convolutions of 3 × 3

/// The most channels, and what channels and outputs are multiples of.
#define CK_WINOGRAD_CHANNELS 128
#define CK_WINOGRAD_MULTIPLE 16

/// dst [batch, out_height, out_width, outputs] = activation(src [batch, height, width, channels] * weights + bias), float32,
/// with a stride of 1. What lies outside src is 0.
typedef struct {
  const float *src, *bias;  // bias may be NULL
  const float *weights;     // [3, 3, channels, outputs]; where `turned` [3, 3, outputs, channels], its cells in reverse
  float *dst;
  float *transformed;  // the kernel as it is multiplied: 16 · channels · outputs elements, aligned to 64
  int64_t batch, height, width, channels, outputs, out_height, out_width, pad_top, pad_left;
  bool relu, turned;
  bool prepared;  // `ck_winograd_prepare` has run since the weights changed
} ck_winograd;
void ck_winograd_run(void *context);
/// Weights to `transformed`.
void ck_winograd_prepare(void *context);

// MARK: Pooling

/// Windows over three axes of channels-last arrays: [batch, in…, channels] to [batch, out…, channels]. Fewer axes: 1s in
/// front. Window i along axis a covers the positions `begin[a][i] ..< end[a][i]`, at least one; begins don't decrease.
typedef struct {
  int64_t batch, channels;
  int64_t in[3], out[3];
  const int64_t *begin[3], *end[3];
  bool overlap;  // some position lies in several windows
  bool covers;   // every position lies in one
} ck_windows;

/// The largest of each window, and its number in the window (row-major, the first of equals; NaN wins).
typedef struct {
  ck_windows windows;
  const float *src; float *dst;
  void *positions;  // bytes where `narrow`, else int32; NULL: not wanted
  bool narrow;
  bool relu;        // dst is max(0, the largest)
} ck_max_pool;
void ck_max_pool_run(void *context);

/// dst [batch, in…, channels] = g [batch, out…, channels] at the positions that were the largest, 0 elsewhere.
typedef struct {
  ck_windows windows;
  const float *g; const void *positions; float *dst;
  bool narrow;
} ck_max_pool_gradient;
void ck_max_pool_gradient_run(void *context);

/// The mean of each window; its gradient takes `src` from the result's shape to the input's.
typedef struct {
  ck_windows windows;
  const float *src; float *dst;
} ck_average_pool;
void ck_average_pool_run(void *context);
void ck_average_pool_gradient_run(void *context);

// MARK: Recurrent cells

typedef enum { CK_SIMPLE_CELL, CK_LSTM_CELL, CK_GRU_CELL, CK_GRU_CELL_RESET_BEFORE } ck_cell;

/// A cell taken along the time axis of projected inputs x [batch, time, gates · units]; see recurrent.h. `last` may be
/// where nothing else lies, `gates` may be x itself.
typedef struct {
  const float *x, *kernel, *bias;    // kernel [units, gates · units]; bias NULL: none
  const float *states[2];            // initial [batch, units]: h, and the LSTM's c
  const uint8_t *mask;               // [batch, time]; NULL: every step counts
  float *outputs;                    // [batch, time, units] in the order of the steps; NULL: not wanted
  float *last[2];                    // final states [batch, units]
  float *previous, *gates, *extra;   // for the way back, in the order of x; NULL: not wanted
  int64_t batch, time, units;
  int32_t cell;
  bool backwards;
  float *scratch;                    // ck_recurrent_scratch_bytes, aligned to 64
} ck_recurrent;
void ck_recurrent_run(void *context);

/// The way back; `projected` may be `gates` itself.
typedef struct {
  const float *g_outputs, *g_last[2];  // NULL: 0
  const float *previous, *gates, *extra, *initial_cell, *kernel;
  const uint8_t *mask;
  float *projected, *states[2];        // gradients of x and of the initial states
  float *product;                      // of the recurrent product, of CK_GRU_CELL
  int64_t batch, time, units;
  int32_t cell;
  bool backwards;
  float *scratch;
} ck_recurrent_gradient;
void ck_recurrent_gradient_run(void *context);
int64_t ck_recurrent_scratch_bytes(int64_t batch, int64_t units, int64_t gates);

// MARK: Attention

/// out = softmax(scale · q · kᵀ) · v for each sample and head: q [batch, queries, heads, dim], k [batch, keys, groups, dim],
/// v [batch, keys, groups, value_dim], out [batch, queries, heads, value_dim]; each group of k and v serves heads / groups
/// heads in turn. logarithms [batch, heads, queries] = log Σ exp of a row's scores, 0 for a query that sees no key: its
/// result is the mean of the values, or 0 where `hides_rows`.
typedef struct {
  const float *q, *k, *v;
  const uint8_t *mask;    // 0: the query doesn't see the key; NULL: all are seen
  int64_t mask_steps[4];  // of the mask along batch, heads, queries, keys
  float *out, *logarithms;
  int64_t batch, queries, keys, heads, groups, dim, value_dim;
  float scale;
  bool causal;            // a query sees no later keys
  bool hides_rows;
} ck_attention;
void ck_attention_run(void *context);

/// The gradients of q, k and v from g, that of out, and logarithms_g, that of the logarithms (NULL: 0).
typedef struct {
  ck_attention forward;
  const float *g, *logarithms_g;
  float *dq, *dk, *dv;
} ck_attention_gradient;
void ck_attention_gradient_run(void *context);

// MARK: Random numbers (Philox 4x32-10, Salmon et al. 2011)

typedef enum { CK_UNIFORM /* [0, 1) */, CK_NORMAL, CK_TRUNCATED_NORMAL /* |x| < 2 */, CK_BERNOULLI /* p = a: 1, else 0 */,
  CK_BITS /* uint32 patterns */ } ck_distribution;

/// Element i comes from Philox block `state[1] + i / 4` under key `state[0]`: the value depends on seed, counter and
/// position only. `state` points to two int64: seed and counter.
typedef struct {
  void *dst; const int64_t *state;
  int32_t dst_dtype;   // CK_F32 (CK_F64 too for uniform and normal; CK_BOOL, CK_F32 for Bernoulli; CK_I32 for bits)
  int32_t distribution;
  int64_t count;
  float a;
} ck_random;
void ck_random_run(void *context);

#endif
