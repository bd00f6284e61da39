// Every kernel for x86-64-v3: AVX2 and FMA.
#if defined(__x86_64__) && !defined(CK_BASELINE_ONLY)
#define CK_LANES 8
#define CK_HAS_FMA 1
#define CK_TABLE ck_kernels_v3
#define CK_TABLE_NAME "x86-64-v3"
#define CK_TARGET "avx2,fma,f16c,bmi,bmi2,lzcnt,movbe,popcnt"
#include "all_kernels.h"
#endif
