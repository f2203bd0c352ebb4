#include "net/child.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/check.h"
#include "net/loop_uv.h"

struct child {
    uv_process_t process;
    struct timer limit;
    struct child_setup setup;
    unsigned handles; /* still to be closed by libuv */
};

enum { VARIABLE_BYTES = 4096, KEPT_VARIABLES = 3 };

struct environment {
    char kept[KEPT_VARIABLES][VARIABLE_BYTES];
    char *of[KEPT_VARIABLES + CHILD_VARIABLES + 1];
};

static void fill_environment(struct environment *e, const char *const more[CHILD_VARIABLES])
{
    static const char *const names[KEPT_VARIABLES] = {"PATH", "HOME", "LANG"};
    unsigned count = 0;
    for (unsigned i = 0; i < KEPT_VARIABLES; i++) {
        const char *value = getenv(names[i]);
        if (!value)
            continue;
        snprintf(e->kept[i], VARIABLE_BYTES, "%s=%s", names[i], value);
        e->of[count++] = e->kept[i];
    }
    for (unsigned i = 0; i < CHILD_VARIABLES && more[i]; i++)
        e->of[count++] = (char *)more[i];
    e->of[count] = NULL;
}

/* The read end, with all of the input in it. */
static int make_input(struct slice input)
{
    int ends[2];
    size_t size = input.size < CHILD_INPUT_MAX ? input.size : CHILD_INPUT_MAX;
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0)
        return -1;
    bool whole = size == 0 || write(ends[1], input.data, size) == (ssize_t)size;
    close(ends[1]);
    fcntl(ends[0], F_SETFL, 0);
    if (whole)
        return ends[0];
    close(ends[0]);
    return -1;
}

static void handle_closed(struct child *c)
{
    if (--c->handles == 0)
        free(c);
}

static void on_process_closed(uv_handle_t *handle)
{
    handle_closed(handle->data);
}

static void on_limit_closed(struct timer *limit)
{
    handle_closed(CONTAINER_OF(limit, struct child, limit));
}

static void finish(struct child *c)
{
    c->handles = 2;
    timer_finish(&c->limit, on_limit_closed);
    uv_close((uv_handle_t *)&c->process, on_process_closed);
}

static void on_exited(uv_process_t *process, int64_t status, int signal_number)
{
    struct child *c = process->data;
    c->setup.ended(c->setup.user, signal_number ? -signal_number : (int)status);
    finish(c);
}

/* It leads a group of its own, so what it started goes with it. */
static void kill_group(struct child *c)
{
    kill(-uv_process_get_pid(&c->process), SIGKILL);
}

static void on_limit(struct timer *limit)
{
    kill_group(CONTAINER_OF(limit, struct child, limit));
}

struct child *child_start(const struct child_setup *setup, const char **ret_why)
{
    struct environment environment;
    char *words[] = {(char *)"sh", (char *)"-c", (char *)setup->command, NULL};
    struct child *c = must_alloc(sizeof(*c));
    c->setup = *setup;
    c->process.data = c;
    int input = make_input(setup->input);
    uv_stdio_container_t stdio[] = {
        {.flags = UV_INHERIT_FD, .data.fd = input}, {.flags = UV_IGNORE}, {.flags = UV_IGNORE}};
    fill_environment(&environment, setup->variables);
    uv_process_options_t options = {.file = "/bin/sh",
                                    .args = words,
                                    .env = environment.of,
                                    .exit_cb = on_exited,
                                    .stdio = stdio,
                                    .stdio_count = COUNT_OF(stdio),
                                    .flags = UV_PROCESS_DETACHED};
    timer_init(&c->limit, setup->loop, on_limit);
    int error = input < 0 ? UV_EMFILE : uv_spawn(loop_uv(setup->loop), &c->process, &options);
    if (input >= 0)
        close(input);
    if (error == 0) {
        timer_start(&c->limit, setup->timeout_ns, 0);
        return c;
    }
    *ret_why = uv_strerror(error);
    if (input < 0) { /* libuv has not seen the process */
        c->handles = 1;
        timer_finish(&c->limit, on_limit_closed);
    } else {
        finish(c);
    }
    return NULL;
}

struct child *child_abandon(struct child *c)
{
    if (!c)
        return NULL;
    kill_group(c);
    finish(c);
    return NULL;
}
