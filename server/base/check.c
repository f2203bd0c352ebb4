#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Noreturn void check_failed(const char *file, int line, const char *function, const char *what)
{
    fprintf(stderr, "larder: check failed at %s:%d in %s: %s\n", file, line, function, what);
    abort();
}

void *must_alloc(size_t size)
{
    void *p = calloc(1, size ? size : 1);
    CHECK(p);
    return p;
}

void *must_realloc(void *old, size_t size)
{
    void *p = realloc(old, size ? size : 1);
    CHECK(p);
    return p;
}

char *must_strdup(const char *text)
{
    char *p = strdup(text);
    CHECK(p);
    return p;
}
