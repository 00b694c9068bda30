/* What a reload is said to change: each key that differs, by its path, and no secret. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check_main.h"
#include "core/config_diff.h"
#include "helper/core_failmalloc.h"
#include "helper_config.h"

#define TOLD_MAX 8192

static char told[TOLD_MAX];

static void tell(void *arg, const char *key, const char *from, const char *to)
{
    size_t *len = arg;
    int n = snprintf(told + *len, sizeof told - *len, "%s: %s -> %s\n", key, from != NULL ? from : "-",
                     to != NULL ? to : "-");
    *len += (size_t)n;
    ck_assert_uint_lt(*len, sizeof told);
}

static void compare(const char *before, const char *after)
{
    struct config_case a = config_parse(before), b = config_parse(after);
    size_t len = 0;
    ck_assert_ptr_nonnull(a.c);
    ck_assert_ptr_nonnull(b.c);
    told[0] = '\0';
    ck_assert_int_eq(weir_config_diff(a.c, b.c, &len, tell), WEIR_OK);
    config_case_end(&a);
    config_case_end(&b);
}

#define ONE "providers:\n  a: {base_url: 'http://127.0.0.1:1'}\n"

START_TEST(test_nothing_changed_nothing_told)
{
    compare(ONE, "# only a comment\n\n" ONE);
    ck_assert_str_eq(told, "");
}
END_TEST

START_TEST(test_a_value)
{
    compare(ONE, ONE "server: {head_bytes_max: 8KB}\n");
    ck_assert_str_eq(told, "server.head_bytes_max: 16KB -> 8KB\n");
    compare(ONE "server: {head_bytes_max: 8KB}\n", ONE);
    ck_assert_str_eq(told, "server.head_bytes_max: 8KB -> 16KB\n");
}
END_TEST

START_TEST(test_a_value_that_others_are_made_from)
{
    compare(ONE, ONE "http_client: {timeout: {connect: 3}}\n");
    ck_assert_str_eq(told, "providers.a.timeout.connect: 10 -> 3\nhttp_client.timeout.connect: 10 -> 3\n");
}
END_TEST

START_TEST(test_where_a_value_comes_from_is_no_change)
{
    compare(ONE, "\n\n" ONE "server: {head_bytes_max: 16KB}\n");
    ck_assert_str_eq(told, "");
}
END_TEST

START_TEST(test_elements_of_lists_have_numbers)
{
    compare("providers: {a: {endpoints: [{url: 'http://127.0.0.1:1'}, {url: 'http://127.0.0.1:2'}]}}",
            "providers: {a: {endpoints: [{url: 'http://127.0.0.1:1'}, {url: 'http://127.0.0.1:2', weight: 3}]}}");
    ck_assert_str_eq(told, "providers.a.endpoints.1.weight: 1 -> 3\n");
    compare("providers: {a: {endpoints: [{url: 'http://127.0.0.1:1'}, {url: 'http://127.0.0.1:2'}]}}", ONE);
    ck_assert_str_eq(told, "providers.a.endpoints.1.url: \"http://127.0.0.1:2\" -> -\n"
                           "providers.a.endpoints.1.weight: 1 -> -\n");
}
END_TEST

START_TEST(test_a_provider_that_comes_or_goes)
{
    const char *two = ONE "  b.c: {base_url: 'http://127.0.0.1:2'}\nroutes: [{provider: a}]\n";
    const char *one = ONE "routes: [{provider: a}]\n";
    compare(one, two);
    ck_assert_ptr_nonnull(strstr(told, "providers.b.c.endpoints.0.url: - -> \"http://127.0.0.1:2\"\n"));
    ck_assert_ptr_null(strstr(told, "providers.a."));
    compare(two, one);
    ck_assert_ptr_nonnull(strstr(told, "providers.b.c.endpoints.0.url: \"http://127.0.0.1:2\" -> -\n"));
}
END_TEST

START_TEST(test_text_with_marks_of_its_own)
{
#define ALERT(word) ONE "alerts: [{name: n, condition: 'error_rate > 1', message: 'say \"" word "\" # now'}]\n"
    compare(ALERT("a"), ALERT("b"));
    ck_assert_str_eq(told, "alerts.0.message: \"say \\\"a\\\" # now\" -> \"say \\\"b\\\" # now\"\n");
}
END_TEST

START_TEST(test_secrets_are_told_without_being_shown)
{
    const char *before =
        "server: {admin: {token: sesame-one-sesame}}\n"
        "providers: {a: {base_url: 'http://127.0.0.1:1', api_key: sesame-2, headers: {X-K: sesame-3}}}\n";
    const char *after =
        "server: {admin: {token: sesame-two-sesame}}\n"
        "providers: {a: {base_url: 'http://127.0.0.1:1', api_key: sesame-5, headers: {X-K: sesame-6}}}\n";
    compare(before, before);
    ck_assert_str_eq(told, "");
    compare(before, after);
    ck_assert_str_eq(told, "server.admin.token: \"********\" -> \"********\"\n"
                           "providers.a.api_key: \"********\" -> \"********\"\n"
                           "providers.a.headers.x-k: \"********\" -> \"********\"\n");
    compare(ONE, "providers: {a: {base_url: 'http://127.0.0.1:1', api_key: sesame-5, headers: {X-K: sesame-6}}}\n");
    ck_assert_ptr_null(strstr(told, "sesame"));
    ck_assert_ptr_nonnull(strstr(told, "providers.a.api_key: null -> \"********\"\n"));
    ck_assert_ptr_nonnull(strstr(told, "providers.a.headers: {} -> {\"x-k\": \"********\"}\n"));
}
END_TEST

static void count(void *arg, const char *key, const char *from, const char *to)
{
    (void)key;
    (void)from;
    (void)to;
    ++*(unsigned *)arg;
}

START_TEST(test_out_of_memory_at_any_point)
{
    struct config_case a = config_parse(ONE), b = config_parse(ONE "server: {head_bytes_max: 8KB}\n");
    bool more = true;
    for (unsigned long n = 1; more; n = failmalloc_next(n)) {
        unsigned changes = 0;
        failmalloc_begin(n);
        int rv = weir_config_diff(a.c, b.c, &changes, count);
        long left = failmalloc_end(&more);
        ck_assert_int_eq(left, 0);
        ck_assert_int_eq(rv, more ? WEIR_ENOMEM : WEIR_OK);
        ck_assert_uint_eq(changes, more ? 0 : 1);
    }
    config_case_end(&a);
    config_case_end(&b);
}
END_TEST

CHECK_MAIN("config diff", NULL, NULL, test_nothing_changed_nothing_told, test_a_value,
           test_a_value_that_others_are_made_from, test_where_a_value_comes_from_is_no_change,
           test_elements_of_lists_have_numbers, test_a_provider_that_comes_or_goes, test_text_with_marks_of_its_own,
           test_secrets_are_told_without_being_shown, test_out_of_memory_at_any_point)
