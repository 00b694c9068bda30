#include <string.h>

#include "check_main.h"
#include "core/config_check.h"
#include "core/config_value.h"

static char why[WEIR_CONFIG_WHY_SIZE];

static bool parse(enum weir_config_type type, double min, double max, const char *text, void *out)
{
    const struct weir_config_field f = {.type = type, .min = min, .max = max};
    return weir_config_value_parse(&f, text, false, out, why);
}

static uint64_t ms(const char *text)
{
    uint64_t value = 0;
    ck_assert_msg(parse(WEIR_CONFIG_DURATION, 0, 86400, text, &value), "%s: %s", text, why);
    return value;
}

static void no_duration(const char *text)
{
    uint64_t value = 77;
    ck_assert_msg(!parse(WEIR_CONFIG_DURATION, 0, 86400, text, &value), "%s was taken", text);
    ck_assert_uint_eq(value, 77);
}

START_TEST(test_durations_are_seconds_or_have_a_unit)
{
    ck_assert_uint_eq(ms("30"), 30000);
    ck_assert_uint_eq(ms("30.0"), 30000);
    ck_assert_uint_eq(ms("0.25"), 250);
    ck_assert_uint_eq(ms(".5"), 500);
    ck_assert_uint_eq(ms("250ms"), 250);
    ck_assert_uint_eq(ms("10s"), 10000);
    ck_assert_uint_eq(ms("10 s"), 10000);
    ck_assert_uint_eq(ms("1.5m"), 90000);
    ck_assert_uint_eq(ms("24h"), 86400000);
    ck_assert_uint_eq(ms("0"), 0);
    ck_assert_uint_eq(ms("0.0001"), 1); /* above nothing stays above nothing */
}
END_TEST

