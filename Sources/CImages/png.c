#include "cimages.h"

#if defined(__has_include) && !__has_include(<png.h>)
#error "BackpropImages needs libpng: on Debian and Ubuntu `apt-get install libpng-dev`"
#endif

#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/// All that must outlive a longjmp lies here, not in registers.
typedef struct {
  const uint8_t *bytes;
  size_t count, offset;
  ci_image *image;
  ci_failure *failure;
  png_structp png;
  png_infop info;
} reader;

static void fail(png_structp png, png_const_charp words) {
  reader *r = png_get_error_ptr(png);
  snprintf(r->failure->words, sizeof r->failure->words, "%s", words && *words ? words : "an error of libpng");
  r->failure->offset = r->offset;
  png_longjmp(png, 1);
}

/// libpng warns of what doesn't change pixels.
static void ignore(png_structp png, png_const_charp words) {
  (void)png;
  (void)words;
}

static void take(png_structp png, png_bytep into, size_t count) {
  reader *r = png_get_io_ptr(png);
  if (count > r->count - r->offset) {
    r->offset = r->count;
    png_error(png, "the end of the file");
  }
  memcpy(into, r->bytes + r->offset, count);
  r->offset += count;
}

int ci_is_png(const uint8_t *bytes, size_t count) { return count >= 8 && png_sig_cmp(bytes, 0, 8) == 0; }

/// The transformations that TensorFlow asks libpng for, in its order.
static void transform(reader *r, uint32_t channels) {
  int colour = png_get_color_type(r->png, r->info);
  int depth = png_get_bit_depth(r->png, r->info);
  int has_alpha = (colour & PNG_COLOR_MASK_ALPHA) != 0;
  int has_transparency = png_get_valid(r->png, r->info, PNG_INFO_tRNS) != 0;
  int is_grey = (colour & PNG_COLOR_MASK_COLOR) == 0;
  if (channels == 4) {
    if (has_transparency && !has_alpha) png_set_tRNS_to_alpha(r->png);
    if (!has_transparency && !has_alpha) png_set_add_alpha(r->png, 255, PNG_FILLER_AFTER);
  } else if (has_alpha || has_transparency) {
    png_set_strip_alpha(r->png);
  }
  if (depth > 8) png_set_strip_16(r->png);
  png_set_packing(r->png);
  if (colour == PNG_COLOR_TYPE_PALETTE) png_set_palette_to_rgb(r->png);
  if (is_grey && depth < 8) png_set_expand_gray_1_2_4_to_8(r->png);
  if (channels == 1) {
    if (!is_grey) png_set_rgb_to_gray(r->png, PNG_ERROR_ACTION_NONE, 0.299, 0.587);
  } else if (is_grey) {
    png_set_gray_to_rgb(r->png);
  }
}

static int decode(reader *r, uint32_t channels, uint64_t most_pixels) {
  if (setjmp(png_jmpbuf(r->png))) return 0;
  png_set_read_fn(r->png, r, take);
  png_set_user_limits(r->png, 0x7fffffff, 0x7fffffff);
  // Text and colour profiles, which are of no use here, may not grow beyond this when they are inflated.
  png_set_chunk_malloc_max(r->png, 1 << 20);
  png_set_chunk_cache_max(r->png, 64);
  png_read_info(r->png, r->info);

  uint64_t width = png_get_image_width(r->png, r->info), height = png_get_image_height(r->png, r->info);
  uint64_t held = (uint64_t)r->count * 1032;  // deflate can't do better than 258 bytes from 2 bits
  uint64_t row = png_get_rowbytes(r->png, r->info);
  if (width * height > most_pixels) {
    snprintf(
        r->failure->words, sizeof r->failure->words, "%llu × %llu pixels, more than the %llu that are read",
        (unsigned long long)width, (unsigned long long)height, (unsigned long long)most_pixels);
    r->failure->offset = r->offset;
    return 0;
  }
  if (row * height > held) {
    snprintf(
        r->failure->words, sizeof r->failure->words, "%llu × %llu pixels, more than %llu bytes can hold",
        (unsigned long long)width, (unsigned long long)height, (unsigned long long)r->count);
    r->failure->offset = r->offset;
    return 0;
  }
  transform(r, channels);
  int passes = png_set_interlace_handling(r->png);
  png_read_update_info(r->png, r->info);
  size_t stride = width * channels;
  if (png_get_rowbytes(r->png, r->info) != stride) png_error(r->png, "an unknown kind of pixels");
  r->image->pixels = calloc(height, stride);
  if (!r->image->pixels) png_error(r->png, "no memory for the pixels");
  for (int pass = 0; pass < passes; ++pass)
    for (uint64_t y = 0; y < height; ++y) png_read_row(r->png, r->image->pixels + y * stride, NULL);
  png_read_end(r->png, NULL);
  r->image->width = (uint32_t)width;
  r->image->height = (uint32_t)height;
  r->image->channels = channels;
  return 1;
}

int ci_decode_png(
    const uint8_t *bytes, size_t count, uint32_t channels, uint64_t most_pixels, ci_image *image,
    ci_failure *failure) {
  reader r = {.bytes = bytes, .count = count, .image = image, .failure = failure};
  memset(image, 0, sizeof *image);
  memset(failure, 0, sizeof *failure);
  r.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &r, fail, ignore);
  r.info = r.png ? png_create_info_struct(r.png) : NULL;
  int done = 0;
  if (r.info)
    done = decode(&r, channels, most_pixels);
  else
    snprintf(failure->words, sizeof failure->words, "no memory for libpng");
  png_destroy_read_struct(&r.png, &r.info, NULL);
  if (!done) ci_free(image);
  return done;
}

void ci_free(ci_image *image) {
  free(image->pixels);
  image->pixels = NULL;
}
