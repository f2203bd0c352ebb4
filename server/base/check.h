/* Checks that stay on in every build.  A failed one prints what it knew and aborts: a cache that stops is a
 * nuisance, a cache that goes on wrong is a liar. */
#ifndef LARDER_BASE_CHECK_H
#define LARDER_BASE_CHECK_H

#include <stddef.h>

/* Must hold, or the program is wrong. */
#define CHECK(condition)                                            \
    do {                                                            \
        if (__builtin_expect(!(condition), 0))                      \
            check_failed(__FILE__, __LINE__, __func__, #condition); \
    } while (0)

/* Cannot be reached. */
#define WRONG(why) check_failed(__FILE__, __LINE__, __func__, why)

_Noreturn void check_failed(const char *file, int line, const char *function, const char *what);

/* The whole from a pointer to its part. */
#define CONTAINER_OF(pointer, type, member) ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* malloc and friends that never return NULL: a daemon whose bounds are all configured has no use for running on
 * without the memory it was promised. */
void *must_alloc(size_t size); /* zeroed */
void *must_realloc(void *old, size_t size);
char *must_strdup(const char *text);

#endif
