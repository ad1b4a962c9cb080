/* Faults in a running program: a library to preload that fails chosen calls, before or after their effect, and lets the
 * program live on, or ends it there as a power failure would. Built and driven by `faults.rs`.
 *
 * The file that FSS_FAULTS names has a rule a line, read anew whenever it is replaced:
 *
 *     CALLS PATH NTH WHEN WHAT
 *
 * CALLS are names of calls joined by commas, `*` for all of them, or `grow` for writes that make a file larger; PATH is a
 * part of the path, `*` for any, with `!` before it for paths without it; NTH counts from 1; WHEN is `before` or `after`
 * the effect; WHAT is an error number, the same with `+` for that call and all that follow, or `exit`. A rule is looked at
 * once the one before it has applied. Each call that was counted is written to the file of the same name with `.log`.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MOST_RULES 8

struct rule {
    char calls[256], path[256], when[8], what[16];
    long nth, seen;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct rule rules[MOST_RULES];
static int count, current;
static struct stat known;

/* Own input and output, past the functions of this library. */
static ssize_t raw_read(int fd, void *to, size_t n) { return syscall(SYS_read, fd, to, n); }
static ssize_t raw_write(int fd, const void *from, size_t n) { return syscall(SYS_write, fd, from, n); }
static int raw_open(const char *path, int flags) { return syscall(SYS_openat, AT_FDCWD, path, flags, 0600); }

static void load(void) {
    const char *control = getenv("FSS_FAULTS");
    struct stat now;
    if (!control || stat(control, &now) != 0) {
        count = 0;
        memset(&known, 0, sizeof known);
        return;
    }
    if (now.st_ino == known.st_ino && now.st_mtim.tv_sec == known.st_mtim.tv_sec && now.st_mtim.tv_nsec == known.st_mtim.tv_nsec)
        return;
    char text[4096];
    int fd = raw_open(control, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? -1 : raw_read(fd, text, sizeof text - 1);
    if (fd >= 0) syscall(SYS_close, fd);
    if (length < 0) return;
    text[length] = 0;
    known = now;
    count = current = 0;
    for (char *rest = text, *line; count < MOST_RULES && (line = strsep(&rest, "\n"));) {
        struct rule *rule = &rules[count];
        rule->seen = 0;
        if (sscanf(line, "%255s %255s %ld %7s %15s", rule->calls, rule->path, &rule->nth, rule->when, rule->what) == 5) count++;
    }
}

static int has_word(const char *words, const char *word) {
    size_t length = strlen(word);
    for (const char *at = words; (at = strstr(at, word)); at += length)
        if ((at == words || at[-1] == ',') && (at[length] == ',' || !at[length])) return 1;
    return 0;
}

static int is_path(const struct rule *rule, const char *path) {
    if (!strcmp(rule->path, "*")) return 1;
    if (rule->path[0] == '!') return !strstr(path, rule->path + 1);
    return strstr(path, rule->path) != NULL;
}

/* What is to be done with a call: the rule that applies to it, if one does. */
static const struct rule *counted(const char *call, const char *path, int grows) {
    static struct rule applied;
    const struct rule *found = NULL;
    load();
    if (current < count) {
        struct rule *rule = &rules[current];
        int is_call = !strcmp(rule->calls, "*") || has_word(rule->calls, call) || (grows && has_word(rule->calls, "grow"));
        if (is_call && is_path(rule, path)) {
            rule->seen++;
            char log[4096], line[4352];
            snprintf(log, sizeof log, "%s.log", getenv("FSS_FAULTS"));
            int length = snprintf(line, sizeof line, "%d %ld %s %s\n", current + 1, rule->seen, call, path);
            int fd = raw_open(log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC);
            if (fd >= 0) raw_write(fd, line, length), syscall(SYS_close, fd);
            if (rule->seen >= rule->nth) {
                applied = *rule;
                found = &applied;
                if (!strchr(rule->what, '+')) current++;
            }
        }
    }
    return found;
}

static void end(const struct rule *rule) {
    if (!strcmp(rule->what, "exit")) syscall(SYS_exit_group, 137);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

/* The body of each call: `effect` gives its result. */
#define FAULTY(type, call, path, growing, effect)                    \
    do {                                                            \
        int before = errno;                                         \
        pthread_mutex_lock(&lock);                                  \
        const struct rule *fault = counted(call, path, growing);    \
        struct rule rule;                                           \
        if (fault) rule = *fault;                                   \
        if (fault && !strcmp(rule.when, "before")) end(&rule);      \
        pthread_mutex_unlock(&lock);                                \
        errno = before;                                             \
        if (!fault) return effect;                                  \
        if (strcmp(rule.when, "before")) (void)(effect), end(&rule);\
        errno = atoi(rule.what);                                    \
        return (type)-1;                                            \
    } while (0)

static const char *path_of(int fd, char path[4096]) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, 4095);
    path[length < 0 ? 0 : length] = 0;
    return path;
}

