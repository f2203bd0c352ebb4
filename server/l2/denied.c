#include "l2/denied.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ======= words within words ======= */

static const char *find(struct slice text, const char *word)
{
    return memmem(text.data, text.size, word, strlen(word));
}

static struct slice from(struct slice text, const char *at)
{
    return slice_of(at, text.size - (size_t)(at - (const char *)text.data));
}

/* What stands between 'quotes' behind `word`; empty when nothing does. */
static struct slice quoted_after(struct slice text, const char *word)
{
    const char *at = find(text, word);
    if (!at)
        return slice_of("", 0);
    text = from(text, at + strlen(word));
    const char *end = memchr(text.data, '\'', text.size);
    return end ? slice_of(text.data, (size_t)(end - (const char *)text.data)) : slice_of("", 0);
}

/* ======= the line of a script ======= */

static struct slice line_of(struct slice script, unsigned long number)
{
    const char *end;
    while ((end = script.size ? memchr(script.data, '\n', script.size) : NULL) && --number > 0)
        script = from(script, end + 1);
    return end ? slice_of(script.data, (size_t)(end - (const char *)script.data)) : slice_of("", 0);
}

/* "@user_script:12": 0 when there is no such word.  A reply is not ended by a NUL. */
static unsigned long line_named(struct slice error)
{
    static const char word[] = "@user_script:";
    char digits[8] = "";
    const char *at = find(error, word);
    if (!at)
        return 0;
    struct slice rest = from(error, at + sizeof(word) - 1);
    for (unsigned i = 0;
         i < rest.size && i < sizeof(digits) - 1 && isdigit(((const unsigned char *)rest.data)[i]); i++)
        digits[i] = ((const char *)rest.data)[i];
    return strtoul(digits, NULL, 10);
}

/* ======= the sentence ======= */

static void say_command(char ret_says[DENIED_ROOM], struct slice name)
{
    char upper[24] = "";
    for (unsigned i = 0; i < name.size && i < sizeof(upper) - 1; i++)
        upper[i] = (char)toupper(((const unsigned char *)name.data)[i]);
    snprintf(ret_says, DENIED_ROOM, "Redis does not let our user run %s",
             *upper ? upper : "a command of our scripts");
}

/* Redis 7.2 names the command in a script too. */
static void say_denied(struct slice error, struct slice script, char ret_says[DENIED_ROOM])
{
    struct slice name = quoted_after(error, "run the '");
    struct slice line = line_of(script, line_named(error));
    if (name.size == 0)
        name = quoted_after(line, "call('");
    say_command(ret_says, name);
}

bool denied_read(struct slice error, struct slice script, char ret_says[DENIED_ROOM], bool *ret_in_script)
{
    bool command = find(error, "permissions to run") || find(error, "can't run this command");
    bool keys = find(error, "permissions to access") || find(error, "can't access at least one of the keys");
    if (!command && !keys)
        return false;
    *ret_in_script = find(error, "executing the script") || find(error, "in script");
    if (command)
        say_denied(error, script, ret_says);
    else
        snprintf(ret_says, DENIED_ROOM, "Redis does not let our user use our keys: ~PREFIX{*}:*");
    return true;
}
