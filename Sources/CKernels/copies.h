// Strided copies with conversion: runs along the innermost dimension, or blocked transposes.

// X(dtype, storage, value type, storage to value, is floating point)
#define CK_COPY_TYPES(X, ...)                                                                                      \
  X(CK_F32, float, float, , 1, __VA_ARGS__)                                                                        \
  X(CK_F64, double, double, , 1, __VA_ARGS__)                                                                      \
  X(CK_BF16, uint16_t, float, bf16_to_float, 1, __VA_ARGS__)                                                       \
  X(CK_F16, uint16_t, float, f16_to_float, 1, __VA_ARGS__)                                                         \
  X(CK_I8, int8_t, int8_t, , 0, __VA_ARGS__)                                                                       \
  X(CK_I16, int16_t, int16_t, , 0, __VA_ARGS__)                                                                    \
  X(CK_I32, int32_t, int32_t, , 0, __VA_ARGS__)                                                                    \
  X(CK_I64, int64_t, int64_t, , 0, __VA_ARGS__)                                                                    \
  X(CK_U8, uint8_t, uint8_t, , 0, __VA_ARGS__)                                                                     \
  X(CK_BOOL, uint8_t, uint8_t, 0 !=, 0, __VA_ARGS__)

// Integers narrow by dropping high bits, as in NumPy; floating point saturates.
#define CK_NARROW_CK_F32(x, floating) (float)(x)
#define CK_NARROW_CK_F64(x, floating) (double)(x)
#define CK_NARROW_CK_BF16(x, floating) float_to_bf16((float)(x))
#define CK_NARROW_CK_F16(x, floating) float_to_f16((float)(x))
#define CK_NARROW_CK_I8(x, floating) ((floating) ? to_i8((double)(x)) : (int8_t)(int64_t)(x))
#define CK_NARROW_CK_I16(x, floating) ((floating) ? to_i16((double)(x)) : (int16_t)(int64_t)(x))
#define CK_NARROW_CK_I32(x, floating) ((floating) ? to_i32((double)(x)) : (int32_t)(int64_t)(x))
#define CK_NARROW_CK_I64(x, floating) ((floating) ? to_i64((double)(x)) : (int64_t)(x))
#define CK_NARROW_CK_U8(x, floating) ((floating) ? to_u8((double)(x)) : (uint8_t)(int64_t)(x))
#define CK_NARROW_CK_BOOL(x, floating) ((x) != 0)

/// dst[i·dst_stride] = src[i·src_stride], converted.
#define CK_COPY_CASE(source, source_type, value_type, widen, floating, destination, destination_type)              \
  case source: {                                                                                                   \
    const source_type *s = src;                                                                                    \
    destination_type *d = dst;                                                                                     \
    if (dst_stride == 1 && src_stride == 1) {                                                                      \
      for (int64_t i = 0; i < count; i++) {                                                                        \
        const value_type x = (value_type)(widen(s[i]));                                                            \
        d[i] = (destination_type)CK_NARROW_##destination(x, floating);                                             \
      }                                                                                                            \
    } else {                                                                                                       \
      for (int64_t i = 0; i < count; i++) {                                                                        \
        const value_type x = (value_type)(widen(s[i * src_stride]));                                               \
        d[i * dst_stride] = (destination_type)CK_NARROW_##destination(x, floating);                                \
      }                                                                                                            \
    }                                                                                                              \
    return;                                                                                                        \
  }
#define CK_CONVERT_FUNCTION(destination, type)                                                                     \
  CK_KEEP void convert_to_##destination(                                                                           \
    void *restrict dst, int64_t dst_stride, const void *restrict src, int src_dtype, int64_t src_stride,           \
    int64_t count) {                                                                                               \
    switch (src_dtype) { CK_COPY_TYPES(CK_COPY_CASE, destination, type) }                                          \
  }
CK_CONVERT_FUNCTION(CK_F32, float)
CK_CONVERT_FUNCTION(CK_F64, double)
CK_CONVERT_FUNCTION(CK_BF16, uint16_t)
CK_CONVERT_FUNCTION(CK_F16, uint16_t)
CK_CONVERT_FUNCTION(CK_I8, int8_t)
CK_CONVERT_FUNCTION(CK_I16, int16_t)
CK_CONVERT_FUNCTION(CK_I32, int32_t)
CK_CONVERT_FUNCTION(CK_I64, int64_t)
CK_CONVERT_FUNCTION(CK_U8, uint8_t)
CK_CONVERT_FUNCTION(CK_BOOL, uint8_t)

