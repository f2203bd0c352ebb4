/* The program behind proxy.h.   proxy SERVER   listens on a port of 127.0.0.1, says `port N`, and obeys lines:
 *
 *   hold up|down|both      bytes of that direction (up: to the server) are taken and kept
 *   release up|down|both   and go on, also those of clients that have left meanwhile: zombies
 *   delay up|down|both MS  each byte goes on MS milliseconds after it came
 *   swallow up|down|both   bytes are taken and thrown away; `release` ends it for connections that lost none
 *   cut                    all connections are reset, both ends
 *   refuse / accept        the door is closed, and opened again at the same port
 *   count                  up N down N held N open N all N
 *
 * Each line is answered by one line, `ok` or the figures, when it is in force.  It ends with its standard input.
 *
 * What must stay true: bytes keep their order and have no gap, so a connection that lost some gets nothing any more;
 * what was taken from a client whose connection is gone still goes to the server, and only then does that end close:
 * that is what a network may do. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum {
    PAIRS = 256,       /* connections at a time; the next one waits at the door */
    PIECE = 64 * 1024, /* read at a time */
    KEPT = 64 << 20,   /* bytes one direction keeps; then it reads no more */
    UP = 0,
    DOWN = 1,
};

struct piece {
    struct piece *next;
    uint64_t due_ms;
    size_t size, at;
    char data[];
};

/* One direction of one connection: from `ends[way]` to `ends[1 - way]`. */
struct pipe {
    struct piece *first, **last;
    size_t kept;
    bool finished; /* the source will send no more */
    bool told;     /* and the sink knows */
    bool torn;     /* bytes were swallowed: so is all that follows */
};

struct pair {
    int ends[2]; /* the client's, the server's; -1: closed */
    struct pipe pipes[2];
};

struct rules {
    bool hold, swallow;
    uint64_t delay_ms;
};

