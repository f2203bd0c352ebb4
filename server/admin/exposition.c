#include "admin/exposition.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

static void put(struct exposition *e, const char *text, size_t size)
{
    if (e->error == 0)
        e->error = buffer_append(e->out, text, size);
}

static void say(struct exposition *e, const char *text)
{
    put(e, text, strlen(text));
}

/* Backslash and line end in help texts; in label values the quote as well. */
static void say_escaped(struct exposition *e, const char *text, const char *special)
{
    while (*text) {
        size_t plain = strcspn(text, special);
        put(e, text, plain);
        text += plain;
        if (!*text)
            return;
        say(e, "\\");
        say(e, *text == '\n' ? "n" : (char[]){*text, '\0'});
        text++;
    }
}

void exposition_family(struct exposition *e, const char *name, const char *type, const char *help)
{
    say(e, "# HELP ");
    say(e, name);
    say(e, " ");
    say_escaped(e, help, "\\\n");
    say(e, "\n# TYPE ");
    say(e, name);
    say(e, " ");
    say(e, type);
    say(e, "\n");
}

static void say_labels(struct exposition *e, const struct exposition_label *labels)
{
    const char *before = "{";
    for (unsigned i = 0; labels && i < EXPOSITION_LABELS && labels[i].name; i++) {
        say(e, before);
        say(e, labels[i].name);
        say(e, "=\"");
        say_escaped(e, labels[i].value, "\\\n\"");
        say(e, "\"");
        before = ",";
    }
    if (*before == ',')
        say(e, "}");
}

void exposition_sample(struct exposition *e, const char *name, const char *suffix,
                       const struct exposition_label *labels, double value)
{
    char number[40];
    say(e, name);
    say(e, suffix);
    say_labels(e, labels);
    if (value >= 0 && value < 1e15 && value == (double)(uint64_t)value) /* most are; and cheaper by half */
        snprintf(number, sizeof(number), " %llu\n", (unsigned long long)value);
    else if (isinf(value))
        snprintf(number, sizeof(number), value > 0 ? " +Inf\n" : " -Inf\n");
    else
        snprintf(number, sizeof(number), " %.16g\n", value);
    say(e, number);
}
