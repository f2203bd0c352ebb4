/* doctor, audit: is the way to the fleet good, and does this host serve what it should?
 *
 * The audit asks L2 for a key's version first and this host's tiers after it.  So a tier that shows an older one had not
 * heard of a change committed before the first question; it is asked again until it has, or until the audit gives up.  A
 * quarter of a second is what was promised; what stays longer is a fault.  An entry that L2 does not have may have been
 * evicted there: it is counted and nothing is concluded. */
#include "client/cli/cli.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "client/cli/text.h"
#include "proto/status.h"

/* ======= doctor ======= */

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "";
}

static void print_step(struct cli *cli, const json_t *step)
{
    json_t *row = row_new();
    row_text(row, "step", text_of(step, "name"));
    row_text(row, "result", text_of(step, "result"));
    row_text(row, "says", text_of(step, "says"));
    row_text(row, "check", text_of(step, "check"));
    out_row(&cli->out, row);
}

static void print_advice(const struct cli *cli, const json_t *step)
{
    if (cli->out.shape == OUT_ALIGNED && *text_of(step, "check"))
        printf("> %s: look at %s\n", text_of(step, "name"), text_of(step, "check"));
}

static void print_steps(struct cli *cli, const json_t *steps)
{
    static const char *const wide[] = {"step", "result", "says", NULL}, *const tabs[] = {"step", "result",
                                                                                         "says", "check",
                                                                                         NULL};
    size_t i;
    json_t *step;
    out_columns(&cli->out, cli->out.shape == OUT_ALIGNED ? wide : tabs);
    json_array_foreach(steps, i, step) print_step(cli, step);
    out_flush(&cli->out);
    json_array_foreach(steps, i, step) print_advice(cli, step);
}

int verb_doctor(struct cli *cli)
{
    char *json = NULL;
    int r = larder_doctor(cli->client, &json);
    if (r < 0)
        return cli_error(cli, NULL, r);
    json_t *document = json_loads(json, 0, NULL);
    bool ok = json_is_true(json_object_get(document, "ok"));
    if (!document)
        r = cli_fail(cli, EXIT_DAEMON, "the daemon's answer is not JSON");
    else {
        r = ok ? EXIT_DONE : EXIT_NEGATIVE;
        print_steps(cli, json_object_get(document, "steps"));
    }
    json_decref(document);
    larder_text_free(json);
    return r;
}

/* ======= audit: what is compared ======= */

enum { AUDIT_KEYS = 1000, AUDIT_GROUP = 256 };
/* A host that has not read from Redis for some seconds vouches for nothing; the first question ends that, within so long. */
enum { WAKE_MS = 1000, WAKE_LOOK_MS = 10 };
enum { TIERS = 2 };
static const struct {
    const char *name;
    uint8_t only;
} tiers[TIERS] = {{"l1", LARDER_ONLY_L1}, {"warm", LARDER_ONLY_WARM}};

enum finding {
    SAME,
    NEWER,
    ONLY_HERE,
    NOT_HERE,
    UNPROVEN,
    OLDER_10,
    OLDER_100,
    OLDER_250,
    OLDER_1000,
    OLDER_LONG,
    FINDINGS
};
static const char *const finding_words[FINDINGS] = {
    [SAME] = "same",
    [NEWER] = "newer here",
    [ONLY_HERE] = "only here",
    [NOT_HERE] = "not here",
    [UNPROVEN] = "not served: nobody vouches for it",
    [OLDER_10] = "older for less than 10 ms",
    [OLDER_100] = "older for 10 to 100 ms",
    [OLDER_250] = "older for 100 to 250 ms",
    [OLDER_1000] = "OLDER FOR 250 MS TO 1 S",
    [OLDER_LONG] = "OLDER FOR MORE THAN 1 S",
};

