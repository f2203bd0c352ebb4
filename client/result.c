/* Results: the library's numbers, the protocol's, and their sentences. */
#include "client/client.h"

#include <stddef.h>
#include "proto/status.h"

static const struct {
    int result;
    const char *name, *sentence;
} errors[] = {
#define LARDER_ERROR(number, NAME, sentence) {number, "E_" #NAME, sentence},
    LARDER_ERRORS(LARDER_ERROR)
#undef LARDER_ERROR
};

/* Which outcome of the protocol each state is. */
static const uint8_t states[] = {
    [LARDER_OK] = STATUS_OK,
    [LARDER_HIT] = STATUS_HIT,
    [LARDER_ABSENT] = STATUS_ABSENT,
    [LARDER_NOT_MODIFIED] = STATUS_NOT_MODIFIED,
    [LARDER_SKIPPED] = STATUS_SKIPPED,
    [LARDER_EXISTS] = STATUS_EXISTS,
    [LARDER_NOT_FOUND] = STATUS_NOT_FOUND,
    [LARDER_CONFLICT] = STATUS_CONFLICT,
    [LARDER_REFUSED] = STATUS_REFUSED,
    [LARDER_QUEUED] = STATUS_QUEUED,
    [LARDER_LOCAL] = STATUS_LOCAL,
    [LARDER_LEASE] = STATUS_LEASE,
    [LARDER_WAIT] = STATUS_WAIT,
    [LARDER_LIMITED] = STATUS_LIMITED,
};

static const struct {
    uint8_t status;
    int8_t result;
} failures[] = {
    {STATUS_UNKNOWN, LARDER_E_UNKNOWN},
    {STATUS_BAD_FRAME, LARDER_E_PROTOCOL},
    {STATUS_BAD_REQUEST, LARDER_E_PROTOCOL},
    {STATUS_UNSUPPORTED, LARDER_E_UNSUPPORTED},
    {STATUS_BAD_VERSION, LARDER_E_VERSION},
    {STATUS_NO_NAMESPACE, LARDER_E_NAMESPACE},
    {STATUS_BAD_KEY, LARDER_E_KEY},
    {STATUS_TOO_BIG, LARDER_E_TOO_BIG},
    {STATUS_LIMIT, LARDER_E_LIMIT},
    {STATUS_BUSY, LARDER_E_BUSY},
    {STATUS_TIMEOUT, LARDER_E_TIMEOUT},
    {STATUS_DRAINING, LARDER_E_DRAINING},
    {STATUS_DETACHED, LARDER_E_DETACHED},
    {STATUS_DENIED, LARDER_E_DENIED},
    {STATUS_UNREACHABLE, LARDER_E_UNREACHABLE},
    {STATUS_INTERNAL, LARDER_E_INTERNAL},
    {STATUS_LOAD_FAILED, LARDER_E_LOAD},
    {STATUS_BAD_SHAPE, LARDER_E_SHAPE},
};

int result_of_status(unsigned status)
{
    if (status == STATUS_MISS)
        return LARDER_MISS;
    for (int i = 0; i < (int)(sizeof(states) / sizeof(states[0])); i++)
        if (states[i] == status)
            return i;
    for (size_t i = 0; i < sizeof(failures) / sizeof(failures[0]); i++)
        if (failures[i].status == status)
            return failures[i].result;
    return LARDER_E_PROTOCOL;
}

static bool is_state(int result)
{
    return result >= 0 && result < (int)(sizeof(states) / sizeof(states[0]));
}

static size_t error_index(int result)
{
    size_t i = 0;
    while (i < sizeof(errors) / sizeof(errors[0]) && errors[i].result != result)
        i++;
    return i;
}

const char *larder_strerror(int result)
{
    if (is_state(result))
        return status_sentence(states[result]);
    size_t i = error_index(result);
    return i < sizeof(errors) / sizeof(errors[0]) ? errors[i].sentence
                                                  : "a result this version does not know";
}

const char *result_name(int result, bool of_get)
{
    if (result == LARDER_MISS && of_get)
        return "MISS";
    if (is_state(result))
        return status_name(states[result]);
    size_t i = error_index(result);
    return i < sizeof(errors) / sizeof(errors[0]) ? errors[i].name : "E_UNLISTED";
}

#define TEXT_OF(n)       #n
#define VERSION(a, b, c) TEXT_OF(a) "." TEXT_OF(b) "." TEXT_OF(c)

const char *larder_version(void)
{
    return VERSION(LARDER_VERSION_MAJOR, LARDER_VERSION_MINOR, LARDER_VERSION_PATCH);
}
