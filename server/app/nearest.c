#include "app/nearest.h"

#include <stddef.h>
#include <string.h>

enum { WORD_MAX = 63 }; /* longer words are no misspelt options */

static unsigned least(unsigned a, unsigned b, unsigned c)
{
    unsigned ab = a < b ? a : b;
    return ab < c ? ab : c;
}

/* Levenshtein, one row at a time. */
static unsigned edits(const char *a, const char *b)
{
    unsigned row[WORD_MAX + 1];
    size_t a_size = strlen(a), b_size = strlen(b);
    for (size_t j = 0; j <= b_size; j++)
        row[j] = (unsigned)j;
    for (size_t i = 1; i <= a_size; i++) {
        unsigned diagonal = row[0];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= b_size; j++) {
            unsigned here = least(row[j] + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));
            diagonal = row[j];
            row[j] = here;
        }
    }
    return row[b_size];
}

void nearest_offer(struct nearest *n, const char *candidate)
{
    size_t size = strlen(n->word);
    if (size > WORD_MAX || strlen(candidate) > WORD_MAX)
        return;
    unsigned distance = edits(n->word, candidate);
    if (distance < n->best_edits && distance <= 1 + size / 4) {
        n->best = candidate;
        n->best_edits = distance;
    }
}
