/* Drives a fuzz target without libFuzzer: noise, and valid inputs with a few bytes changed, cut, doubled or inflated.
 * Same seed, same inputs.  argv: number of inputs, seed; or, as libFuzzer does it, files to run once each. */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { INPUT_MAX = 4096, RUNS = 200000 };

static uint64_t state;

static uint64_t next_random(void)
{
    state ^= state << 13; /* xorshift (Marsaglia, 2003) */
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static size_t noise(uint8_t *room)
{
    size_t size = next_random() % 64;
    for (size_t i = 0; i < size; i++)
        room[i] = (uint8_t)next_random();
    return size;
}

/* Bytes that mean something in msgpack or at the border of a width. */
static uint8_t telling_byte(void)
{
    static const uint8_t bytes[] = {0,    1,    0x7f, 0x80, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc4, 0xc6,
                                    0xc7, 0xc9, 0xca, 0xcf, 0xd3, 0xd8, 0xdb, 0xdc, 0xdd, 0xdf, 0xe0, 0xff};
    return bytes[next_random() % sizeof(bytes)];
}

static size_t mutate(uint8_t *room, size_t size)
{
    size_t at = size ? next_random() % size : 0;
    switch (next_random() % 5) {
    case 0: return at; /* cut */
    case 1: room[at] = telling_byte(); return size ? size : 1;
    case 2: room[at] ^= (uint8_t)(1u << next_random() % 8); return size ? size : 1;
    case 3: /* insert */
        if (size == INPUT_MAX)
            return size;
        memmove(room + at + 1, room + at, size - at);
        room[at] = telling_byte();
        return size + 1;
    default: /* double */
        if (2 * size > INPUT_MAX)
            return size;
        memcpy(room + size, room, size);
        return 2 * size;
    }
}

static void run_exact(const uint8_t *data, size_t size)
{
    uint8_t *exact = malloc(size ? size : 1); /* a sanitizer sees one byte too far */
    memcpy(exact, data, size);
    LLVMFuzzerTestOneInput(exact, size);
    free(exact);
}

static void run_generated(uint64_t runs)
{
    static uint8_t room[INPUT_MAX + 1];
    for (uint64_t i = 0; i < runs; i++) {
        size_t size = i % 8 ? fuzz_seed((unsigned)(next_random() % 1024), room, INPUT_MAX) : noise(room);
        for (uint64_t n = next_random() % 4; n > 0; n--)
            size = mutate(room, size);
        run_exact(room, size);
    }
}

static int run_file(const char *path)
{
    static uint8_t room[1 << 20];
    FILE *f = fopen(path, "rb");
    if (!f) {
        perror(path);
        return 1;
    }
    run_exact(room, fread(room, 1, sizeof(room), f));
    fclose(f);
    return 0;
}

int main(int argc, char **argv)
{
    char *rest;
    uint64_t runs = argc > 1 ? strtoull(argv[1], &rest, 10) : RUNS;
    if (argc > 1 && *rest) {
        int failed = 0;
        for (int i = 1; i < argc; i++)
            failed |= run_file(argv[i]);
        return failed;
    }
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 20240229;
    state = seed * 2 + 1;
    printf("%llu inputs, seed %llu\n", (unsigned long long)runs, (unsigned long long)seed);
    run_generated(runs);
    return 0;
}
