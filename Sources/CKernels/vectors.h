// Vectors of CK_LANES elements and what is done with them without thinking.
typedef float vf __attribute__((ext_vector_type(CK_LANES)));
typedef int32_t vi __attribute__((ext_vector_type(CK_LANES)));
typedef uint32_t vu __attribute__((ext_vector_type(CK_LANES)));
typedef double vd __attribute__((ext_vector_type(CK_LANES)));
typedef int64_t vl __attribute__((ext_vector_type(CK_LANES)));

#define CK_INLINE static inline __attribute__((always_inline))
#define CK_KEEP static __attribute__((noinline))
#define CK_GLUE_(a, b) a##_##b
#define CK_GLUE(a, b) CK_GLUE_(a, b)
/// This instruction set's version of a kernel: static, reached through the table.
#define CK_LOCAL(kernel) local_##kernel
#define CK_KERNEL(kernel) static void CK_LOCAL(kernel)(void *context)

CK_INLINE vf vload(const float *p) {
  vf v;
  memcpy(&v, p, sizeof v);
  return v;
}
CK_INLINE void vstore(float *p, vf v) { memcpy(p, &v, sizeof v); }
CK_INLINE vf vset(float x) { return (vf)x; }
CK_INLINE vi as_int(vf v) { return ((vi)(v)); }
CK_INLINE vf as_float(vi v) { return ((vf)(v)); }
/// a·b + c, fused where the processor can.
CK_INLINE vf vmuladd(vf a, vf b, vf c) { return a * b + c; }
CK_INLINE vf vabs(vf v) { return __builtin_elementwise_abs(v); }
CK_INLINE vf vcopysign(vf magnitude, vf sign) {
  return as_float((as_int(magnitude) & 0x7fffffff) | (as_int(sign) & (int32_t)0x80000000));
}
/// The larger of two; NaN when either is NaN.
CK_INLINE vf vmax(vf a, vf b) { return a != a ? a : (a > b ? a : b); }
CK_INLINE vf vmin(vf a, vf b) { return a != a ? a : (a < b ? a : b); }

CK_INLINE float vsum(vf v) {
#if CK_HAS_AVX512
  return _mm512_reduce_add_ps((__m512)v);
#else
  float x[CK_LANES];
  memcpy(x, &v, sizeof x);
  for (int width = CK_LANES / 2; width > 0; width /= 2) {
    for (int i = 0; i < width; i++) x[i] += x[i + width];
  }
  return x[0];
#endif
}
CK_INLINE float vlargest(vf v) {
#if CK_HAS_AVX512
  const __mmask16 bad = _mm512_cmp_ps_mask((__m512)v, (__m512)v, _CMP_UNORD_Q);
  return bad ? __builtin_nanf("") : _mm512_reduce_max_ps((__m512)v);
#else
  float x[CK_LANES];
  memcpy(x, &v, sizeof x);
  for (int width = CK_LANES / 2; width > 0; width /= 2) {
    for (int i = 0; i < width; i++) {
      x[i] = x[i] != x[i] ? x[i] : (x[i] > x[i + width] ? x[i] : x[i + width]);
    }
  }
  return x[0];
#endif
}

CK_INLINE int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
CK_INLINE int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }
CK_INLINE int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
