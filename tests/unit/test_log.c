#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include <jansson.h>
#include "base/clock.h"
#include "base/log.h"

struct ends {
    int read_end, write_end;
};

static struct ends pipe_for_log(enum log_level level, enum log_format format)
{
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
    log_setup(level, format, fds[1]);
    return (struct ends){fds[0], fds[1]};
}

static void done(struct ends e)
{
    log_setup(LOG_INFO, LOG_AUTO, STDERR_FILENO);
    close(e.read_end);
    close(e.write_end);
}

/* All that is in the pipe, as text. */
static char *drain(struct ends e)
{
    static char text[256 * 1024];
    size_t size = 0;
    ssize_t n;
    while ((n = read(e.read_end, text + size, sizeof(text) - 1 - size)) > 0)
        size += (size_t)n;
    text[size] = '\0';
    return text;
}

static json_t *only_json_line(struct ends e)
{
    json_error_t error;
    json_t *line = json_loads(drain(e), JSON_ALLOW_NUL, &error);
    if (!line)
        fail_msg("not JSON: %s", error.text);
    return line;
}

static void a_json_line_carries_level_message_and_fields(void **state)
{
    struct ends e = pipe_for_log(LOG_INFO, LOG_JSON);
    log_warn("disk is slow", L_U64("entries", 42), L_I64("left", -1), L_TEXT("path", "/var"),
             L_US("us", 2345));
    json_t *line = only_json_line(e);
    assert_string_equal(json_string_value(json_object_get(line, "level")), "warn");
    assert_string_equal(json_string_value(json_object_get(line, "msg")), "disk is slow");
    assert_int_equal(json_integer_value(json_object_get(line, "entries")), 42);
    assert_int_equal(json_integer_value(json_object_get(line, "left")), -1);
    assert_string_equal(json_string_value(json_object_get(line, "path")), "/var");
    assert_true(json_real_value(json_object_get(line, "us")) == 2.3);
    assert_non_null(json_object_get(line, "ts"));
    json_decref(line);
    done(e);
}

static void logfmt_quotes_only_what_needs_it(void **state)
{
    struct ends e = pipe_for_log(LOG_INFO, LOG_LOGFMT);
    log_info("", L_TEXT("op", "get"), L_TEXT("why", "past its ttl"), L_TEXT("none", ""), L_US("us", 2300));
    assert_non_null(strstr(drain(e), " level=info op=get why=\"past its ttl\" none=\"\" us=2.3\n"));
    done(e);
}

static void control_bytes_never_reach_the_terminal(void **state)
{
    struct ends e = pipe_for_log(LOG_INFO, LOG_LOGFMT);
    log_info("x", L_TEXT("key", "a\033[2Jb\nc\xc2\x9b\x7f"));
    char *text = drain(e);
    assert_non_null(strstr(text, "key=\"a\\u001b[2Jb\\nc\\u009b\\u007f\"\n"));
    assert_null(strchr(text, '\033'));
    done(e);
}

static void every_byte_string_gives_a_valid_json_line(void **state)
{
    struct ends e = pipe_for_log(LOG_INFO, LOG_JSON);
    unsigned seed = 1;
    for (int round = 0; round < 2000; round++) {
        unsigned char bytes[64];
        size_t size = (size_t)rand_r(&seed) % sizeof(bytes);
        for (size_t i = 0; i < size; i++)
            bytes[i] = (unsigned char)rand_r(&seed);
        log_info("x", L_BYTES("key", slice_of(bytes, size)));
        json_decref(only_json_line(e));
    }
    done(e);
}

static void well_formed_text_survives_json(void **state)
{
    struct ends e = pipe_for_log(LOG_INFO, LOG_JSON);
    const char *text = "größe \"1\\2\"\t€ 𝄞";
    log_info("x", L_TEXT("key", text));
    json_t *line = only_json_line(e);
    assert_string_equal(json_string_value(json_object_get(line, "key")), text);
    json_decref(line);
    done(e);
}

static void a_line_too_long_is_cut_and_still_valid(void **state)
{
    struct ends e = pipe_for_log(LOG_INFO, LOG_JSON);
    char big[8192];
    for (size_t size = 3800; size < 4400; size++) {
        memset(big, 'x', size);
        log_info("m", L_BYTES("key", slice_of(big, size)), L_U64("number", 123456789), L_TEXT("last", "y"));
        json_decref(only_json_line(e));
    }
    done(e);
}

