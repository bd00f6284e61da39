// The kernels that exist once for each instruction set: the table, its three fillings and the public functions all
// come from this list. `K(name)` is `void name(void *context)`.
#ifndef CK_KERNEL_LIST_H
#define CK_KERNEL_LIST_H

#include "ckernels.h"

/// What a program keeps after its first run, instead of a plan (program_plan.h).
#define CK_HAS_RUN ((void *)1)

#define CK_KERNELS(K)                                                                                              \
  K(ck_program_run)                                                                                                \
  K(ck_program_list_run)                                                                                           \
  K(ck_matmul_run)                                                                                                 \
  K(ck_convolution_run)                                                                                            \
  K(ck_winograd_run)                                                                                               \
  K(ck_winograd_prepare)                                                                                           \
  K(ck_copy_run)                                                                                                   \
  K(ck_gather_run)                                                                                                 \
  K(ck_scatter_add_run)                                                                                            \
  K(ck_softmax_run)                                                                                                \
  K(ck_log_softmax_run)                                                                                            \
  K(ck_softmax_gradient_run)                                                                                       \
  K(ck_log_softmax_gradient_run)                                                                                   \
  K(ck_normalise_run)                                                                                              \
  K(ck_normalise_gradient_run)                                                                                     \
  K(ck_sparse_crossentropy_run)                                                                                    \
  K(ck_sparse_crossentropy_gradient_run)                                                                           \
  K(ck_arg_extreme_run)                                                                                            \
  K(ck_max_pool_run)                                                                                               \
  K(ck_max_pool_gradient_run)                                                                                      \
  K(ck_average_pool_run)                                                                                           \
  K(ck_average_pool_gradient_run)                                                                                  \
  K(ck_recurrent_run)                                                                                              \
  K(ck_recurrent_gradient_run)                                                                                     \
  K(ck_attention_run)                                                                                              \
  K(ck_attention_gradient_run)                                                                                     \
  K(ck_random_run)

typedef struct {
  const char *name;
#define CK_FIELD(kernel) void (*kernel)(void *context);
  CK_KERNELS(CK_FIELD)
#undef CK_FIELD
} ck_kernel_table;

#if defined(__x86_64__)
extern const ck_kernel_table ck_kernels_v4, ck_kernels_v3;
#endif
extern const ck_kernel_table ck_kernels_default;

#endif
