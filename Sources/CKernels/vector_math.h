// Elementary functions over vectors, to 2-3 ulp over the whole range. The polynomials are minimax fits of our own
// (weighted least squares, reweighted until level); each stands with its error before rounding.

static const float infinity_f = __builtin_inff();
static const float nan_f = __builtin_nanf("");

/// x = n·ln 2 + r with |r| ≤ ln 2 / 2. Adding 1.5·2^23 rounds to an integer and leaves it in the low bits, which also
/// works (harmlessly) for NaN.
CK_INLINE vf reduce_exponent(vf x, vi *n) {
  const vf shifter = 12582912.0f;
  const vf shifted = vmuladd(x, 1.44269504f, shifter);
  const vf whole = shifted - shifter;
  *n = as_int(shifted) - as_int(shifter);
  return vmuladd(whole, -1.42860677e-6f, vmuladd(whole, -0.693145752f, x));
}

/// p · 2^n, in two steps so that results below the normal range and at its top are right.
CK_INLINE vf scale_by_power(vf p, vi n) {
#if CK_HAS_AVX512
  return (vf)_mm512_scalef_ps((__m512)p, (__m512)__builtin_convertvector(n, vf));
#else
  const vi half = n >> 1;
  return p * as_float((half + 127) << 23) * as_float((n - half + 127) << 23);
#endif
}

CK_INLINE vf clamp_keeping_nan(vf x, float low, float high) {
  x = x > high ? (vf)high : x;
  return x < low ? (vf)low : x;
}

CK_INLINE vf vexp(vf x) {
  vi n;
  const vf r = reduce_exponent(clamp_keeping_nan(x, -104.0f, 89.0f), &n);
  // e^r = 1 + r + r²·q(r), 2^-28
  vf q = 0.0013814467f;
  q = vmuladd(q, r, 0.008368781f);
  q = vmuladd(q, r, 0.041668393f);
  q = vmuladd(q, r, 0.1666652f);
  q = vmuladd(q, r, 0.49999994f);
  const vf p = vmuladd(r * r, q, r) + 1.0f;
  return scale_by_power(p, n);
}

CK_INLINE vf vexpm1(vf x) {
  vi n;
  const vf r = reduce_exponent(clamp_keeping_nan(x, -18.0f, 89.0f), &n);
  // e^r − 1 = r + r²·q(r), 2^-32
  vf q = 0.00019845886f;
  q = vmuladd(q, r, 0.001394072f);
  q = vmuladd(q, r, 0.00833339f);
  q = vmuladd(q, r, 0.04166636f);
  q = vmuladd(q, r, 0.16666666f);
  q = vmuladd(q, r, 0.5f);
  const vf p = vmuladd(r * r, q, r);
  const vf half_power = as_float((n + 126) << 23);  // 2^(n−1): 2^128 would overflow too early
  const vf y = 2.0f * vmuladd(half_power, p, half_power - 0.5f);
  return x == 0.0f ? x : y;
}

/// x = m·2^e with m in [√½, √2); positive finite x, also below the normal range.
CK_INLINE vf split_mantissa(vf x, vf *e) {
  const vi tiny = x < 1.17549435e-38f;
  x = tiny ? x * 8388608.0f : x;
  const vi shifted = as_int(x) - 0x3f3504f3;  // √½
  const vi exponent = shifted >> 23;
  *e = __builtin_convertvector(exponent - (tiny & 23), vf);
  return as_float(as_int(x) - (exponent << 23));
}

CK_INLINE vf log_of_positive(vf x) {
  vf e;
  const vf f = split_mantissa(x, &e) - 1.0f;
  // ln(1 + f) = f − f²/2 + f³·P(f), 2^-30
  vf p = 0.0674664f;
  p = vmuladd(p, f, -0.11675652f);
  p = vmuladd(p, f, 0.11888162f);
  p = vmuladd(p, f, -0.12405589f);
  p = vmuladd(p, f, 0.14219552f);
  p = vmuladd(p, f, -0.16667996f);
  p = vmuladd(p, f, 0.20002119f);
  p = vmuladd(p, f, -0.2500001f);
  p = vmuladd(p, f, 0.33333313f);
  const vf f2 = f * f;
  vf y = f * f2 * p;
  y = vmuladd(e, -2.12194440e-4f, y);
  y = vmuladd(f2, -0.5f, y);
  return vmuladd(e, 0.693359375f, f + y);
}

