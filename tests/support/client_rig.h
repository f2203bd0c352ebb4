/* A client of a real daemon, for the tests of the library.  One daemon a test program. */
#ifndef LARDER_TESTS_CLIENT_RIG_H
#define LARDER_TESTS_CLIENT_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "client/larder.h"

/* Group set-up and tear-down: the daemon of this program, with the namespaces default and other. */
int rig_start(void **state);
int rig_finish(void **state);

/* Patient: a loaded machine is no failure here. */
larder_client *open_with(larder_options o);
larder_client *open_default(void); /* strict */
larder_client *open_far(void);     /* strict, without shared memory */

/* A slice of a text. */
larder_slice T(const char *text);
void set_text(larder_client *c, const char *key, const char *value);
void expect_text(larder_client *c, const char *key, const char *value);
int get_result(larder_client *c, const char *key);

/* PREFIX:0, PREFIX:1, … in memory that lives until the next call. */
enum { BATCH = 200 };
void batch_keys(larder_slice *keys, const char *prefix);

#endif
