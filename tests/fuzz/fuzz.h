/* What a fuzz target is made of.  With clang and -Dfuzz=true it is linked with libFuzzer, else with standalone.c. */
#ifndef LARDER_TESTS_FUZZ_H
#define LARDER_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Writes the n-th valid input (n modulo as many as there are) into room; returns its size. */
size_t fuzz_seed(unsigned n, uint8_t *room, size_t room_bytes);

#endif