CK_INLINE vf vlog(vf x) {
  vf y = log_of_positive(x);
  y = x == infinity_f ? x : y;
  y = x == 0.0f ? (vf)-infinity_f : y;
  return ((x < 0.0f) | (x != x)) ? (vf)nan_f : y;
}

CK_INLINE vf vlog1p(vf x) {
  const vf u = 1.0f + x;
  const vf lost = x - (u - 1.0f);
  vf y = log_of_positive(u) + lost / u;
  y = u == infinity_f ? u : y;
  y = u == 0.0f ? (vf)-infinity_f : y;
  y = x == 0.0f ? x : y;
  return ((u < 0.0f) | (x != x)) ? (vf)nan_f : y;
}

CK_INLINE vf vtanh(vf x) {
  const vf t = vexpm1(2.0f * clamp_keeping_nan(vabs(x), 0.0f, 10.0f));
  return vcopysign(t / (t + 2.0f), x);
}

CK_INLINE vf vsigmoid(vf x) {
  const vf e = vexp(-vabs(x));
  return (x < 0.0f ? e : (vf)1.0f) / (1.0f + e);
}

CK_INLINE vf vsoftplus(vf x) {
  const vf y = vlog1p(vexp(-vabs(x)));
  return x > 0.0f ? x + y : y;
}

/// erf x, from `power`, e^(−x²), which is asked for where |x| ≥ 1.
CK_INLINE vf erf_from_power(vf x, vf power) {
  const vf t = clamp_keeping_nan(vabs(x), 0.0f, 4.0f);
  const vf z = t * t;
  // |x| < 1: x + x·P(x²), 2^-35
  vf p = -9.641519e-06f;
  p = vmuladd(p, z, 0.00011256949f);
  p = vmuladd(p, z, -0.0008482829f);
  p = vmuladd(p, z, 0.0052209455f);
  p = vmuladd(p, z, -0.0268654f);
  p = vmuladd(p, z, 0.11283782f);
  p = vmuladd(p, z, -0.37612638f);
  p = vmuladd(p, z, 0.12837917f);
  const vf small = vmuladd(t, p, t);
  // 1 ≤ |x| < 4: 1 − e^(−x²)·R(|x|), 2^-26
  vf r = -0.00038891484f;
  r = vmuladd(r, t, 0.0060055177f);
  r = vmuladd(r, t, -0.041000262f);
  r = vmuladd(r, t, 0.16413973f);
  r = vmuladd(r, t, -0.43169001f);
  r = vmuladd(r, t, 0.79260522f);
  r = vmuladd(r, t, -1.0482163f);
  r = vmuladd(r, t, 0.98612857f);
  const vf large = 1.0f - power * r;
  return vcopysign(t < 1.0f ? small : large, x);
}

CK_INLINE vf verf(vf x) { return erf_from_power(x, vexp(-x * x)); }

/// x · Φ(x), Φ being the normal distribution's function.
CK_INLINE vf vgelu(vf x) { return x * 0.5f * (verf(x * 0.70710678f) + 1.0f); }

/// Φ(x) + x · φ(x); both are made of e^(−x²/2).
CK_INLINE vf vgelu_slope(vf x) {
  const vf power = vexp(x * x * -0.5f);
  return vmuladd(x, power * 0.39894228f, vmuladd(erf_from_power(x * 0.70710678f, power), vset(0.5f), vset(0.5f)));
}

// |r| ≤ π/4, z = r².
CK_INLINE vf sine_polynomial(vf r, vf z) {
  vf s = 2.7182373e-06f;  // sin r = r + r·z·S(z), 2^-37
  s = vmuladd(s, z, -0.00019839327f);
  s = vmuladd(s, z, 0.008333329f);
  s = vmuladd(s, z, -0.16666667f);
  return vmuladd(s * z, r, r);
}
CK_INLINE vf cosine_polynomial(vf z) {
  vf c = -2.720955e-07f;  // cos r = 1 − z/2 + z²·C(z), 2^-43
  c = vmuladd(c, z, 2.4799512e-05f);
  c = vmuladd(c, z, -0.0013888883f);
  c = vmuladd(c, z, 0.041666668f);
  return vmuladd(z * z, c, vmuladd(z, -0.5f, 1.0f));
}

