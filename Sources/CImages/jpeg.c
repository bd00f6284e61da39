#include "cimages.h"

#if defined(__has_include) && !__has_include(<jpeglib.h>)
#error "BackpropImages needs libjpeg-turbo: on Debian and Ubuntu `apt-get install libjpeg-dev`"
#endif

// jpeglib.h needs FILE.
#include <stdio.h>

#include <jerror.h>
#include <jpeglib.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

/// Progressive files come in scans, each over the whole picture: about ten as encoders write them. More are an attack.
enum { most_scans = 64 };

/// All that must outlive a longjmp lies here, not in registers. `errors` is first: libjpeg gives a pointer to it.
typedef struct {
  struct jpeg_error_mgr errors;
  jmp_buf back;
  struct jpeg_progress_mgr progress;
  struct jpeg_decompress_struct jpeg;
  size_t count;
  ci_image *image;
  ci_failure *failure;
  uint8_t *row;
} reader;

static void note_offset(reader *r) {
  r->failure->offset = r->jpeg.src ? r->count - r->jpeg.src->bytes_in_buffer : 0;
  if (r->failure->offset > r->count) r->failure->offset = r->count;
}

_Noreturn static void fail(j_common_ptr jpeg) {
  reader *r = (reader *)jpeg->err;
  char words[JMSG_LENGTH_MAX];
  jpeg->err->format_message(jpeg, words);
  snprintf(r->failure->words, sizeof r->failure->words, "%s", words);
  note_offset(r);
  longjmp(r->back, 1);
}

_Noreturn static void fail_with(reader *r, const char *words) {
  snprintf(r->failure->words, sizeof r->failure->words, "%s", words);
  note_offset(r);
  longjmp(r->back, 1);
}

/// libjpeg fills in grey for what is missing or damaged and warns; a file that is cut short is no picture here.
static void message(j_common_ptr jpeg, int level) {
  if (level >= 0) return;
  switch (jpeg->err->msg_code) {
    case JWRN_EXTRANEOUS_DATA:
    case JWRN_ADOBE_XFORM:
    case JWRN_JFIF_MAJOR:
    case JWRN_TOO_MUCH_DATA:
    case JWRN_BOGUS_PROGRESSION:
      break;  // every pixel is there
    case JWRN_JPEG_EOF:
      fail_with((reader *)jpeg->err, "the end of the file");
    default:
      fail(jpeg);
  }
}

static void count_scans(j_common_ptr jpeg) {
  reader *r = (reader *)jpeg->err;
  if (r->jpeg.input_scan_number > most_scans) fail_with(r, "more than 64 scans");
}

int ci_is_jpeg(const uint8_t *bytes, size_t count) {
  return count >= 3 && bytes[0] == 0xFF && bytes[1] == 0xD8 && bytes[2] == 0xFF;
}

/// A row of ink (Adobe's files hold what is left of the paper) as light, rounded down as TensorFlow does.
static void from_ink(const reader *r, uint8_t *into, uint32_t channels) {
  int inverted = r->jpeg.saw_Adobe_marker;
  for (uint32_t x = 0; x < r->jpeg.output_width; ++x) {
    const uint8_t *ink = r->row + 4 * x;
    int light[3];
    for (int c = 0; c < 3; ++c)
      light[c] = inverted ? ink[3] * ink[c] / 255 : (255 - ink[3]) * (255 - ink[c]) / 255;
    uint8_t *pixel = into + (size_t)x * channels;
    if (channels == 1) {
      // ITU-R BT.601, as libjpeg's own grey, in sixteenths of a bit.
      pixel[0] = (uint8_t)((19595 * light[0] + 38470 * light[1] + 7471 * light[2] + 32768) >> 16);
      continue;
    }
    for (int c = 0; c < 3; ++c) pixel[c] = (uint8_t)light[c];
    if (channels == 4) pixel[3] = 255;
  }
}

static void with_alpha(const reader *r, uint8_t *into) {
  for (uint32_t x = 0; x < r->jpeg.output_width; ++x) {
    memcpy(into + 4 * (size_t)x, r->row + 3 * (size_t)x, 3);
    into[4 * (size_t)x + 3] = 255;
  }
}

static int decode(reader *r, const uint8_t *bytes, uint32_t channels, uint64_t most_pixels) {
  if (setjmp(r->back)) return 0;
  jpeg_create_decompress(&r->jpeg);
  r->jpeg.progress = &r->progress;
  jpeg_mem_src(&r->jpeg, bytes, r->count);
  jpeg_read_header(&r->jpeg, TRUE);
  // A block of 64 pixels takes a bit at least.
  uint64_t pixels = (uint64_t)r->jpeg.image_width * r->jpeg.image_height;
  if (pixels > most_pixels || pixels > (uint64_t)r->count * 8 * 64) {
    char words[160];
    snprintf(
        words, sizeof words, "%u × %u pixels, more than %s", r->jpeg.image_width, r->jpeg.image_height,
        pixels > most_pixels ? "are read" : "the file's bytes can hold");
    fail_with(r, words);
  }
  int is_ink = r->jpeg.jpeg_color_space == JCS_CMYK || r->jpeg.jpeg_color_space == JCS_YCCK;
  r->jpeg.out_color_space = is_ink ? JCS_CMYK : channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
  // TensorFlow's choice, and so Keras' numbers: up to eight levels from the exact transform's.
  r->jpeg.dct_method = JDCT_IFAST;
  jpeg_start_decompress(&r->jpeg);
  size_t stride = (size_t)r->jpeg.output_width * channels;
  r->image->pixels = calloc(r->jpeg.output_height, stride);
  int through_row = is_ink || channels == 4;
  if (through_row) r->row = malloc((size_t)r->jpeg.output_width * 4);
  if (!r->image->pixels || (through_row && !r->row)) fail_with(r, "no memory for the pixels");
  while (r->jpeg.output_scanline < r->jpeg.output_height) {
    uint8_t *into = r->image->pixels + (size_t)r->jpeg.output_scanline * stride;
    uint8_t *line = through_row ? r->row : into;
    jpeg_read_scanlines(&r->jpeg, &line, 1);
    if (is_ink)
      from_ink(r, into, channels);
    else if (channels == 4)
      with_alpha(r, into);
  }
  jpeg_finish_decompress(&r->jpeg);
  r->image->width = r->jpeg.output_width;
  r->image->height = r->jpeg.output_height;
  r->image->channels = channels;
  return 1;
}

int ci_decode_jpeg(
    const uint8_t *bytes, size_t count, uint32_t channels, uint64_t most_pixels, ci_image *image,
    ci_failure *failure) {
  reader r;
  memset(&r, 0, sizeof r);
  memset(image, 0, sizeof *image);
  memset(failure, 0, sizeof *failure);
  r.count = count;
  r.image = image;
  r.failure = failure;
  r.jpeg.err = jpeg_std_error(&r.errors);
  r.errors.error_exit = fail;
  r.errors.emit_message = message;
  r.progress.progress_monitor = count_scans;
  int done = decode(&r, bytes, channels, most_pixels);
  jpeg_destroy_decompress(&r.jpeg);
  free(r.row);
  if (!done) ci_free(image);
  return done;
}
