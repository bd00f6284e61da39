// Included once by each kernels_*.c, which says how wide a vector is and what the processor has.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "kernel_list.h"
#include "partition.h"
#include "threads.h"

#if defined(CK_TARGET)
#pragma clang attribute push(__attribute__((target(CK_TARGET))), apply_to = function)
#endif

#include "vectors.h"
#include "vector_math.h"
#include "conversions.h"
#include "program_steps.h"
#include "program_compile.h"
#include "program_plan.h"
#include "program_folds.h"
#include "program_run.h"
#include "copies.h"
#include "gathers.h"
#include "rows.h"
#include "normalise.h"
#include "pooling.h"
#include "random.h"
#include "tiles.h"
#include "packing.h"
#include "matmul.h"
#include "convolution.h"
#include "winograd.h"
#include "recurrent.h"
#include "recurrent_gradient.h"
#include "attention.h"

#if defined(CK_TARGET)
#pragma clang attribute pop
#endif

const ck_kernel_table CK_TABLE = {
  .name = CK_TABLE_NAME,
#define CK_ENTRY(kernel) .kernel = CK_LOCAL(kernel),
  CK_KERNELS(CK_ENTRY)
#undef CK_ENTRY
};
