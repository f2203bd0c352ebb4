#include "support/client_rig.h"

#include <stdio.h>
#include <string.h>
#include "support/daemon.h"

static struct daemon larderd;
static const char config[] =
    "[server]\n[namespace default]\nl1_bytes = 8MiB\n[namespace other]\nl1_bytes = 4MiB\n";

larder_client *open_with(larder_options o)
{
    larder_client *c;
    o.socket = larderd.socket;
    o.get_ms = o.change_ms = o.connect_ms = 5000;
    assert_int_equal(larder_open(&c, &o), LARDER_OK);
    return c;
}

larder_client *open_default(void)
{
    larder_options o = LARDER_OPTIONS_INIT;
    o.strict = true;
    return open_with(o);
}

larder_client *open_far(void)
{
    larder_options o = LARDER_OPTIONS_INIT;
    o.strict = true;
    o.no_shared_memory = true;
    return open_with(o);
}

larder_slice T(const char *text)
{
    return larder_text(text);
}

void set_text(larder_client *c, const char *key, const char *value)
{
    assert_int_equal(larder_set(c, T(key), T(value), NULL), LARDER_OK);
}

void expect_text(larder_client *c, const char *key, const char *value)
{
    larder_value v = LARDER_VALUE_INIT;
    assert_int_equal(larder_get(c, T(key), NULL, &v), LARDER_HIT);
    assert_int_equal(v.size, strlen(value));
    assert_memory_equal(v.data, value, v.size);
    larder_value_free(&v);
}

int get_result(larder_client *c, const char *key)
{
    larder_value v = LARDER_VALUE_INIT;
    int r = larder_get(c, T(key), NULL, &v);
    larder_value_free(&v);
    return r;
}

static char batch_texts[BATCH][16];

void batch_keys(larder_slice *keys, const char *prefix)
{
    for (int i = 0; i < BATCH; i++) {
        snprintf(batch_texts[i], sizeof(batch_texts[i]), "%s:%d", prefix, i);
        keys[i] = T(batch_texts[i]);
    }
}

int rig_start(void **state)
{
    daemon_prepare(&larderd, config);
    daemon_start(&larderd);
    return 0;
}

int rig_finish(void **state)
{
    daemon_finish(&larderd);
    return 0;
}
