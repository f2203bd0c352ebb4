/* What must stay true: nobody waits here.  The only lock is held while a line is formatted and offered once to a
 * descriptor that cannot block:
 *
 *   socket (the journal's stream)   send with MSG_DONTWAIT
 *   pipe, terminal                  reopened through /proc, so that O_NONBLOCK is ours alone and not also that of
 *                                   the shell that lent us its terminal
 *   neither possible                asked with poll first; a pipe that says yes takes PIPE_BUF bytes at once
 *   file                            written to: the page cache takes it
 *
 * A line is at most PIPE_BUF bytes, so that a pipe takes it whole or not at all.  A terminal may take a part: the
 * rest is kept and goes first; as long as it is not gone, new lines are dropped.  There is no queue beyond that
 * one line: the pipe is one already (64 KiB), and what it cannot hold nobody is reading. */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "base/clock.h"

enum { LINE_BYTES = PIPE_BUF };

enum way { WAY_ASK, WAY_REOPENED, WAY_SOCKET, WAY_FILE };

/* There is one log a process, as there is one stderr. */
static struct {
    pthread_mutex_t lock;
    _Atomic int level;
    _Atomic uint64_t dropped;
    int fd;
    enum way way;
    bool json, journal;
    uint64_t dropped_reported;
    char rest[LINE_BYTES];
    size_t rest_bytes;
} the_log = {.lock = PTHREAD_MUTEX_INITIALIZER, .level = LOG_INFO, .fd = STDERR_FILENO, .way = WAY_ASK};

static const struct {
    const char *name;
    char priority; /* of syslog, as the journal reads it */
} levels[] = {[LOG_DEBUG] = {"debug", '7'},
              [LOG_INFO] = {"info", '6'},
              [LOG_WARN] = {"warn", '4'},
              [LOG_ERROR] = {"error", '3'}};

/* ---- one line ------------------------------------------------------------------------------------------ */

struct line {
    char bytes[LINE_BYTES];
    size_t size;
    size_t limit; /* room is kept behind it for closing quotes, braces and the newline */
    bool cut;
};

static void put(struct line *l, const char *bytes, size_t size)
{
    if (l->cut || l->size + size > l->limit) {
        l->cut = true;
        return;
    }
    memcpy(l->bytes + l->size, bytes, size);
    l->size += size;
}

static void put_text(struct line *l, const char *text)
{
    put(l, text, strlen(text));
}

__attribute__((format(printf, 2, 3))) static void put_format(struct line *l, const char *format, ...)
{
    char text[64];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (size > 0)
        put(l, text, (size_t)size < sizeof(text) ? (size_t)size : sizeof(text) - 1);
}

/* Bytes of the well-formed UTF-8 character at p, 0 when there is none. */
static size_t utf8_character(const unsigned char *p, size_t left, uint32_t *ret_point)
{
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t size = p[0] < 0x80 ? 1 : p[0] >> 5 == 6 ? 2 : p[0] >> 4 == 14 ? 3 : p[0] >> 3 == 30 ? 4 : 0;
    if (size == 0 || size > left)
        return 0;
    uint32_t point = size == 1 ? p[0] : p[0] & (0xffu >> (size + 1));
    for (size_t i = 1; i < size; i++) {
        if (p[i] >> 6 != 2)
            return 0;
        point = point << 6 | (p[i] & 0x3f);
    }
    if (point < smallest[size] || point > 0x10ffff || (point >= 0xd800 && point < 0xe000))
        return 0;
    *ret_point = point;
    return size;
}

/* Nothing a peer sends may move a terminal's cursor or break a JSON text: control characters become \uXXXX, bytes
 * that are no UTF-8 become the four characters \xNN. */
static void put_character(struct line *l, const unsigned char *p, size_t size, uint32_t point)
{
    static const char short_forms[] = "\"\"\\\\\bb\ff\nn\rr\tt";
    for (size_t i = 0; i + 1 < sizeof(short_forms); i += 2)
        if (point == (unsigned char)short_forms[i]) {
            put(l, (char[]){'\\', short_forms[i + 1]}, 2);
            return;
        }
    if (point < 0x20 || (point >= 0x7f && point < 0xa0))
        put_format(l, "\\u%04x", point);
    else
        put(l, (const char *)p, size);
}

