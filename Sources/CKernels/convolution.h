// Forward convolutions of images of a few channels: a network's first layer.
//
// The elements of one row of the kernel lie next to each other in the image, and neighbouring results' begin a stride
// apart. So results along a row are a product's rows whose elements are read where they lie, and the kernel's rows are
// taken one after the other while the sums stay in registers (tiles.h). Libraries' kernels bring channels into vectors,
// of which one channel fills a sixteenth: 28 × 28 × 1 with 3 × 3 × 1 × 32 took 6.5 to 11 µs, here 2.5 to 4.

/// Multiply-adds of a piece of work: about a microsecond.
#define CK_CONVOLUTION_PIECE (1 << 16)

typedef struct {
  const ck_convolution *convolution;
  int64_t bands;  // of rows of results, in each image
} convolution_job;

/// Images with their border: `rows` rows from `first` on, in the padded image's own counting.
static void pad_rows(float *dst, const ck_convolution *c, const float *image, int64_t first, int64_t rows) {
  const int64_t width = c->width * c->channels, left = c->pad_left * c->channels, step = c->padded_width * c->channels;
  memset(dst, 0, (size_t)(rows * step) * sizeof(float));
  for (int64_t row = 0; row < rows; row++) {
    const int64_t source = first + row - c->pad_top;
    if (source < 0 || source >= c->height) continue;
    memcpy(dst + row * step + left, image + source * width, (size_t)width * sizeof(float));
  }
}

/// As multiply_tile, with a's rows in several pieces along k: `k` elements each, `jump` from one to the next.
CK_INLINE void multiply_patches(
  vf *sums, const int rows, const int vectors, const tile_job *t, int64_t pieces, int64_t jump) {
#pragma clang loop unroll(full)
  for (int i = 0; i < rows * vectors; i++) sums[i] = 0;
  const float *b = t->b, *a = t->a.data;
  for (int64_t piece = 0; piece < pieces; piece++, a += jump) {
    const float *p[CK_TILE_SUMS];
#pragma clang loop unroll(full)
    for (int i = 0; i < rows; i++) p[i] = a + i * t->a.step;
    int64_t j = 0;
    for (; j + 3 <= t->k; j += 3) multiply_steps(sums, rows, vectors, true, p, 0, &b, t->b_step, 3);
    for (; j < t->k; j++) multiply_steps(sums, rows, vectors, true, p, 0, &b, t->b_step, 1);
  }
  store_tile(sums, rows, vectors, t);
}

#define CK_PATCHES_OF(rows, vectors)                                                                               \
  case rows * 2 + vectors: {                                                                                       \
    vf sums[CK_TILE_SUMS];                                                                                         \
    multiply_patches(sums, rows, vectors, t, pieces, jump);                                                        \
    return;                                                                                                        \
  }
#define CK_PATCHES(rows) CK_PATCHES_OF(rows, 1) CK_PATCHES_OF(rows, 2)

CK_KEEP void run_patches(const tile_job *t, int64_t rows, int64_t pieces, int64_t jump) {
  switch (rows * 2 + (t->columns > CK_LANES ? 2 : 1)) {
    CK_PATCHES(1) CK_PATCHES(2) CK_PATCHES(3) CK_PATCHES(4) CK_PATCHES(5) CK_PATCHES(6)
#if CK_TILE_POINTERS == 11
    CK_PATCHES(7) CK_PATCHES(8) CK_PATCHES(9) CK_PATCHES(10) CK_PATCHES(11)
#endif
  }
}

/// One row of results. `image` is the first row that it reads.
static void convolve_row(const ck_convolution *c, const float *image, float *dst) {
  const int64_t jump = c->padded_width * c->channels, step = c->stride_x * c->channels;
  const int64_t height = tile_height(c->out_width, true);
  tile_job t = {
    .a = {image, step, true}, .c_step = c->outputs, .k = c->kernel_width * c->channels, .relu = c->relu};
  for (int64_t column = 0; column < c->outputs; column += CK_TILE_COLUMNS) {
    t.columns = least(CK_TILE_COLUMNS, c->outputs - column);
    const bool whole = t.columns % CK_LANES == 0;
    t.b = whole ? c->weights + column : c->packed;
    t.b_step = whole ? c->outputs : CK_TILE_COLUMNS;
    t.bias = c->bias ? c->bias + column : NULL;
    for (int64_t x = 0; x < c->out_width; x += height) {
      t.a.data = image + x * step;
      t.c = dst + x * c->outputs + column;
      run_patches(&t, least(height, c->out_width - x), c->kernel_height, jump);
    }
  }
}

static void convolve_bands(void *context, int64_t begin, int64_t end) {
  const convolution_job *job = context;
  const ck_convolution *c = job->convolution;
  const bool padded = c->padded_width != c->width || c->padded_height != c->height;
  const int64_t image_size = c->height * c->width * c->channels, step = c->padded_width * c->channels;
  const int64_t most_rows = (ceil_div(c->out_height, job->bands) - 1) * c->stride_y + c->kernel_height;
  float border[padded ? most_rows * step : 1];  // at most CK_CONVOLUTION_BORDER
  for (int64_t unit = begin; unit < end; unit++) {
    const int64_t number = unit / job->bands, band = unit % job->bands;
    const int64_t first = c->out_height * band / job->bands, last = c->out_height * (band + 1) / job->bands;
    const float *image = c->src + number * image_size, *rows = image + first * c->stride_y * step;
    if (padded) {
      pad_rows(border, c, image, first * c->stride_y, (last - first - 1) * c->stride_y + c->kernel_height);
      rows = border;
    }
    for (int64_t y = first; y < last; y++) {
      float *dst = c->dst + (number * c->out_height + y) * c->out_width * c->outputs;
      convolve_row(c, rows + (y - first) * c->stride_y * step, dst);
    }
  }
}

CK_KERNEL(ck_convolution_run) {
  const ck_convolution *c = context;
  const int64_t k = c->kernel_height * c->kernel_width * c->channels;
  // The last columns, where they don't fill vectors.
  const int64_t left = c->outputs % CK_TILE_COLUMNS;
  if (left % CK_LANES != 0) {
    memset(c->packed, 0, (size_t)(k * CK_TILE_COLUMNS) * sizeof(float));
    for (int64_t j = 0; j < k; j++) {
      memcpy(
        c->packed + j * CK_TILE_COLUMNS, c->weights + (j + 1) * c->outputs - left, (size_t)left * sizeof(float));
    }
  }
  const int64_t row = c->out_width * c->outputs * k, wanted = ceil_div(c->out_height * row, CK_CONVOLUTION_PIECE);
  convolution_job job = {.convolution = c, .bands = least(c->out_height, wanted)};
  // Even in number, so that two threads end together.
  if (job.bands > 1 && job.bands < c->out_height) job.bands += job.bands % 2;
  // Rows of results whose images fit: one does (FewChannelsConvolution).
  const int64_t fitting = CK_CONVOLUTION_BORDER / (c->padded_width * c->channels) - c->kernel_height;
  job.bands = most(job.bands, ceil_div(c->out_height, most(0, fitting) / c->stride_y + 1));
  const int64_t units = c->batch * job.bands, work = c->batch * c->out_height * row;
  const int64_t grain = work < 2 * CK_CONVOLUTION_PIECE ? units : most(1, units * CK_CONVOLUTION_PIECE / work);
  ck_parallel_for(units, grain, convolve_bands, &job);
}
