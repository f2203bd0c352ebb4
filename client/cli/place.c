#include "client/cli/place.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { LINE = 128 }; /* always so long, so that it is replaced whole by one write */

static void read_place(struct place *p)
{
    char line[LINE + 1] = "";
    uint64_t wall_ms, total, done;
    int end = 0;
    if (pread(p->fd, line, LINE, 0) != LINE ||
        sscanf(line, "larder dump %" SCNu64 " %" SCNu64 " %" SCNu64 " .%n", &wall_ms, &total, &done, &end) !=
            3)
        return;
    if (end && wall_ms == p->wall_ms && total == p->total && done <= total)
        p->done = done;
}

int place_open(struct place *p, const char *dump, uint64_t wall_ms, uint64_t total)
{
    *p = (struct place){.fd = -1, .wall_ms = wall_ms, .total = total};
    if (asprintf(&p->path, "%s.pos", dump) < 0)
        return -1;
    p->fd = open(p->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (p->fd < 0) {
        free(p->path);
        return -1;
    }
    read_place(p);
    return place_keep(p, p->done);
}

int place_keep(struct place *p, uint64_t done)
{
    char line[LINE + 1];
    if (p->fd < 0)
        return 0;
    int size = snprintf(line, sizeof(line), "larder dump %" PRIu64 " %" PRIu64 " %" PRIu64 " .", p->wall_ms,
                        p->total, done);
    for (int i = size; i < LINE; i++)
        line[i] = i + 1 < LINE ? ' ' : '\n';
    p->done = done;
    return pwrite(p->fd, line, LINE, 0) == LINE ? 0 : -1;
}

void place_close(struct place *p, bool over)
{
    if (p->fd < 0)
        return;
    close(p->fd);
    if (over)
        unlink(p->path);
    free(p->path);
    p->fd = -1;
}
