// oneDNN for Swift: what Swift can't import, and one interface over two of oneDNN's.
//
// oneDNN 2.x describes memory with a struct and an operation with an "operation descriptor"; 3.x has opaque handles for
// the first and `dnnl_<operation>_primitive_desc_create` for the second. Everything here has one signature for both, so
// `#if DNNL_VERSION_MAJOR` stands in this file and nowhere else. What both versions share (engines, streams, memories,
// primitives) is called directly.
//
// To wrap another operation: one `odn_<operation>_primitive_desc_create` here (the 3.x signature, with
// `odn_memory_desc` for descriptors), one file in the target OneDNN.
#ifndef CONEDNN_H
#define CONEDNN_H

#if !__has_include(<dnnl.h>)
#error "Backprop needs oneDNN 2.6 or later: on Debian and Ubuntu `apt-get install libdnnl-dev`, on macOS `brew install onednn`"
#endif
#include <dnnl.h>
#include <dnnl_debug.h>
#include <dnnl_version.h>
#include <ckernels.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if DNNL_VERSION_MAJOR < 2 || (DNNL_VERSION_MAJOR == 2 && DNNL_VERSION_MINOR < 6)
#error "Backprop needs oneDNN 2.6 or later."
#endif

// MARK: Threads

// oneDNN's own threads aren't used (see CKernels' threads.c for why): every primitive is created for one thread and runs
// on the thread that calls. Where oneDNN is built with OpenMP its count is OpenMP's, one for each calling thread;
// elsewhere it is oneDNN's own affair.
#if defined(__linux__) && DNNL_CPU_THREADING_RUNTIME == DNNL_RUNTIME_OMP
extern int omp_get_max_threads(void);
extern void omp_set_num_threads(int count);
static inline int odn_thread_count(void) { return omp_get_max_threads(); }
static inline void odn_set_thread_count(int count) { omp_set_num_threads(count); }
#else
static inline int odn_thread_count(void) { return 1; }
static inline void odn_set_thread_count(int count) { (void)count; }
#endif

// MARK: Memory descriptors

/// A handle of its own in both versions: create, use, destroy.
typedef struct odn_memory_desc_opaque *odn_memory_desc;

#if DNNL_VERSION_MAJOR >= 3
typedef const_dnnl_memory_desc_t odn_native_memory_desc;
#else
typedef const dnnl_memory_desc_t *odn_native_memory_desc;
#endif

/// NULL stays NULL (oneDNN's "no bias" and the like).
static inline odn_native_memory_desc odn_native(odn_memory_desc desc) { return (odn_native_memory_desc)desc; }

#if DNNL_VERSION_MAJOR < 3
static inline dnnl_status_t odn_memory_desc_box(odn_memory_desc *out, const dnnl_memory_desc_t *value) {
  dnnl_memory_desc_t *box = (dnnl_memory_desc_t *)malloc(sizeof *box);
  if (!box) return dnnl_out_of_memory;
  *box = *value;
  *out = (odn_memory_desc)box;
  return dnnl_success;
}
#endif

/// `strides` in elements; NULL lets oneDNN choose the layout (format `any`).
static inline dnnl_status_t odn_memory_desc_create(
    odn_memory_desc *out, int rank, const int64_t *dims, dnnl_data_type_t type, const int64_t *strides) {
  if (rank < 1 || rank > DNNL_MAX_NDIMS) return dnnl_invalid_arguments;
  dnnl_dims_t d, s;
  for (int i = 0; i < rank; i++) {
    d[i] = dims[i];
    s[i] = strides ? strides[i] : 0;
  }
#if DNNL_VERSION_MAJOR >= 3
  dnnl_memory_desc_t *native = (dnnl_memory_desc_t *)out;
  return strides ? dnnl_memory_desc_create_with_strides(native, rank, d, type, s)
                 : dnnl_memory_desc_create_with_tag(native, rank, d, type, dnnl_format_tag_any);
#else
  dnnl_memory_desc_t value;
  dnnl_status_t status = strides ? dnnl_memory_desc_init_by_strides(&value, rank, d, type, s)
                                 : dnnl_memory_desc_init_by_tag(&value, rank, d, type, dnnl_format_tag_any);
  return status == dnnl_success ? odn_memory_desc_box(out, &value) : status;
#endif
}

static inline void odn_memory_desc_destroy(odn_memory_desc desc) {
#if DNNL_VERSION_MAJOR >= 3
  dnnl_memory_desc_destroy((dnnl_memory_desc_t)desc);
#else
  free(desc);
#endif
}

