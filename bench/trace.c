#include "bench/trace.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

enum { LINE_MAX_BYTES = 128, READ_BYTES = 64 * 1024, TEXT_BYTES = 256 * 1024 };

struct trace {
    FILE *file;
    ZSTD_DStream *unpacker; /* NULL: plain text */
    ZSTD_inBuffer packed;
    uint8_t packed_bytes[READ_BYTES];
    char text[TEXT_BYTES];
    size_t begin, end; /* of unread text */
    bool file_ended;
    uint64_t line;
    char why[96];
};

static const char *broken(struct trace *t, const char *what)
{
    snprintf(t->why, sizeof(t->why), "line %llu: %s", (unsigned long long)t->line, what);
    return t->why;
}

struct trace *trace_open(const char *path)
{
    struct trace *t = calloc(1, sizeof(*t));
    size_t size = strlen(path);
    if (!t)
        return NULL;
    t->file = fopen(path, "rbe");
    if (size > 4 && strcmp(path + size - 4, ".zst") == 0)
        t->unpacker = ZSTD_createDStream();
    t->packed.src = t->packed_bytes;
    return t->file ? t : trace_close(t);
}

struct trace *trace_close(struct trace *t)
{
    if (!t)
        return NULL;
    if (t->file)
        fclose(t->file);
    ZSTD_freeDStream(t->unpacker);
    free(t);
    return NULL;
}

static void unpack_more(struct trace *t)
{
    if (t->packed.pos == t->packed.size) {
        t->packed.size = fread(t->packed_bytes, 1, READ_BYTES, t->file);
        t->packed.pos = 0;
        t->file_ended = t->packed.size == 0;
    }
    ZSTD_outBuffer out = {t->text + t->end, TEXT_BYTES - t->end, 0};
    size_t r = ZSTD_decompressStream(t->unpacker, &out, &t->packed);
    if (ZSTD_isError(r)) {
        broken(t, ZSTD_getErrorName(r));
        t->file_ended = true;
    }
    t->end += out.pos;
}

static void read_more(struct trace *t)
{
    memmove(t->text, t->text + t->begin, t->end - t->begin);
    t->end -= t->begin;
    t->begin = 0;
    if (t->unpacker) {
        unpack_more(t);
        return;
    }
    size_t n = fread(t->text + t->end, 1, TEXT_BYTES - t->end, t->file);
    t->file_ended = n == 0;
    t->end += n;
}

/* The next line without its end, or NULL. */
static char *next_line(struct trace *t)
{
    char *end;
    while (!(end = memchr(t->text + t->begin, '\n', t->end - t->begin))) {
        if (t->file_ended || t->end - t->begin >= LINE_MAX_BYTES)
            return NULL;
        read_more(t);
    }
    char *line = t->text + t->begin;
    *end = '\0';
    t->begin = (size_t)(end - t->text) + 1;
    t->line++;
    return line;
}

static bool parse(const char *line, struct trace_request *ret)
{
    char *end;
    if (strncmp(line, "get ", 4) != 0 && strncmp(line, "set ", 4) != 0)
        return false;
    ret->op = line[0] == 'g' ? TRACE_GET : TRACE_SET;
    ret->key = strtoull(line + 4, &end, 10);
    if (end == line + 4 || *end != ' ')
        return false;
    const char *size = end + 1;
    ret->size = strtoull(size, &end, 10);
    return end != size && *end == '\0';
}

int trace_next(struct trace *t, struct trace_request *ret)
{
    const char *line = next_line(t);
    if (!line && t->end > t->begin && !t->why[0])
        broken(t, "ends in the middle, or has an endless line");
    if (!line)
        return t->why[0] ? -1 : 0;
    if (parse(line, ret))
        return 1;
    broken(t, "is not 'get|set KEY SIZE'");
    return -1;
}

const char *trace_why(const struct trace *t)
{
    return t->why;
}
