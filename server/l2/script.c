#include "l2/script.h"

#include <string.h>
#include "base/check.h"

static const struct row {
    const char *name, *text;
    unsigned keys, keys_per_item;
} table[] = {
#define SCRIPT(NAME, file, keys, keys_per_item) {#file, script_text_##file, keys, keys_per_item},
    SCRIPT_TABLE(SCRIPT)
#undef SCRIPT
};

static const struct row *row_of(enum script_id id)
{
    CHECK((unsigned)id < SCRIPTS);
    return &table[id];
}

const char *script_name(enum script_id id)
{
    return row_of(id)->name;
}

struct slice script_text(enum script_id id)
{
    return slice_text(row_of(id)->text);
}

unsigned script_keys(enum script_id id, unsigned items)
{
    const struct row *row = row_of(id);
    CHECK(items <= SCRIPT_ITEMS_MAX);
    return SCRIPT_COMMON_KEYS + row->keys + row->keys_per_item * items;
}

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

bool script_loaded(struct script_digests *digests, enum script_id id, struct slice reply)
{
    const char *digest = reply.data;
    CHECK((unsigned)id < SCRIPTS);
    digests->known[id] = false;
    if (reply.size != SCRIPT_DIGEST_BYTES)
        return false;
    for (unsigned i = 0; i < SCRIPT_DIGEST_BYTES; i++)
        if (!is_hex(digest[i]))
            return false;
    memcpy(digests->of[id], digest, SCRIPT_DIGEST_BYTES);
    digests->known[id] = true;
    return true;
}

struct script_call script_call(const struct script_digests *digests, enum script_id id, bool again)
{
    CHECK((unsigned)id < SCRIPTS);
    if (!digests->known[id] || again)
        return (struct script_call){slice_text("EVAL"), script_text(id)};
    return (struct script_call){slice_text("EVALSHA"), slice_of(digests->of[id], SCRIPT_DIGEST_BYTES)};
}
