#include "client/cli/dumpfile.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>
#include "client/larder.h"

enum { DUMP_LEVEL = 3, DUMP_MAGIC_BYTES = sizeof(DUMP_MAGIC) - 1 };

static void store_le32(uint8_t *p, uint32_t n)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(n >> 8 * i);
}

static uint32_t load_le32(const uint8_t *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* ======= writing ======= */

static int write_bytes(struct dump_writer *w, const void *bytes, size_t size)
{
    return fwrite(bytes, 1, size, w->file) == size ? 0 : -1;
}

static int pack_block(struct dump_writer *w, size_t *ret_bytes)
{
    ZSTD_CCtx *z = ZSTD_createCCtx();
    if (!z)
        return -1;
    ZSTD_CCtx_setParameter(z, ZSTD_c_compressionLevel, DUMP_LEVEL);
    ZSTD_CCtx_setParameter(z, ZSTD_c_checksumFlag, 1);
    size_t n = ZSTD_compress2(z, w->packed, w->packed_bytes, w->block.data, w->block.size);
    ZSTD_freeCCtx(z);
    *ret_bytes = n;
    return ZSTD_isError(n) ? -1 : 0;
}

static int write_block(struct dump_writer *w)
{
    uint8_t head[4];
    size_t bytes, bound = ZSTD_compressBound(w->block.size);
    if (w->block.size == 0)
        return 0;
    if (bound > w->packed_bytes) {
        free(w->packed);
        w->packed = malloc(bound);
        w->packed_bytes = w->packed ? bound : 0;
    }
    if (!w->packed || pack_block(w, &bytes) < 0) {
        errno = ENOMEM;
        return -1;
    }
    store_le32(head, (uint32_t)bytes);
    w->block.size = 0;
    return write_bytes(w, head, sizeof(head)) < 0 ? -1 : write_bytes(w, w->packed, bytes);
}

static int packed(int r)
{
    if (r < 0)
        errno = ENOMEM;
    return r < 0 ? -1 : 0;
}

int dump_begin(struct dump_writer *w, FILE *file, uint64_t wall_ms, const char *namespace)
{
    uint8_t head[DUMP_MAGIC_BYTES + 4] = DUMP_MAGIC;
    *w = (struct dump_writer){.file = file};
    buffer_init(&w->block, DUMP_BLOCK_MAX);
    store_le32(head + DUMP_MAGIC_BYTES, DUMP_FORMAT);
    int r = pack_array(&w->block, 4) | pack_uint(&w->block, DUMP_HEAD) | pack_uint(&w->block, wall_ms) |
            pack_text(&w->block, slice_text(namespace)) | pack_text(&w->block, slice_text(larder_version()));
    return packed(r) < 0 ? -1 : write_bytes(w, head, sizeof(head));
}

int dump_put(struct dump_writer *w, const struct dump_entry *e)
{
    struct buffer *b = &w->block;
    int r = pack_array(b, 9) | pack_uint(b, DUMP_ENTRY) | pack_bytes(b, e->key) | pack_bytes(b, e->value) |
            pack_uint(b, e->ttl_ms) | pack_uint(b, e->stale_ms) | pack_uint(b, e->user_flags) |
            pack_uint(b, e->schema) | pack_bool(b, e->absent) | pack_array(b, e->tags_count);
    for (uint32_t i = 0; i < e->tags_count; i++)
        r |= pack_bytes(b, e->tags[i]);
    if (packed(r) < 0)
        return -1;
    w->count++;
    return b->size >= DUMP_BLOCK_BYTES ? write_block(w) : 0;
}

int dump_end(struct dump_writer *w)
{
    struct buffer *b = &w->block;
    int r = pack_array(b, 2) | pack_uint(b, DUMP_END) | pack_uint(b, w->count);
    if (packed(r) < 0 || write_block(w) < 0)
        return -1;
    return fflush(w->file) == 0 ? 0 : -1;
}

void dump_writer_finish(struct dump_writer *w)
{
    buffer_finish(&w->block);
    free(w->packed);
    w->packed = NULL;
}

/* ======= reading ======= */

static int bad(struct dump_reader *r, const char *why)
{
    r->why = why;
    return DUMP_E_BAD;
}

/* 1, 0 at the very end, or an error when the file ends inside. */
static int read_exactly(struct dump_reader *r, void *into, size_t size)
{
    size_t n = fread(into, 1, size, r->file);
    if (n == size)
        return 1;
    if (ferror(r->file))
        return DUMP_E_SYSTEM;
    return n == 0 ? 0 : bad(r, "it is cut short");
}

int dump_open(struct dump_reader *r, FILE *file)
{
    uint8_t head[DUMP_MAGIC_BYTES + 4];
    *r = (struct dump_reader){.file = file};
    int n = read_exactly(r, head, sizeof(head));
    if (n == DUMP_E_SYSTEM)
        return n;
    if (n != 1 || memcmp(head, DUMP_MAGIC, DUMP_MAGIC_BYTES) != 0)
        return bad(r, "it is not a larder dump");
    r->format = load_le32(head + DUMP_MAGIC_BYTES);
    if (r->format > DUMP_FORMAT)
        return bad(r, "a newer larder wrote it: its format is not known here");
    return r->format >= DUMP_FORMAT_WITHOUT_TAGS ? 0 : bad(r, "its format number makes no sense");
}

static bool room(uint8_t **buffer, size_t *capacity, size_t size)
{
    if (size <= *capacity)
        return true;
    free(*buffer);
    *buffer = malloc(size);
    *capacity = *buffer ? size : 0;
    return *buffer != NULL;
}

static int unpack_block(struct dump_reader *r, size_t packed_bytes)
{
    unsigned long long size = ZSTD_getFrameContentSize(r->packed, packed_bytes);
    if (size == ZSTD_CONTENTSIZE_ERROR || size == ZSTD_CONTENTSIZE_UNKNOWN || size > DUMP_BLOCK_MAX)
        return bad(r, "it is damaged: a block has an impossible size");
    if (!room(&r->block, &r->block_capacity, size + 1))
        return DUMP_E_SYSTEM;
    size_t n = ZSTD_decompress(r->block, r->block_capacity, r->packed, packed_bytes);
    if (ZSTD_isError(n) || n != size)
        return bad(r, "it is damaged: a block's checksum does not match");
    r->at = reader_of(slice_of(r->block, n));
    return 1;
}

static int next_block(struct dump_reader *r)
{
    uint8_t head[4];
    int n = read_exactly(r, head, sizeof(head));
    if (n <= 0)
        return n;
    size_t size = load_le32(head);
    if (size == 0 || size > ZSTD_compressBound(DUMP_BLOCK_MAX))
        return bad(r, "it is damaged: a block has an impossible size");
    if (!room(&r->packed, &r->packed_capacity, size))
        return DUMP_E_SYSTEM;
    n = read_exactly(r, r->packed, size);
    if (n <= 0)
        return n < 0 ? n : bad(r, "it is cut short");
    return unpack_block(r, size);
}

static int take_head(struct dump_reader *r)
{
    struct slice text;
    if (r->begun || read_uint(&r->at, UINT64_MAX, &r->wall_ms) < 0 ||
        read_text(&r->at, WIRE_NAME_MAX, &text) < 0 || read_text(&r->at, WIRE_NAME_MAX, &text) < 0)
        return bad(r, "it is damaged: its head makes no sense");
    r->begun = true;
    return 0;
}

static int take_tags(struct dump_reader *r, struct dump_entry *ret)
{
    ret->tags_count = 0;
    if (r->format == DUMP_FORMAT_WITHOUT_TAGS)
        return 0;
    int e = read_array(&r->at, WIRE_TAGS_MAX, &ret->tags_count);
    for (uint32_t i = 0; e == 0 && i < ret->tags_count; i++)
        e = read_bytes(&r->at, UINT16_MAX, &ret->tags[i]);
    return e;
}

static int take_entry(struct dump_reader *r, struct dump_entry *ret)
{
    uint64_t flags = 0, schema = 0;
    struct reader *at = &r->at;
    int e = read_bytes(at, WIRE_KEY_MAX, &ret->key);
    e = e < 0 ? e : read_bytes(at, WIRE_VALUE_LIMIT, &ret->value);
    e = e < 0 ? e : read_uint(at, UINT64_MAX, &ret->ttl_ms);
    e = e < 0 ? e : read_uint(at, UINT64_MAX, &ret->stale_ms);
    e = e < 0 ? e : read_uint(at, UINT32_MAX, &flags);
    e = e < 0 ? e : read_uint(at, UINT32_MAX, &schema);
    e = e < 0 ? e : read_bool(at, &ret->absent);
    e = e < 0 ? e : take_tags(r, ret);
    if (e < 0 || ret->key.size == 0 || !r->begun || r->ended)
        return bad(r, "it is damaged: an entry makes no sense");
    ret->user_flags = (uint32_t)flags;
    ret->schema = (uint32_t)schema;
    r->count++;
    return 1;
}

static int take_end(struct dump_reader *r)
{
    if (read_uint(&r->at, UINT64_MAX, &r->count_said) < 0 || !r->begun || r->ended ||
        r->count_said != r->count)
        return bad(r, "it is damaged: the number of entries does not match");
    r->ended = true;
    return 0;
}

/* 1: an entry; 0: something else. */
static int take_array(struct dump_reader *r, struct dump_entry *ret)
{
    static const uint8_t elements[] = {[DUMP_HEAD] = 4, [DUMP_ENTRY] = 9, [DUMP_END] = 2};
    uint32_t count;
    uint64_t kind;
    if (read_array(&r->at, 9, &count) < 0 || read_uint(&r->at, DUMP_END, &kind) < 0 ||
        count + (kind == DUMP_ENTRY && r->format == DUMP_FORMAT_WITHOUT_TAGS) != elements[kind])
        return bad(r, "it is damaged: an array makes no sense");
    return kind == DUMP_ENTRY ? take_entry(r, ret) : kind == DUMP_HEAD ? take_head(r) : take_end(r);
}

int dump_next(struct dump_reader *r, struct dump_entry *ret)
{
    for (;;) {
        if (reader_left(&r->at) == 0) {
            int n = next_block(r);
            if (n == 0 && !r->ended)
                return bad(r, "it is cut short");
            if (n <= 0)
                return n;
        }
        int n = take_array(r, ret);
        if (n != 0)
            return n;
    }
}

bool dump_block_done(const struct dump_reader *r)
{
    return reader_left(&r->at) == 0;
}

void dump_reader_finish(struct dump_reader *r)
{
    free(r->packed);
    free(r->block);
    r->packed = r->block = NULL;
}
