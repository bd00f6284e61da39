// Pooling over windows of channels-last arrays. Channels lie next to each other, so every loop over them is a vector.

typedef uint8_t vb __attribute__((ext_vector_type(CK_LANES)));

/// Elements of one step along each axis of [batch, a, b, c, channels].
typedef struct {
  int64_t channels, row, plane, image;
} pool_strides;

CK_INLINE pool_strides strides_of(const int64_t sizes[3], int64_t channels) {
  const int64_t row = sizes[2] * channels, plane = sizes[1] * row;
  return (pool_strides){.channels = channels, .row = row, .plane = plane, .image = sizes[0] * plane};
}

/// The window of one element of the result: where it begins in the input's image, and its sizes.
typedef struct {
  int64_t start, a, b, c;
} pool_window;

CK_INLINE pool_window window_at(const ck_windows *w, pool_strides in, int64_t a, int64_t b, int64_t c) {
  return (pool_window){
    .start = w->begin[0][a] * in.plane + w->begin[1][b] * in.row + w->begin[2][c] * in.channels,
    .a = w->end[0][a] - w->begin[0][a], .b = w->end[1][b] - w->begin[1][b], .c = w->end[2][c] - w->begin[2][c]};
}

/// Calls `body` with the place of each of the window's cells in the image and its number in the window.
#define FOR_EACH_CELL(window, in, cell, number)                                                        \
  for (int64_t ck_a = 0, number = 0; ck_a < (window).a; ck_a++)                                         \
    for (int64_t ck_b = 0; ck_b < (window).b; ck_b++)                                                   \
      for (int64_t ck_c = 0,                                                                            \
                   cell = (window).start + ck_a * (in).plane + ck_b * (in).row;                         \
           ck_c < (window).c; ck_c++, cell += (in).channels, number++)

CK_INLINE vi load_positions(const void *positions, bool narrow, int64_t at, int64_t count) {
  if (narrow) {
    vb bytes = 0;
    if (count == CK_LANES) memcpy(&bytes, (const uint8_t *)positions + at, CK_LANES);
    else memcpy(&bytes, (const uint8_t *)positions + at, (size_t)count);
    return __builtin_convertvector(bytes, vi);
  }
  vi numbers = 0;
  memcpy(&numbers, (const int32_t *)positions + at, (size_t)count * sizeof(int32_t));
  return numbers;
}
CK_INLINE void store_positions(void *positions, bool narrow, int64_t at, vi numbers, int64_t count) {
  if (narrow) {
    const vb bytes = __builtin_convertvector(numbers, vb);
    if (count == CK_LANES) memcpy((uint8_t *)positions + at, &bytes, CK_LANES);
    else memcpy((uint8_t *)positions + at, &bytes, (size_t)count);
  } else {
    memcpy((int32_t *)positions + at, &numbers, (size_t)count * sizeof(int32_t));
  }
}

/// Rows of the result enough for a piece.
static inline int64_t pool_grain(const ck_windows *w) {
  const int64_t rows = w->out[0] * w->out[1] * w->batch;
  const int64_t elements = w->in[0] * w->in[1] * w->in[2] * w->channels * w->batch;
  return most(1, 3072 * rows / most(elements, 1));  // about a microsecond
}

// MARK: The largest

/// `count` channels from `first` on. Whether positions are wanted is known when this is compiled.
CK_INLINE void largest_of_channels(
  const ck_max_pool *p, const float *image, pool_strides in, pool_window window, int64_t first, int64_t count,
  int64_t target, const bool tracks) {
  vf best = vset(-infinity_f);
  vi chosen = 0;
  FOR_EACH_CELL(window, in, cell, number) {
    const vf v = load_lanes(image + cell + first, count);
    const vi wins = (v > best) | (v != v);
    best = wins ? v : best;
    if (tracks) chosen = wins ? (vi)(int32_t)number : chosen;
  }
  if (p->relu) best = best > 0 ? best : (best != best ? best : vset(0));
  store_lanes(p->dst + target + first, best, count);
  if (tracks) store_positions(p->positions, p->narrow, target + first, chosen, count);
}

