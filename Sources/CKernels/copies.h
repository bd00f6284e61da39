// Copies between strided views, with conversion: contiguous runs, blocked transposes, and whatever else there is.

/// Elements for which a second thread pays.
#define CK_COPY_GRAIN 32768
#define CK_RUN 512

/// dst[i] = double(src[i·stride]): for pairs of types that float32 would spoil.
CK_KEEP void load_wide(double *restrict dst, const void *restrict src, int dtype, int64_t stride, int64_t count) {
  switch (dtype) {
#define X(dtype, type)                                                                                             \
  case dtype: {                                                                                                    \
    const type *s = src;                                                                                           \
    for (int64_t i = 0; i < count; i++) dst[i] = (double)s[i * stride];                                            \
    return;                                                                                                        \
  }
    X(CK_F64, double) X(CK_I8, int8_t) X(CK_I16, int16_t) X(CK_I32, int32_t) X(CK_I64, int64_t) X(CK_U8, uint8_t)
#undef X
    case CK_BOOL: {
      const uint8_t *s = src;
      for (int64_t i = 0; i < count; i++) dst[i] = s[i * stride] != 0;
      return;
    }
  }
}

CK_KEEP void store_wide(void *restrict dst, int dtype, int64_t stride, const double *restrict src, int64_t count) {
  switch (dtype) {
#define X(dtype, type, narrow)                                                                                     \
  case dtype: {                                                                                                    \
    type *d = dst;                                                                                                 \
    for (int64_t i = 0; i < count; i++) d[i * stride] = narrow(src[i]);                                            \
    return;                                                                                                        \
  }
    X(CK_F64, double, ) X(CK_I8, int8_t, to_i8) X(CK_I16, int16_t, to_i16) X(CK_I32, int32_t, to_i32)
    X(CK_I64, int64_t, to_i64) X(CK_U8, uint8_t, to_u8)
#undef X
    case CK_BOOL: {
      uint8_t *d = dst;
      for (int64_t i = 0; i < count; i++) d[i * stride] = src[i] != 0;
      return;
    }
  }
}

static inline bool is_narrow_float(int dtype) { return dtype == CK_F32 || dtype == CK_BF16 || dtype == CK_F16; }

/// A run of elements from one type and step to another.
CK_KEEP void convert_run(
  char *dst, int dst_dtype, int64_t dst_stride, const char *src, int src_dtype, int64_t src_stride, int64_t count) {
  const int64_t dst_size = size_of(dst_dtype), src_size = size_of(src_dtype);
  const bool narrow = is_narrow_float(dst_dtype) || is_narrow_float(src_dtype);
  float floats[CK_RUN];
  double doubles[CK_RUN];
  for (int64_t i = 0; i < count; i += CK_RUN) {
    const int64_t n = least(CK_RUN, count - i);
    char *d = dst + i * dst_stride * dst_size;
    const char *s = src + i * src_stride * src_size;
    if (dst_dtype == CK_F32 && dst_stride == 1) {
      load_run((float *)d, s, src_dtype, src_stride, n);
    } else if (src_dtype == CK_F32 && src_stride == 1) {
      store_run(d, dst_dtype, dst_stride, (const float *)s, n);
    } else if (narrow) {
      load_run(floats, s, src_dtype, src_stride, n);
      store_run(d, dst_dtype, dst_stride, floats, n);
    } else {
      load_wide(doubles, s, src_dtype, src_stride, n);
      store_wide(d, dst_dtype, dst_stride, doubles, n);
    }
  }
}

/// A run of elements of one type.
CK_KEEP void move_run(
  char *restrict dst, int64_t dst_stride, const char *restrict src, int64_t src_stride, int64_t size, int64_t count) {
  if (dst_stride == 1 && src_stride == 1) {
    memcpy(dst, src, (size_t)(count * size));
    return;
  }
#define X(type)                                                                                                    \
  {                                                                                                                \
    type *d = (type *)dst;                                                                                         \
    const type *s = (const type *)src;                                                                             \
    if (src_stride == 0) {                                                                                         \
      const type value = s[0];                                                                                     \
      for (int64_t i = 0; i < count; i++) d[i * dst_stride] = value;                                               \
    } else {                                                                                                       \
      for (int64_t i = 0; i < count; i++) d[i * dst_stride] = s[i * src_stride];                                   \
    }                                                                                                              \
  }
  switch (size) {
    case 8: X(uint64_t) break;
    case 4: X(uint32_t) break;
    case 2: X(uint16_t) break;
    default: X(uint8_t) break;
  }
#undef X
}

