/* Stands between a process and the file system, for files below one directory (LD_PRELOAD).
 *
 * It makes chosen calls fail (shim_arm) or wait (shim_delay) and writes down what every call did
 * (shim_record), so that the states that a crash of the machine could leave can be built from it. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { OP_CREATE = 1, OP_WRITE = 2, OP_TRUNCATE = 4, OP_SYNC = 8, OP_RENAME = 16, OP_UNLINK = 32, OP_NOTE = 64, OP_OPEN = 128 };
enum { MODE_ONCE = 0, MODE_STICKY = 1, MODE_SHORT = 2, MODE_SHORT_STICKY = 3 };
#define FILES 4096

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char prefix[1024];
static char* paths[FILES];
static int armed_ops, countdown, armed_errno, armed_mode, fired;
static int record_fd = -1;
static int delayed_ops, delay_countdown, delay_microseconds, delaying;

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static int ours(const char* path) { return prefix[0] && !strncmp(path, prefix, strlen(prefix)); }
static const char* path_of(int fd) { return fd >= 0 && fd < FILES ? paths[fd] : NULL; }

/* Waits before the call whose turn it is, with no lock held. */
static void delay(int op) {
    if (!(__atomic_load_n(&delayed_ops, __ATOMIC_RELAXED) & op) || __atomic_fetch_sub(&delay_countdown, 1, __ATOMIC_RELAXED) != 1) return;
    __atomic_store_n(&delaying, 1, __ATOMIC_RELEASE);
    usleep(delay_microseconds);
}

/* Whether this call must fail now; with a short mode, *keep is set where it may do a part. */
static int must_fail(int op, int* keep) {
    if (keep) *keep = 0;
    if (!(armed_ops & op)) return 0;
    if (countdown > 0 && --countdown > 0) return 0;
    if (fired && (armed_mode == MODE_ONCE || armed_mode == MODE_SHORT)) return 0;
    if (!fired && armed_mode >= MODE_SHORT && keep) {
        fired = *keep = 1;
        return 1;
    }
    ++fired;
    errno = armed_errno;
    return 1;
}

static void record(uint32_t op, const char* path, const char* other, uint64_t offset, const void* data, uint64_t size) {
    if (record_fd < 0) return;
    struct { uint32_t op, path, other, zero; uint64_t offset, size; } head = {op, strlen(path), other ? strlen(other) : 0, 0, offset, size};
    struct iovec parts[4] = {{&head, sizeof head}, {(void*)path, head.path}, {(void*)other, head.other}, {(void*)data, size}};
    if (REAL(writev)(record_fd, parts, 4) < 0) abort();
}

void shim_watch(const char* directory) { strncpy(prefix, directory, sizeof prefix - 1); }
void shim_arm(int ops, int nth, int error, int mode) {
    pthread_mutex_lock(&lock);
    armed_ops = ops, countdown = nth, armed_errno = error, armed_mode = mode, fired = 0;
    pthread_mutex_unlock(&lock);
}
int shim_fired(void) { return fired; }
void shim_delay(int ops, int nth, int microseconds) {
    delay_microseconds = microseconds, delaying = 0, delay_countdown = nth;
    __atomic_store_n(&delayed_ops, ops, __ATOMIC_RELEASE);
}
int shim_delaying(void) { return __atomic_load_n(&delaying, __ATOMIC_ACQUIRE); }
void shim_record(const char* file) {
    record_fd = file ? REAL(open)(file, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0644) : -1;
}
void shim_note(uint64_t number, uint64_t what) {
    pthread_mutex_lock(&lock);
    record(OP_NOTE, "", NULL, number, NULL, 0);
    if (what) record(OP_NOTE, "", NULL, UINT64_MAX, NULL, 0);
    pthread_mutex_unlock(&lock);
}

