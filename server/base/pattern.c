#include "base/pattern.h"

#include <string.h>

/* ======= text ======= */

static const char *text(struct slice s)
{
    return s.data;
}

static struct slice from(struct slice s, size_t offset)
{
    return slice_of(text(s) + offset, s.size - offset);
}

static size_t index_of(struct slice s, char c)
{
    const char *found = s.size ? memchr(s.data, c, s.size) : NULL;
    return found ? (size_t)(found - text(s)) : s.size;
}

/* ======= keys ======= */

/* The first eight of `size` bytes that lie before `end`, without reading behind it. */
static uint64_t first_word(const char *at, size_t size, const char *end)
{
    uint64_t word = 0;
    if (size >= 8) {
        memcpy(&word, at, 8);
    } else if (end - at >= 8) {
        memcpy(&word, at, 8);
        word &= ((uint64_t)1 << 8 * size) - 1;
    } else {
        for (size_t i = 0; i < size; i++)
            word |= (uint64_t)(unsigned char)at[i] << 8 * i;
    }
    return word;
}

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "a text's first byte is the lowest of its word");

/* A key has one level more than it has ':'. */
void key_split(struct slice key, struct key_levels *ret)
{
    const char *at = text(key), *end = at + key.size;
    for (unsigned i = 0; i < PATTERN_LEVELS_MAX; i++) {
        const char *colon = memchr(at, ':', (size_t)(end - at));
        size_t size = (size_t)((colon ? colon : end) - at);
        ret->of[i] = (struct key_level){slice_of(at, size), first_word(at, size, end)};
        if (!colon) {
            ret->count = i + 1;
            return;
        }
        at = colon + 1;
    }
    ret->count = PATTERN_LEVELS_MAX + 1;
}

/* ======= lists ======= */

static struct slice trim(struct slice s)
{
    while (s.size && (*text(s) == ' ' || *text(s) == '\t'))
        s = from(s, 1);
    while (s.size && (text(s)[s.size - 1] == ' ' || text(s)[s.size - 1] == '\t'))
        s.size--;
    return s;
}

bool list_next_item(struct slice *rest, struct slice *ret_item)
{
    if (!rest->data)
        return false;
    size_t size = index_of(*rest, ',');
    *ret_item = trim(slice_of(rest->data, size));
    *rest = size < rest->size ? from(*rest, size + 1) : slice_of(NULL, 0);
    return true;
}

/* ======= names ======= */