/// dst[i, j] = src[j, i] over tiles that lie in the first-level cache whole.
#define CK_TRANSPOSE_TILE 16
#define X(name, type)                                                                                              \
  CK_KEEP void name(                                                                                               \
    type *restrict dst, int64_t dst_row, const type *restrict src, int64_t src_column, int64_t rows, int64_t columns) { \
    for (int64_t i = 0; i < rows; i += CK_TRANSPOSE_TILE) {                                                        \
      const int64_t last_row = least(i + CK_TRANSPOSE_TILE, rows);                                                 \
      for (int64_t j = 0; j < columns; j += CK_TRANSPOSE_TILE) {                                                   \
        const int64_t last_column = least(j + CK_TRANSPOSE_TILE, columns);                                         \
        for (int64_t r = i; r < last_row; r++) {                                                                   \
          for (int64_t c = j; c < last_column; c++) dst[r * dst_row + c] = src[c * src_column + r];                \
        }                                                                                                          \
      }                                                                                                            \
    }                                                                                                              \
  }
X(transpose_8, uint64_t) X(transpose_4, uint32_t) X(transpose_2, uint16_t) X(transpose_1, uint8_t)
#undef X

typedef struct {
  const ck_copy *copy;
  int inner, second;  // the dimensions one call of the run or tile kernel covers; second is -1 for runs
  int64_t outer;
} copy_job;

/// The positions' offsets, in elements, of the `index`-th combination of the dimensions that are neither inner nor
/// second.
static void outer_offsets(const copy_job *job, int64_t index, int64_t *dst, int64_t *src) {
  *dst = *src = 0;
  for (int d = job->copy->rank - 1; d >= 0; d--) {
    if (d == job->inner || d == job->second) continue;
    const int64_t position = index % job->copy->dims[d];
    index /= job->copy->dims[d];
    *dst += position * job->copy->dst_strides[d];
    *src += position * job->copy->src_strides[d];
  }
}

static void copy_outer(void *context, int64_t begin, int64_t end) {
  const copy_job *job = context;
  const ck_copy *c = job->copy;
  const int64_t dst_size = size_of(c->dst_dtype), src_size = size_of(c->src_dtype);
  for (int64_t index = begin; index < end; index++) {
    int64_t dst_offset, src_offset;
    outer_offsets(job, index, &dst_offset, &src_offset);
    char *dst = (char *)c->dst + dst_offset * dst_size;
    const char *src = (const char *)c->src + src_offset * src_size;
    if (job->second >= 0) {
      const int64_t rows = c->dims[job->second], columns = c->dims[job->inner];
      const int64_t dst_row = c->dst_strides[job->second], src_column = c->src_strides[job->inner];
      switch (dst_size) {
        case 8: transpose_8((void *)dst, dst_row, (void *)src, src_column, rows, columns); break;
        case 4: transpose_4((void *)dst, dst_row, (void *)src, src_column, rows, columns); break;
        case 2: transpose_2((void *)dst, dst_row, (void *)src, src_column, rows, columns); break;
        default: transpose_1((void *)dst, dst_row, (void *)src, src_column, rows, columns); break;
      }
    } else if (c->dst_dtype == c->src_dtype) {
      move_run(dst, c->dst_strides[job->inner], src, c->src_strides[job->inner], dst_size, c->dims[job->inner]);
    } else {
      convert_run(
        dst, c->dst_dtype, c->dst_strides[job->inner], src, c->src_dtype, c->src_strides[job->inner],
        c->dims[job->inner]);
    }
  }
}

/// One dimension, cut anywhere.
static void copy_span(void *context, int64_t begin, int64_t end) {
  const ck_copy *c = context;
  char *dst = (char *)c->dst + begin * c->dst_strides[0] * size_of(c->dst_dtype);
  const char *src = (const char *)c->src + begin * c->src_strides[0] * size_of(c->src_dtype);
  if (c->dst_dtype == c->src_dtype) {
    move_run(dst, c->dst_strides[0], src, c->src_strides[0], size_of(c->dst_dtype), end - begin);
  } else {
    convert_run(dst, c->dst_dtype, c->dst_strides[0], src, c->src_dtype, c->src_strides[0], end - begin);
  }
}

CK_KERNEL(ck_copy_run) {
  const ck_copy *c = context;
  if (c->rank <= 1) {
    ck_copy scalar = *c;
    if (c->rank == 0) scalar.dims[0] = scalar.dst_strides[0] = scalar.src_strides[0] = 1;
    ck_parallel_for(scalar.dims[0], CK_COPY_GRAIN, copy_span, &scalar);
    return;
  }
  copy_job job = {c, c->rank - 1, -1, 1};
  if (c->dst_dtype == c->src_dtype && c->src_strides[job.inner] != 1 && c->dst_strides[job.inner] == 1) {
    for (int d = 0; d < c->rank - 1; d++) {
      if (c->src_strides[d] == 1 && c->dims[d] > 1) job.second = d;
    }
  }
  int64_t each = 1;
  for (int d = 0; d < c->rank; d++) {
    if (d == job.inner || d == job.second) each *= c->dims[d];
    else job.outer *= c->dims[d];
  }
  if (each == 0) return;
  ck_parallel_for(job.outer, most(1, CK_COPY_GRAIN / each), copy_outer, &job);
}
