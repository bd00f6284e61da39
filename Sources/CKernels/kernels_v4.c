// Every kernel for x86-64-v4: AVX-512. The features are listed one by one because "arch=x86-64-v4" makes clang prefer
// 256-bit vectors.
#if defined(__x86_64__) && !defined(CK_BASELINE_ONLY)
#define CK_LANES 16
#define CK_HAS_FMA 1
#define CK_HAS_AVX512 1
#define CK_TABLE ck_kernels_v4
#define CK_TABLE_NAME "x86-64-v4"
#define CK_TARGET "avx512f,avx512bw,avx512cd,avx512dq,avx512vl,avx2,fma,f16c,bmi,bmi2,lzcnt,movbe,popcnt"
#include "all_kernels.h"
#endif
