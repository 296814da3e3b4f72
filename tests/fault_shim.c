/* Preloaded by library/test_faults.py: writes and syncs of chosen files fail from the nth on.
 *
 * FAULT_PATH: part of the file's path; FAULT_AFTER: how many calls succeed first;
 * FAULT_ERRNO: number of the error; FAULT_CALLS: "write", "sync" or "short" (half is written, then it fails).
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static int calls;

static int concerns(int file) {
    const char* part = getenv("FAULT_PATH");
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = part ? readlink(link, path, sizeof path - 1) : -1;
    if (length < 0) return 0;
    path[length] = 0;
    return strstr(path, part) != NULL;
}

static int mode(const char* name) {
    const char* wanted = getenv("FAULT_CALLS");
    return wanted && strstr(wanted, name) != NULL;
}

static int fails(int file) {
    if (!concerns(file) || calls++ < atoi(getenv("FAULT_AFTER"))) return 0;
    errno = atoi(getenv("FAULT_ERRNO"));
    return 1;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t write(int file, const void* data, size_t size) {
    if (mode("write") && fails(file)) return -1;
    if (mode("short") && fails(file)) {
        if (size < 2 || calls % 2) return -1;
        return REAL(write)(file, data, size / 2);
    }
    return REAL(write)(file, data, size);
}

ssize_t pwrite64(int file, const void* data, size_t size, off64_t at) {
    if (mode("write") && fails(file)) return -1;
    if (mode("short") && fails(file)) {
        if (size < 2 || calls % 2) return -1;
        return REAL(pwrite64)(file, data, size / 2, at);
    }
    return REAL(pwrite64)(file, data, size, at);
}

ssize_t pwrite(int file, const void* data, size_t size, off_t at) { return pwrite64(file, data, size, at); }

ssize_t writev(int file, const struct iovec* parts, int count) {
    return (mode("write") || mode("short")) && fails(file) ? -1 : REAL(writev)(file, parts, count);
}

ssize_t pwritev64(int file, const struct iovec* parts, int count, off64_t at) {
    return (mode("write") || mode("short")) && fails(file) ? -1 : REAL(pwritev64)(file, parts, count, at);
}

ssize_t pwritev(int file, const struct iovec* parts, int count, off_t at) {
    return pwritev64(file, parts, count, at);
}

int ftruncate64(int file, off64_t size) {
    return mode("write") && fails(file) ? -1 : REAL(ftruncate64)(file, size);
}

int fsync(int file) { return mode("sync") && fails(file) ? -1 : REAL(fsync)(file); }

int fdatasync(int file) { return mode("sync") && fails(file) ? -1 : REAL(fdatasync)(file); }
