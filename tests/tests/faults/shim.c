/* What a machine's clock and disk do to one process: loaded into it before the C library, and told by a file that it
 * maps what to do now.
 *
 * The disk is that of the directory in CONFMAN_SHIM_DATA alone, so that logs and sockets are as always. What was synced
 * of each write-ahead log is noted in the directory CONFMAN_SHIM_SYNCED: a power cut keeps that much for certain.
 */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* The same order as in machine.rs. */
struct control {
    int64_t clock_ms;
    int64_t sync_delay_us;
    int64_t sync_fails;
    int64_t full;
    int64_t lies;
};

static const volatile struct control *control;
static const char *data, *synced;

static int (*real_fsync)(int), (*real_fdatasync)(int);
static ssize_t (*real_write)(int, const void *, size_t);
static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static ssize_t (*real_writev)(int, const struct iovec *, int);
static int (*real_fallocate)(int, int, off_t, off_t);

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("CONFMAN_SHIM_CONTROL");
    real_fsync = dlsym(RTLD_NEXT, "fsync");
    real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
    real_write = dlsym(RTLD_NEXT, "write");
    real_pwrite = dlsym(RTLD_NEXT, "pwrite64");
    real_writev = dlsym(RTLD_NEXT, "writev");
    real_fallocate = dlsym(RTLD_NEXT, "fallocate64");
    data = getenv("CONFMAN_SHIM_DATA");
    synced = getenv("CONFMAN_SHIM_SYNCED");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0) return;
    void *mapped = mmap(NULL, sizeof(struct control), PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    if (mapped != MAP_FAILED) control = mapped;
}

/* The path of an open file below the data directory, or nothing. */
static const char *place(int fd, char *path, size_t size) {
    char link[32];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, size - 1);
    if (length <= 0 || !data) return NULL;
    path[length] = 0;
    size_t below = strlen(data);
    return strncmp(path, data, below) == 0 && path[below] == '/' ? path + below + 1 : NULL;
}

static int is_full(int fd) {
    char path[4096];
    return control && control->full && place(fd, path, sizeof path) != NULL;
}

/* Notes how much of a write-ahead log is on disk. */
static void note(int fd, off_t length) {
    char path[4096], file[4200], text[32];
    const char *name = place(fd, path, sizeof path);
    size_t end = name ? strlen(name) : 0;
    if (!synced || end < 4 || strcmp(name + end - 4, ".log") != 0) return;
    snprintf(file, sizeof file, "%s/%s", synced, name);
    for (char *at = file + strlen(synced) + 1; *at; at++)
        if (*at == '/') *at = '+';
    int noted = open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (noted < 0) return;
    int size = snprintf(text, sizeof text, "%020lld\n", (long long)length);
    if (real_pwrite(noted, text, size, 0) != size) abort();
    close(noted);
}

static int sync_by(int fd, int (*real)(int)) {
    if (!control) return real(fd);
    struct stat before;
    int known = fstat(fd, &before) == 0;
    if (control->sync_delay_us > 0) {
        struct timespec delay = {control->sync_delay_us / 1000000, control->sync_delay_us % 1000000 * 1000};
        nanosleep(&delay, NULL);
    }
    if (control->sync_fails) {
        char path[4096];
        if (place(fd, path, sizeof path)) {
            errno = EIO;
            return -1;
        }
    }
    if (control->lies) return 0;
    int done = real(fd);
    if (done == 0 && known) note(fd, before.st_size);
    return done;
}

int fsync(int fd) { return sync_by(fd, real_fsync); }
int fdatasync(int fd) { return sync_by(fd, real_fdatasync); }

#define REFUSE_IF_FULL(fd) \
    if (is_full(fd)) { \
        errno = ENOSPC; \
        return -1; \
    }

ssize_t write(int fd, const void *bytes, size_t size) {
    REFUSE_IF_FULL(fd)
    return real_write ? real_write(fd, bytes, size) : syscall(SYS_write, fd, bytes, size);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    REFUSE_IF_FULL(fd)
    return real_writev ? real_writev(fd, parts, count) : syscall(SYS_writev, fd, parts, count);
}

ssize_t pwrite64(int fd, const void *bytes, size_t size, off64_t at) {
    REFUSE_IF_FULL(fd)
    return real_pwrite(fd, bytes, size, at);
}

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t at) { return pwrite64(fd, bytes, size, at); }

int fallocate64(int fd, int mode, off64_t at, off64_t size) {
    REFUSE_IF_FULL(fd)
    return real_fallocate(fd, mode, at, size);
}

int fallocate(int fd, int mode, off_t at, off_t size) { return fallocate64(fd, mode, at, size); }

int clock_gettime(clockid_t clock, struct timespec *now) {
    long done = syscall(SYS_clock_gettime, clock, now);
    if (done == 0 && control && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        int64_t ms = control->clock_ms;
        now->tv_sec += ms / 1000;
        now->tv_nsec += ms % 1000 * 1000000;
        if (now->tv_nsec >= 1000000000) { now->tv_nsec -= 1000000000; now->tv_sec++; }
        if (now->tv_nsec < 0) { now->tv_nsec += 1000000000; now->tv_sec--; }
    }
    return done;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    (void)zone;
    struct timespec precise;
    int done = clock_gettime(CLOCK_REALTIME, &precise);
    now->tv_sec = precise.tv_sec;
    now->tv_usec = precise.tv_nsec / 1000;
    return done;
}

time_t time(time_t *out) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (out) *out = now.tv_sec;
    return now.tv_sec;
}
