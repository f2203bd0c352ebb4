/* The rules of coherence, each with its name, so that a model can switch one off and see whether anybody notices.
 *
 * RULE(name, holds) is `holds`; it is written so that "true" is what is permitted.  tests/model/rules_off.h, put before
 * the sources of the model by the build, makes it true always for one rule that an argument names. */
#ifndef LARDER_L2_RULES_H
#define LARDER_L2_RULES_H

#ifndef RULE
#define RULE(name, holds) (holds)
#endif

#endif
