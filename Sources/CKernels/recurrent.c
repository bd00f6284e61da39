#include "ckernels.h"

int64_t ck_recurrent_scratch_bytes(int64_t batch, int64_t units, int64_t gates) {
  const int64_t padded = (units + 15) / 16 * 16;
  // The packed kernel, and the states of all rows, of which up to 7 are none (recurrent.h).
  const int64_t packed = (padded + 16) * units * gates, states = (batch + 8) * padded * (4 + gates);
  return (packed + states) * (int64_t)sizeof(float);
}