static bool name_ok(struct slice name)
{
    for (size_t i = 0; i < name.size; i++) {
        char c = text(name)[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_'))
            return false;
    }
    return name.size > 0;
}

static int find_name(const struct pattern_names *names, struct slice name)
{
    for (unsigned i = 0; i < names->count; i++)
        if (slice_equal(names->of[i], name))
            return (int)i;
    return -1;
}

static int number_of(struct pattern_names *names, struct slice name, const char **ret_why)
{
    int number = find_name(names, name);
    if (number >= 0)
        return number;
    if (names->count == PATTERN_NAMES_MAX) {
        *ret_why = "at most 8 different {name}s";
        return -1;
    }
    names->of[names->count] = name;
    return (int)names->count++;
}

/* "{name}" at the beginning of `at`; the bytes it takes, 0: it is none. */
static size_t braces(struct slice at, struct slice *ret_name, const char **ret_why)
{
    size_t end = index_of(at, '}');
    *ret_name = end < at.size ? slice_of(text(at) + 1, end - 1) : slice_of(NULL, 0);
    if (end < at.size && name_ok(*ret_name))
        return end + 1;
    *ret_why = "a { begins a {name} of letters, digits and _";
    return 0;
}

/* ======= parsing a pattern ======= */

static size_t wildcard_at(struct slice level)
{
    size_t star = index_of(level, '*'), brace = index_of(level, '{');
    return star < brace ? star : brace;
}

static bool parse_wildcard(struct slice at, struct pattern_names *names, struct pattern_level *ret,
                           struct pattern *p, const char **ret_why)
{
    struct slice name;
    size_t size = 1;
    ret->any = true;
    ret->name = -1;
    if (*text(at) == '{') {
        size = braces(at, &name, ret_why);
        int number = size ? number_of(names, name, ret_why) : -1;
        if (number < 0)
            return false;
        if (p->naming & 1u << number) {
            *ret_why = "a {name} stands twice in it";
            return false;
        }
        ret->name = (int8_t)number;
        p->naming |= 1u << number;
    }
    ret->tail = from(at, size);
    if (wildcard_at(ret->tail) < ret->tail.size) {
        *ret_why = "one * or {name} in a level (between two ':') is the most";
        return false;
    }
    return true;
}

static bool parse_level(struct slice level, struct pattern_names *names, struct pattern *p,
                        const char **ret_why)
{
    struct pattern_level *l = &p->levels[p->count++];
    size_t wildcard = wildcard_at(level);
    *l = (struct pattern_level){.head = slice_of(level.data, wildcard), .name = -1};
    return wildcard == level.size || parse_wildcard(from(level, wildcard), names, l, p, ret_why);
}

static void make_word(struct pattern_level *l)
{
    size_t size = l->head.size < 8 ? l->head.size : 8;
    memcpy(&l->word, l->head.data, size);
    memset(&l->mask, 0xff, size);
}

bool pattern_parse(struct slice whole, struct pattern_names *names, struct pattern *ret, const char **ret_why)
{
    struct key_levels levels;
    *ret = (struct pattern){.count = 0};
    *ret_why = whole.size ? "a pattern has at most 255 bytes" : "there is nothing in it";
    if (whole.size == 0 || whole.size > PATTERN_BYTES_MAX)
        return false;
    *ret_why = "a pattern has at most 16 levels";
    key_split(whole, &levels);
    if (levels.count > PATTERN_LEVELS_MAX)
        return false;
    for (unsigned i = 0; i < levels.count; i++) {
        if (!parse_level(levels.of[i].text, names, ret, ret_why))
            return false;
        make_word(&ret->levels[i]);
    }
    const struct pattern_level *last = &ret->levels[ret->count - 1];
    ret->rest = last->any && last->name < 0 && last->tail.size == 0;
    return true;
}

/* ======= matching ======= */

static bool begins(struct slice s, struct slice with)
{
    return s.size >= with.size && (with.size == 0 || memcmp(s.data, with.data, with.size) == 0);
}

static bool ends(struct slice s, struct slice with)
{
    return s.size >= with.size &&
           (with.size == 0 || memcmp(text(s) + s.size - with.size, with.data, with.size) == 0);
}

static bool match_text(const struct pattern_level *l, struct slice level)
{
    if (!l->any)
        return slice_equal(l->head, level);
    size_t least = l->head.size + l->tail.size + (l->name >= 0);
    return level.size >= least && begins(level, l->head) && ends(level, l->tail);
}

/* Most that do not match are told apart by one comparison of words. */
static bool match_level(const struct pattern_level *l, const struct key_level *level)
{
    return (level->word & l->mask) == l->word && match_text(l, level->text);
}

bool pattern_match(const struct pattern *p, const struct key_levels *key)
{
    if (p->rest ? key->count < p->count : key->count != p->count)
        return false;
    for (unsigned i = 0; i < p->count; i++)
        if (!match_level(&p->levels[i], &key->of[i]))
            return false;
    return true; /* with `rest`, what follows its first level may be anything */
}

static void remember(const struct pattern_level *l, struct slice level, struct captures *ret)
{
    if (l->name >= 0)
        ret->of[l->name] = slice_of(text(level) + l->head.size, level.size - l->head.size - l->tail.size);
}

void pattern_remember(const struct pattern *p, const struct key_levels *key, struct captures *ret)
{
    for (unsigned i = 0; i < p->count; i++)
        remember(&p->levels[i], key->of[i].text, ret);
}

bool pattern_reaches(const struct pattern *p, const struct key_levels *prefix, struct captures *ret,
                     unsigned *ret_known)
{
    unsigned whole = prefix->count - 1; /* behind the last ':' anything may follow */
    *ret_known = 0;
    if (prefix->count > PATTERN_LEVELS_MAX || (whole >= p->count && !p->rest))
        return false;
    for (unsigned i = 0; i < whole && i < p->count; i++) {
        const struct pattern_level *l = &p->levels[i];
        if (!match_level(l, &prefix->of[i]))
            return false;
        remember(l, prefix->of[i].text, ret);
        *ret_known |= l->name >= 0 ? 1u << l->name : 0;
    }
    return true;
}

/* ======= overlap ======= */

static struct slice shorter(struct slice a, struct slice b)
{
    return a.size < b.size ? a : b;
}

/* Two texts that both begin one text. */
static bool agree_in_front(struct slice a, struct slice b)
{
    return begins(a.size < b.size ? b : a, shorter(a, b));
}

static bool agree_at_the_end(struct slice a, struct slice b)
{
    return ends(a.size < b.size ? b : a, shorter(a, b));
}

static bool levels_overlap(const struct pattern_level *a, const struct pattern_level *b)
{
    if (!a->any)
        return match_text(b, a->head);
    if (!b->any)
        return match_text(a, b->head);
    return agree_in_front(a->head, b->head) && agree_at_the_end(a->tail, b->tail);
}

bool pattern_overlaps(const struct pattern *a, const struct pattern *b)
{
    const struct pattern *few = a->count <= b->count ? a : b, *many = few == a ? b : a;
    unsigned last = few->count - 1;
    if (few->count < many->count && !few->rest)
        return false;
    for (unsigned i = 0; i < last; i++)
        if (!levels_overlap(&few->levels[i], &many->levels[i]))
            return false;
    const struct pattern_level *x = &few->levels[last], *y = &many->levels[last];
    if (few->rest) /* what follows the head of x is free */
        return y->any ? agree_in_front(x->head, y->head) : begins(y->head, x->head);
    if (many->rest)
        return x->any ? agree_in_front(x->head, y->head) : begins(x->head, y->head);
    return levels_overlap(x, y);
}

bool pattern_meets(const struct pattern *p, const struct pattern *other, struct captures *ret,
                   unsigned *ret_known)
{
    *ret_known = 0;
    if (!pattern_overlaps(p, other))
        return false;
    for (unsigned i = 0; i < p->count && i < other->count; i++) {
        const struct pattern_level *l = &p->levels[i];
        if (l->name < 0 || other->levels[i].any)
            continue;
        remember(l, other->levels[i].head, ret);
        *ret_known |= 1u << l->name;
    }
    return true;
}

/* ======= templates ======= */

static bool add_name(struct slice at, struct pattern_names *names, bool add, struct template *t,
                     size_t *ret_size, const char **ret_why)
{
    struct slice name;
    *ret_size = braces(at, &name, ret_why);
    if (!*ret_size)
        return false;
    *ret_why = "no such {name} in the pattern";
    int number = add ? number_of(names, name, ret_why) : find_name(names, name);
    if (number < 0)
        return false;
    t->pieces[t->count++] = (struct template_piece){.name = number};
    t->naming |= 1u << number;
    return true;
}

bool template_parse(struct slice whole, struct pattern_names *names, bool add, struct template *ret,
                    const char **ret_why)
{
    struct slice rest = whole;
    *ret = (struct template){.count = 0};
    *ret_why = "there is nothing in it";
    while (rest.size) {
        size_t size = index_of(rest, '{');
        if (ret->count + 2 > TEMPLATE_PIECES_MAX) {
            *ret_why = "too many {name}s in it";
            return false;
        }
        if (size)
            ret->pieces[ret->count++] = (struct template_piece){slice_of(rest.data, size), -1};
        rest = from(rest, size);
        if (rest.size && !add_name(rest, names, add, ret, &size, ret_why))
            return false;
        rest = rest.size ? from(rest, size) : rest;
    }
    return whole.size > 0;
}

size_t template_fill(const struct template *t, const struct captures *captures, char *to, size_t room)
{
    size_t size = 0;
    for (unsigned i = 0; i < t->count; i++) {
        const struct template_piece *piece = &t->pieces[i];
        struct slice part = piece->name < 0 ? piece->text : captures->of[piece->name];
        if (part.size > room - size)
            return 0;
        if (part.size)
            memcpy(to + size, part.data, part.size);
        size += part.size;
    }
    return size;
}