/// Bytes a memory of this layout takes, padding included.
static inline size_t odn_memory_desc_size(odn_memory_desc desc) { return dnnl_memory_desc_get_size(odn_native(desc)); }

static inline int odn_memory_desc_equal(odn_memory_desc a, odn_memory_desc b) {
  return dnnl_memory_desc_equal(odn_native(a), odn_native(b));
}

/// A memory over `data`, which the caller owns and keeps alive.
static inline dnnl_status_t odn_memory_create(
    dnnl_memory_t *out, odn_memory_desc desc, dnnl_engine_t engine, void *data) {
  return dnnl_memory_create(out, odn_native(desc), engine, data);
}

// MARK: Post-operations (done on the result before it is stored)

static inline dnnl_status_t odn_post_ops_append_eltwise(
    dnnl_post_ops_t ops, dnnl_alg_kind_t kind, float alpha, float beta) {
#if DNNL_VERSION_MAJOR >= 3
  return dnnl_post_ops_append_eltwise(ops, kind, alpha, beta);
#else
  return dnnl_post_ops_append_eltwise(ops, 1.0f, kind, alpha, beta);
#endif
}

/// result + scale · (what the destination held)
static inline dnnl_status_t odn_post_ops_append_sum(dnnl_post_ops_t ops, float scale) {
#if DNNL_VERSION_MAJOR >= 3
  return dnnl_post_ops_append_sum(ops, scale, 0, dnnl_data_type_undef);
#else
  return dnnl_post_ops_append_sum(ops, scale);
#endif
}

/// kind(result, another operand), passed at execution as `odn_argument_post_op(position)`.
static inline dnnl_status_t odn_post_ops_append_binary(dnnl_post_ops_t ops, dnnl_alg_kind_t kind, odn_memory_desc desc) {
  return dnnl_post_ops_append_binary(ops, kind, odn_native(desc));
}

/// The argument number of the operand of a binary post-operation (a macro Swift can't see).
static inline int odn_argument_post_op(int position) {
  return DNNL_ARG_ATTR_MULTIPLE_POST_OP(position) | DNNL_ARG_SRC_1;
}

// MARK: Primitive descriptors

/// The implementation oneDNN chose, such as `brg:avx512_core`. Valid as long as `desc`.
static inline const char *odn_primitive_desc_implementation(const_dnnl_primitive_desc_t desc) {
  const char *name = NULL;
  return dnnl_primitive_desc_query(desc, dnnl_query_impl_info_str, 0, &name) == dnnl_success ? name : "";
}

/// Walks oneDNN's implementations, which come best first, to the first whose name contains `wanted`; NULL takes the
/// first there is.
#if DNNL_VERSION_MAJOR >= 3
static inline dnnl_status_t odn_find_implementation(dnnl_primitive_desc_t desc, const char *wanted) {
  dnnl_status_t status = dnnl_success;
  while (wanted && status == dnnl_success && !strstr(odn_primitive_desc_implementation(desc), wanted))
    status = dnnl_primitive_desc_next_impl(desc);
  return status == dnnl_last_impl_reached ? dnnl_unimplemented : status;
}
#else
static inline dnnl_status_t odn_find_implementation(
    dnnl_primitive_desc_t *out, const_dnnl_op_desc_t op, const_dnnl_primitive_attr_t attr, dnnl_engine_t engine,
    const_dnnl_primitive_desc_t hint, const char *wanted) {
  if (!wanted) return dnnl_primitive_desc_create(out, op, attr, engine, hint);
  dnnl_primitive_desc_iterator_t iterator;
  dnnl_status_t status = dnnl_primitive_desc_iterator_create(&iterator, op, attr, engine, hint);
  if (status != dnnl_success) return status;
  dnnl_primitive_desc_t found = NULL;
  while (status == dnnl_success && !found) {
    found = dnnl_primitive_desc_iterator_fetch(iterator);
    if (!found || strstr(odn_primitive_desc_implementation(found), wanted)) break;
    dnnl_primitive_desc_destroy(found);
    found = NULL;
    status = dnnl_primitive_desc_iterator_next(iterator);
  }
  dnnl_primitive_desc_iterator_destroy(iterator);
  *out = found;
  return found ? dnnl_success : dnnl_unimplemented;
}
#endif

