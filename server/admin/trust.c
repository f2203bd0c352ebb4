#include "admin/trust.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

/* The length of the name in "name:port" or "[address]:port"; 0: it is neither. */
static size_t name_size(const char *host)
{
    size_t size = *host == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":");
    if (*host == '[' && host[size - 1] != ']')
        return 0;
    const char *port = host + size;
    bool ends_well = *port == '\0' || (*port == ':' && port[1 + strspn(port + 1, "0123456789")] == '\0');
    return ends_well ? size : 0;
}

static bool is_name(const char *host, size_t size, const char *name, size_t name_size)
{
    return size == name_size && strncasecmp(host, name, size) == 0;
}

static bool is_any_of(const char *host, size_t size, const char *names)
{
    for (const char *at = names + strspn(names, " ,"); *at; at += strspn(at, " ,")) {
        size_t one = strcspn(at, " ,");
        if (is_name(host, size, at, one))
            return true;
        at += one;
    }
    return false;
}

/* 127.0.0.0/8 written as four numbers. */
static bool is_loopback4(const char *host, size_t size)
{
    return size > 4 && strncmp(host, "127.", 4) == 0 && strspn(host, "0123456789.") == size;
}

bool trust_host(const char *host, const char *names)
{
    size_t size = host ? name_size(host) : 0;
    return size > 0 && (is_any_of(host, size, "localhost [::1]") || is_loopback4(host, size) ||
                        is_any_of(host, size, names));
}

bool trust_origin(const char *origin, const char *host)
{
    if (!origin)
        return true;
    const char *rest = strstr(origin, "://");
    return rest && host && strcasecmp(rest + 3, host) == 0;
}

bool trust_bearer(const char *authorization, const char *token)
{
    static const char scheme[] = "Bearer ";
    unsigned char differ = 0;
    if (!authorization || strncasecmp(authorization, scheme, sizeof(scheme) - 1) != 0)
        return false;
    const char *given = authorization + sizeof(scheme) - 1;
    size_t given_size = strlen(given), size = strlen(token);
    /* Every byte is looked at, whichever differs first; the volatile keeps a compiler from knowing better. */
    for (size_t i = 0; i < given_size; i++) {
        volatile unsigned char one = (unsigned char)(given[i] ^ token[size ? i % size : 0]);
        differ |= one;
    }
    return size > 0 && given_size == size && differ == 0;
}
