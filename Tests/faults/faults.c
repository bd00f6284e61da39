// Makes the n-th system call on files below a folder fail, for `LD_PRELOAD`:
//   FAULT_FOLDER  calls on paths below it, and on descriptors opened there, are counted
//   FAULT_CALL    the call that fails, from 1; 0: none
//   FAULT_ERRNO   what it fails with
//   FAULT_LOG     gets the name of each call, one a line; without FAULT_CALL to know how many there are
//   FAULT_SHORT   `write` writes no more bytes than this at a time
// Only libc's entry points that a Swift program calls are here; those that libc calls inside itself count with them.
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static bool watched[4096];
static bool reading[4096];
static DIR *watched_stream;
static int calls;

static const char *setting(const char *name) { return getenv(name); }

static bool below(const char *path) {
  const char *folder = setting("FAULT_FOLDER");
  return folder && path && strncmp(path, folder, strlen(folder)) == 0;
}

static bool is_watched(int fd) { return fd >= 0 && fd < 4096 && watched[fd]; }

// Counts a call; true: it is the one that fails.
static bool fails(const char *name) {
  const char *log = setting("FAULT_LOG");
  if (log) {
    int fd = (int)syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND, 0600);
    syscall(SYS_write, fd, name, strlen(name));
    syscall(SYS_write, fd, "\n", 1);
    syscall(SYS_close, fd);
  }
  const char *wanted = setting("FAULT_CALL");
  if (!wanted || ++calls != atoi(wanted)) return false;
  const char *code = setting("FAULT_ERRNO");
  errno = code ? atoi(code) : EIO;
  return true;
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

#define OPEN(name)                                                                                                   \
  int name(const char *path, int flags, ...) {                                                                      \
    va_list arguments;                                                                                               \
    va_start(arguments, flags);                                                                                      \
    const int mode = flags & O_CREAT ? va_arg(arguments, int) : 0;                                                   \
    va_end(arguments);                                                                                               \
    if (below(path) && fails("open")) return -1;                                                                     \
    const int fd = ((int (*)(const char *, int, ...))dlsym(RTLD_NEXT, #name))(path, flags, mode);                    \
    if (fd >= 0 && fd < 4096) {                                                                                      \
      watched[fd] = below(path);                                                                                     \
      reading[fd] = (flags & O_ACCMODE) == O_RDONLY;                                                                 \
    }                                                                                                                \
    return fd;                                                                                                       \
  }
OPEN(open)
OPEN(open64)

#define STAT(name, type)                                                                                             \
  int name(const char *restrict path, struct type *restrict status) {                                               \
    if (below(path) && fails("stat")) return -1;                                                                     \
    return NEXT(name)(path, status);                                                                                 \
  }
STAT(stat, stat)
STAT(stat64, stat64)

#define FSTAT(name, type)                                                                                            \
  int name(int fd, struct type *status) {                                                                           \
    if (is_watched(fd) && fails("fstat")) return -1;                                                                 \
    return NEXT(name)(fd, status);                                                                                   \
  }
FSTAT(fstat, stat)
FSTAT(fstat64, stat64)

#define ON_DESCRIPTOR(name, parameters, arguments)                                                                   \
  int name parameters {                                                                                              \
    if (is_watched(fd) && fails(#name)) return -1;                                                                   \
    return NEXT(name) arguments;                                                                                     \
  }
ON_DESCRIPTOR(fsync, (int fd), (fd))
ON_DESCRIPTOR(fchmod, (int fd, mode_t mode), (fd, mode))
ON_DESCRIPTOR(flock, (int fd, int operation), (fd, operation))

ssize_t read(int fd, void *bytes, size_t count) {
  if (is_watched(fd) && fails("read")) return -1;
  return NEXT(read)(fd, bytes, count);
}

ssize_t pread(int fd, void *bytes, size_t count, off_t offset) {
  if (is_watched(fd) && fails("pread")) return -1;
  return NEXT(pread)(fd, bytes, count, offset);
}

void *mmap(void *address, size_t count, int protection, int flags, int fd, off_t offset) {
  if (is_watched(fd) && fails("mmap")) return MAP_FAILED;
  return NEXT(mmap)(address, count, protection, flags, fd, offset);
}

int close(int fd) {
  // Who has read all that was wanted doesn't care.
  const bool is_ours = is_watched(fd) && !reading[fd];
  if (fd >= 0 && fd < 4096) watched[fd] = false;
  const int result = NEXT(close)(fd);
  return is_ours && fails("close") ? -1 : result;
}

ssize_t write(int fd, const void *bytes, size_t count) {
  if (is_watched(fd)) {
    if (fails("write")) return -1;
    const char *most = setting("FAULT_SHORT");
    if (most && count > (size_t)atoi(most)) count = (size_t)atoi(most);
  }
  return NEXT(write)(fd, bytes, count);
}

#define ON_PATHS(name, parameters, arguments)                                                                        \
  int name parameters {                                                                                              \
    if (below(path) && fails(#name)) return -1;                                                                      \
    return NEXT(name) arguments;                                                                                     \
  }
ON_PATHS(rename, (const char *path, const char *to), (path, to))
ON_PATHS(renameat2, (int a, const char *path, int b, const char *to, unsigned flags), (a, path, b, to, flags))
ON_PATHS(unlink, (const char *path), (path))
ON_PATHS(mkdir, (const char *path, mode_t mode), (path, mode))

char *realpath(const char *restrict path, char *restrict buffer) {
  if (below(path) && fails("realpath")) return NULL;
  return NEXT(realpath)(path, buffer);
}

DIR *opendir(const char *path) {
  if (below(path) && fails("opendir")) return NULL;
  DIR *stream = NEXT(opendir)(path);
  if (stream && below(path)) {
    watched_stream = stream;
    watched[dirfd(stream)] = true;
  }
  return stream;
}

#define READDIR(name, type)                                                                                          \
  struct type *name(DIR *stream) {                                                                                   \
    if (stream == watched_stream && fails("readdir")) return NULL;                                                   \
    return NEXT(name)(stream);                                                                                       \
  }
READDIR(readdir, dirent)
READDIR(readdir64, dirent64)

int closedir(DIR *stream) {
  const bool is_ours = stream == watched_stream;
  if (is_ours) {
    watched[dirfd(stream)] = false;
    watched_stream = NULL;
  }
  const int result = NEXT(closedir)(stream);
  return is_ours && fails("closedir") ? -1 : result;
}
