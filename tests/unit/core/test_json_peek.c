#include <stdio.h>
#include <stdlib.h>

#include "check_main.h"
#include "core/json_peek.h"

static struct weir_json_want wants[WEIR_JSON_WANTS_MAX];
static struct weir_json_peek p;

static void want(const char *a, const char *b)
{
    memset(wants, 0x5a, sizeof wants);
    wants[0].name = weir_str_of(a);
    wants[1].name = weir_str_of(b);
}

/* In pieces of `step` bytes, each in a block of its own size, so that a sanitizer sees a byte too far. */
static enum weir_json_status feed(const char *text, size_t len, size_t step, size_t max)
{
    weir_json_peek_init(&p, wants, 2, max);
    enum weir_json_status status = WEIR_JSON_MORE;
    for (size_t i = 0; i < len; i += step) {
        size_t n = len - i < step ? len - i : step;
        char *piece = malloc(n);
        memcpy(piece, text + i, n);
        status = weir_json_peek_feed(&p, (struct weir_str){piece, n});
        free(piece);
    }
    return status;
}

/* What was found, as "status a=... b=...": ? unseen, ! of another type. */
static const char *found(enum weir_json_status status)
{
    static const char *const names[] = {"more", "found", "absent", "bad"};
    static char out[700];
    int at = snprintf(out, sizeof out, "%s", names[status]);
    for (int i = 0; i < 2; i++)
        at += wants[i].state == WEIR_JSON_TAKEN
                  ? snprintf(out + at, sizeof out - (size_t)at, " %c=%.*s", 'a' + i, (int)wants[i].len, wants[i].value)
                  : snprintf(out + at, sizeof out - (size_t)at, " %c%c", 'a' + i,
                             wants[i].state == WEIR_JSON_UNSEEN ? '?' : '!');
    return out;
}

static void check(const char *text, const char *expected)
{
    size_t len = strlen(text);
    for (size_t step = 1; step <= len; step++) {
        want("user", "prompt_cache_key");
        ck_assert_str_eq(found(feed(text, len, step, SIZE_MAX)), expected);
    }
}

START_TEST(test_members)
{
    check("{\"user\":\"u1\",\"prompt_cache_key\":\"k\"}", "found a=u1 b=k");
    check(" \t\r\n{ \"prompt_cache_key\" : \"k\" , \"user\" : 7 } tail", "found a=7 b=k");
    check("{\"user\":-1.5e+3,\"x\":0}", "absent a=-1.5e+3 b?");
    check("{\"user\":7}", "absent a=7 b?");
    check("{}", "absent a? b?");
    check("{\"user\":\"\"}", "absent a= b?");
    check("{\"user\":\"first\",\"user\":\"second\"}", "absent a=first b?");
    check("{\"user\":\"u\",\"prompt_cache_key\":\"k\"]]]", "found a=u b=k");
    check("{\"user\":\"u\"", "more a=u b?");
    check("{\"user\":7", "more a? b?");
}
END_TEST

START_TEST(test_only_the_outermost_object_counts)
{
    check("{\"metadata\":{\"user\":\"inner\"},\"user\":\"outer\"}", "absent a=outer b?");
    check("{\"messages\":[{\"user\":\"inner\",\"c\":[[],{}]}],\"user\":\"outer\"}", "absent a=outer b?");
    check("{\"x\":\"\\\"user\\\":\\\"no\\\"\",\"y\":\"user\",\"user\":\"yes\"}", "absent a=yes b?");
    check("{\"us\":\"a\",\"user_\":\"b\",\"user\\u0000\":\"c\",\"User\":\"d\"}", "absent a? b?");
}
END_TEST

START_TEST(test_values_of_other_types)
{
    check("{\"user\":null,\"prompt_cache_key\":true}", "found a! b!");
    check("{\"user\":{\"prompt_cache_key\":\"in\"},\"prompt_cache_key\":\"out\"}", "found a! b=out");
    check("{\"user\":[\"in\"],\"prompt_cache_key\":false}", "found a! b!");
    check("{\"user\":null,\"user\":\"later\"}", "absent a! b?");
}
END_TEST

