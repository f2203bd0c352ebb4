/* The command line, and the texts about options: --help, the sample configuration.  All of it is generated from the
 * option tables. */
#ifndef LARDER_APP_FLAGS_H
#define LARDER_APP_FLAGS_H

#include <stdio.h>
#include "app/settings.h"

struct flags {
    const char *config; /* NULL: the default place */
    bool check, help, help_config, version;
    struct settings settings;
};

void flags_read(int count, char **words, struct flags *ret, struct complaints *wrong);
void flags_finish(struct flags *f);

void flags_print_help(FILE *out);
/* A configuration file with every option, commented out, at its default. */
void flags_print_config(FILE *out);

#endif
