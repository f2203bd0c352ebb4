/* Figures of documents as a person is shown them: few digits, with units.  What is not known (NAN) is "-". */
#ifndef LARDER_CLI_SHOWN_H
#define LARDER_CLI_SHOWN_H

#include <jansson.h>

struct shown {
    char text[24];
};

struct shown shown_count(double n);                  /* 9999, 12.3k */
struct shown shown_share(double part, double whole); /* 97.3% */
struct shown shown_size(double bytes);               /* 1.5 MiB */
struct shown shown_time(double seconds);             /* 4m59s */
struct shown shown_us(double us);                    /* 850 us, 1.2 ms */

/* Of an object; NULL and what is not there: NAN, "". */
double shown_number(const json_t *object, const char *name);
const char *shown_text(const json_t *object, const char *name);

#endif
