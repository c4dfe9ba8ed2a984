/* A disk without space: while the file named by KEYWRIGHT_DISK_IS_FULL exists, writes that would make
 * a file grow fail with ENOSPC. Loaded into Postgres by LD_PRELOAD, so that it needs no rights. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static int is_full(int fd, off_t end) {
    const char *flag = getenv("KEYWRIGHT_DISK_IS_FULL");
    struct stat status;
    int before = errno, full;
    /* Standard streams may be files, too: a server must be able to say what is wrong. */
    full = fd > 2 && flag && access(flag, F_OK) == 0 && fstat(fd, &status) == 0 &&
           S_ISREG(status.st_mode) && end > status.st_size;
    errno = full ? ENOSPC : before;
    return full;
}

static off_t total(const struct iovec *parts, int count) {
    off_t sum = 0;
    for (int at = 0; at < count; at++)
        sum += parts[at].iov_len;
    return sum;
}

#define REAL(name) (__typeof__(&name))dlsym(RTLD_NEXT, #name)

ssize_t write(int fd, const void *bytes, size_t count) {
    off_t from = fd > 2 ? lseek(fd, 0, SEEK_CUR) : -1;
    if (from >= 0 && is_full(fd, from + (off_t)count))
        return -1;
    return (REAL(write))(fd, bytes, count);
}

#define POSITIONED(name)                                                       \
    ssize_t name(int fd, const void *bytes, size_t count, off_t from) {        \
        if (is_full(fd, from + (off_t)count))                                  \
            return -1;                                                         \
        return (REAL(name))(fd, bytes, count, from);                           \
    }
POSITIONED(pwrite)
POSITIONED(pwrite64)

#define GATHERED(name)                                                         \
    ssize_t name(int fd, const struct iovec *parts, int count, off_t from) {   \
        if (is_full(fd, from + total(parts, count)))                           \
            return -1;                                                         \
        return (REAL(name))(fd, parts, count, from);                           \
    }
GATHERED(pwritev)
GATHERED(pwritev64)

#define RESERVED(name)                                                         \
    int name(int fd, off_t from, off_t count) {                                \
        if (is_full(fd, from + count))                                         \
            return ENOSPC;                                                     \
        return (REAL(name))(fd, from, count);                                  \
    }
RESERVED(posix_fallocate)
RESERVED(posix_fallocate64)