static struct pair *pairs[PAIRS];
static unsigned count;
static struct rules rules[2];
static uint64_t passed[2];
static unsigned connections;
static int door = -1;
static unsigned door_port;
static const char *server;

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static uint64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void set_nonblocking(int fd)
{
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

/* ======= connections ======= */

static void open_door(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                  .sin_port = htons((uint16_t)door_port)};
    socklen_t size = sizeof(address);
    int yes = 1;
    if (door >= 0)
        return;
    door = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(door, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    if (door < 0 || bind(door, (struct sockaddr *)&address, size) != 0 || listen(door, 128) != 0 ||
        getsockname(door, (struct sockaddr *)&address, &size) != 0)
        die("listen");
    set_nonblocking(door);
    door_port = ntohs(address.sin_port);
}

static int dial_unix(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", server);
    return connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 ? fd : (close(fd), -1);
}

static int dial_tcp(void)
{
    char host[64];
    unsigned port = 0;
    struct sockaddr_in address = {.sin_family = AF_INET};
    int yes = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (sscanf(server, "%63[^:]:%u", host, &port) != 2 || inet_pton(AF_INET, host, &address.sin_addr) != 1)
        die(server);
    address.sin_port = htons((uint16_t)port);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
    return connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 ? fd : (close(fd), -1);
}

static void reset(int *fd)
{
    struct linger none = {.l_onoff = 1};
    if (*fd < 0)
        return;
    setsockopt(*fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
    close(*fd);
    *fd = -1;
}

static void let_in(void)
{
    int yes = 1, fd = accept4(door, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0)
        return;
    int far = server[0] == '/' ? dial_unix() : dial_tcp();
    if (far < 0) {
        reset(&fd);
        return;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
    set_nonblocking(far);
    struct pair *p = calloc(1, sizeof(*p));
    p->ends[0] = fd;
    p->ends[1] = far;
    for (int way = 0; way < 2; way++)
        p->pipes[way].last = &p->pipes[way].first;
    pairs[count++] = p;
    connections++;
}

static void drop_pieces(struct pipe *pipe)
{
    while (pipe->first) {
        struct piece *piece = pipe->first;
        pipe->first = piece->next;
        free(piece);
    }
    pipe->last = &pipe->first;
    pipe->kept = 0;
}

static void forget(unsigned i)
{
    for (int way = 0; way < 2; way++) {
        drop_pieces(&pairs[i]->pipes[way]);
        if (pairs[i]->ends[way] >= 0)
            close(pairs[i]->ends[way]);
    }
    free(pairs[i]);
    pairs[i] = pairs[--count];
}

/* ======= bytes ======= */

static void keep(struct pipe *pipe, int way, const char *data, size_t size)
{
    struct piece *piece = malloc(sizeof(*piece) + size);
    *piece = (struct piece){.due_ms = now_ms() + rules[way].delay_ms, .size = size};
    memcpy(piece->data, data, size);
    *pipe->last = piece;
    pipe->last = &piece->next;
    pipe->kept += size;
}

/* What cannot be given back any more is dropped with the end that is gone; what is on its way beyond it is not. */
static void lose_end(struct pair *p, int end)
{
    reset(&p->ends[end]);
    p->pipes[end].finished = true;
    drop_pieces(&p->pipes[1 - end]);
    p->pipes[1 - end].finished = p->pipes[1 - end].told = true;
}

static void take_in(struct pair *p, int way)
{
    static char room[PIECE];
    ssize_t got = recv(p->ends[way], room, sizeof(room), 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got < 0)
        lose_end(p, way);
    else if (got == 0)
        p->pipes[way].finished = true;
    else {
        passed[way] += (uint64_t)got;
        p->pipes[way].torn |= rules[way].swallow;
        if (!p->pipes[way].torn)
            keep(&p->pipes[way], way, room, (size_t)got);
    }
}

static bool may_go(const struct pipe *pipe, int way, uint64_t now)
{
    return pipe->first && !rules[way].hold && pipe->first->due_ms <= now;
}

static void pass_on(struct pair *p, int way)
{
    struct pipe *pipe = &p->pipes[way];
    int sink = p->ends[1 - way];
    while (sink >= 0 && may_go(pipe, way, now_ms())) {
        struct piece *piece = pipe->first;
        ssize_t sent = send(sink, piece->data + piece->at, piece->size - piece->at, MSG_NOSIGNAL);
        if (sent < 0) {
            if (errno != EAGAIN && errno != EINTR)
                lose_end(p, 1 - way);
            return;
        }
        piece->at += (size_t)sent;
        pipe->kept -= (size_t)sent;
        if (piece->at < piece->size)
            continue;
        pipe->first = piece->next;
        if (!pipe->first)
            pipe->last = &pipe->first;
        free(piece);
    }
}

static void pass_end_on(struct pair *p, int way)
{
    struct pipe *pipe = &p->pipes[way];
    if (!pipe->finished || pipe->told || pipe->first || rules[way].hold)
        return;
    pipe->told = true;
    if (p->ends[1 - way] >= 0)
        shutdown(p->ends[1 - way], SHUT_WR);
}

static bool is_over(const struct pair *p)
{
    return p->pipes[UP].told && p->pipes[DOWN].told;
}

/* ======= commands ======= */

static void set_rule(struct rules *r, const char *verb, uint64_t ms)
{
    if (strcmp(verb, "hold") == 0)
        r->hold = true;
    else if (strcmp(verb, "swallow") == 0)
        r->swallow = true;
    else if (strcmp(verb, "release") == 0)
        r->hold = r->swallow = false;
    else
        r->delay_ms = ms;
}

static void say_count(void)
{
    uint64_t held = 0;
    for (unsigned i = 0; i < count; i++)
        held += pairs[i]->pipes[UP].kept + pairs[i]->pipes[DOWN].kept;
    printf("up %llu down %llu held %llu open %u all %u\n", (unsigned long long)passed[UP],
           (unsigned long long)passed[DOWN], (unsigned long long)held, count, connections);
}

static void say_ok(void)
{
    puts("ok");
}

static void cut_all(void)
{
    while (count > 0) {
        reset(&pairs[0]->ends[0]);
        reset(&pairs[0]->ends[1]);
        forget(0);
    }
    say_ok();
}

static void refuse(void)
{
    if (door >= 0)
        close(door);
    door = -1;
    say_ok();
}

static void admit(void)
{
    open_door();
    say_ok();
}

static const struct {
    const char *word;
    void (*act)(void);
} acts[] = {{"cut", cut_all}, {"refuse", refuse}, {"accept", admit}, {"count", say_count}};

static void obey(const char *line)
{
    char verb[16] = "", way[16] = "";
    unsigned long long ms = 0;
    sscanf(line, "%15s %15s %llu", verb, way, &ms);
    for (size_t i = 0; i < sizeof(acts) / sizeof(acts[0]); i++)
        if (strcmp(verb, acts[i].word) == 0) {
            acts[i].act();
            return;
        }
    bool both = strcmp(way, "both") == 0;
    if (!strstr("hold release swallow delay", verb) || (!both && strcmp(way, "up") && strcmp(way, "down"))) {
        puts("what?");
        return;
    }
    if (both || way[0] == 'u')
        set_rule(&rules[UP], verb, ms);
    if (both || way[0] == 'd')
        set_rule(&rules[DOWN], verb, ms);
    say_ok();
}

static void read_orders(void)
{
    static char room[4096];
    static size_t have;
    ssize_t got = read(STDIN_FILENO, room + have, sizeof(room) - 1 - have);
    if (got <= 0)
        exit(0);
    have += (size_t)got;
    room[have] = 0;
    char *line = room, *end;
    while ((end = strchr(line, '\n'))) {
        *end = 0;
        obey(line);
        line = end + 1;
    }
    have -= (size_t)(line - room);
    memmove(room, line, have);
    fflush(stdout);
}

/* ======= turning ======= */

/* Until the first delayed piece is due; for ever when none is. */
static int patience(uint64_t now)
{
    uint64_t least = UINT64_MAX;
    for (unsigned i = 0; i < count; i++)
        for (int way = 0; way < 2; way++) {
            const struct piece *first = pairs[i]->pipes[way].first;
            if (first && !rules[way].hold && first->due_ms > now && first->due_ms - now < least)
                least = first->due_ms - now;
        }
    return least > 60000 ? 60000 : (int)least;
}

static short wanted(const struct pair *p, int end, uint64_t now)
{
    short events = 0;
    if (!p->pipes[end].finished && p->pipes[end].kept < KEPT)
        events |= POLLIN;
    if (may_go(&p->pipes[1 - end], 1 - end, now))
        events |= POLLOUT;
    return events;
}

/* A socket nobody wants anything of is not watched: its hang-up would wake us for nothing. */
static void turn(void)
{
    static struct pollfd fds[2 + 2 * PAIRS];
    uint64_t now = now_ms();
    unsigned watched = count;
    fds[0] = (struct pollfd){.fd = STDIN_FILENO, .events = POLLIN};
    fds[1] = (struct pollfd){.fd = count < PAIRS ? door : -1, .events = POLLIN};
    for (unsigned i = 0; i < watched; i++)
        for (int end = 0; end < 2; end++) {
            short events = wanted(pairs[i], end, now);
            fds[2 + 2 * i + (unsigned)end] =
                (struct pollfd){.fd = events ? pairs[i]->ends[end] : -1, .events = events};
        }
    if (poll(fds, 2 + 2 * watched, patience(now)) < 0 && errno != EINTR)
        die("poll");
    for (unsigned i = watched; i-- > 0;) {
        for (int end = 0; end < 2; end++)
            if (fds[2 + 2 * i + (unsigned)end].revents & (POLLIN | POLLHUP | POLLERR) &&
                pairs[i]->ends[end] >= 0)
                take_in(pairs[i], end);
        for (int way = 0; way < 2; way++) {
            pass_on(pairs[i], way);
            pass_end_on(pairs[i], way);
        }
        if (is_over(pairs[i]))
            forget(i);
    }
    if (fds[1].revents)
        let_in();
    if (fds[0].revents)
        read_orders();
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: proxy HOST:PORT|/SOCKET\n");
        return 2;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    server = argv[1];
    open_door();
    printf("port %u\n", door_port);
    fflush(stdout);
    for (;;)
        turn();
}
