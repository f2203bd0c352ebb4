#include "proto/status.h"

#include <stddef.h>

struct row {
    unsigned code;
    const char *name;
    const char *sentence;
    bool retryable;
};

static const struct row statuses[] = {
#define STATUS(code, NAME, sentence, retryable) {code, #NAME, sentence, retryable},
    STATUS_TABLE(STATUS)
#undef STATUS
};

static const struct row reasons[] = {
#define REASON(code, NAME, sentence) {code, #NAME, sentence, false},
    MISS_REASON_TABLE(REASON)
#undef REASON
};

static const struct row tiers[] = {
#define TIER(code, NAME, text) {code, text, text, false},
    TIER_TABLE(TIER)
#undef TIER
};

static const struct row unknown = {0, "UNKNOWN_CODE", "a code this version does not know", false};

static const struct row *find(const struct row *rows, size_t count, unsigned code)
{
    for (size_t i = 0; i < count; i++)
        if (rows[i].code == code)
            return &rows[i];
    return &unknown;
}

#define FIND(table, code) find(table, sizeof(table) / sizeof((table)[0]), code)

const char *status_name(unsigned status)
{
    return FIND(statuses, status)->name;
}

const char *status_sentence(unsigned status)
{
    return FIND(statuses, status)->sentence;
}

bool status_retryable(unsigned status)
{
    return FIND(statuses, status)->retryable;
}

const char *miss_reason_name(unsigned reason)
{
    return FIND(reasons, reason)->name;
}

const char *miss_reason_sentence(unsigned reason)
{
    return FIND(reasons, reason)->sentence;
}

char *miss_reason_word(unsigned reason, char ret[MISS_REASON_BYTES])
{
    const char *name = miss_reason_name(reason);
    unsigned i = 0;
    for (; name[i] && i < MISS_REASON_BYTES - 1; i++)
        ret[i] = (char)(name[i] >= 'A' && name[i] <= 'Z' ? name[i] - 'A' + 'a' : name[i]);
    ret[i] = '\0';
    return ret;
}

const char *tier_name_text(unsigned tier)
{
    return FIND(tiers, tier)->name;
}
