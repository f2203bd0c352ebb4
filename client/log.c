/* Debug lines, one an operation, in the daemon's own words: hits in shared memory never reach its log. */
#include "client/client.h"

#include <stdio.h>
#include "proto/status.h"

enum { LOG_KEY_BYTES = 200 }; /* longer keys are cut: a line is for people */

/* logfmt: quoted, so that no byte of a key can pass for another field; never longer than 4 bytes for one. */
static size_t put_key(char *at, struct slice key)
{
    static const char hex[] = "0123456789abcdef";
    const unsigned char *bytes = key.data;
    char *begin = at;
    for (size_t i = 0; i < key.size && i < LOG_KEY_BYTES; i++) {
        unsigned char b = bytes[i];
        bool plain = b > ' ' && b < 0x7f && b != '"' && b != '\\';
        if (plain)
            *at++ = (char)b;
        else {
            *at++ = '\\';
            *at++ = 'x';
            *at++ = hex[b >> 4];
            *at++ = hex[b & 15];
        }
    }
    *at = '\0';
    return (size_t)(at - begin);
}

void log_end(struct larder_client *c, uint64_t begin_ns, const char *op, struct slice key, int result,
             const larder_value *value)
{
    char text[4 * LOG_KEY_BYTES + 1], line[sizeof(text) + 224], where[48] = "", reason[MISS_REASON_BYTES];
    if (!begin_ns)
        return;
    put_key(text, key);
    if (value && value->tier != LARDER_TIER_NONE)
        snprintf(where, sizeof(where), " tier=%s", tier_name_text((unsigned)value->tier));
    else if (value && value->reason != LARDER_REASON_NONE)
        snprintf(where, sizeof(where), " reason=%s", miss_reason_word((unsigned)value->reason, reason));
    struct slice trace = trace_mine(c);
    snprintf(line, sizeof(line), "op=%s key=%s result=%s%s near=%d%s%.*s us=%.1f", op, text,
             result_name(result, value != NULL), where, value && value->near, trace.size ? " trace=" : "",
             (int)trace.size, trace.size ? (const char *)trace.data : "",
             (double)(now_ns() - begin_ns) / 1e3);
    c->log(c->log_user, line);
}
