// Every kernel for the baseline of the platform: SSE2 on x86-64, Neon on arm64.
#define CK_LANES 4
#define CK_TABLE ck_kernels_default
#define CK_TABLE_NAME "default"
#include "all_kernels.h"
