#ifndef CFILES_H
#define CFILES_H

/// Lets two files change names in one step; 0, or -1 with `errno`: ENOSYS, EINVAL or ENOTSUP where the system or the
/// file system can't. Swift's Glibc doesn't have `renameat2`.
int cf_exchange(const char *a, const char *b);

#endif
