/* The screen of `larder top` as lines of text.  Pure: two documents of statistics and the time between them go in, so that
 * what it shows can be tested without a terminal.
 *
 * Rates are those between the two documents; a counter that went back (another daemon answers by now) or has no earlier
 * one gives no rate, shown as "-", never a wrong one. */
#ifndef LARDER_CLI_BOARD_H
#define LARDER_CLI_BOARD_H

#include <jansson.h>
#include <stdbool.h>

enum board_look { BOARD_PLAIN, BOARD_TITLE, BOARD_GOOD, BOARD_WARNING, BOARD_BAD, BOARD_FAINT };
enum { BOARD_COLUMNS = 120, BOARD_LINES = 100 }; /* a larger terminal shows no more */

struct board {
    struct {
        enum board_look look;
        char text[BOARD_COLUMNS + 1];
    } lines[BOARD_LINES];
    unsigned count;
};

struct board_input {
    const char *socket, *namespace_;
    const json_t *now, *before; /* statistics; NULL: none yet */
    double seconds;             /* between them */
    const json_t *health;       /* NULL: none yet */
    const char *silence;        /* why the daemon does not answer; NULL: it does */
    double silent_s;            /* since its last answer; negative: it never did */
};

void board_make(struct board *ret, const struct board_input *in);
/* The namespace after `name` in the document, the first one after the last; valid as long as the document; NULL: there is
 * none. */
const char *board_next_namespace(const json_t *stats, const char *name);

#endif
