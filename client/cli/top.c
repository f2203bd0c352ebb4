/* top: the board (board.h) on a terminal, again and again; on anything else, once.
 *
 * What must stay true: a daemon that hangs is told of within a second, so each of its two questions waits no longer than LOOK_MS; what the
 * screen showed before stays there, marked as old. */
#include "client/cli/cli.h"

#include <locale.h>
#include <ncurses.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "client/cli/board.h"

enum {
    EVERY_MS = 500,
    LOOK_MS = 200,
    SAMPLES = 3, /* rates are those of the last second */
};

/* ======= looking ======= */

struct sample {
    json_t *stats;
    double at_s;
};

struct watcher {
    struct cli *cli;
    struct sample samples[SAMPLES]; /* newest first */
    json_t *health;
    const char *silence;
    char namespace_[65];
};

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static json_t *parsed(int r, char *text)
{
    json_t *document = r < 0 ? NULL : json_loads(text, 0, NULL);
    if (r >= 0)
        larder_text_free(text);
    return document;
}

static void take(struct watcher *w, json_t *stats)
{
    json_decref(w->samples[SAMPLES - 1].stats);
    memmove(w->samples + 1, w->samples, sizeof(w->samples) - sizeof(w->samples[0]));
    w->samples[0] = (struct sample){stats, now_s()};
}

/* The health of a daemon that does not answer is what its shared memory says. */
static void look(struct watcher *w)
{
    char *text = NULL;
    int r = larder_stats(w->cli->client, &text);
    json_t *stats = parsed(r, text);
    if (stats)
        take(w, stats);
    w->silence = stats ? NULL : r < 0 ? larder_strerror(r) : "the answer is not JSON";
    r = larder_health(w->cli->client, &text);
    json_decref(w->health);
    w->health = parsed(r, text);
}

static const struct sample *earlier(const struct watcher *w)
{
    unsigned n = SAMPLES - 1;
    while (n > 0 && !w->samples[n].stats)
        n--;
    return &w->samples[n];
}

static void make(const struct watcher *w, struct board *ret)
{
    const struct sample *newest = &w->samples[0], *before = earlier(w);
    struct board_input in = {.socket = larder_socket(w->cli->client),
                             .namespace_ = w->namespace_,
                             .now = newest->stats,
                             .before = before->stats,
                             .seconds = newest->at_s - before->at_s,
                             .health = w->health,
                             .silence = w->silence,
                             .silent_s = newest->stats ? now_s() - newest->at_s : -1};
    board_make(ret, &in);
}

static void next_namespace(struct watcher *w)
{
    const char *next = board_next_namespace(w->samples[0].stats, w->namespace_);
    if (next)
        snprintf(w->namespace_, sizeof(w->namespace_), "%s", next);
}

/* ======= on a terminal ======= */

static volatile sig_atomic_t ended;

static void end_soon(int signal)
{
    (void)signal;
    ended = 1;
}

static void begin_colours(const struct out *out)
{
    static const short colours[] = {
        [BOARD_GOOD] = COLOR_GREEN, [BOARD_WARNING] = COLOR_YELLOW, [BOARD_BAD] = COLOR_RED};
    if (!out->colour || start_color() == ERR)
        return;
    use_default_colors();
    for (short i = BOARD_GOOD; i <= BOARD_BAD; i++)
        init_pair(i, colours[i], -1);
}

static attr_t attributes(enum board_look look)
{
    switch (look) {
    case BOARD_TITLE: return A_BOLD;
    case BOARD_FAINT: return A_DIM;
    case BOARD_PLAIN: return A_NORMAL;
    default: return COLOR_PAIR(look);
    }
}

static void draw(const struct board *b)
{
    static const char keys[] = "q quit   n next namespace   space freeze";
    erase();
    for (unsigned i = 0; i < b->count && (int)i < LINES - 1; i++) {
        attrset((attr_t)attributes(b->lines[i].look));
        mvaddnstr((int)i, 0, b->lines[i].text, COLS);
    }
    attrset(A_DIM);
    mvaddnstr(LINES - 1, 0, keys, COLS - 1);
    refresh();
}

/* False: it is to end. */
static bool obey(struct watcher *w, int key, bool *frozen)
{
    if (key == 'n')
        next_namespace(w);
    if (key == ' ')
        *frozen = !*frozen;
    return key != 'q' && key != 'Q' && !ended;
}

static void follow(struct watcher *w)
{
    struct board b = {.count = 0};
    bool frozen = false;
    int key = ERR;
    double due = 0;
    do {
        if (!frozen && now_s() >= due) {
            look(w);
            due = now_s() + EVERY_MS / 1e3;
        }
        if (!frozen)
            make(w, &b);
        draw(&b);
        double left = due - now_s();
        timeout(frozen ? EVERY_MS : left > 0 ? (int)(left * 1e3) + 1 : 0);
        key = getch();
    } while (obey(w, key, &frozen));
}

/* Without SA_RESTART: a signal ends the wait for a key. */
static void end_by_signals(void)
{
    struct sigaction soon = {.sa_handler = end_soon};
    sigaction(SIGINT, &soon, NULL);
    sigaction(SIGTERM, &soon, NULL);
    sigaction(SIGHUP, &soon, NULL);
}

static int on_terminal(struct watcher *w)
{
    SCREEN *screen = newterm(NULL, stdout, stdin);
    if (!screen)
        return cli_fail(w->cli, EXIT_USAGE, "this terminal cannot be drawn on (TERM)");
    end_by_signals();
    begin_colours(&w->cli->out);
    cbreak();
    noecho();
    keypad(stdscr, true);
    curs_set(0);
    follow(w);
    endwin();
    delscreen(screen);
    return EXIT_DONE;
}

/* ======= once ======= */

static int once(struct watcher *w)
{
    struct board b;
    look(w);
    if (!w->silence) {
        poll(NULL, 0, 2 * EVERY_MS);
        look(w);
    }
    make(w, &b);
    for (unsigned i = 0; i < b.count; i++)
        puts(b.lines[i].text);
    return w->silence ? EXIT_UNREACHABLE : EXIT_DONE;
}

/* As the library decides. */
static const char *first_namespace(const struct cli *cli)
{
    const char *name = cli->namespace_ ? cli->namespace_ : getenv("LARDER_NAMESPACE");
    return name && *name ? name : "default";
}

int verb_top(struct cli *cli)
{
    struct watcher w = {.cli = cli};
    if (cli->out.shape == OUT_JSON)
        return cli_fail(cli, EXIT_USAGE, "it is for people; `larder stats --json --watch` is for programs");
    int code = cli_open(cli, true, LOOK_MS);
    if (code != EXIT_DONE)
        return code;
    setlocale(LC_ALL, "");
    snprintf(w.namespace_, sizeof(w.namespace_), "%s", first_namespace(cli));
    code = cli->out.shape == OUT_ALIGNED && isatty(STDIN_FILENO) ? on_terminal(&w) : once(&w);
    for (unsigned i = 0; i < SAMPLES; i++)
        json_decref(w.samples[i].stats);
    json_decref(w.health);
    return code;
}
