#include "cfiles.h"

#if defined(__x86_64__)
#include <immintrin.h>

// Source: Gopal et al., "Fast CRC Computation for Generic Polynomials Using PCLMULQDQ Instruction", Intel, 2009: folding
// by four registers. A key is x^n modulo the polynomial, bits reversed, shifted left by one, as the bytes come reflected.

/// 16 bytes moved by as many bits as `keys` are for, and added to those that stand there.
__attribute__((target("pclmul"))) static inline __m128i folded(__m128i bytes, __m128i keys, __m128i there) {
  const __m128i low = _mm_clmulepi64_si128(bytes, keys, 0x00);
  const __m128i high = _mm_clmulepi64_si128(bytes, keys, 0x11);
  return _mm_xor_si128(_mm_xor_si128(low, high), there);
}

/// Sixteen bytes that have the same remainder as all of them.
__attribute__((target("pclmul"))) static __m128i remainder_of(uint32_t crc, const uint8_t *bytes, size_t count) {
  const __m128i by_512 = _mm_set_epi64x(0x1c6e41596, 0x154442bd4);  // n = 480, 544
  const __m128i by_128 = _mm_set_epi64x(0x0ccaa009e, 0x1751997d0);  // n = 96, 160
  __m128i lanes[4];
  for (int lane = 0; lane < 4; lane++) lanes[lane] = _mm_loadu_si128((const __m128i *)bytes + lane);
  lanes[0] = _mm_xor_si128(lanes[0], _mm_cvtsi32_si128((int)~crc));
  for (size_t place = 64; place < count; place += 64) {
    for (int lane = 0; lane < 4; lane++) {
      lanes[lane] = folded(lanes[lane], by_512, _mm_loadu_si128((const __m128i *)(bytes + place) + lane));
    }
  }
  for (int lane = 1; lane < 4; lane++) lanes[lane] = folded(lanes[lane - 1], by_128, lanes[lane]);
  return lanes[3];
}

bool cf_crc32(uint32_t *crc, const void *bytes, size_t count) {
  if (count == 0 || count % 64 != 0 || !__builtin_cpu_supports("pclmul")) return false;
  uint8_t rest[16];
  _mm_storeu_si128((__m128i *)rest, remainder_of(*crc, bytes, count));
  uint32_t value = 0;
  for (int place = 0; place < 16; place++) {
    value ^= rest[place];
    for (int bit = 0; bit < 8; bit++) value = value >> 1 ^ (value & 1 ? 0xEDB88320 : 0);
  }
  *crc = ~value;
  return true;
}
#else
bool cf_crc32(uint32_t *crc, const void *bytes, size_t count) {
  (void)crc, (void)bytes, (void)count;
  return false;
}
#endif
