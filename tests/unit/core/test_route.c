#include "check_main.h"
#include "core/route.h"

static struct weir_arena arena;
static struct weir_fields fields;

static void setup(void)
{
    weir_arena_init(&arena);
    fields = (struct weir_fields){0};
    ck_assert(weir_fields_add(&fields, &arena, WEIR_STR("x-team"), WEIR_STR("red")));
}

static void teardown(void)
{
    weir_arena_reset(&arena);
}

static int find(const struct weir_config_route *routes, size_t count, const char *target, const char *authority)
{
    struct weir_routes r = {routes, count};
    struct weir_route_query q = {weir_route_path(weir_str_of(target)), weir_str_of(authority), &fields};
    const struct weir_config_route *found = weir_route_find(&r, &q);
    return found == NULL ? -1 : (int)(found - routes);
}

START_TEST(test_prefix_matches_whole_segments)
{
    const struct weir_config_route routes[] = {{.path_prefix = "/v1"}};
    ck_assert_int_eq(find(routes, 1, "/v1", "h"), 0);
    ck_assert_int_eq(find(routes, 1, "/v1/models?x=/v2", "h"), 0);
    ck_assert_int_eq(find(routes, 1, "/v1?x", "h"), 0);
    ck_assert_int_eq(find(routes, 1, "/v10", "h"), -1);
    ck_assert_int_eq(find(routes, 1, "/", "h"), -1);
}
END_TEST

START_TEST(test_trailing_slash_of_a_prefix_means_the_same)
{
    const struct weir_config_route routes[] = {{.path_prefix = "/v1/"}, {.path_prefix = "/"}};
    ck_assert_int_eq(find(routes, 2, "/v1", "h"), 0);
    ck_assert_int_eq(find(routes, 2, "/v1/x", "h"), 0);
    ck_assert_int_eq(find(routes, 2, "/x", "h"), 1);
}
END_TEST

START_TEST(test_host_with_port_case_brackets_and_wildcard)
{
    const struct weir_config_route routes[] = {{.host = "api.example.org"}, {.host = "*.example.org"}, {.host = "::1"}};
    ck_assert_int_eq(find(routes, 3, "/", "API.example.org:8000"), 0);
    ck_assert_int_eq(find(routes, 3, "/", "a.b.example.org"), 1);
    ck_assert_int_eq(find(routes, 3, "/", "example.org"), -1);
    ck_assert_int_eq(find(routes, 3, "/", ".example.org"), -1);
    ck_assert_int_eq(find(routes, 3, "/", "[::1]:8000"), 2);
    struct weir_str none = weir_route_host((struct weir_str){NULL, 0});
    ck_assert_uint_eq(none.len, 0);
}
END_TEST

START_TEST(test_header_by_presence_and_by_value)
{
    const struct weir_config_route routes[] = {
        {.header_name = "x-team", .header_value = "blue"}, {.header_name = "x-none"}, {.header_name = "x-team"}};
    ck_assert_int_eq(find(routes, 3, "/", "h"), 2);
}
END_TEST

START_TEST(test_all_conditions_together_and_first_wins)
{
    const struct weir_config_route routes[] = {{.path_prefix = "/a", .host = "other"}, {.path_prefix = "/a"}, {0}};
    ck_assert_int_eq(find(routes, 3, "/a", "h"), 1);
    ck_assert_int_eq(find(routes, 3, "/b", "h"), 2);
}
END_TEST

START_TEST(test_a_route_by_model_matches_nothing_here)
{
    const struct weir_config_route routes[] = {{.model = "*"}};
    ck_assert_int_eq(find(routes, 1, "/", "h"), -1);
}
END_TEST

static void check_stripped(const char *prefix, const char *target, const char *expected)
{
    const struct weir_config_route route = {.path_prefix = prefix, .strip_prefix = true};
    char scratch[64];
    struct weir_str got = weir_route_target(&route, weir_str_of(target), scratch);
    ck_assert_msg(weir_str_eq(got, weir_str_of(expected)), "%s: %.*s", target, WEIR_FMT(got));
}

START_TEST(test_stripping_leaves_a_path)
{
    check_stripped("/openai", "/openai/v1/x?y", "/v1/x?y");
    check_stripped("/openai", "/openai", "/");
    check_stripped("/openai", "/openai?x", "/?x");
    check_stripped("/openai/", "/openai/v1", "/v1");
    check_stripped("/", "/v1", "/v1");
}
END_TEST

CHECK_MAIN("route", setup, teardown, test_prefix_matches_whole_segments, test_trailing_slash_of_a_prefix_means_the_same,
           test_host_with_port_case_brackets_and_wildcard, test_header_by_presence_and_by_value,
           test_all_conditions_together_and_first_wins, test_a_route_by_model_matches_nothing_here,
           test_stripping_leaves_a_path)