static const char *path_at(int fd, const char *name, char path[4096]) {
    if (fd == AT_FDCWD || name[0] == '/') return name;
    char directory[4096];
    path_of(fd, directory);
    snprintf(path, 4096, "%.2000s/%.2000s", directory, name);
    return path;
}

static int grows(int fd, off_t at, size_t length) {
    struct stat status;
    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) return 0;
    if (fcntl(fd, F_GETFL) & O_APPEND) at = status.st_size;
    return at + (off_t)length > status.st_size;
}

/* Sockets, pipes and terminals are none of ours. */
static int is_file(int fd) {
    struct stat status;
    return fstat(fd, &status) == 0 && (S_ISREG(status.st_mode) || S_ISDIR(status.st_mode));
}

ssize_t write(int fd, const void *from, size_t length) {
    char path[4096];
    if (!is_file(fd)) return REAL(write)(fd, from, length);
    FAULTY(ssize_t, "write", path_of(fd, path), grows(fd, lseek(fd, 0, SEEK_CUR), length), REAL(write)(fd, from, length));
}

#define PWRITE(name)                                                                                                  \
    ssize_t name(int fd, const void *from, size_t length, off_t at) {                                                 \
        char path[4096];                                                                                              \
        FAULTY(ssize_t, "write", path_of(fd, path), grows(fd, at, length), REAL(name)(fd, from, length, at));         \
    }
PWRITE(pwrite)
PWRITE(pwrite64)

#define SYNC(name)                                                                       \
    int name(int fd) {                                                                   \
        char path[4096];                                                                 \
        FAULTY(int, "sync", path_of(fd, path), 0, REAL(name)(fd));                       \
    }
SYNC(fsync)
SYNC(fdatasync)

#define TRUNCATE(name)                                                                   \
    int name(int fd, off_t length) {                                                     \
        char path[4096];                                                                 \
        FAULTY(int, "truncate", path_of(fd, path), 0, REAL(name)(fd, length));           \
    }
TRUNCATE(ftruncate)
TRUNCATE(ftruncate64)

int rename(const char *from, const char *to) { FAULTY(int, "rename", from, 0, REAL(rename)(from, to)); }

int unlink(const char *path) { FAULTY(int, "unlink", path, 0, REAL(unlink)(path)); }

int unlinkat(int fd, const char *name, int flags) {
    char path[4096];
    FAULTY(int, flags & AT_REMOVEDIR ? "rmdir" : "unlink", path_at(fd, name, path), 0, REAL(unlinkat)(fd, name, flags));
}

int rmdir(const char *path) { FAULTY(int, "rmdir", path, 0, REAL(rmdir)(path)); }

int mkdir(const char *path, mode_t mode) { FAULTY(int, "mkdir", path, 0, REAL(mkdir)(path, mode)); }

int link(const char *from, const char *to) { FAULTY(int, "link", to, 0, REAL(link)(from, to)); }

int linkat(int from_fd, const char *from, int to_fd, const char *to, int flags) {
    FAULTY(int, "link", to, 0, REAL(linkat)(from_fd, from, to_fd, to, flags));
}

/* Opening counts only where it may create. */
#define OPEN(name)                                                                       \
    int name(const char *path, int flags, ...) {                                         \
        mode_t mode = 0;                                                                 \
        if (flags & (O_CREAT | __O_TMPFILE)) {                                           \
            va_list rest;                                                                \
            va_start(rest, flags);                                                       \
            mode = va_arg(rest, mode_t);                                                 \
            va_end(rest);                                                                \
        }                                                                                \
        if (!(flags & O_CREAT)) return REAL(name)(path, flags, mode);                    \
        FAULTY(int, "create", path, 0, REAL(name)(path, flags, mode));                   \
    }
OPEN(open)
OPEN(open64)