CK_INLINE void largest_of_window(
  const ck_max_pool *p, const float *image, pool_strides in, pool_window window, int64_t target, const bool tracks) {
  int64_t first = 0;
  for (; first + CK_LANES <= in.channels; first += CK_LANES) {
    largest_of_channels(p, image, in, window, first, CK_LANES, target, tracks);
  }
  if (first < in.channels) {
    largest_of_channels(p, image, in, window, first, in.channels - first, target, tracks);
  }
}

CK_INLINE void max_pool(const ck_max_pool *p, int64_t begin, int64_t end, const bool tracks) {
  const ck_windows *w = &p->windows;
  const pool_strides in = strides_of(w->in, w->channels);
  for (int64_t row = begin; row < end; row++) {
    const int64_t b = row % w->out[1], a = row / w->out[1] % w->out[0], n = row / w->out[1] / w->out[0];
    const float *image = p->src + n * in.image;
    for (int64_t c = 0; c < w->out[2]; c++) {
      const int64_t target = (row * w->out[2] + c) * w->channels;
      const pool_window window = window_at(w, in, a, b, c);
      // By far the commonest size, without loops.
      if (window.a == 1 && window.b == 2 && window.c == 2) {
        largest_of_window(p, image, in, (pool_window){window.start, 1, 2, 2}, target, tracks);
      } else {
        largest_of_window(p, image, in, window, target, tracks);
      }
    }
  }
}

static void max_pool_rows(void *context, int64_t begin, int64_t end) {
  const ck_max_pool *p = context;
  if (p->positions) max_pool(p, begin, end, true);
  else max_pool(p, begin, end, false);
}

CK_KERNEL(ck_max_pool_run) {
  const ck_max_pool *p = context;
  const ck_windows *w = &p->windows;
  ck_parallel_for(w->batch * w->out[0] * w->out[1], pool_grain(w), max_pool_rows, context);
}

// MARK: Gradients: each element of the result is spread over its window

/// The part of the result that one piece spreads: the planes of one image, or one of them where no two windows meet.
typedef struct {
  int64_t image, first, last;
  int64_t begin, end;  // planes of the input's image that belong to them
} pool_slab;

CK_INLINE pool_slab slab_at(const ck_windows *w, int64_t piece) {
  if (w->overlap) return (pool_slab){.image = piece, .last = w->out[0], .end = w->in[0]};
  const int64_t a = piece % w->out[0];
  return (pool_slab){
    .image = piece / w->out[0], .first = a, .last = a + 1, .begin = a == 0 ? 0 : w->begin[0][a],
    .end = a + 1 == w->out[0] ? w->in[0] : w->begin[0][a + 1]};
}

static inline int64_t slab_count(const ck_windows *w) { return w->overlap ? w->batch : w->batch * w->out[0]; }
static inline int64_t slab_grain(const ck_windows *w) {
  const int64_t elements = w->in[0] * w->in[1] * w->in[2] * w->channels * w->batch;
  return most(1, 32768 * slab_count(w) / most(elements, 1));
}

CK_INLINE void spread_largest(
  const ck_max_pool_gradient *p, float *image, pool_strides in, pool_window window, int64_t source) {
  const bool adds = p->windows.overlap;
  for (int64_t first = 0; first < in.channels; first += CK_LANES) {
    const int64_t count = least(CK_LANES, in.channels - first);
    const vf g = load_lanes(p->g + source + first, count);
    const vi chosen = load_positions(p->positions, p->narrow, source + first, count);
    FOR_EACH_CELL(window, in, cell, number) {
      float *dst = image + cell + first;
      const vf share = chosen == (vi)(int32_t)number ? g : vset(0);
      store_lanes(dst, adds ? load_lanes(dst, count) + share : share, count);
    }
  }
}