START_TEST(test_what_is_no_duration)
{
    static const char *const texts[] = {"",      "-1",   "+1", "1e3", "0x10", "inf", "nan",   "5.",
                                        "1.2.3", "10 x", "s",  "ms",  "1,5",  "١",   "30s s", "99999999999999999999"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        no_duration(texts[i]);
}
END_TEST

START_TEST(test_a_duration_out_of_range_says_the_range)
{
    uint64_t value;
    ck_assert(!parse(WEIR_CONFIG_DURATION, 0.001, 60, "2m", &value));
    ck_assert_str_eq(why, "2m is out of range: 0.001 to 60 seconds");
}
END_TEST

START_TEST(test_sizes_count_by_1024)
{
    uint64_t value;
    static const struct {
        const char *text;
        uint64_t bytes;
    } cases[] = {{"0", 0},          {"4096", 4096},        {"16KB", 16384},      {"16kb", 16384},
                 {"16 KiB", 16384}, {"64MB", 64ull << 20}, {"1GiB", 1ull << 30}, {"1.5MB", 3ull << 19},
                 {"7B", 7}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ck_assert_msg(parse(WEIR_CONFIG_BYTES, 0, 0, cases[i].text, &value), "%s: %s", cases[i].text, why);
        ck_assert_uint_eq(value, cases[i].bytes);
    }
    ck_assert(!parse(WEIR_CONFIG_BYTES, 0, 0, "16KX", &value));
    ck_assert_str_eq(why, "\"16KX\" is not a size (bytes; 16KB, 64MB)");
}
END_TEST

START_TEST(test_whole_numbers_are_digits)
{
    uint32_t value = 0;
    ck_assert(parse(WEIR_CONFIG_COUNT, 0, 65535, "65535", &value));
    ck_assert_uint_eq(value, 65535);
    ck_assert(!parse(WEIR_CONFIG_COUNT, 0, 65535, "65536", &value));
    ck_assert_str_eq(why, "65536 is out of range: 0 to 65535");
    ck_assert(!parse(WEIR_CONFIG_COUNT, 0, 65535, "99999999999999999999999999", &value));
    ck_assert_str_eq(why, "99999999999999999999999999 is out of range: 0 to 65535");
    ck_assert(!parse(WEIR_CONFIG_COUNT, 0, 65535, "-1", &value));
    ck_assert_str_eq(why, "\"-1\" is not a whole number");
    ck_assert(!parse(WEIR_CONFIG_COUNT, 0, 65535, "1.0", &value));
    ck_assert(!parse(WEIR_CONFIG_COUNT, 0, 65535, "", &value));
    ck_assert_uint_eq(value, 65535);
}
END_TEST

START_TEST(test_truth_has_yamls_words_unquoted)
{
    const struct weir_config_field f = {.type = WEIR_CONFIG_BOOL};
    bool value = false;
    ck_assert(weir_config_value_parse(&f, "Yes", false, &value, why) && value);
    ck_assert(weir_config_value_parse(&f, "off", false, &value, why) && !value);
    ck_assert(weir_config_value_parse(&f, "true", false, &value, why) && value);
    ck_assert(!weir_config_value_parse(&f, "1", false, &value, why));
    ck_assert(!weir_config_value_parse(&f, "true", true, &value, why));
    ck_assert_str_eq(why, "\"true\" in quotes is not true or false");
}
END_TEST

START_TEST(test_a_choice_names_all_and_the_nearest)
{
    static const char *const choices[] = {"full", "none", NULL};
    const struct weir_config_field f = {.type = WEIR_CONFIG_CHOICE, .choices = choices};
    uint32_t value = 9;
    ck_assert(weir_config_value_parse(&f, "none", false, &value, why));
    ck_assert_uint_eq(value, 1);
    ck_assert(!weir_config_value_parse(&f, "ful", false, &value, why));
    ck_assert_str_eq(why, "\"ful\" is none of full, none; the nearest is \"full\"");
}
END_TEST

START_TEST(test_format_reads_back)
{
    static const char *const durations[] = {"30", "250ms", "0", "1001ms", "86400"};
    static const char *const sizes[] = {"0", "16KB", "64MB", "1000", "1025"};
    const struct weir_config_field duration = {.type = WEIR_CONFIG_DURATION};
    const struct weir_config_field size = {.type = WEIR_CONFIG_BYTES};
    for (size_t i = 0; i < 5; i++) {
        uint64_t value;
        char buf[32];
        ck_assert(weir_config_value_parse(&duration, durations[i], false, &value, why));
        weir_config_value_format(&duration, &value, buf, sizeof buf);
        ck_assert_str_eq(buf, durations[i]);
        ck_assert(weir_config_value_parse(&size, sizes[i], false, &value, why));
        weir_config_value_format(&size, &value, buf, sizeof buf);
        ck_assert_str_eq(buf, sizes[i]);
    }
}
END_TEST

START_TEST(test_distance_counts_slips)
{
    ck_assert_uint_eq(weir_config_distance("listen", "listen"), 0);
    ck_assert_uint_eq(weir_config_distance("lsiten", "listen"), 1); /* a swap is one slip */
    ck_assert_uint_eq(weir_config_distance("max_conections", "max_connections"), 1);
    ck_assert_uint_eq(weir_config_distance("", "abc"), 3);
    ck_assert_uint_eq(weir_config_distance("abc", ""), 3);
    ck_assert_uint_eq(weir_config_distance("kitten", "sitting"), 3);
    char longest[200];
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    ck_assert_uint_eq(weir_config_distance(longest, ""), 64);
}
END_TEST

static struct weir_config_endpoint endpoint;
static struct weir_arena arena;

static void end_arena(void)
{
    weir_arena_reset(&arena);
}

static const char *url(const char *text)
{
    endpoint = (struct weir_config_endpoint){0};
    return weir_config_url_parse(&endpoint, &arena, text);
}

START_TEST(test_urls_have_one_canonical_id)
{
    static const struct {
        const char *url, *id, *authority, *path;
    } cases[] = {
        {"http://Example.COM", "http://example.com:80", "example.com", ""},
        {"http://example.com:80/", "http://example.com:80", "example.com", ""},
        {"HTTP://example.com:8080/v1/", "http://example.com:8080", "example.com:8080", "/v1"},
        {"https://example.com:443/a/b", "https://example.com:443", "example.com", "/a/b"},
        {"https://example.com:80", "https://example.com:80", "example.com:80", ""},
        {"http://[::1]:9001", "http://[::1]:9001", "[::1]:9001", ""},
        {"http://[FD00::1]/x%20y", "http://[fd00::1]:80", "[fd00::1]", "/x%20y"},
        {"http://vllm_1:8000", "http://vllm_1:8000", "vllm_1:8000", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *wrong = url(cases[i].url);
        ck_assert_msg(wrong == NULL, "%s %s", cases[i].url, wrong);
        ck_assert_str_eq(endpoint.id, cases[i].id);
        ck_assert_str_eq(endpoint.authority, cases[i].authority);
        ck_assert_str_eq(endpoint.path_prefix, cases[i].path);
    }
    ck_assert_str_eq(endpoint.url, "http://vllm_1:8000");
    ck_assert_str_eq(endpoint.host, "vllm_1");
    ck_assert_uint_eq(endpoint.port, 8000);
}
END_TEST

START_TEST(test_what_is_no_url)
{
    static const char *const cases[][2] = {
        {"", "is not an http:// or https:// URL"},
        {"example.com", "is not an http:// or https:// URL"},
        {"ftp://example.com", "is not an http:// or https:// URL"},
        {"http://", "is not a URL: its host is neither a name nor an address"},
        {"http://:80", "is not a URL: its host is neither a name nor an address"},
        {"http://a..b", "is not a URL: its host is neither a name nor an address"},
        {"http://a b", "is not a URL: its host is neither a name nor an address"},
        {"http://1.2.3", "is not a URL: its host is neither a name nor an address"},
        {"http://1.2.3.256", "is not a URL: its host is neither a name nor an address"},
        {"http://x:0", "is not a URL: its port must be 1 to 65535, an IPv6 address stands in brackets"},
        {"http://x:65536", "is not a URL: its port must be 1 to 65535, an IPv6 address stands in brackets"},
        {"http://x:", "is not a URL: its port must be 1 to 65535, an IPv6 address stands in brackets"},
        {"http://::1", "is not a URL: its port must be 1 to 65535, an IPv6 address stands in brackets"},
        {"http://[::1", "is not a URL: its port must be 1 to 65535, an IPv6 address stands in brackets"},
        {"http://[1.2.3.4]", "is not a URL: its port must be 1 to 65535, an IPv6 address stands in brackets"},
        {"http://user:pass@x", "holds credentials: use api_key or headers"},
        {"http://x/?a=b", "holds a query or a fragment"},
        {"http://x?a=b", "holds a query or a fragment"},
        {"http://x/#a", "holds a query or a fragment"},
        {"http://x/a b", "holds a character that no path has: write it as %XX"},
        {"http://x/a\nb", "holds a character that no path has: write it as %XX"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *wrong = url(cases[i][0]);
        ck_assert_msg(wrong != NULL, "%s was taken", cases[i][0]);
        ck_assert_str_eq(wrong, cases[i][1]);
    }
}
END_TEST

START_TEST(test_listeners_have_addresses)
{
    struct weir_config_listen l = {0};
    ck_assert_ptr_null(weir_config_listen_parse(&l, &arena, "[::1]:8000"));
    ck_assert_str_eq(l.host, "::1");
    ck_assert_uint_eq(l.port, 8000);
    ck_assert_ptr_null(weir_config_listen_parse(&l, &arena, "0.0.0.0:0"));
    ck_assert_str_eq(l.host, "0.0.0.0");
    ck_assert_ptr_null(weir_config_listen_parse(&l, &arena, "localhost:80"));
    ck_assert_str_eq(l.host, "127.0.0.1");
    static const char *const wrong[] = {"8000",   ":8000",          "127.0.0.1",      "127.0.0.1:",   "127.0.0.1:65536",
                                        "::1:80", "example.com:80", "[127.0.0.1]:80", "127.0.0.1:80x"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        ck_assert_msg(weir_config_listen_parse(&l, &arena, wrong[i]) != NULL, "%s was taken", wrong[i]);
}
END_TEST

START_TEST(test_loopback_is_known_by_address_and_name)
{
    static const char *const yes[] = {"127.0.0.1", "127.8.9.1", "::1", "localhost", "LOCALHOST", "a.localhost"};
    static const char *const no[] = {"10.0.0.1", "0.0.0.0", "::", "localhost.com", "notlocalhost", "128.0.0.1", "::2"};
    for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++)
        ck_assert_msg(weir_config_host_is_loopback(yes[i]), "%s", yes[i]);
    for (size_t i = 0; i < sizeof no / sizeof no[0]; i++)
        ck_assert_msg(!weir_config_host_is_loopback(no[i]), "%s", no[i]);
}
END_TEST

START_TEST(test_checks_of_words)
{
    ck_assert_ptr_null(weir_config_check_method("POST"));
    ck_assert_ptr_nonnull(weir_config_check_method("post"));
    ck_assert_ptr_nonnull(weir_config_check_method("PO ST"));
    ck_assert_ptr_null(weir_config_check_field_name("X-Team"));
    ck_assert_ptr_nonnull(weir_config_check_field_name("x team"));
    ck_assert_ptr_nonnull(weir_config_check_field_name("Transfer-Encoding"));
    ck_assert_ptr_nonnull(weir_config_check_field_name("Host"));
    ck_assert_ptr_nonnull(weir_config_check_field_name(""));
    ck_assert_ptr_null(weir_config_check_field_value("a b\tc"));
    ck_assert_ptr_nonnull(weir_config_check_field_value("a\r\nx: y"));
    ck_assert_ptr_null(weir_config_check_host_glob("*.example.org"));
    ck_assert_ptr_nonnull(weir_config_check_host_glob("exa*mple.org"));
    ck_assert_ptr_nonnull(weir_config_check_host_glob("example.org:80"));
    ck_assert_ptr_null(weir_config_check_name("open-ai_1.x"));
    ck_assert_ptr_nonnull(weir_config_check_name("open/ai"));
    ck_assert_ptr_null(weir_config_check_affinity("header:x-session-id"));
    ck_assert_ptr_null(weir_config_check_affinity("address"));
    ck_assert_ptr_nonnull(weir_config_check_affinity("header:"));
    ck_assert_ptr_nonnull(weir_config_check_affinity("body:x"));
    ck_assert_ptr_null(weir_config_check_redis_url("redis+sentinel://a:1,b:2/mymaster"));
    ck_assert_ptr_nonnull(weir_config_check_redis_url("http://a"));
    ck_assert_ptr_null(weir_config_check_host_port("node-1:7000"));
    ck_assert_ptr_nonnull(weir_config_check_host_port("node-1"));
}
END_TEST

CHECK_MAIN("config_value", NULL, end_arena, test_durations_are_seconds_or_have_a_unit, test_what_is_no_duration,
           test_a_duration_out_of_range_says_the_range, test_sizes_count_by_1024, test_whole_numbers_are_digits,
           test_truth_has_yamls_words_unquoted, test_a_choice_names_all_and_the_nearest, test_format_reads_back,
           test_distance_counts_slips, test_urls_have_one_canonical_id, test_what_is_no_url,
           test_listeners_have_addresses, test_loopback_is_known_by_address_and_name, test_checks_of_words)
