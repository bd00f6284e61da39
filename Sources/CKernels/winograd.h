// Convolutions of 3 × 3 with a stride of 1 by Winograd's F(2×2, 3×3) (Lavin and Gray, 2016, equations 7 and 8): four
// results of a window of 4 × 4 take 16 multiplications instead of 36. Window d and kernel g are brought to 4 × 4 each,
// Bᵀ·d·B and G·g·Gᵀ, multiplied element by element, and the result m is brought back by Aᵀ·m·A.
//
// Over channels each of the 16 elements is a product of matrices, [windows, channels] · [channels, outputs], done in tiles
// (tiles.h). Some windows at a time, so that all of it stays in a core's cache.
//
// A window is computed as a whole: what isn't finite in an image gets to all results of the windows that it lies in.

/// Windows that are taken together: a tile's rows. They and their products, at most 112 kB, lie on the stack; with 16
/// channels all of it is in the first-level cache (22 windows, which aren't, took 1.13 times as long).
#define CK_WINDOWS 11
/// Multiply-adds of a piece of work: some microseconds.
#define CK_WINOGRAD_PIECE (1 << 18)

/// x[0…3] to what Bᵀ makes of it.
CK_INLINE void transform_window(vf *x, const int step) {
  const vf a = x[0] - x[2 * step], b = x[step] + x[2 * step], c = x[2 * step] - x[step], d = x[step] - x[3 * step];
  x[0] = a;
  x[step] = b;
  x[2 * step] = c;
  x[3 * step] = d;
}

/// Where the results of a window begin.
typedef struct {
  int64_t image, y, x;
} window_place;

/// The places of `count` windows from number `first` on.
static void place_windows(const ck_winograd *c, window_place *places, int64_t first, int64_t count) {
  const int64_t across = ceil_div(c->out_width, 2), down = ceil_div(c->out_height, 2);
  window_place at = {first / across / down, first / across % down * 2, first % across * 2};
  for (int64_t i = 0; i < count; i++) {
    places[i] = at;
    at.x += 2;
    if (at.x < c->out_width) continue;
    at.x = 0;
    at.y += 2;
    if (at.y < c->out_height) continue;
    at.y = 0;
    at.image++;
  }
}

/// The window at `place` to 16 rows of `channels`, `step` elements apart.
static void load_window(const ck_winograd *c, window_place place, float *dst, int64_t step) {
  const int64_t top = place.y - c->pad_top, left = place.x - c->pad_left;
  const float *image = c->src + place.image * c->height * c->width * c->channels;
  const float *corner = image + (top * c->width + left) * c->channels;
  const int64_t down = c->width * c->channels;
  const bool inside = top >= 0 && left >= 0 && top + 4 <= c->height && left + 4 <= c->width;
  for (int64_t channel = 0; channel < c->channels; channel += CK_LANES) {
    vf d[16];
    if (inside) {
#pragma clang loop unroll(full)
      for (int i = 0; i < 16; i++) d[i] = vload(corner + i / 4 * down + i % 4 * c->channels + channel);
    } else {
      for (int i = 0; i < 16; i++) {
        const int64_t y = top + i / 4, x = left + i % 4;
        const bool there = y >= 0 && y < c->height && x >= 0 && x < c->width;
        d[i] = there ? vload(image + (y * c->width + x) * c->channels + channel) : 0;
      }
    }
#pragma clang loop unroll(full)
    for (int i = 0; i < 4; i++) transform_window(d + i, 4);
#pragma clang loop unroll(full)
    for (int i = 0; i < 4; i++) transform_window(d + 4 * i, 1);
#pragma clang loop unroll(full)
    for (int i = 0; i < 16; i++) vstore(dst + i * step + channel, d[i]);
  }
}

/// Some columns of a window's products to its (at most) four results. `m` has 16 rows, `step` elements apart.
static void store_window(
  const ck_winograd *c, window_place place, const float *m, int64_t step, int64_t column, int64_t columns) {
  const int64_t rows = least(2, c->out_height - place.y), across = least(2, c->out_width - place.x);
  float *dst = c->dst + ((place.image * c->out_height + place.y) * c->out_width + place.x) * c->outputs + column;
  for (int64_t lane = 0; lane < columns; lane += CK_LANES) {
    vf top[4], bottom[4];
#pragma clang loop unroll(full)
    for (int i = 0; i < 4; i++) {
      const float *x = m + i * step + lane;
      const vf second = vload(x + 4 * step), third = vload(x + 8 * step);
      top[i] = vload(x) + (second + third);
      bottom[i] = (second - third) - vload(x + 12 * step);
    }
    const vf shift = c->bias ? vload(c->bias + column + lane) : 0;
    vf y[4] = {
      top[0] + (top[1] + top[2]) + shift, (top[1] - top[2]) - top[3] + shift,
      bottom[0] + (bottom[1] + bottom[2]) + shift, (bottom[1] - bottom[2]) - bottom[3] + shift};
    if (c->relu) {
#pragma clang loop unroll(full)
      for (int i = 0; i < 4; i++) y[i] = y[i] < 0.0f ? (vf)0.0f : y[i];
    }
    float *at = dst + lane;
    vstore(at, y[0]);
    if (across > 1) vstore(at + c->outputs, y[1]);
    if (rows < 2) continue;
    at += c->out_width * c->outputs;
    vstore(at, y[2]);
    if (across > 1) vstore(at + c->outputs, y[3]);
  }
}

