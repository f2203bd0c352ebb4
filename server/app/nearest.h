/* "did you mean …?": the candidate with the fewest edits, if it is near enough to be what was meant.  Pure. */
#ifndef LARDER_APP_NEAREST_H
#define LARDER_APP_NEAREST_H

struct nearest {
    const char *word;
    const char *best; /* NULL: none near enough so far */
    unsigned best_edits;
};

static inline struct nearest nearest_to(const char *word)
{
    return (struct nearest){.word = word, .best = 0, .best_edits = ~0u};
}

void nearest_offer(struct nearest *n, const char *candidate); /* must outlive n */

#endif