static void put_quoted(struct line *l, struct slice text, bool json)
{
    const unsigned char *p = text.data;
    put_text(l, "\"");
    if (l->cut)
        return;
    for (size_t i = 0; i < text.size && !l->cut;) {
        uint32_t point = 0;
        size_t size = utf8_character(p + i, text.size - i, &point);
        if (size == 0)
            put_format(l, json ? "\\\\x%02x" : "\\x%02x", p[i]);
        else
            put_character(l, p + i, size, point);
        i += size ? size : 1;
    }
    bool cut = l->cut;
    l->cut = false;
    l->limit += 8;
    put_text(l, cut ? "…\"" : "\"");
    l->limit -= 8;
    l->cut = cut;
}

static bool plain(struct slice text)
{
    const char *p = text.data;
    for (size_t i = 0; i < text.size; i++)
        if (p[i] <= ' ' || p[i] >= 0x7f || p[i] == '"' || p[i] == '\\' || p[i] == '=')
            return false;
    return text.size > 0;
}

static void put_name(struct line *l, const char *name, bool json)
{
    bool first = l->size == 0 || l->bytes[l->size - 1] == '{' || l->bytes[l->size - 1] == '>';
    if (json)
        put_format(l, first ? "\"%.48s\":" : ",\"%.48s\":", name);
    else
        put_format(l, first ? "%.48s=" : " %.48s=", name);
}

static void put_string(struct line *l, const char *name, struct slice text, bool json)
{
    put_name(l, name, json);
    if (l->cut)
        return;
    if (!json && plain(text))
        put(l, text.data, text.size);
    else
        put_quoted(l, text, json);
}

static void put_field(struct line *l, const struct log_field *field, bool json)
{
    if (field->kind == LOG_F_TEXT || field->kind == LOG_F_BYTES) {
        put_string(l, field->name, field->text, json);
        return;
    }
    put_name(l, field->name, json);
    if (field->kind == LOG_F_I64)
        put_format(l, "%lld", (long long)field->number);
    else if (field->kind == LOG_F_US)
        put_format(l, "%llu.%llu", (unsigned long long)(field->number / NS_PER_US),
                   (unsigned long long)(field->number % NS_PER_US / 100));
    else
        put_format(l, "%llu", (unsigned long long)field->number);
}

static void put_time(struct line *l, bool json)
{
    uint64_t now_ns = clock_wall_ns();
    time_t seconds = (time_t)(now_ns / NS_PER_S);
    struct tm utc;
    char text[40];
    gmtime_r(&seconds, &utc);
    size_t size = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(text + size, sizeof(text) - size, ".%03uZ", (unsigned)(now_ns % NS_PER_S / NS_PER_MS));
    put_string(l, "ts", slice_text(text), json);
}

static void compose(struct line *l, enum log_level level, const char *message, const struct log_field *fields,
                    unsigned count)
{
    bool json = the_log.json;
    l->size = 0;
    l->cut = false;
    l->limit = LINE_BYTES - 16;
    if (the_log.journal)
        put(l, (char[]){'<', levels[level].priority, '>'}, 3);
    if (json)
        put_text(l, "{");
    if (!the_log.journal)
        put_time(l, json); /* the journal has a better one */
    put_string(l, "level", slice_text(levels[level].name), json);
    if (*message)
        put_string(l, "msg", slice_text(message), json);
    for (unsigned i = 0; i < count && !l->cut; i++) {
        size_t before = l->size;
        put_field(l, &fields[i], json);
        bool whole = !l->cut || l->bytes[l->size - 1] == '"';
        if (!whole)
            l->size = before; /* a name or number that does not fit is left out, not halved */
    }
    l->limit = LINE_BYTES;
    l->cut = false;
    put_text(l, json ? "}\n" : "\n");
}

/* ---- on its way ---------------------------------------------------------------------------------------- */

static ssize_t offer(const char *bytes, size_t size)
{
    ssize_t done;
    if (the_log.way == WAY_ASK) {
        struct pollfd ask = {.fd = the_log.fd, .events = POLLOUT};
        if (poll(&ask, 1, 0) != 1 || !(ask.revents & POLLOUT))
            return -1;
    }
    do
        done = the_log.way == WAY_SOCKET ? send(the_log.fd, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL)
                                         : write(the_log.fd, bytes, size);
    while (done < 0 && errno == EINTR);
    return done;
}