static void convert_run(
  void *dst, int dst_dtype, int64_t dst_stride, const void *src, int src_dtype, int64_t src_stride, int64_t count) {
  switch (dst_dtype) {
#define X(dtype) case dtype: convert_to_##dtype(dst, dst_stride, src, src_dtype, src_stride, count); return;
    X(CK_F32) X(CK_F64) X(CK_BF16) X(CK_F16) X(CK_I8) X(CK_I16) X(CK_I32) X(CK_I64) X(CK_U8) X(CK_BOOL)
#undef X
  }
}

/// Same element type: moves elements of `size` bytes.
CK_KEEP void move_run(
  void *restrict dst, int64_t dst_stride, const void *restrict src, int64_t src_stride, int64_t size, int64_t count) {
  if (dst_stride == 1 && src_stride == 1) {
    memcpy(dst, src, (size_t)(size * count));
    return;
  }
  switch (size) {
#define X(bytes, type)                                                                                             \
  case bytes: {                                                                                                    \
    type *d = dst;                                                                                                 \
    const type *s = src;                                                                                           \
    if (dst_stride == 1 && src_stride == 0) {                                                                      \
      for (int64_t i = 0; i < count; i++) d[i] = s[0];                                                             \
    } else {                                                                                                       \
      for (int64_t i = 0; i < count; i++) d[i * dst_stride] = s[i * src_stride];                                   \
    }                                                                                                              \
    return;                                                                                                        \
  }
    X(1, uint8_t) X(2, uint16_t) X(4, uint32_t) X(8, uint64_t)
#undef X
  }
}

typedef uint32_t eight __attribute__((ext_vector_type(8)));

/// dst[j][i] = src[i][j] for 8 × 8 elements of four bytes; rows lie `dst_row` and `src_row` elements apart.
CK_INLINE void transpose_8x8(uint32_t *dst, int64_t dst_row, const uint32_t *src, int64_t src_row) {
  eight r[8], t[8];
  for (int i = 0; i < 8; i++) memcpy(&r[i], src + i * src_row, sizeof(eight));
  for (int i = 0; i < 8; i += 2) {
    t[i] = __builtin_shufflevector(r[i], r[i + 1], 0, 8, 2, 10, 4, 12, 6, 14);
    t[i + 1] = __builtin_shufflevector(r[i], r[i + 1], 1, 9, 3, 11, 5, 13, 7, 15);
  }
  for (int i = 0; i < 8; i += 4) {
    for (int k = 0; k < 2; k++) {
      r[i + k] = __builtin_shufflevector(t[i + k], t[i + k + 2], 0, 1, 8, 9, 4, 5, 12, 13);
      r[i + k + 2] = __builtin_shufflevector(t[i + k], t[i + k + 2], 2, 3, 10, 11, 6, 7, 14, 15);
    }
  }
  for (int k = 0; k < 4; k++) {
    t[k] = __builtin_shufflevector(r[k], r[k + 4], 0, 1, 2, 3, 8, 9, 10, 11);
    t[k + 4] = __builtin_shufflevector(r[k], r[k + 4], 4, 5, 6, 7, 12, 13, 14, 15);
  }
  for (int i = 0; i < 8; i++) memcpy(dst + i * dst_row, &t[i], sizeof(eight));
}

typedef struct {
  const ck_copy *copy;
  int rank;
  int64_t dims[CK_MAX_DIMS], src_strides[CK_MAX_DIMS], dst_strides[CK_MAX_DIMS];
  int64_t src_size, dst_size;
  int across;  // the dimension along which src is contiguous, when that isn't the innermost and a transpose pays; or -1
} copy_plan;

