/* Put before the sources by the build: every rule of l2/rules.h can be switched off by its name, to see who notices. */
#ifndef LARDER_TESTS_RULES_OFF_H
#define LARDER_TESTS_RULES_OFF_H

#include <stdbool.h>

/* The name is looked at once for each place; `at` remembers what it was. */
bool rule_off(const char *name, signed char *at);
#define RULE(name, holds)                    \
    ({                                       \
        static signed char known_ = -1;      \
        rule_off(#name, &known_) || (holds); \
    })

#endif