/* By when an older entry must be gone, in ms, and as what it counts. */
static const struct {
    unsigned below_ms;
    enum finding finding;
} ages[] = {{10, OLDER_10}, {100, OLDER_100}, {250, OLDER_250}, {1000, OLDER_1000}};
enum { AGES = sizeof(ages) / sizeof(ages[0]), GIVE_UP_MS = 1000, ASK_AGAIN_MS = 3 };

struct audit {
    struct cli *cli;
    larder_slice keys[AUDIT_GROUP];
    size_t count, left;
    uint64_t found[TIERS][FINDINGS], keys_seen;
    larder_value l2[AUDIT_GROUP], here[AUDIT_GROUP];
    int code;
};

static uint64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static bool is_there(const larder_value *v)
{
    return (v->result == LARDER_HIT || v->result == LARDER_ABSENT) &&
           !(v->flags & (LARDER_IS_LOCAL | LARDER_IS_DETACHED));
}

/* One of those up to UNPROVEN, or OLDER_10 for "older, who knows for how long". */
static enum finding compare(const larder_value *here, const larder_value *l2)
{
    if (here->result == LARDER_MISS && here->reason == LARDER_REASON_SUSPECT)
        return UNPROVEN;
    if (!is_there(here))
        return is_there(l2) ? NOT_HERE : SAME;
    if (!is_there(l2))
        return ONLY_HERE;
    if (here->version.epoch != l2->version.epoch || here->version.v < l2->version.v)
        return OLDER_10;
    return here->version.v > l2->version.v ? NEWER : SAME;
}

/* ======= audit: how long an older one stays ======= */

static enum finding age_of(uint64_t ms)
{
    for (size_t i = 0; i < AGES; i++)
        if (ms < ages[i].below_ms)
            return ages[i].finding;
    return OLDER_LONG;
}

/* One that nobody vouches for meanwhile is not gone: it may be served again as it is. */
static enum finding follow(struct audit *a, size_t key, unsigned tier, uint64_t since_ms)
{
    larder_get_options how = LARDER_GET_OPTIONS_INIT;
    larder_value v = LARDER_VALUE_INIT;
    uint64_t waited_ms;
    enum finding now;
    how.no_value = true;
    how.tiers = tiers[tier].only;
    do {
        poll(NULL, 0, ASK_AGAIN_MS);
        v.result = larder_get(a->cli->client, a->keys[key], &how, &v);
        now = compare(&v, &a->l2[key]);
        waited_ms = now_ms() - since_ms;
    } while (v.result >= 0 && (now == OLDER_10 || now == UNPROVEN) && waited_ms < GIVE_UP_MS);
    larder_value_free(&v);
    return now == UNPROVEN ? UNPROVEN : age_of(waited_ms);
}

static void tell_fault(const struct audit *a, size_t key, unsigned tier)
{
    char text[VERSION_TEXT_BYTES], *shown = malloc(4 * a->keys[key].size + 1);
    if (!shown)
        return;
    escape_format(a->keys[key], shown);
    version_format(a->l2[key].version, text);
    fprintf(stderr, "larder: audit: %s: %s has an older version than %s, which Redis had\n", shown,
            tiers[tier].name, text);
    free(shown);
}

static void judge(struct audit *a, size_t key, unsigned tier, uint64_t since_ms)
{
    enum finding finding = compare(&a->here[key], &a->l2[key]);
    if (finding == OLDER_10)
        finding = follow(a, key, tier, since_ms);
    if (finding >= OLDER_1000) {
        tell_fault(a, key, tier);
        a->code = EXIT_NEGATIVE;
    }
    a->found[tier][finding]++;
}

/* ======= audit: a group of keys ======= */

static int ask(struct audit *a, uint8_t only, larder_value *values)
{
    larder_get_options how = LARDER_GET_OPTIONS_INIT;
    how.no_value = true;
    how.tiers = only;
    int r = larder_mget(a->cli->client, a->keys, a->count, &how, values);
    return r < 0 ? cli_error(a->cli, NULL, r) : EXIT_DONE;
}