START_TEST(test_escapes)
{
    check("{\"us\\u0065r\":\"a\\n\\\\\\/\\\"\"}", "absent a=a\n\\/\" b?");
    check("{\"user\":\"\\u0041\\u00e9\\u20AC\\ud83d\\ude00\"}", "absent a=A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80 b?");
    check("{\"user\":\"\xc3\xa9\"}", "absent a=\xc3\xa9 b?");
    check("{\"user\":\"\\ud83d\"}", "absent a! b?");
    check("{\"user\":\"\\ud83dx\"}", "absent a! b?");
    check("{\"user\":\"\\ud83d\\n\"}", "absent a! b?");
    check("{\"user\":\"\\ud83d\\ud83d\\ude00\"}", "absent a! b?");
    check("{\"user\":\"\\ude00\"}", "absent a! b?");
    check("{\"user\\ud83d\":\"a\",\"x\":\"\\ud83d\",\"user\":\"b\"}", "absent a=b b?");
}
END_TEST

START_TEST(test_what_is_no_json)
{
    static const char *const bad[] = {
        "[",
        "\"",
        "x",
        "{,",
        "{\"a\":1,}",
        "{\"a\" 1",
        "{\"a\":}",
        "{\"a\":1]",
        "{\"a\":[1}",
        "{\"a\":[,",
        "{\"a\":[1,]",
        "{\"a\":01",
        "{\"a\":-}",
        "{\"a\":+1",
        "{\"a\":1.}",
        "{\"a\":1e}",
        "{\"a\":1e+}",
        "{\"a\":1.2.3",
        "{\"a\":1-",
        "{\"a\":.5",
        "{\"a\":tru}",
        "{\"a\":nulL",
        "{\"a\":True",
        "{a",
        "{\"a\":\"\n",
        "{\"a\":\"\\x",
        "{\"a\":\"\\u00g",
        "{\"a\\q",
        "{1:2",
        "{\"a\":1 2",
        "{\"a\":{]",
        "\xef\xbb\xbf{}",
        "{\"a\":\"\\u-001",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        check(bad[i], "bad a? b?");
    check("{\"user\":\"u\",}", "bad a=u b?");
}
END_TEST

START_TEST(test_bounds)
{
    char text[600];
    for (int len = (int)WEIR_JSON_VALUE_MAX - 1; len <= (int)WEIR_JSON_VALUE_MAX + 1; len++) {
        snprintf(text, sizeof text, "{\"user\":\"%0*d\"}", len, 7);
        want("user", "b");
        feed(text, strlen(text), 7, SIZE_MAX);
        ck_assert_int_eq(wants[0].state, len <= (int)WEIR_JSON_VALUE_MAX ? WEIR_JSON_TAKEN : WEIR_JSON_OTHER);
        ck_assert_uint_eq(wants[0].len, len <= (int)WEIR_JSON_VALUE_MAX ? (uint32_t)len : 0);
    }
    for (uint32_t depth = WEIR_JSON_DEPTH_MAX - 1; depth <= WEIR_JSON_DEPTH_MAX; depth++) {
        size_t at = (size_t)snprintf(text, sizeof text, "{\"a\":");
        memset(text + at, '[', depth);
        memset(text + at + depth, ']', depth);
        snprintf(text + at + 2 * depth, sizeof text - at - 2 * depth, ",\"user\":\"u\"}");
        check(text, depth < WEIR_JSON_DEPTH_MAX ? "absent a=u b?" : "bad a? b?");
    }
}
END_TEST

/* After bytes_max nothing is looked for, however the text is cut. */
START_TEST(test_bytes_max)
{
    static const char text[] = "{\"user\":\"u\",\"prompt_cache_key\":\"k\"}";
    for (size_t max = 1; max < sizeof text; max++)
        for (size_t step = 1; step < sizeof text; step++) {
            want("user", "prompt_cache_key");
            enum weir_json_status status = feed(text, sizeof text - 1, step, max);
            ck_assert_str_eq(found(status), max < 11 ? "absent a? b?" : max < 34 ? "absent a=u b?" : "found a=u b=k");
        }
}
END_TEST

CHECK_MAIN("json_peek", NULL, NULL, test_members, test_only_the_outermost_object_counts, test_values_of_other_types,
           test_escapes, test_what_is_no_json, test_bounds, test_bytes_max)
