#include "ckernels.h"

int64_t ck_matmul_packed_bytes(int64_t k, int64_t n, bool transpose_b) {
  // Panels of 32 columns are the widest that any instruction set uses.
  const int64_t panel = k * 32 * (int64_t)sizeof(float);
  return transpose_b ? (n + 31) / 32 * panel : n % 32 == 0 ? 0 : panel;
}