/// `bias` may be NULL. `wanted`: part of an implementation's name, or NULL.
static inline dnnl_status_t odn_matmul_primitive_desc_create(
    dnnl_primitive_desc_t *out, dnnl_engine_t engine, odn_memory_desc src, odn_memory_desc weights,
    odn_memory_desc bias, odn_memory_desc dst, const_dnnl_primitive_attr_t attr, const char *wanted) {
#if DNNL_VERSION_MAJOR >= 3
  dnnl_status_t status = dnnl_matmul_primitive_desc_create(
      out, engine, odn_native(src), odn_native(weights), odn_native(bias), odn_native(dst), attr);
  if (status != dnnl_success) return status;
  status = odn_find_implementation(*out, wanted);
  if (status != dnnl_success) dnnl_primitive_desc_destroy(*out);
  return status;
#else
  dnnl_matmul_desc_t op;
  dnnl_status_t status =
      dnnl_matmul_desc_init(&op, odn_native(src), odn_native(weights), odn_native(bias), odn_native(dst));
  return status == dnnl_success ? odn_find_implementation(out, &op, attr, engine, NULL, wanted) : status;
#endif
}

/// Which of a convolution's three products.
typedef enum { ODN_FORWARD, ODN_BACKWARD_DATA, ODN_BACKWARD_WEIGHTS } odn_direction;

/// How a kernel moves over its input, one number for each spatial dimension. `dilation` as oneDNN counts it: 0 is a dense
/// kernel.
typedef struct {
  const int64_t *strides, *dilation, *padding_before, *padding_after;
} odn_windows;

/// `src` and `dst` are the input's and the result's descriptors in every direction, their gradients' backwards; `bias`
/// may be NULL and is forward's alone. The three hints describe the forward convolution that a gradient belongs to.
static inline dnnl_status_t odn_convolution_primitive_desc_create(
    dnnl_primitive_desc_t *out, dnnl_engine_t engine, odn_direction direction, odn_memory_desc src,
    odn_memory_desc weights, odn_memory_desc bias, odn_memory_desc dst, odn_memory_desc hint_src,
    odn_memory_desc hint_weights, odn_memory_desc hint_dst, const odn_windows *windows,
    const_dnnl_primitive_attr_t attr) {
  const int64_t *strides = windows->strides, *dilation = windows->dilation, *before = windows->padding_before,
                *after = windows->padding_after;
  const dnnl_alg_kind_t direct = dnnl_convolution_direct;
  dnnl_primitive_desc_t forward = NULL;
#if DNNL_VERSION_MAJOR >= 3
  // Attributes such as post-operations belong to the one that is asked for.
  dnnl_status_t status = dnnl_convolution_forward_primitive_desc_create(
      &forward, engine, dnnl_forward_training, direct, odn_native(hint_src), odn_native(hint_weights),
      odn_native(bias), odn_native(hint_dst), strides, dilation, before, after,
      direction == ODN_FORWARD ? attr : NULL);
  if (status != dnnl_success) return status;
  if (direction == ODN_FORWARD) {
    *out = forward;
    return dnnl_success;
  }
  status = direction == ODN_BACKWARD_DATA
               ? dnnl_convolution_backward_data_primitive_desc_create(
                     out, engine, direct, odn_native(src), odn_native(weights), odn_native(dst), strides, dilation,
                     before, after, forward, attr)
               : dnnl_convolution_backward_weights_primitive_desc_create(
                     out, engine, direct, odn_native(src), odn_native(weights), NULL, odn_native(dst), strides,
                     dilation, before, after, forward, attr);
#else
  dnnl_convolution_desc_t op;
  dnnl_status_t status = dnnl_dilated_convolution_forward_desc_init(
      &op, dnnl_forward_training, direct, odn_native(hint_src), odn_native(hint_weights), odn_native(bias),
      odn_native(hint_dst), strides, dilation, before, after);
  if (status == dnnl_success)
    status = dnnl_primitive_desc_create(&forward, &op, direction == ODN_FORWARD ? attr : NULL, engine, NULL);
  if (status != dnnl_success) return status;
  if (direction == ODN_FORWARD) {
    *out = forward;
    return dnnl_success;
  }
  status = direction == ODN_BACKWARD_DATA
               ? dnnl_dilated_convolution_backward_data_desc_init(
                     &op, direct, odn_native(src), odn_native(weights), odn_native(dst), strides, dilation, before,
                     after)
               : dnnl_dilated_convolution_backward_weights_desc_init(
                     &op, direct, odn_native(src), odn_native(weights), NULL, odn_native(dst), strides, dilation,
                     before, after);
  if (status == dnnl_success) status = dnnl_primitive_desc_create(out, &op, attr, engine, forward);
#endif
  dnnl_primitive_desc_destroy(forward);
  return status;
}

