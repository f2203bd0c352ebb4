/* Which command Redis keeps from our user: in the words of several versions, with and without a script. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "l2/denied.h"

static const char script[] = "local now = 1\n"
                             "local a, b = redis.call('INFO', 'server'), redis.call('INFO', 'replication')\n"
                             "local m = redis.pcall('zadd', KEYS[1], 1, 'x')\n"
                             "return now\n";

#define SCRIPT_ERROR                                                                               \
    "ERR The user executing the script can't run this command or subcommand script: 11960e8d, on " \
    "@user_script:"
#define OURS "Redis does not let our user run "

static const struct {
    const char *error, *says; /* NULL: no denial */
    bool in_script;
} rows[] = {
    {SCRIPT_ERROR "2.", OURS "INFO", true},
    {SCRIPT_ERROR "3.", OURS "ZADD", true},
    {SCRIPT_ERROR "4.", OURS "a command of our scripts", true},
    {SCRIPT_ERROR "99.", OURS "a command of our scripts", true},
    {SCRIPT_ERROR "0.", OURS "a command of our scripts", true},
    {SCRIPT_ERROR "99999999999999999999.", OURS "a command of our scripts", true},
    {SCRIPT_ERROR, OURS "a command of our scripts", true},
    {"ERR Error running script (call to f_ab): @user_script:2: @user_script: 2: The user executing the "
     "script can't run "
     "this command or subcommand",
     OURS "INFO", true},
    {"NOPERM ACL failure in script: User app has no permissions to run the 'xadd' command script: ab, on "
     "@user_script:2.",
     OURS "XADD", true},
    {"NOPERM this user has no permissions to run the 'xread' command", OURS "XREAD", false},
    {"NOPERM this user has no permissions to run the 'a-very-long-name-of-a-command' command",
     OURS "A-VERY-LONG-NAME-OF-A-C", false},
    {"NOPERM this user has no permissions to run the 'xread", OURS "a command of our scripts", false},
    {"NOPERM this user has no permissions to access one of the keys used as arguments",
     "Redis does not let our user use our keys: ~PREFIX{*}:*", false},
    {"ERR The user executing the script can't access at least one of the keys mentioned in the command "
     "arguments script: "
     "ab, on @user_script:2.",
     "Redis does not let our user use our keys: ~PREFIX{*}:*", true},
    {"ERR wrong number of arguments", NULL, false},
    {"", NULL, false},
};

static void what_is_denied_is_named(void **state)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char says[DENIED_ROOM] = "";
        bool in_script = false;
        bool denied = denied_read(slice_text(rows[i].error), slice_text(script), says, &in_script);
        assert_int_equal(denied, rows[i].says != NULL);
        if (denied)
            assert_string_equal(says, rows[i].says);
        assert_int_equal(in_script, rows[i].in_script);
    }
}

static void without_a_script_the_line_says_nothing(void **state)
{
    char says[DENIED_ROOM];
    bool in_script;
    assert_true(denied_read(slice_text(SCRIPT_ERROR "2."), slice_of("", 0), says, &in_script));
    assert_string_equal(says, OURS "a command of our scripts");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_is_denied_is_named),
                                       cmocka_unit_test(without_a_script_the_line_says_nothing)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