int open(const char* path, int flags, ...) {
    va_list arguments;
    va_start(arguments, flags);
    const int mode = flags & O_CREAT ? va_arg(arguments, int) : 0;
    va_end(arguments);
    if (!ours(path)) return REAL(open)(path, flags, mode);
    delay(flags & O_CREAT ? OP_CREATE : OP_OPEN);
    pthread_mutex_lock(&lock);
    struct stat status;
    const int fresh = (flags & O_CREAT) && stat(path, &status) != 0;
    int fd = -1;
    if (!(fresh && must_fail(OP_CREATE, NULL))) fd = REAL(open)(path, flags, mode);
    if (fd >= 0 && fd < FILES) {
        free(paths[fd]);
        paths[fd] = strdup(path);
        if (fresh) record(OP_CREATE, path, NULL, 0, NULL, 0);
        else if (flags & O_TRUNC) record(OP_TRUNCATE, path, NULL, 0, NULL, 0);
    }
    pthread_mutex_unlock(&lock);
    return fd;
}

int close(int fd) {
    if (path_of(fd)) {
        pthread_mutex_lock(&lock);
        free(paths[fd]);
        paths[fd] = NULL;
        pthread_mutex_unlock(&lock);
    }
    return REAL(close)(fd);
}

ssize_t pwritev(int fd, const struct iovec* parts, int count, off_t offset) {
    const char* path = path_of(fd);
    if (!path) return REAL(pwritev)(fd, parts, count, offset);
    size_t size = 0;
    for (int i = 0; i < count; ++i) size += parts[i].iov_len;
    char* all = malloc(size + 1);
    size_t at = 0;
    for (int i = 0; i < count; ++i) {
        memcpy(all + at, parts[i].iov_base, parts[i].iov_len);
        at += parts[i].iov_len;
    }
    delay(OP_WRITE);
    pthread_mutex_lock(&lock);
    int keep = 0;
    ssize_t wrote = -1;
    if (!must_fail(OP_WRITE, &keep)) keep = 1;
    else size = (size + 1) / 2;
    if (keep) wrote = REAL(pwrite)(fd, all, size, offset);
    if (wrote > 0) record(OP_WRITE, path, NULL, offset, all, wrote);
    const int error = errno;
    pthread_mutex_unlock(&lock);
    free(all);
    errno = error;
    return wrote;
}

int ftruncate(int fd, off_t size) {
    const char* path = path_of(fd);
    if (!path) return REAL(ftruncate)(fd, size);
    delay(OP_TRUNCATE);
    pthread_mutex_lock(&lock);
    const int result = must_fail(OP_TRUNCATE, NULL) ? -1 : REAL(ftruncate)(fd, size);
    if (result == 0) record(OP_TRUNCATE, path, NULL, size, NULL, 0);
    pthread_mutex_unlock(&lock);
    return result;
}

static int synced(int fd, int data) {
    const char* path = path_of(fd);
    if (!path) return data ? REAL(fdatasync)(fd) : REAL(fsync)(fd);
    delay(OP_SYNC);
    pthread_mutex_lock(&lock);
    const int result = must_fail(OP_SYNC, NULL) ? -1 : data ? REAL(fdatasync)(fd) : REAL(fsync)(fd);
    if (result == 0) record(OP_SYNC, path, NULL, 0, NULL, 0);
    pthread_mutex_unlock(&lock);
    return result;
}
int fsync(int fd) { return synced(fd, 0); }
int fdatasync(int fd) { return synced(fd, 1); }

int rename(const char* from, const char* to) {
    if (!ours(from)) return REAL(rename)(from, to);
    delay(OP_RENAME);
    pthread_mutex_lock(&lock);
    const int result = must_fail(OP_RENAME, NULL) ? -1 : REAL(rename)(from, to);
    if (result == 0) {
        record(OP_RENAME, from, to, 0, NULL, 0);
        for (int fd = 0; fd < FILES; ++fd)
            if (paths[fd] && !strcmp(paths[fd], from)) {
                free(paths[fd]);
                paths[fd] = strdup(to);
            }
    }
    pthread_mutex_unlock(&lock);
    return result;
}

int unlink(const char* path) {
    if (!ours(path)) return REAL(unlink)(path);
    delay(OP_UNLINK);
    pthread_mutex_lock(&lock);
    const int result = must_fail(OP_UNLINK, NULL) ? -1 : REAL(unlink)(path);
    if (result == 0) record(OP_UNLINK, path, NULL, 0, NULL, 0);
    pthread_mutex_unlock(&lock);
    return result;
}
