#include "app/keyfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/check.h"
#include "proto/wire.h"

enum {
    LINE_MAX_BYTES = WIRE_KEY_MAX + 2,
    PIECE = 2 * WARMING_FED - LINE_MAX_BYTES
}; /* the shortest line has two bytes */

struct keyfile {
    struct warming_feed feed;
    struct offload offload;
    struct loop *loop;
    int fd; /* -1: not open yet */
    bool at_end;
    const char *why;
    size_t used, taken; /* of `bytes`: filled; of those the lines handed over */
    char bytes[LINE_MAX_BYTES + PIECE];
    struct slice keys[WARMING_FED];
    char path[];
};

/* ======= in the pool ======= */

static void read_piece(struct keyfile *f)
{
    ssize_t n;
    f->used -= f->taken;
    memmove(f->bytes, f->bytes + f->taken, f->used);
    f->taken = 0;
    do
        n = read(f->fd, f->bytes + f->used, PIECE);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        f->why = "its file of keys cannot be read";
    else if (n == 0)
        f->at_end = true;
    else
        f->used += (size_t)n;
}

static void work(struct offload *offload)
{
    struct keyfile *f = CONTAINER_OF(offload, struct keyfile, offload);
    if (f->fd < 0)
        f->fd = open(f->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe nobody writes to is empty */
    if (f->fd < 0)
        f->why = errno == ENOENT ? "its file of keys is not there" : "its file of keys cannot be opened";
    else
        read_piece(f);
}

/* ======= lines ======= */

static struct slice without_return(const char *line, size_t size)
{
    return slice_of(line, size && line[size - 1] == '\r' ? size - 1 : size);
}

/* Whole lines, and at the end what is left.  Returns how many bytes they took. */
static size_t split(struct keyfile *f, uint32_t *ret_count)
{
    const char *at = f->bytes, *end = f->bytes + f->used, *newline;
    for (*ret_count = 0; at < end; at = newline + 1) {
        newline = memchr(at, '\n', (size_t)(end - at));
        if (!newline && !f->at_end)
            break;
        struct slice key = without_return(at, (size_t)((newline ? newline : end) - at));
        if (key.size)
            f->keys[(*ret_count)++] = key;
        if (!newline)
            return f->used;
    }
    return (size_t)(at - f->bytes);
}

static void done(struct offload *offload)
{
    struct keyfile *f = CONTAINER_OF(offload, struct keyfile, offload);
    uint32_t count = 0;
    f->taken = f->why ? 0 : split(f, &count);
    bool last = f->at_end && f->taken == f->used;
    if (!f->why && f->used - f->taken > LINE_MAX_BYTES)
        f->why = "a line of its file of keys is longer than a key may be";
    warming_fed(&f->feed, f->keys, count, last, f->why); /* copied; `f` may be gone */
}

/* ======= the feed ======= */

static void more(struct warming_feed *feed)
{
    struct keyfile *f = CONTAINER_OF(feed, struct keyfile, feed);
    offload_start(f->loop, &f->offload);
}

static void over(struct warming_feed *feed)
{
    struct keyfile *f = CONTAINER_OF(feed, struct keyfile, feed);
    if (f->fd >= 0)
        close(f->fd);
    free(f);
}

struct warming_feed *keyfile_feed(struct loop *loop, struct slice path)
{
    struct keyfile *f = must_alloc(sizeof(*f) + path.size + 1);
    f->feed.more = more;
    f->feed.over = over;
    f->offload.work = work;
    f->offload.done = done;
    f->loop = loop;
    f->fd = -1;
    memcpy(f->path, path.data, path.size);
    return &f->feed;
}