static void a_full_pipe_drops_lines_and_the_next_that_fits_says_how_many(void **state)
{
    struct ends e = pipe_for_log(LOG_INFO, LOG_JSON);
    uint64_t before = log_dropped();
    unsigned sent = 0;
    while (log_dropped() == before && sent < 100000) {
        log_info("filling");
        sent++;
    }
    assert_true(sent < 100000);
    log_info("lost too");
    assert_int_equal(log_dropped() - before, 2);
    drain(e);
    log_info("back");
    char *text = drain(e);
    assert_non_null(strstr(text, "\"dropped\":2"));
    assert_non_null(strstr(text, "\"msg\":\"back\""));
    assert_true(strstr(text, "\"dropped\":2") < strstr(text, "\"msg\":\"back\""));
    done(e);
}

static void a_full_socket_drops_lines_too(void **state)
{
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    log_setup(LOG_INFO, LOG_JSON, fds[1]);
    uint64_t before = log_dropped();
    for (unsigned i = 0; i < 1000000 && log_dropped() == before; i++)
        log_info("filling");
    assert_int_equal(log_dropped() - before, 1);
    done((struct ends){fds[0], fds[1]});
}

static void the_callers_descriptor_stays_blocking(void **state)
{
    struct ends e = pipe_for_log(LOG_INFO, LOG_JSON);
    log_info("x");
    assert_false(fcntl(e.write_end, F_GETFL) & O_NONBLOCK);
    done(e);
}

static void a_file_is_appended_to_where_its_owner_stands(void **state)
{
    FILE *file = tmpfile();
    char text[512] = "";
    assert_non_null(file);
    assert_int_equal(write(fileno(file), "first\n", 6), 6);
    log_setup(LOG_INFO, LOG_LOGFMT, fileno(file));
    log_info("second");
    log_setup(LOG_INFO, LOG_AUTO, STDERR_FILENO);
    assert_true(pread(fileno(file), text, sizeof(text) - 1, 0) > 6);
    assert_memory_equal(text, "first\n", 6);
    assert_non_null(strstr(text, "msg=second\n"));
    fclose(file);
}

static void a_closed_descriptor_only_drops(void **state)
{
    int fd = dup(STDERR_FILENO);
    close(fd);
    uint64_t before = log_dropped();
    log_setup(LOG_INFO, LOG_AUTO, fd);
    log_info("x");
    assert_int_equal(log_dropped() - before, 1);
    log_setup(LOG_INFO, LOG_AUTO, STDERR_FILENO);
}

static void lines_under_the_level_are_not_written(void **state)
{
    struct ends e = pipe_for_log(LOG_WARN, LOG_JSON);
    log_info("x");
    log_debug("x");
    assert_string_equal(drain(e), "");
    log_set_level(LOG_DEBUG);
    log_debug("now");
    assert_non_null(strstr(drain(e), "now"));
    done(e);
}

static void the_journal_gets_a_priority_and_no_time(void **state)
{
    int fds[2];
    struct stat st;
    char stream[64], text[256] = "";
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    assert_int_equal(fstat(fds[1], &st), 0);
    snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)st.st_dev,
             (unsigned long long)st.st_ino);
    setenv("JOURNAL_STREAM", stream, 1);
    log_setup(LOG_INFO, LOG_AUTO, fds[1]);
    unsetenv("JOURNAL_STREAM");
    log_error("x");
    assert_true(read(fds[0], text, sizeof(text) - 1) > 0);
    assert_string_equal(text, "<3>{\"level\":\"error\",\"msg\":\"x\"}\n");
    done((struct ends){fds[0], fds[1]});
}

static void a_limit_lets_one_through_and_counts_the_rest(void **state)
{
    struct log_limit limit = {.every_ns = NS_PER_S};
    uint64_t held_back = 99;
    assert_true(log_allowed(&limit, 5, &held_back));
    assert_int_equal(held_back, 0);
    assert_false(log_allowed(&limit, 6, &held_back));
    assert_false(log_allowed(&limit, NS_PER_S, &held_back));
    assert_true(log_allowed(&limit, NS_PER_S + 5, &held_back));
    assert_int_equal(held_back, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_json_line_carries_level_message_and_fields),
        cmocka_unit_test(logfmt_quotes_only_what_needs_it),
        cmocka_unit_test(control_bytes_never_reach_the_terminal),
        cmocka_unit_test(every_byte_string_gives_a_valid_json_line),
        cmocka_unit_test(well_formed_text_survives_json),
        cmocka_unit_test(a_line_too_long_is_cut_and_still_valid),
        cmocka_unit_test(a_full_pipe_drops_lines_and_the_next_that_fits_says_how_many),
        cmocka_unit_test(a_full_socket_drops_lines_too),
        cmocka_unit_test(the_callers_descriptor_stays_blocking),
        cmocka_unit_test(a_file_is_appended_to_where_its_owner_stands),
        cmocka_unit_test(a_closed_descriptor_only_drops),
        cmocka_unit_test(lines_under_the_level_are_not_written),
        cmocka_unit_test(the_journal_gets_a_priority_and_no_time),
        cmocka_unit_test(a_limit_lets_one_through_and_counts_the_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
