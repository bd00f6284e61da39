// How long rows are cut, for kernels that follow each other: each thread finds in its own cache what it wrote there.
//
// In a training step a batch's rows are gathered, multiplied by a weight, and multiplied again for the weight's
// gradient. All three are cut along the features, so that a thread gathers those columns of the batch that it multiplies
// by those rows of the weight that it updates; only the small results cross from core to core. (Cut along the batch
// instead, 64 rows of 784 cost 10-13 µs to gather inside a step: each line first has to be taken from the other core.)
//
// A batch that nothing else reads lies "in parts": the first part's columns of every row, then the next part's, each
// part being an array of rows of its own. In rows, two threads' lines alternate, and what the processor fetches ahead
// of one thread's line is the other's.
#ifndef CK_PARTITION_H
#define CK_PARTITION_H

#include <stdbool.h>
#include <stdint.h>

/// Parts of about 400 elements, whole cache lines long.
static inline int64_t ck_part_count(int64_t length) {
  const int64_t parts = length / 384;
  return parts < 1 ? 1 : parts > 8 ? 8 : parts;
}
static inline int64_t ck_part_length(int64_t length) {
  const int64_t parts = ck_part_count(length);
  return ((length + parts - 1) / parts + 15) / 16 * 16;
}

/// Parts along k of a product whose result is small beside its operands; 1 when it isn't cut there.
static inline int64_t ck_matmul_parts(int64_t m, int64_t k, int64_t n, bool transpose_b) {
  if (transpose_b || m * n > 1 << 14 || m * n > 16 * k) return 1;
  return (k + ck_part_length(k) - 1) / ck_part_length(k);
}

/// Whether b of a product is packed as a whole: where it is transposed, and where it is large and many rows read it.
static inline bool ck_matmul_packs(int64_t m, int64_t k, int64_t n, bool transpose_b) {
  return transpose_b || (m >= 64 && k * n > 1 << 18);
}

#endif
