#ifndef CIMAGES_H
#define CIMAGES_H

#include <stddef.h>
#include <stdint.h>

/// Decoded pixels, row by row; `ci_free` releases them.
typedef struct {
  uint8_t *pixels;
  uint32_t width, height;
  /// 1 (grey), 3 (red, green, blue) or 4 (… and alpha).
  uint32_t channels;
} ci_image;

/// Why there is no image.
typedef struct {
  /// Bytes of the file that were read when it showed.
  size_t offset;
  /// The library's words, or ours; never empty.
  char words[200];
} ci_failure;

/// What files begin with.
int ci_is_png(const uint8_t *bytes, size_t count);
int ci_is_jpeg(const uint8_t *bytes, size_t count);

/// Decodes a file as TensorFlow's `decode_image` does for so many channels (1, 3 or 4): 16-bit samples lose their low
/// byte, alpha is dropped or made, colour files have no gamma applied. libpng's and libjpeg's own errors end here.
/// A file that declares more than `most_pixels`, or more than its bytes could hold, is refused before memory is taken.
/// 1, or 0 with `failure` filled in and nothing to free.
int ci_decode_png(
    const uint8_t *bytes, size_t count, uint32_t channels, uint64_t most_pixels, ci_image *image,
    ci_failure *failure);
int ci_decode_jpeg(
    const uint8_t *bytes, size_t count, uint32_t channels, uint64_t most_pixels, ci_image *image,
    ci_failure *failure);

void ci_free(ci_image *image);

#endif