static void plan_copy(copy_plan *p, const ck_copy *c) {
  p->copy = c;
  p->src_size = size_of(c->src_dtype);
  p->dst_size = size_of(c->dst_dtype);
  p->rank = 0;
  for (int d = 0; d < c->rank; d++) {
    if (c->dims[d] == 1) continue;
    const int k = p->rank - 1;
    if (k >= 0 && p->src_strides[k] == c->dims[d] * c->src_strides[d]
        && p->dst_strides[k] == c->dims[d] * c->dst_strides[d]) {
      p->dims[k] *= c->dims[d];
      p->src_strides[k] = c->src_strides[d];
      p->dst_strides[k] = c->dst_strides[d];
      continue;
    }
    p->dims[p->rank] = c->dims[d];
    p->src_strides[p->rank] = c->src_strides[d];
    p->dst_strides[p->rank++] = c->dst_strides[d];
  }
  if (p->rank == 0) {
    p->rank = 1;
    p->dims[0] = 1;
    p->src_strides[0] = p->dst_strides[0] = 1;
  }
  p->across = -1;
  const int inner = p->rank - 1;
  if (c->src_dtype == c->dst_dtype && p->src_size == 4 && p->dst_strides[inner] == 1 && p->src_strides[inner] != 1) {
    for (int d = 0; d < inner; d++) {
      if (p->src_strides[d] == 1 && p->dims[d] >= 8 && p->dims[inner] >= 8) p->across = d;
    }
  }
}

/// One innermost run, or (across) eight rows of the transposed pair.
static void copy_rows(void *context, int64_t begin, int64_t end) {
  const copy_plan *p = context;
  const ck_copy *c = p->copy;
  const int inner = p->rank - 1;
  const int64_t n = p->dims[inner], src_inner = p->src_strides[inner], dst_inner = p->dst_strides[inner];
  for (int64_t row = begin; row < end; row++) {
    int64_t rest = row, from = 0, to = 0, lines = 1;
    for (int d = inner - 1; d >= 0; d--) {
      const int64_t extent = d == p->across ? ceil_div(p->dims[d], 8) : p->dims[d];
      int64_t index = rest % extent;
      rest /= extent;
      if (d == p->across) {
        index *= 8;
        lines = least(8, p->dims[d] - index);
      }
      from += index * p->src_strides[d];
      to += index * p->dst_strides[d];
    }
    const char *src = (const char *)c->src + from * p->src_size;
    char *dst = (char *)c->dst + to * p->dst_size;
    if (p->across < 0) {
      if (c->src_dtype == c->dst_dtype && c->src_dtype != CK_BOOL) {
        move_run(dst, dst_inner, src, src_inner, p->src_size, n);
      } else {
        convert_run(dst, c->dst_dtype, dst_inner, src, c->src_dtype, src_inner, n);
      }
      continue;
    }
    const int64_t dst_row = p->dst_strides[p->across];
    const uint32_t *s = (const uint32_t *)src;
    uint32_t *d = (uint32_t *)dst;
    int64_t i = 0;
    if (lines == 8) {
      for (; i + 8 <= n; i += 8) transpose_8x8(d + i, dst_row, s + i * src_inner, src_inner);
    }
    for (int64_t k = 0; k < lines; k++) {
      for (int64_t j = i; j < n; j++) d[k * dst_row + j] = s[j * src_inner + k];
    }
  }
}

/// A contiguous copy is cut along its only dimension.
static void copy_part(void *context, int64_t begin, int64_t end) {
  const copy_plan *p = context;
  const ck_copy *c = p->copy;
  const char *src = (const char *)c->src + begin * p->src_strides[0] * p->src_size;
  char *dst = (char *)c->dst + begin * p->dst_strides[0] * p->dst_size;
  if (c->src_dtype == c->dst_dtype && c->src_dtype != CK_BOOL) {
    move_run(dst, p->dst_strides[0], src, p->src_strides[0], p->src_size, end - begin);
  } else {
    convert_run(dst, c->dst_dtype, p->dst_strides[0], src, c->src_dtype, p->src_strides[0], end - begin);
  }
}

enum { parallel_copy_elements = 32768 };

CK_KERNEL(ck_copy_run) {
  const ck_copy *c = context;
  copy_plan p;
  int64_t elements = 1;
  for (int d = 0; d < c->rank; d++) elements *= c->dims[d];
  if (elements == 0) return;
  plan_copy(&p, c);
  if (p.rank == 1) {
    ck_parallel_for(elements, parallel_copy_elements, copy_part, &p);
    return;
  }
  int64_t rows = 1;
  for (int d = 0; d < p.rank - 1; d++) rows *= d == p.across ? ceil_div(p.dims[d], 8) : p.dims[d];
  if (elements < parallel_copy_elements) {
    copy_rows(&p, 0, rows);
  } else {
    ck_parallel_shares(rows, copy_rows, &p);
  }
}
