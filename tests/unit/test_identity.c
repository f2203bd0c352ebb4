/* Which host of the fleet this is, when only a small file remembers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include "app/identity.h"

static char home[] = "/dev/shm/larder-identity-XXXXXX", path[64];

static int begin(void **state)
{
    strcpy(home + sizeof(home) - 7, "XXXXXX");
    if (!mkdtemp(home))
        return -1;
    snprintf(path, sizeof(path), "%s/ns.host", home);
    return 0;
}

static int end(void **state)
{
    unlink(path);
    return rmdir(home); /* nothing else was left there */
}

static void write_file(const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void it_is_the_same_at_each_start_and_another_for_each_namespace(void **state)
{
    struct stat st;
    uint64_t first = identity_of(home, "ns");
    assert_true(identity_of(home, "ns") == first);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_true(identity_of(home, "other") != first);
    char other[64];
    snprintf(other, sizeof(other), "%s/other.host", home);
    unlink(other);
}

static void what_is_no_identity_is_replaced(void **state)
{
    const char *const texts[] = {"",
                                 "\n",
                                 "0123456789abcde\n",
                                 "0123456789abcdef",
                                 "0123456789abcdef\n\n",
                                 "0123456789ABCDEF\n",
                                 "-123456789abcdef\n"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        write_file(texts[i]);
        uint64_t fresh = identity_of(home, "ns");
        assert_true(fresh != 0x0123456789abcdef);
        assert_true(identity_of(home, "ns") == fresh);
    }
    write_file("0123456789abcdef\n");
    assert_true(identity_of(home, "ns") == 0x0123456789abcdef);
}

static void without_a_place_it_is_thrown_anew(void **state)
{
    assert_true(identity_of(NULL, "ns") != identity_of(NULL, "ns"));
    assert_true(identity_of("/dev/null", "ns") != identity_of("/dev/null", "ns"));
}

#define T(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(it_is_the_same_at_each_start_and_another_for_each_namespace),
        T(what_is_no_identity_is_replaced),
        T(without_a_place_it_is_thrown_anew),
    };
    return cmocka_run_group_tests_name("identity", tests, NULL, NULL);
}
