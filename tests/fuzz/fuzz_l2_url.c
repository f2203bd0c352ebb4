/* An address somebody typed: whatever it is, what comes out obeys url.h, and what is shown has no password in it. */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>
#include "base/check.h"
#include "l2/url.h"

static void walk_text(const char *text, size_t max)
{
    CHECK(strlen(text) <= max);
    for (; *text; text++)
        CHECK((unsigned char)*text >= 0x20 && *text != 0x7f);
}

static void walk(const struct l2_url *url)
{
    char room[L2_URL_SHOWN];
    walk_text(url->path, L2_URL_PATH_MAX);
    walk_text(url->host, L2_URL_HOST_MAX);
    const char *const rest[] = {url->user, url->password, url->cacert, url->cert, url->key, url->servername};
    for (size_t i = 0; i < COUNT_OF(rest); i++)
        walk_text(rest[i], L2_URL_MAX);
    CHECK(!*url->path != !*url->host);
    CHECK(*url->path || url->port > 0);
    CHECK(strlen(l2_url_show(url, room)) < L2_URL_SHOWN - 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = must_alloc(size + 1);
    memcpy(text, data, size);
    struct l2_url url;
    int e = l2_url_parse(text, &url);
    if (e == 0) {
        walk(&url);
        l2_url_finish(&url);
    } else
        CHECK(strcmp(l2_url_error_text(e), "no error") != 0);
    free(text);
    return 0;
}

size_t fuzz_seed(unsigned n, uint8_t *room, size_t room_bytes)
{
    static const char *const seeds[] = {
        "redis://h",
        "redis://user:pa%40ss@host.example:6380/12",
        "rediss://:p@[::1]:6379/1?cacert=/ca.pem&cert=/c.pem&key=/k.pem&servername=s",
        "unix:///run/redis/redis.sock?db=3",
        "unix://u:p@/run/r",
        "unix:relative",
    };
    const char *seed = seeds[n % COUNT_OF(seeds)];
    CHECK(strlen(seed) <= room_bytes);
    memcpy(room, seed, strlen(seed));
    return strlen(seed);
}
