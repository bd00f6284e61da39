#ifndef CFILES_H
#define CFILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// Lets two files change names in one step; 0, or -1 with `errno`: ENOSYS, EINVAL or ENOTSUP where the system or the
/// file system can't. Swift's Glibc doesn't have `renameat2`.
int cf_exchange(const char *a, const char *b);

/// Goes on with a CRC-32, zip's and zlib's, over `count` bytes by the processor's instructions for products of polynomials.
/// False where it has none or `count` is no multiple of 64; `crc` is as it was then.
bool cf_crc32(uint32_t *crc, const void *bytes, size_t count);

#endif
