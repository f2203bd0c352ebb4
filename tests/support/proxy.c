#include "support/proxy.h"

#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void fail(const char *what)
{
    fprintf(stderr, "proxy of a test: ");
    perror(what);
    exit(99);
}

static void read_line(struct proxy *p, char *room, int size)
{
    if (!fgets(room, size, p->from))
        fail("it does not answer");
}

void proxy_start(struct proxy *p, const char *server)
{
    int in[2], out[2];
    char line[64];
    const char *program = getenv("PROXY");
    if (!program || pipe2(in, 02000000) != 0 || pipe2(out, 02000000) != 0) /* O_CLOEXEC */
        fail("$PROXY, pipe");
    p->pid = fork();
    if (p->pid < 0)
        fail("fork");
    if (p->pid == 0) {
        dup2(in[0], STDIN_FILENO);
        dup2(out[1], STDOUT_FILENO);
        execl(program, program, server, (char *)NULL);
        _exit(97);
    }
    close(in[0]);
    close(out[1]);
    p->to = fdopen(in[1], "w");
    p->from = fdopen(out[0], "r");
    read_line(p, line, sizeof(line));
    if (sscanf(line, "port %u", &p->port) != 1)
        fail(line);
}

void proxy_stop(struct proxy *p)
{
    int status;
    fclose(p->to); /* which ends it */
    fclose(p->from);
    waitpid(p->pid, &status, 0);
}

static void tell(struct proxy *p, const char *format, va_list arguments, char answer[256])
{
    vfprintf(p->to, format, arguments);
    fputc('\n', p->to);
    fflush(p->to);
    read_line(p, answer, 256);
}

void proxy_tell(struct proxy *p, const char *format, ...)
{
    char answer[256];
    va_list arguments;
    va_start(arguments, format);
    tell(p, format, arguments, answer);
    va_end(arguments);
    if (strcmp(answer, "ok\n") != 0)
        fail(format);
}

struct proxy_count proxy_count(struct proxy *p)
{
    struct proxy_count n;
    char line[256];
    unsigned long long up, down, held;
    fputs("count\n", p->to);
    fflush(p->to);
    read_line(p, line, sizeof(line));
    if (sscanf(line, "up %llu down %llu held %llu open %u all %u", &up, &down, &held, &n.open, &n.all) != 5)
        fail(line);
    n.up = up;
    n.down = down;
    n.held = held;
    return n;
}
