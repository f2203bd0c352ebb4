#include "cache/target.h"

#include "proto/shm.h"
#include "proto/wire.h"

static const char *text(struct slice s)
{
    return s.data;
}

static bool takes_word(struct slice *item, const char *word)
{
    size_t size = strlen(word);
    if (item->size <= size || memcmp(item->data, word, size) != 0 || !strchr(" \t\"", text(*item)[size]))
        return false;
    *item = slice_of(text(*item) + size, item->size - size);
    while (item->size && strchr(" \t", *text(*item)))
        *item = slice_of(text(*item) + 1, item->size - 1);
    return true;
}

static enum target_kind take_kind(struct slice *item, bool *ret_said)
{
    static const char *const words[] = {
        [TARGET_KEY] = "key", [TARGET_TAG] = "tag", [TARGET_PREFIX] = "prefix"};
    for (unsigned kind = TARGET_KEY; kind <= TARGET_PREFIX; kind++)
        if ((*ret_said = takes_word(item, words[kind])))
            return kind;
    return TARGET_KEY;
}

static bool unquote(struct slice *item)
{
    bool begins = item->size && *text(*item) == '"';
    bool ends = item->size > 1 && text(*item)[item->size - 1] == '"';
    if (begins && ends)
        *item = slice_of(text(*item) + 1, item->size - 2);
    return begins == ends;
}

static bool is_below(struct slice item)
{
    return item.size > 2 && memcmp(text(item) + item.size - 2, ":*", 2) == 0;
}

/* What is filled in has no ':', so the levels are known. */
static bool prefix_ok(struct slice prefix)
{
    unsigned levels = 0;
    for (size_t i = 0; i < prefix.size; i++)
        levels += text(prefix)[i] == ':';
    return prefix.size && text(prefix)[prefix.size - 1] == ':' && levels <= SHM_PREFIX_LEVELS;
}

bool target_parse(struct slice item, struct pattern_names *names, bool add, struct target *ret,
                  const char **ret_why)
{
    bool said;
    *ret = (struct target){.kind = take_kind(&item, &said)};
    *ret_why = "a quotation mark is missing";
    if (!unquote(&item))
        return false;
    if (ret->kind != TARGET_TAG && is_below(item) && (!said || ret->kind == TARGET_PREFIX)) {
        ret->kind = TARGET_PREFIX;
        item.size--;
    }
    ret->text = item;
    *ret_why = "a * can only end it, behind a ':': what lies below a prefix is all that can be named so";
    if (ret->kind != TARGET_TAG && memchr(text(item) ? text(item) : "", '*', item.size))
        return false;
    *ret_why = "a prefix ends with ':' and has at most 8 of them";
    if (ret->kind == TARGET_PREFIX && !prefix_ok(item))
        return false;
    return template_parse(item, names, add, &ret->name, ret_why);
}

/* ======= what it reaches ======= */

/* A level with {name}s may become any text that begins and ends as it does. */
static struct pattern_level open_level(const struct key_level *l)
{
    const char *p = l->text.data, *first = memchr(p, '{', l->text.size),
               *last = memrchr(p, '}', l->text.size);
    struct pattern_level level = {.head = l->text, .name = -1};
    if (!first || !last)
        return level;
    level.any = true;
    level.head.size = (size_t)(first - p);
    level.tail = slice_of(last + 1, (size_t)(p + l->text.size - last - 1));
    return level;
}

bool target_reaches(const struct target *t, const struct pattern *p)
{
    struct key_levels levels;
    struct pattern open = {.count = 0};
    if (t->kind == TARGET_TAG)
        return false;
    key_split(t->text, &levels);
    if (levels.count > PATTERN_LEVELS_MAX)
        return true; /* too deep to tell */
    while (open.count < levels.count) {
        open.levels[open.count] = open_level(&levels.of[open.count]);
        open.count++;
    }
    open.rest = t->kind == TARGET_PREFIX;
    open.levels[open.count - 1].any |= open.rest;
    return pattern_overlaps(&open, p);
}
