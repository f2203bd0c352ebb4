/* puppet SOCKET [DEADLINE_MS]
 *
 * A process that uses liblarder as a test tells it, one line a command, one line an answer:
 *
 *     get KEY              HIT|MISS|…  near|socket  VALUE|REASON  MICROSECONDS
 *     set KEY VALUE        RESULT
 *     invalidate KEY       RESULT
 *     ping                 RESULT
 *     pings COUNT          P50 P99 in microseconds, of COUNT round trips
 *     spin KEY             SPINNING, then gets KEY without end (to be killed)
 *     idle                 RESULT
 *
 * RESULT is larder_strerror's number: 0 is OK, negative an error. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "client/larder.h"

enum { WORD_MAX = 256, PINGS_MAX = 100000 };

static uint64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static const char *result_word(int result)
{
    switch (result) {
    case LARDER_HIT: return "HIT";
    case LARDER_MISS: return "MISS";
    case LARDER_ABSENT: return "ABSENT";
    default: return "OTHER";
    }
}

static void get(larder_client *client, const char *key)
{
    larder_value value = LARDER_VALUE_INIT;
    uint64_t begin = now_us();
    int result = larder_get(client, larder_text(key), NULL, &value);
    uint64_t took = now_us() - begin;
    printf("%s %s ", result_word(result), value.near ? "near" : "socket");
    if (result == LARDER_HIT)
        printf("%.*s", (int)value.size, (const char *)value.data);
    else
        printf("%d", value.reason);
    printf(" %" PRIu64 "\n", took);
    larder_value_free(&value);
}

static int by_size(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static void pings(larder_client *client, unsigned long count)
{
    static uint64_t took[PINGS_MAX];
    count = count == 0 ? 1 : count > PINGS_MAX ? PINGS_MAX : count;
    for (unsigned long i = 0; i < count; i++) {
        uint64_t begin = now_us();
        larder_ping(client);
        took[i] = now_us() - begin;
    }
    qsort(took, count, sizeof(took[0]), by_size);
    printf("%" PRIu64 " %" PRIu64 "\n", took[count / 2], took[count * 99 / 100]);
}

static void spin(larder_client *client, const char *key)
{
    larder_value value = LARDER_VALUE_INIT;
    puts("SPINNING");
    for (;;)
        larder_get(client, larder_text(key), NULL, &value);
}

static void obey(larder_client *client, const char *line)
{
    char verb[WORD_MAX] = "", key[WORD_MAX] = "", value[WORD_MAX] = "";
    sscanf(line, "%255s %255s %255s", verb, key, value);
    if (strcmp(verb, "get") == 0)
        get(client, key);
    else if (strcmp(verb, "set") == 0)
        printf("%d\n", larder_set(client, larder_text(key), larder_text(value), NULL));
    else if (strcmp(verb, "invalidate") == 0)
        printf("%d\n", larder_invalidate(client, larder_text(key)));
    else if (strcmp(verb, "ping") == 0)
        printf("%d\n", larder_ping(client));
    else if (strcmp(verb, "pings") == 0)
        pings(client, strtoul(key, NULL, 10));
    else if (strcmp(verb, "idle") == 0)
        printf("%d\n", larder_idle(client));
    else if (strcmp(verb, "spin") == 0)
        spin(client, key);
    else
        puts("?");
}

int main(int argc, char **argv)
{
    larder_options options = LARDER_OPTIONS_INIT;
    larder_client *client;
    char line[4 * WORD_MAX];
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc < 2)
        return 2;
    options.socket = argv[1];
    if (argc > 2)
        options.connect_ms = options.get_ms = options.change_ms = (uint32_t)strtoul(argv[2], NULL, 10);
    if (larder_open(&client, &options) != LARDER_OK)
        return 1;
    while (fgets(line, sizeof(line), stdin))
        obey(client, line);
    larder_close(client);
    return 0;
}