static bool flush_rest(void)
{
    if (the_log.rest_bytes == 0)
        return true;
    ssize_t done = offer(the_log.rest, the_log.rest_bytes);
    if (done > 0) {
        the_log.rest_bytes -= (size_t)done;
        memmove(the_log.rest, the_log.rest + done, the_log.rest_bytes);
    }
    return the_log.rest_bytes == 0;
}

static bool send_line(const struct line *l)
{
    if (!flush_rest())
        return false;
    ssize_t done = offer(l->bytes, l->size);
    if (done <= 0)
        return false;
    the_log.rest_bytes = l->size - (size_t)done;
    memcpy(the_log.rest, l->bytes + done, the_log.rest_bytes);
    return true;
}

/* Says how many lines were lost before the first one that gets through. */
static bool report_dropped(struct line *l)
{
    uint64_t dropped = atomic_load(&the_log.dropped);
    if (dropped == the_log.dropped_reported)
        return true;
    struct log_field count = L_U64("dropped", dropped - the_log.dropped_reported);
    compose(l, LOG_WARN, "log lines were dropped: nobody was reading", &count, 1);
    if (!send_line(l))
        return false;
    the_log.dropped_reported = dropped;
    return true;
}

void log_line(enum log_level level, const char *message, const struct log_field *fields, unsigned count)
{
    if (!log_on(level))
        return;
    struct line l;
    int saved_errno = errno;
    pthread_mutex_lock(&the_log.lock);
    bool sent = report_dropped(&l);
    if (sent) {
        compose(&l, level, message, fields, count);
        sent = send_line(&l);
    }
    if (!sent)
        atomic_fetch_add(&the_log.dropped, 1);
    pthread_mutex_unlock(&the_log.lock);
    errno = saved_errno;
}

/* ---- set-up -------------------------------------------------------------------------------------------- */

/* JOURNAL_STREAM is "device:inode" of the stream the journal gave us; it is inherited by children whose stderr goes
 * elsewhere, so it has to match. */
static bool goes_to_journal(const struct stat *st)
{
    const char *stream = getenv("JOURNAL_STREAM");
    unsigned long long device, inode;
    return stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 && device == st->st_dev &&
           inode == st->st_ino;
}

static enum way way_to(int fd, const struct stat *st, int *ret_fd)
{
    *ret_fd = fd;
    if (S_ISSOCK(st->st_mode))
        return WAY_SOCKET;
    if (S_ISREG(st->st_mode))
        return WAY_FILE; /* never reopened: a second offset would overwrite what others wrote */
    char path[40];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    int own = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    if (own < 0)
        return WAY_ASK;
    *ret_fd = own;
    return WAY_REOPENED;
}

void log_setup(enum log_level level, enum log_format format, int fd)
{
    struct stat st;
    pthread_mutex_lock(&the_log.lock);
    if (the_log.way == WAY_REOPENED)
        close(the_log.fd);
    the_log.fd = fd;
    the_log.way = WAY_ASK;
    the_log.journal = false;
    if (fstat(fd, &st) == 0) {
        the_log.way = way_to(fd, &st, &the_log.fd);
        the_log.journal = goes_to_journal(&st);
    }
    the_log.json = format == LOG_JSON || (format == LOG_AUTO && !isatty(fd));
    the_log.rest_bytes = 0;
    pthread_mutex_unlock(&the_log.lock);
    log_set_level(level);
}

void log_set_level(enum log_level level)
{
    atomic_store(&the_log.level, (int)level);
}

bool log_on(enum log_level level)
{
    return (int)level >= atomic_load_explicit(&the_log.level, memory_order_relaxed);
}

uint64_t log_dropped(void)
{
    return atomic_load(&the_log.dropped);
}

bool log_allowed(struct log_limit *limit, uint64_t now_ns, uint64_t *ret_held_back)
{
    uint64_t next = atomic_load(&limit->next_ns);
    if (now_ns < next ||
        !atomic_compare_exchange_strong(&limit->next_ns, &next, clock_after(now_ns, limit->every_ns))) {
        atomic_fetch_add(&limit->held_back, 1);
        return false;
    }
    *ret_held_back = atomic_exchange(&limit->held_back, 0);
    return true;
}
