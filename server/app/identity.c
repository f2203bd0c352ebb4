#include "app/identity.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>
#include "app/places.h"
#include "base/check.h"

enum { DIGITS = 16, TEXT_BYTES = DIGITS + 1 }; /* and a line's end */

static uint64_t throw_one(void)
{
    uint64_t number;
    CHECK(getrandom(&number, sizeof(number), 0) == sizeof(number));
    return number;
}

/* Anything but what keep() wrote is none. */
static bool find(const char *path, uint64_t *ret)
{
    char text[TEXT_BYTES + 1] = {0};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return false;
    ssize_t size = read(fd, text, sizeof(text));
    close(fd);
    return size == TEXT_BYTES && text[DIGITS] == '\n' && strspn(text, "0123456789abcdef") == DIGITS &&
           sscanf(text, "%16" SCNx64, ret) == 1;
}

/* Whole or not at all: a start that was cut short leaves what there was. */
static void keep(const char *path, uint64_t number)
{
    char text[TEXT_BYTES + 1], fresh[PLACE_BYTES + 160];
    snprintf(fresh, sizeof(fresh), "%s.new", path);
    snprintf(text, sizeof(text), "%016" PRIx64 "\n", number);
    int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return;
    bool written = write(fd, text, TEXT_BYTES) == TEXT_BYTES;
    if (close(fd) < 0 || !written || rename(fresh, path) < 0)
        unlink(fresh);
}

uint64_t identity_of(const char *directory, const char *namespace)
{
    char path[PLACE_BYTES + 128];
    uint64_t number = throw_one();
    if (!directory)
        return number;
    snprintf(path, sizeof(path), "%s/%s.host", directory, namespace);
    if (!find(path, &number))
        keep(path, number);
    return number;
}