static bool all_vouched_for(const struct audit *a)
{
    for (size_t key = 0; key < a->count; key++)
        if (compare(&a->here[key], &a->l2[key]) == UNPROVEN)
            return false;
    return true;
}

static int wake(struct audit *a)
{
    uint64_t since_ms = now_ms();
    int code = ask(a, LARDER_ONLY_L2, a->l2);
    while (code == EXIT_DONE && now_ms() - since_ms < WAKE_MS) {
        code = ask(a, tiers[0].only, a->here);
        if (all_vouched_for(a))
            break;
        poll(NULL, 0, WAKE_LOOK_MS);
    }
    return code;
}

static int audit_group(struct audit *a)
{
    int code = a->keys_seen ? EXIT_DONE : wake(a);
    uint64_t since_ms = now_ms();
    if (code == EXIT_DONE)
        code = ask(a, LARDER_ONLY_L2, a->l2);
    for (unsigned tier = 0; tier < TIERS && code == EXIT_DONE; tier++) {
        code = ask(a, tiers[tier].only, a->here);
        for (size_t key = 0; key < a->count && code == EXIT_DONE; key++)
            judge(a, key, tier, since_ms);
    }
    a->keys_seen += a->count;
    while (a->count)
        free((void *)(uintptr_t)a->keys[--a->count].data);
    return code;
}

static bool take_key(void *user, const larder_listed *listed)
{
    struct audit *a = user;
    void *copy = malloc(listed->key.size);
    if (!copy)
        return false;
    memcpy(copy, listed->key.data, listed->key.size);
    a->keys[a->count++] = larder_bytes(copy, listed->key.size);
    return --a->left > 0 && a->count < AUDIT_GROUP;
}

static int audit_all(struct audit *a)
{
    larder_token cursor = {.size = 0};
    int code;
    do {
        uint32_t page = a->left < AUDIT_GROUP ? (uint32_t)a->left : AUDIT_GROUP;
        int r = larder_keys(a->cli->client, a->cli->prefix, page, &cursor, take_key, a);
        code = r < 0 ? cli_error(a->cli, NULL, r) : a->count ? audit_group(a) : EXIT_DONE;
    } while (code == EXIT_DONE && cursor.size && a->left);
    return code;
}

/* ======= audit: the verb ======= */

static void print_findings(struct audit *a)
{
    static const char *const columns[] = {"tier", "finding", "keys", NULL};
    out_columns(&a->cli->out, columns);
    for (unsigned tier = 0; tier < TIERS; tier++)
        for (unsigned finding = 0; finding < FINDINGS; finding++) {
            if (a->found[tier][finding] == 0 && finding != SAME && finding < OLDER_1000)
                continue;
            json_t *row = row_new();
            row_text(row, "tier", tiers[tier].name);
            row_text(row, "finding", finding_words[finding]);
            row_number(row, "keys", a->found[tier][finding]);
            out_row(&a->cli->out, row);
        }
    out_flush(&a->cli->out);
}

static bool l2_is_there(const struct cli *cli)
{
    char *json = NULL;
    if (larder_health(cli->client, &json) < 0)
        return true; /* the next question says it better */
    json_t *document = json_loads(json, 0, NULL);
    const json_t *l2 = json_object_get(json_object_get(document, "tiers"), "l2");
    bool there = json_is_true(json_object_get(l2, "available"));
    json_decref(document);
    larder_text_free(json);
    return there;
}

int verb_audit(struct cli *cli)
{
    static struct audit a;
    if (!l2_is_there(cli))
        return cli_fail(cli, EXIT_NEGATIVE, "no Redis to compare with; `larder doctor` says why");
    a.cli = cli;
    a.left = cli->limit ? cli->limit : AUDIT_KEYS;
    int code = audit_all(&a);
    for (size_t i = 0; i < AUDIT_GROUP; i++) {
        larder_value_free(&a.l2[i]);
        larder_value_free(&a.here[i]);
    }
    if (code != EXIT_DONE)
        return code;
    print_findings(&a);
    return a.code;
}