/// Sine (quarter 0) or cosine (quarter 1). The argument is reduced in double: exact enough to 1e6; beyond, the C
/// library takes the lane.
CK_INLINE vf sine_of_quarter(vf x, int quarter) {
  const vd shifter = 6755399441055744.0;
  const vd wide = __builtin_convertvector(x, vd);
  const vd shifted = wide * 0.63661977236758134308 + shifter;
  const vd whole = shifted - shifter;
  const vd r2 = (wide - whole * 1.57079632673412561417) - whole * 6.07710050650619224932e-11;
  const vf r = __builtin_convertvector(r2, vf);
  const vi n = __builtin_convertvector(((vl)(shifted)) & 3, vi) + quarter;
  const vf z = r * r;
  const vf s = sine_polynomial(r, z), c = cosine_polynomial(z);
  vf y = (n & 1) == 1 ? c : s;
  y = (n & 2) == 2 ? -y : y;
  float far[CK_LANES], result[CK_LANES];
  vstore(far, x);
  float largest = 0;
  for (int i = 0; i < CK_LANES; i++) largest = fabsf(far[i]) <= 1e6f ? largest : 1;
  if (__builtin_expect(largest > 0, 0)) {
    vstore(result, y);
    for (int i = 0; i < CK_LANES; i++) {
      if (!(fabsf(far[i]) <= 1e6f)) result[i] = quarter ? cosf(far[i]) : sinf(far[i]);
    }
    y = vload(result);
  }
  return x == 0.0f ? (quarter ? (vf)1.0f : x) : y;
}
CK_INLINE vf vsin(vf x) { return sine_of_quarter(x, 0); }
CK_INLINE vf vcos(vf x) { return sine_of_quarter(x, 1); }

/// a^b through 2^(b·log₂|a|) in double, then C's rules for the signs and the special cases.
CK_INLINE vf vpow(vf a, vf b) {
  vf e;
  const vf magnitude = vabs(a);
  const vd m = __builtin_convertvector(split_mantissa(magnitude, &e), vd);
  const vd s = (m - 1.0) / (m + 1.0), z = s * s;
  vd l = 2.0 / 13;  // ln m = 2·artanh(s) for |s| ≤ 0.172
  l = l * z + 2.0 / 11;
  l = l * z + 2.0 / 9;
  l = l * z + 2.0 / 7;
  l = l * z + 2.0 / 5;
  l = l * z + 2.0 / 3;
  l = l * z + 2.0;
  vd log2 = l * s * 1.44269504088896340736 + __builtin_convertvector(e, vd);
  log2 = __builtin_convertvector(magnitude == 0.0f, vl) ? (vd)-__builtin_inf() : log2;
  log2 = __builtin_convertvector(magnitude == infinity_f, vl) ? (vd)__builtin_inf() : log2;
  vd t = __builtin_convertvector(b, vd) * log2;
  t = t > 200.0 ? (vd)200.0 : t;
  t = t < -200.0 ? (vd)-200.0 : t;
  const vd shifter = 6755399441055744.0;
  const vd shifted = t + shifter;
  const vl n = ((vl)(shifted)) - ((vl)(shifter));
  const vd r = (t - (shifted - shifter)) * 0.69314718055994530942;
  vd p = 1.0 / 362880;
  p = p * r + 1.0 / 40320;
  p = p * r + 1.0 / 5040;
  p = p * r + 1.0 / 720;
  p = p * r + 1.0 / 120;
  p = p * r + 1.0 / 24;
  p = p * r + 1.0 / 6;
  p = p * r + 0.5;
  p = p * r + 1.0;
  p = p * r + 1.0;
  p = p * ((vd)((n + 1023) << 52));
  vf y = __builtin_convertvector(p, vf);
  y = ((a != a) | (b != b)) ? (vf)nan_f : y;
  // Integers are those that rounding leaves alone; odd ones those whose half is no integer.
  const vi whole = __builtin_elementwise_trunc(b) == b;
  const vf half = b * 0.5f;
  const vi odd = whole & (__builtin_elementwise_trunc(half) != half);
  const vi negative = as_int(a) < 0;
  y = (negative & odd) ? -y : y;
  y = (negative & ~whole & (magnitude != infinity_f) & (magnitude != 0.0f)) ? (vf)nan_f : y;
  y = ((magnitude == 1.0f) & (vabs(b) == infinity_f)) ? (vf)1.0f : y;
  return ((a == 1.0f) | (b == 0.0f)) ? (vf)1.0f : y;
}
