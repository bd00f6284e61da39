// What the kernels use of the threads beside the public loop.
#ifndef CK_THREADS_H
#define CK_THREADS_H
#include <stdint.h>

/// Cuts [0, count) into a few contiguous pieces for each thread. For work whose results don't depend on where it is cut.
void ck_parallel_shares(
  int64_t count, void (*body)(void *context, int64_t begin, int64_t end), void *context);

#endif
