#include "warm/stamp.h"

#include <stdbool.h>
#include <sys/stat.h>
#include <time.h>
#include <xxhash.h>

enum {
    TICKS_MAX = 20, /* of a millisecond: twice the longest tick of a kernel */
};

static uint64_t stamp_of(const struct stat *st)
{
    const uint64_t identity[] = {st->st_dev, st->st_ino, (uint64_t)st->st_size, (uint64_t)st->st_ctim.tv_sec,
                                 (uint64_t)st->st_ctim.tv_nsec};
    return XXH3_64bits(identity, sizeof(identity)) | 1;
}

uint64_t stamp_of_path(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 ? stamp_of(&st) : 0;
}

uint64_t stamp_of_file(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 ? stamp_of(&st) : 0;
}

/* The clock that files are stamped with has moved on: whatever changes the file from now on changes its time. */
static bool is_settled(const struct stat *st)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    return now.tv_sec > st->st_ctim.tv_sec ||
           (now.tv_sec == st->st_ctim.tv_sec && now.tv_nsec > st->st_ctim.tv_nsec);
}

uint64_t stamp_of_settled_file(int fd)
{
    const struct timespec tick = {.tv_nsec = 1000000};
    struct stat st;
    if (fstat(fd, &st) != 0)
        return 0;
    for (unsigned n = 0; n < TICKS_MAX && !is_settled(&st); n++)
        nanosleep(&tick, NULL);
    return stamp_of(&st);
}
