// Element types to and from float32, one by one and in runs.

static inline int64_t size_of(int dtype) {
  switch (dtype) {
    case CK_F64: case CK_I64: return 8;
    case CK_F32: case CK_I32: return 4;
    case CK_BF16: case CK_F16: case CK_I16: return 2;
    default: return 1;
  }
}

CK_INLINE float bits_to_float(uint32_t bits) {
  float f;
  memcpy(&f, &bits, 4);
  return f;
}
CK_INLINE uint32_t float_to_bits(float f) {
  uint32_t bits;
  memcpy(&bits, &f, 4);
  return bits;
}

CK_INLINE float bf16_to_float(uint16_t h) { return bits_to_float((uint32_t)h << 16); }
/// Rounds to nearest, ties to even; NaN stays NaN.
CK_INLINE uint16_t float_to_bf16(float f) {
  const uint32_t bits = float_to_bits(f);
  const uint32_t rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
  return (uint16_t)(f != f ? (bits >> 16) | 0x40 : rounded);
}

CK_INLINE float f16_to_float(uint16_t h) {
  const uint32_t sign = (uint32_t)(h & 0x8000) << 16, rest = (uint32_t)(h & 0x7fff) << 13;
  // Multiplying by 2^112 moves the exponent's bias and makes subnormals normal at once.
  const float magnitude = bits_to_float(rest) * 0x1p112f;
  const uint32_t finite = float_to_bits(magnitude);
  return bits_to_float(sign | (rest >= 0x0f800000 ? rest | 0x7f800000 : finite));
}
/// Rounds to nearest, ties to even, through subnormals; too large becomes infinity.
CK_INLINE uint16_t float_to_f16(float f) {
  const uint32_t bits = float_to_bits(f), sign = (bits >> 16) & 0x8000, magnitude = bits & 0x7fffffff;
  const uint32_t normal = (magnitude - 0x38000000 + 0xfff + ((magnitude >> 13) & 1)) >> 13;
  // Adding ½ puts a subnormal's bits at the bottom of the mantissa, rounded by the addition.
  const uint32_t subnormal = float_to_bits(bits_to_float(magnitude) + 0.5f) - 0x3f000000;
  uint32_t result = magnitude < 0x38800000 ? subnormal : normal;
  result = magnitude >= 0x477ff000 ? 0x7c00 : result;
  result = magnitude > 0x7f800000 ? 0x7e00 : result;
  return (uint16_t)(sign | result);
}

/// Truncates toward zero; out of range saturates, NaN becomes 0.
#define CK_SATURATE(name, type, low, high, above)                                                                  \
  CK_INLINE type name(double x) { return x != x ? 0 : x <= (double)(low) ? (low) : x >= (above) ? (high) : (type)x; }
CK_SATURATE(to_i8, int8_t, INT8_MIN, INT8_MAX, 127.0)
CK_SATURATE(to_u8, uint8_t, 0, UINT8_MAX, 255.0)
CK_SATURATE(to_i16, int16_t, INT16_MIN, INT16_MAX, 32767.0)
CK_SATURATE(to_i32, int32_t, INT32_MIN, INT32_MAX, 2147483647.0)
CK_SATURATE(to_i64, int64_t, INT64_MIN, INT64_MAX, 9223372036854775808.0)
#undef CK_SATURATE

// X(dtype, storage type, element to float, float to element)
#define CK_TYPES(X)                                                                                                \
  X(CK_F32, float, , )                                                                                             \
  X(CK_F64, double, (float), (double))                                                                             \
  X(CK_BF16, uint16_t, bf16_to_float, float_to_bf16)                                                               \
  X(CK_F16, uint16_t, f16_to_float, float_to_f16)                                                                  \
  X(CK_I8, int8_t, (float), to_i8)                                                                                 \
  X(CK_I16, int16_t, (float), to_i16)                                                                              \
  X(CK_I32, int32_t, (float), to_i32)                                                                              \
  X(CK_I64, int64_t, (float), to_i64)                                                                              \
  X(CK_U8, uint8_t, (float), to_u8)                                                                                \
  X(CK_BOOL, uint8_t, is_true, to_bool)

CK_INLINE float is_true(uint8_t x) { return x != 0; }
CK_INLINE uint8_t to_bool(float x) { return x != 0; }

/// dst[i] = float(src[i·stride])
CK_KEEP void load_run(float *restrict dst, const void *restrict src, int dtype, int64_t stride, int64_t count) {
  switch (dtype) {
#define CK_LOAD(dtype, type, widen, narrow)                                                                        \
  case dtype: {                                                                                                    \
    const type *s = src;                                                                                           \
    if (stride == 1) {                                                                                             \
      for (int64_t i = 0; i < count; i++) dst[i] = widen(s[i]);                                                    \
    } else if (stride == 0) {                                                                                      \
      const float value = widen(s[0]);                                                                             \
      for (int64_t i = 0; i < count; i++) dst[i] = value;                                                          \
    } else {                                                                                                       \
      for (int64_t i = 0; i < count; i++) dst[i] = widen(s[i * stride]);                                           \
    }                                                                                                              \
    return;                                                                                                        \
  }
    CK_TYPES(CK_LOAD)
#undef CK_LOAD
  }
}

#if defined(CK_HAS_AVX512)
/// dst[i] = src[i] by the processor's own instruction, a fourth of the time of the arithmetic. The instruction takes
/// subnormal numbers for 0; vectors that hold one are left to the arithmetic.
__attribute__((target(CK_TARGET ",avx512bf16"))) CK_KEEP void store_bf16_run(
  uint16_t *restrict dst, const float *restrict src, int64_t count) {
  enum { subnormal = 0x20 };
  int64_t i = 0;
  for (; i + 32 <= count; i += 32) {
    const __m512 low = _mm512_loadu_ps(src + i), high = _mm512_loadu_ps(src + i + 16);
    if (_mm512_fpclass_ps_mask(low, subnormal) | _mm512_fpclass_ps_mask(high, subnormal)) {
      for (int64_t k = i; k < i + 32; k++) dst[k] = float_to_bf16(src[k]);
    } else {
      _mm512_storeu_si512(dst + i, (__m512i)_mm512_cvtne2ps_pbh(high, low));
    }
  }
  for (; i < count; i++) dst[i] = float_to_bf16(src[i]);
}
#endif

/// dst[i·stride] = src[i], converted.
CK_KEEP void store_run(void *restrict dst, int dtype, int64_t stride, const float *restrict src, int64_t count) {
#if defined(CK_HAS_AVX512)
  if (dtype == CK_BF16 && stride == 1 && __builtin_cpu_supports("avx512bf16")) {
    store_bf16_run(dst, src, count);
    return;
  }
#endif
  switch (dtype) {
#define CK_STORE_RUN(dtype, type, widen, narrow)                                                                   \
  case dtype: {                                                                                                    \
    type *d = dst;                                                                                                 \
    if (stride == 1) {                                                                                             \
      for (int64_t i = 0; i < count; i++) d[i] = narrow(src[i]);                                                   \
    } else {                                                                                                       \
      for (int64_t i = 0; i < count; i++) d[i * stride] = narrow(src[i]);                                          \
    }                                                                                                              \
    return;                                                                                                        \
  }
    CK_TYPES(CK_STORE_RUN)
#undef CK_STORE_RUN
  }
}