/// Copies and converts from one layout to another.
static inline dnnl_status_t odn_reorder_primitive_desc_create(
    dnnl_primitive_desc_t *out, dnnl_engine_t engine, odn_memory_desc src, odn_memory_desc dst,
    const_dnnl_primitive_attr_t attr) {
  return dnnl_reorder_primitive_desc_create(out, odn_native(src), engine, odn_native(dst), engine, attr);
}

/// A copy of one of a primitive's memory descriptors (to be destroyed by the caller); for a descriptor it doesn't have,
/// one of no dimensions.
static inline dnnl_status_t odn_primitive_desc_query_memory(
    odn_memory_desc *out, const_dnnl_primitive_desc_t desc, dnnl_query_t what, int index) {
  odn_native_memory_desc found = dnnl_primitive_desc_query_md(desc, what, index);
  if (!found) return dnnl_not_required;
#if DNNL_VERSION_MAJOR >= 3
  return dnnl_memory_desc_clone((dnnl_memory_desc_t *)out, found);
#else
  return odn_memory_desc_box(out, found);
#endif
}

// MARK: Executions: everything one call needs, bound once

/// What went wrong first. Shared by the executions of a step, so that a step checks one place.
typedef struct {
  dnnl_status_t status;
  const void *execution;  // the context of the one that failed
} odn_failure;

/// A primitive, a call of somebody else's, or nothing.
typedef struct {
  dnnl_primitive_t primitive;
  dnnl_exec_arg_t *arguments;
  int argument_count;
  dnnl_status_t status;
  ck_call call;
} odn_stage;

/// Stages in lanes of equal length: within a lane one after the other, the lanes beside each other.
typedef struct {
  dnnl_stream_t stream;
  odn_failure *failure;
  int stage_count;
  int lane_count;
  odn_stage *stages;  // the first lane's, then the second's, …
} odn_execution;

static inline void odn_execution_run_lanes(void *context, int64_t begin, int64_t end) {
  const odn_execution *execution = (const odn_execution *)context;
  const int length = execution->stage_count / execution->lane_count;
  if (odn_thread_count() != 1) odn_set_thread_count(1);
  for (int64_t lane = begin; lane < end; lane++) {
    odn_stage *stage = execution->stages + lane * length;
    for (int i = 0; i < length; i++, stage++) {
      if (stage->call.run) stage->call.run(stage->call.context);
      if (!stage->primitive) continue;
      stage->status =
          dnnl_primitive_execute(stage->primitive, execution->stream, stage->argument_count, stage->arguments);
      if (stage->status != dnnl_success) break;
    }
  }
}

/// `context` is an `odn_execution *`. After a failure nothing more is run, until `failure` is cleared.
static inline void odn_execution_run(void *context) {
  const odn_execution *execution = (const odn_execution *)context;
  odn_failure *failure = execution->failure;
  if (failure->status != dnnl_success) return;
  // The caller's own OpenMP keeps its count; threads of the pool have no use for another than 1.
  const int former = odn_thread_count();
  ck_parallel_for(execution->lane_count, 1, odn_execution_run_lanes, context);
  if (former != 1) odn_set_thread_count(former);
  for (int i = 0; i < execution->stage_count; i++) {
    if (execution->stages[i].status != dnnl_success) {
      failure->status = execution->stages[i].status;
      failure->execution = context;
      execution->stages[i].status = dnnl_success;
      return;
    }
  }
}

/// sum += addend
typedef struct {
  float *sum;
  const float *addend;
  int64_t count;
} odn_addition;

static inline void odn_addition_run(void *context) {
  const odn_addition *a = (const odn_addition *)context;
  float *sum = a->sum;
  const float *addend = a->addend;
  for (int64_t i = 0; i < a->count; i++) sum[i] += addend[i];
}

/// Executions that run one after the other as one call (`context` is an `odn_sequence *`).
typedef struct {
  int count;
  void **executions;
} odn_sequence;

static inline void odn_sequence_run(void *context) {
  const odn_sequence *sequence = (const odn_sequence *)context;
  for (int i = 0; i < sequence->count; i++) odn_execution_run(sequence->executions[i]);
}

#endif
