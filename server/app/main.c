/* larderd: reads what it was told, builds the daemon, runs it. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include "app/app.h"
#include "app/flags.h"
#include "app/notify.h"
#include "base/check.h"
#include "base/log.h"

extern char **environ;

/* A descriptor 0, 1 or 2 that is closed would be given to the next file that is opened, and log lines would end in
 * somebody's database. */
static void fill_standard_descriptors(void)
{
    int fd;
    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd > STDERR_FILENO)
        close(fd);
}

static void raise_file_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static void print_complaints(const struct complaints *wrong)
{
    for (unsigned i = 0; i < wrong->count && i < COMPLAINTS_MAX; i++)
        fprintf(stderr, "larderd: %s\n", wrong->lines[i]);
    if (wrong->count > COMPLAINTS_MAX)
        fprintf(stderr, "larderd: and %u more\n", wrong->count - COMPLAINTS_MAX);
}

/* From a file it was meant for us: a warning.  From the environment it is usually there for the app. */
static void tell_unused(void *user, const struct setting *s)
{
    char shown[256];
    if (s->section == SECTION_REDIS)
        return; /* one line of its own */
    config_mask(s->key, s->value, shown, sizeof(shown));
    if (s->from_file)
        log_warn("option has no effect yet", L_TEXT("option", s->key), L_TEXT("value", shown),
                 L_TEXT("origin", s->origin));
    else
        log_debug("option has no effect yet", L_TEXT("option", s->key), L_TEXT("value", shown),
                  L_TEXT("origin", s->origin));
}

static void tell_about(const struct config *c)
{
    config_each_unused(c, tell_unused, NULL);
    if (config_names_redis(c))
        return;
    if (environment_get(environ, "UPSTASH_REDIS_REST_URL"))
        log_warn("UPSTASH_REDIS_REST_URL is the REST address; set REDIS_URL to the rediss:// address of that "
                 "database");
    else
        log_warn("no Redis configured: STANDALONE, everything but the fleet works");
}

static int run(struct config *c, const struct config_sources *sources)
{
    struct app *app = NULL;
    int listen_fd = notify_listen_fd();
    log_setup((enum log_level)option_word_index(LOG_LEVEL_WORDS, c->server.log_level),
              (enum log_format)option_word_index(LOG_FORMAT_WORDS, c->server.log_format), STDERR_FILENO);
    tell_about(c);
    if (!c->server.core_dumps)
        prctl(PR_SET_DUMPABLE, 0);
    if (listen_fd == -2) {
        log_error("the service manager passed more than one socket; one is served");
        config_destroy(c);
        return EXIT_USAGE;
    }
    int code = app_create(&(struct app_setup){.config = c, .sources = sources, .listen_fd = listen_fd}, &app);
    if (code != EXIT_DONE)
        return code;
    code = app_run(app);
    app_destroy(app);
    return code;
}

static int check_or_run(const struct flags *flags)
{
    struct complaints *wrong = must_alloc(sizeof(*wrong));
    struct config_sources sources = {.file = flags->config ? flags->config : CONFIG_FILE,
                                     .file_required = flags->config != NULL,
                                     .environment = environ,
                                     .flags = &flags->settings};
    struct config *c = config_load(&sources, wrong);
    int code = c ? EXIT_DONE : EXIT_USAGE;
    print_complaints(wrong);
    free(wrong);
    if (c && !flags->check)
        return run(c, &sources);
    if (c)
        printf("larderd: the configuration is good\n");
    config_destroy(c);
    return code;
}

static int answer_or_run(const struct flags *flags)
{
    if (flags->help)
        flags_print_help(stdout);
    else if (flags->help_config)
        flags_print_config(stdout);
    else if (flags->version)
        printf("larderd " LARDER_RELEASE "\n");
    else
        return check_or_run(flags);
    return EXIT_DONE;
}

int main(int count, char **words)
{
    struct flags flags;
    struct complaints *wrong = must_alloc(sizeof(*wrong));
    fill_standard_descriptors();
    signal(SIGPIPE, SIG_IGN);
    raise_file_limit();
    int code = EXIT_USAGE;
    flags_read(count, words, &flags, wrong);
    print_complaints(wrong);
    if (wrong->count == 0)
        code = answer_or_run(&flags);
    flags_finish(&flags);
    free(wrong);
    return code;
}
