/*
 * Makes every wait for the disk longer: fsync, fdatasync, and writes to files that were opened with O_DSYNC or O_SYNC.
 * LD_PRELOAD it; SLOW_DISK_MS says by how much. For benches: an SD card on a machine that has a better disk.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { DESCRIPTORS = 65536 };
static unsigned char synchronous[DESCRIPTORS];

static void wait_for_disk(void) {
  static long delay_ms = -1;
  if (delay_ms < 0) {
    const char *text = getenv("SLOW_DISK_MS");
    delay_ms = text == NULL ? 0 : atol(text);
  }
  struct timespec delay = {delay_ms / 1000, (delay_ms % 1000) * 1000000L};
  while (nanosleep(&delay, &delay) != 0) continue;
}

static void note(int descriptor, int flags) {
  if (descriptor >= 0 && descriptor < DESCRIPTORS) synchronous[descriptor] = (flags & O_DSYNC) != 0;
}

static int is_synchronous(int descriptor) {
  return descriptor >= 0 && descriptor < DESCRIPTORS && synchronous[descriptor];
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define MODE(flags, mode)                                  \
  do {                                                     \
    if ((flags) & (O_CREAT | O_TMPFILE)) {                 \
      va_list rest;                                        \
      va_start(rest, flags);                               \
      mode = va_arg(rest, mode_t);                         \
      va_end(rest);                                        \
    }                                                      \
  } while (0)

int open(const char *path, int flags, ...) {
  mode_t mode = 0;
  MODE(flags, mode);
  int descriptor = REAL(open)(path, flags, mode);
  note(descriptor, flags);
  return descriptor;
}

int open64(const char *path, int flags, ...) {
  mode_t mode = 0;
  MODE(flags, mode);
  int descriptor = REAL(open64)(path, flags, mode);
  note(descriptor, flags);
  return descriptor;
}

int fsync(int descriptor) {
  int result = REAL(fsync)(descriptor);
  wait_for_disk();
  return result;
}

int fdatasync(int descriptor) {
  int result = REAL(fdatasync)(descriptor);
  wait_for_disk();
  return result;
}

ssize_t write(int descriptor, const void *bytes, size_t size) {
  ssize_t result = REAL(write)(descriptor, bytes, size);
  if (is_synchronous(descriptor)) wait_for_disk();
  return result;
}

ssize_t writev(int descriptor, const struct iovec *parts, int count) {
  ssize_t result = REAL(writev)(descriptor, parts, count);
  if (is_synchronous(descriptor)) wait_for_disk();
  return result;
}

ssize_t pwrite64(int descriptor, const void *bytes, size_t size, off64_t offset) {
  ssize_t result = REAL(pwrite64)(descriptor, bytes, size, offset);
  if (is_synchronous(descriptor)) wait_for_disk();
  return result;
}
