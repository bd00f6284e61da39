// Sizes of kernels' working memory, and how they cut their work, for those who plan it.
#include "ckernels.h"
#include "partition.h"

int64_t ck_matmul_scratch_bytes(int64_t m, int64_t k, int64_t n, bool transpose_b) {
  // Panels of 32 columns are the widest that any instruction set uses.
  const int64_t panel = k * 32 * (int64_t)sizeof(float);
  const int64_t packed = ck_matmul_packs(m, k, n, transpose_b) ? (n + 31) / 32 * panel : n % 32 == 0 ? 0 : panel;
  const int64_t parts = ck_matmul_parts(m, k, n, transpose_b);
  return packed + (parts > 1 ? parts * m * n * (int64_t)sizeof(float) : 0);
}

bool ck_matmul_packs_weights(int64_t m, int64_t k, int64_t n) { return ck_matmul_packs(m, k, n, false); }

int64_t ck_matmul_part_count(int64_t m, int64_t k, int64_t n, bool transpose_b) {
  return ck_matmul_parts(m, k, n, transpose_b);
}

int64_t ck_convolution_scratch_bytes(int64_t elements) { return elements * 32 * (int64_t)sizeof(float); }

int64_t ck_gather_part_count(int64_t columns) { return ck_part_count(columns); }
