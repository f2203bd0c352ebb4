/* Servers: one row each says how it is started and how it says that it is there. */
#include "bench/spawn.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "bench/stream.h"
#include "bench/timing.h"

enum { ARGS_MAX = 24, START_MS = 10000 };

struct args {
    const char *words[ARGS_MAX];
    unsigned count;
    char texts[5][112];
};

static void add(struct args *a, const char *word)
{
    if (a->count < ARGS_MAX - 1)
        a->words[a->count++] = word;
}

static const char *larderd_path(const struct server_options *o)
{
    static char beside[256];
    if (o->larderd)
        return o->larderd;
    ssize_t n = readlink("/proc/self/exe", beside, sizeof(beside) - 16);
    if (n > 0) {
        beside[n] = '\0';
        strcpy(strrchr(beside, '/') + 1, "larderd");
        if (access(beside, X_OK) == 0)
            return beside;
    }
    return "larderd";
}

static void larder_args(struct args *a, const struct server *s, const struct server_options *o)
{
    const char *number = strrchr(s->folder, '/');
    snprintf(a->texts[0], sizeof(a->texts[0]), "%lluMiB", (unsigned long long)(o->memory_bytes >> 20));
    snprintf(a->texts[1], sizeof(a->texts[1]), "%s/larder.conf", s->folder);
    snprintf(a->texts[2], sizeof(a->texts[2]), "%s/state", s->folder);
    snprintf(a->texts[3], sizeof(a->texts[3]), "%s%s", spawn_memory_folder(), number);
    close(open(a->texts[1], O_WRONLY | O_CREAT | O_CLOEXEC,
               0600)); /* empty: nothing of this machine's settings */
    mkdir(a->texts[3], 0700);
    const char *words[] = {larderd_path(o),
                           "--config",
                           a->texts[1],
                           "--socket",
                           s->socket,
                           "--state",
                           a->texts[2],
                           "--runtime",
                           a->texts[3],
                           "--l1-bytes",
                           a->texts[0],
                           "--warm",
                           o->no_warm ? "off" : "on",
                           "--log-level",
                           "warn"};
    for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        add(a, words[i]);
    if (o->redis) {
        snprintf(a->texts[4], sizeof(a->texts[4]), "unix:%s", o->redis);
        add(a, "--redis");
        add(a, a->texts[4]);
    }
}

static void redis_args(struct args *a, const struct server *s, const struct server_options *o)
{
    snprintf(a->texts[0], sizeof(a->texts[0]), "%llu", (unsigned long long)o->memory_bytes);
    const char *words[] = {"redis-server",
                           "--port",
                           "0",
                           "--unixsocket",
                           s->socket,
                           "--save",
                           "",
                           "--appendonly",
                           "no",
                           "--dir",
                           s->folder,
                           "--maxmemory",
                           a->texts[0],
                           "--maxmemory-policy",
                           o->keeps_journal ? "volatile-lru"
                           : o->policy      ? o->policy
                                            : "allkeys-lru"};
    for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        add(a, words[i]);
}

static void memcached_args(struct args *a, const struct server *s, const struct server_options *o)
{
    snprintf(a->texts[0], sizeof(a->texts[0]), "%llu", (unsigned long long)(o->memory_bytes >> 20));
    const char *words[] = {"memcached", "-s", s->socket, "-m", a->texts[0]};
    for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        add(a, words[i]);
    if (geteuid() == 0) {
        add(a, "-u");
        add(a, "root");
    }
}

static const struct {
    const char *name;
    void (*args)(struct args *a, const struct server *s, const struct server_options *o);
    const char *hello; /* bytes that get an answer when it is ready; NULL: accepting is enough */
} servers[SERVER_KINDS] = {
    [SERVER_LARDER] = {"larderd", larder_args, NULL},
    [SERVER_REDIS] = {"redis-server", redis_args, "PING\r\n"},
    [SERVER_MEMCACHED] = {"memcached", memcached_args, "version\r\n"},
};

const char *server_name(enum server_kind kind)
{
    return kind == SERVER_NONE ? "this process" : servers[kind].name;
}

static bool in_path(const char *name)
{
    char path[512];
    const char *at = getenv("PATH");
    for (size_t n; at && *at; at += n + (at[n] == ':')) {
        n = strcspn(at, ":");
        snprintf(path, sizeof(path), "%.*s/%s", (int)n, at, name);
        if (access(path, X_OK) == 0)
            return true;
    }
    return false;
}

bool server_available(enum server_kind kind, const struct server_options *o)
{
    const char *name = kind == SERVER_LARDER ? larderd_path(o) : server_name(kind);
    return kind == SERVER_NONE || (strchr(name, '/') ? access(name, X_OK) == 0 : in_path(name));
}

void server_init(struct server *s, enum server_kind kind)
{
    static unsigned number;
    *s = (struct server){.kind = kind};
    snprintf(s->folder, sizeof(s->folder), "%s/%u", spawn_folder(), number++);
    snprintf(s->socket, sizeof(s->socket), "%s/s", s->folder);
    mkdir(s->folder, 0700);
}

_Noreturn static void become(const struct server *s, const struct server_options *o)
{
    struct args a = {.count = 0};
    char log[96];
    snprintf(log, sizeof(log), "%s/log", s->folder);
    int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
    int null = open("/dev/null", O_RDONLY);
    dup2(null, 0);
    dup2(fd, 1);
    dup2(fd, 2);
    closefrom(3);
    spawn_pin_server();
    servers[s->kind].args(&a, s, o);
    execvp(a.words[0], (char *const *)(uintptr_t)a.words);
    perror(a.words[0]);
    _exit(127);
}

static bool ready(const struct server *s)
{
    struct stream stream;
    const char *hello = servers[s->kind].hello;
    if (stream_connect(&stream, s->socket) < 0)
        return false;
    bool ok = true;
    if (hello) {
        buffer_append(&stream.out, hello, strlen(hello));
        ok = stream_flush(&stream) == 0 && stream_wait(&stream, timing_now_ns() + NS_PER_S) == 1;
    }
    stream_close(&stream);
    return ok;
}

/* The last line of what it wrote says most. */
static void explain(struct server *s, const char *what)
{
    char path[96], line[128], last[100] = "";
    snprintf(path, sizeof(path), "%s/log", s->folder);
    FILE *f = fopen(path, "re");
    while (f && fgets(line, sizeof(line), f))
        snprintf(last, sizeof(last), "%.98s", line);
    if (f)
        fclose(f);
    last[strcspn(last, "\n")] = '\0';
    snprintf(s->why, sizeof(s->why), "%s %s%s%s", servers[s->kind].name, what, last[0] ? ": " : "", last);
}

int server_start(struct server *s, const struct server_options *o)
{
    uint64_t end = timing_now_ns() + START_MS * NS_PER_MS;
    s->pid = spawn_fork();
    if (s->pid == 0)
        become(s, o);
    while (timing_now_ns() < end) {
        if (ready(s))
            return 0;
        if (waitpid(s->pid, NULL, WNOHANG) == s->pid) {
            s->pid = 0;
            explain(s, "ended at its start");
            return -1;
        }
        usleep(1000);
    }
    server_kill(s);
    explain(s, "did not answer in time");
    return -1;
}

void server_stop(struct server *s)
{
    if (s->pid > 0)
        spawn_end(s->pid);
    s->pid = 0;
}

void server_kill(struct server *s)
{
    if (s->pid <= 0)
        return;
    kill(s->pid, SIGKILL);
    spawn_reap(s->pid);
    s->pid = 0;
}
