/* A connection in a network that delays, holds, swallows and cuts at random, by a seed: whatever happens, each command
 * is told exactly once what became of it, and an answer is its own (a stream of replies that is out of step by one
 * hands one caller's data to another).  $SEED repeats a run. */
#include "support/link_rig.h"
#include "support/certs.h"
#include "support/proxy.h"

enum { STEPS = 1500, ASKS = 64, LONG = 300 * 1024 }; /* long: more than a socket takes at once */

struct told {
    struct ask ask;
    char *words;
    size_t bytes;
    bool out;
};

struct storm {
    struct rig rig;
    struct redis redis;
    struct proxy proxy;
    struct authority ca;
    char address[200];
    uint64_t seed;
    struct told asks[ASKS];
    unsigned issued, told, answered, lost, unsent, dials;
};

static struct storm *storm; /* of this test: done has no other way to it */

static uint64_t next_random(struct storm *s)
{
    s->seed ^= s->seed << 13; /* xorshift (Marsaglia, 2003) */
    s->seed ^= s->seed >> 7;
    s->seed ^= s->seed << 17;
    return s->seed;
}

static void on_told(struct l2_command *command, const struct l2_reply *reply, enum l2_outcome outcome)
{
    struct told *t = CONTAINER_OF(command, struct told, ask.command);
    assert_true(t->out);
    t->out = false;
    storm->told++;
    storm->answered += outcome == L2_ANSWERED;
    storm->lost += outcome == L2_LOST;
    storm->unsent += outcome == L2_UNSENT;
    assert_int_equal(reply != NULL, outcome == L2_ANSWERED);
    assert_int_equal(command->sent_ns == 0, outcome == L2_UNSENT);
    if (reply)
        assert_true(slice_equal(reply->text, slice_of(t->words, t->bytes)));
}

static void issue(struct storm *s, struct told *t)
{
    struct ask *a = &t->ask;
    if (t->out || !s->rig.conn)
        return;
    t->bytes = next_random(s) % 16 ? 10 : LONG;
    char number[16];
    snprintf(number, sizeof(number), "%010u", s->issued);
    memcpy(t->words, number, 10);
    a->argv[0] = slice_text("ECHO");
    a->argv[1] = slice_of(t->words, t->bytes);
    a->command = (struct l2_command){.argv = a->argv, .count = 2, .done = on_told};
    a->command.deadline_ns = loop_now_ns(s->rig.loop) + (1 + next_random(s) % 30) * NS_PER_MS;
    if (conn_issue(s->rig.conn, &a->command) == 0) {
        t->out = true;
        s->issued++;
    }
}

static void weather(struct storm *s)
{
    static const char *const ways[] = {"up", "down", "both"};
    const char *way = ways[next_random(s) % 3];
    switch (next_random(s) % 12) {
    case 0: proxy_tell(&s->proxy, "hold %s", way); break;
    case 1: proxy_tell(&s->proxy, "swallow %s", way); break;
    case 2: proxy_tell(&s->proxy, "delay %s %u", way, (unsigned)(next_random(s) % 10)); break;
    case 3: proxy_tell(&s->proxy, "cut"); break;
    case 4: conn_close(s->rig.conn); break;
    case 5: redis_ask(&s->redis, "CLIENT KILL TYPE normal"); break;
    default: proxy_tell(&s->proxy, "release both"); proxy_tell(&s->proxy, "delay both 0");
    }
}

static void step(struct storm *s)
{
    if (!s->rig.conn) {
        rig_dial(&s->rig, "%s", s->address);
        s->dials++;
    }
    for (uint64_t n = next_random(s) % 8; n > 0; n--)
        issue(s, &s->asks[next_random(s) % ASKS]);
    if (next_random(s) % 16 == 0)
        weather(s);
    loop_run_once(s->rig.loop);
}

static void run(struct storm *s)
{
    const char *seed = getenv("SEED");
    s->seed = seed ? strtoull(seed, NULL, 10) : clock_boot_ns() | 1;
    print_message("# seed %llu\n", (unsigned long long)s->seed);
    s->rig.open_timeout_ns = 50 * NS_PER_MS;
    for (unsigned i = 0; i < STEPS; i++)
        step(s);
    conn_close(s->rig.conn);
    RIG_UNTIL(&s->rig, !s->rig.conn);
    print_message("# %u commands: %u answered, %u lost, %u unsent; %u connections\n", s->issued, s->answered,
                  s->lost, s->unsent, s->dials);
    assert_int_equal(s->told, s->issued);
}

static int begin(void **state)
{
    struct storm *s = storm = calloc(1, sizeof(*s));
    for (unsigned i = 0; i < ASKS; i++)
        s->asks[i].words = calloc(1, LONG);
    rig_make(&s->rig);
    redis_prepare(&s->redis, NULL);
    authority_make(&s->ca, s->redis.home, "ca");
    authority_issue(&s->ca, "redis", "IP:127.0.0.1", -3600, 3600);
    *state = s;
    return 0;
}

static int finish(void **state)
{
    struct storm *s = *state;
    rig_drop(&s->rig);
    if (s->proxy.pid)
        proxy_stop(&s->proxy);
    redis_finish(&s->redis);
    authority_drop(&s->ca);
    for (unsigned i = 0; i < ASKS; i++)
        free(s->asks[i].words);
    free(s);
    return 0;
}

static void in_a_storm_each_command_is_told_once_and_its_own_answer(void **state)
{
    struct storm *s = *state;
    if (!redis_installed())
        skip();
    redis_start(&s->redis);
    proxy_start(&s->proxy, s->redis.socket);
    snprintf(s->address, sizeof(s->address), "redis://127.0.0.1:%u", s->proxy.port);
    run(s);
}

static void in_a_storm_through_tls_too(void **state)
{
    struct storm *s = *state;
    char server[64];
    if (!redis_has_tls())
        skip();
    s->redis.tls_port = free_port();
    redis_option(&s->redis, "tls-port %u\ntls-cert-file %s/redis.pem\ntls-key-file %s/redis.key",
                 s->redis.tls_port, s->redis.home, s->redis.home);
    redis_option(&s->redis, "tls-ca-cert-file %s/ca.pem\ntls-auth-clients no", s->redis.home);
    redis_start(&s->redis);
    snprintf(server, sizeof(server), "127.0.0.1:%u", s->redis.tls_port);
    proxy_start(&s->proxy, server);
    snprintf(s->address, sizeof(s->address), "rediss://127.0.0.1:%u?cacert=%s/ca.pem", s->proxy.port,
             s->redis.home);
    run(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(in_a_storm_each_command_is_told_once_and_its_own_answer, begin,
                                        finish),
        cmocka_unit_test_setup_teardown(in_a_storm_through_tls_too, begin, finish),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