static void max_pool_gradient_slabs(void *context, int64_t begin, int64_t end) {
  const ck_max_pool_gradient *p = context;
  const ck_windows *w = &p->windows;
  const pool_strides in = strides_of(w->in, w->channels), out = strides_of(w->out, w->channels);
  for (int64_t piece = begin; piece < end; piece++) {
    const pool_slab slab = slab_at(w, piece);
    float *image = p->dst + slab.image * in.image;
    if (w->overlap || !w->covers) {
      memset(image + slab.begin * in.plane, 0, (size_t)((slab.end - slab.begin) * in.plane) * sizeof(float));
    }
    for (int64_t a = slab.first; a < slab.last; a++) {
      for (int64_t b = 0; b < w->out[1]; b++) {
        const int64_t source = slab.image * out.image + a * out.plane + b * out.row;
        for (int64_t c = 0; c < w->out[2]; c++) {
          spread_largest(p, image, in, window_at(w, in, a, b, c), source + c * out.channels);
        }
      }
    }
  }
}

CK_KERNEL(ck_max_pool_gradient_run) {
  const ck_max_pool_gradient *p = context;
  ck_parallel_for(slab_count(&p->windows), slab_grain(&p->windows), max_pool_gradient_slabs, context);
}

// MARK: The mean

static void average_pool_rows(void *context, int64_t begin, int64_t end) {
  const ck_average_pool *p = context;
  const ck_windows *w = &p->windows;
  const pool_strides in = strides_of(w->in, w->channels);
  for (int64_t row = begin; row < end; row++) {
    const int64_t b = row % w->out[1], a = row / w->out[1] % w->out[0], n = row / w->out[1] / w->out[0];
    const float *image = p->src + n * in.image;
    for (int64_t c = 0; c < w->out[2]; c++) {
      const pool_window window = window_at(w, in, a, b, c);
      const float share = 1.0f / (float)(window.a * window.b * window.c);
      for (int64_t first = 0; first < in.channels; first += CK_LANES) {
        const int64_t count = least(CK_LANES, in.channels - first);
        vf sum = 0;
        FOR_EACH_CELL(window, in, cell, number) sum += load_lanes(image + cell + first, count);
        store_lanes(p->dst + (row * w->out[2] + c) * w->channels + first, sum * share, count);
      }
    }
  }
}

CK_KERNEL(ck_average_pool_run) {
  const ck_average_pool *p = context;
  const ck_windows *w = &p->windows;
  ck_parallel_for(w->batch * w->out[0] * w->out[1], pool_grain(w), average_pool_rows, context);
}

static void average_pool_gradient_slabs(void *context, int64_t begin, int64_t end) {
  const ck_average_pool *p = context;
  const ck_windows *w = &p->windows;
  const pool_strides in = strides_of(w->in, w->channels), out = strides_of(w->out, w->channels);
  for (int64_t piece = begin; piece < end; piece++) {
    const pool_slab slab = slab_at(w, piece);
    float *image = p->dst + slab.image * in.image;
    memset(image + slab.begin * in.plane, 0, (size_t)((slab.end - slab.begin) * in.plane) * sizeof(float));
    for (int64_t a = slab.first; a < slab.last; a++) {
      for (int64_t b = 0; b < w->out[1]; b++) {
        for (int64_t c = 0; c < w->out[2]; c++) {
          const float *g = p->src + slab.image * out.image + a * out.plane + b * out.row + c * out.channels;
          const pool_window window = window_at(w, in, a, b, c);
          const float share = 1.0f / (float)(window.a * window.b * window.c);
          FOR_EACH_CELL(window, in, cell, number) {
            for (int64_t k = 0; k < in.channels; k++) image[cell + k] += g[k] * share;
          }
        }
      }
    }
  }
}

/// src is the result's gradient, dst the input's.
CK_KERNEL(ck_average_pool_gradient_run) {
  const ck_average_pool *p = context;
  ck_parallel_for(slab_count(&p->windows), slab_grain(&p->windows), average_pool_gradient_slabs, context);
}