typedef struct {
  const ck_winograd *convolution;
  int64_t windows, together;
} winograd_job;

static void convolve_windows(void *context, int64_t begin, int64_t end) {
  const winograd_job *job = context;
  const ck_winograd *c = job->convolution;
  _Alignas(64) float windows[16 * CK_WINDOWS * CK_WINOGRAD_CHANNELS], products[16 * CK_WINDOWS * CK_TILE_COLUMNS];
  window_place places[CK_WINDOWS];
  const int64_t step = job->together * c->channels;
  for (int64_t unit = begin; unit < end; unit++) {
    const int64_t first = unit * job->together, count = least(job->together, job->windows - first);
    place_windows(c, places, first, count);
    for (int64_t i = 0; i < count; i++) load_window(c, places[i], windows + i * c->channels, step);
    const int64_t height = tile_height(count, true);
    for (int64_t column = 0; column < c->outputs; column += CK_TILE_COLUMNS) {
      const int64_t columns = least(CK_TILE_COLUMNS, c->outputs - column);
      const int64_t products_step = count * columns;
      tile_job t = {.a = {NULL, c->channels, true}, .b_step = columns, .c_step = columns, .k = c->channels,
        .columns = columns};
      for (int64_t i = 0; i < 16; i++) {
        t.b = c->transformed + (16 * column + i * columns) * c->channels;
        for (int64_t row = 0; row < count; row += height) {
          t.a.data = windows + i * step + row * c->channels;
          t.c = products + i * products_step + row * columns;
          run_tile(&t, least(height, count - row));
        }
      }
      for (int64_t i = 0; i < count; i++) {
        store_window(c, places[i], products + i * columns, products_step, column, columns);
      }
    }
  }
}

/// A cell of the kernel for one channel and CK_LANES outputs.
CK_INLINE vf kernel_cell(const ck_winograd *c, int64_t cell, int64_t channel, int64_t output) {
  if (!c->turned) return vload(c->weights + (cell * c->channels + channel) * c->outputs + output);
  const float *from = c->weights + ((8 - cell) * c->outputs + output) * c->channels + channel;
  float lanes[CK_LANES];
  for (int64_t i = 0; i < CK_LANES; i++) lanes[i] = from[i * c->channels];
  return vload(lanes);
}

/// x[0], x[step], x[2 · step] to the four that G makes of them.
CK_INLINE void transform_cells(const vf *x, const int step, vf *u, const int u_step) {
  const vf ends = x[0] + x[2 * step], middle = x[step];
  u[0] = x[0];
  u[u_step] = (ends + middle) * 0.5f;
  u[2 * u_step] = (ends - middle) * 0.5f;
  u[3 * u_step] = x[2 * step];
}

/// Some channels of the kernel. 16 matrices of CK_TILE_COLUMNS outputs lie together, then those of the next outputs.
static void transform_kernel(void *context, int64_t begin, int64_t end) {
  const ck_winograd *c = context;
  for (int64_t channel = begin; channel < end; channel++) {
    for (int64_t output = 0; output < c->outputs; output += CK_LANES) {
      vf g[9], rows[12], u[16];
      for (int i = 0; i < 9; i++) g[i] = kernel_cell(c, i, channel, output);
      for (int i = 0; i < 3; i++) transform_cells(g + i, 3, rows + i, 3);
      for (int i = 0; i < 4; i++) transform_cells(rows + 3 * i, 1, u + 4 * i, 1);
      const int64_t first = output / CK_TILE_COLUMNS * CK_TILE_COLUMNS;
      const int64_t columns = least(CK_TILE_COLUMNS, c->outputs - first);
      float *dst = c->transformed + 16 * first * c->channels + channel * columns + output - first;
      for (int i = 0; i < 16; i++) vstore(dst + i * columns * c->channels, u[i]);
    }
  }
}

CK_KERNEL(ck_winograd_prepare) {
  const ck_winograd *c = context;
  ck_parallel_for(c->channels, most(1, (1 << 14) / c->outputs), transform_kernel, context);
}

CK_KERNEL(ck_winograd_run) {
  const ck_winograd *c = context;
  if (!c->prepared) CK_LOCAL(ck_winograd_prepare)(context);
  winograd_job job = {.convolution = c};
  job.windows = c->batch * ceil_div(c->out_height, 2) * ceil_div(c->out_width, 2);
  int64_t units = ceil_div(job.windows, CK_WINDOWS);
  // Few are even in number, so that two threads end together.
  if (units < 16) units += units % 2;
  job.together = ceil_div(job.windows, units);
  units = ceil_div(job.windows, job.together);
  const int64_t work = job.together * 16 * c->channels * c->outputs;
  ck_parallel_for(units, most(1, CK_WINOGRAD_PIECE / work), convolve_windows, &job);
}
