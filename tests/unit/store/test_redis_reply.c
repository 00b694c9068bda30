/* Replies, whole and in pieces, honest and hostile. */
#include "store/redis_reply.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check_main.h"
#include "helper/core_failmalloc.h"

static struct weir_redis_reader reader;
static struct weir_err err;

static void setup(void)
{
    ck_assert_int_eq(weir_redis_reader_init(&reader), 0);
    err = (struct weir_err){0};
}

static void teardown(void)
{
    weir_redis_reader_close(&reader);
}

static void render(const struct weir_redis_reply *r, char *out, size_t size)
{
    static const char marks[] = "_+-$:*";
    size_t len = strlen(out);
    if (r->type == WEIR_REDIS_INTEGER)
        snprintf(out + len, size - len, ":%lld ", (long long)r->integer);
    else
        snprintf(out + len, size - len, "%c%.*s ", marks[r->type], WEIR_FMT(r->str));
    for (size_t i = 0; i < r->count; i++)
        render(&r->element[i], out, size);
}

/* Feeds in pieces of n bytes; what all replies look like, or the error. */
static const char *read_all(const char *bytes, size_t len, size_t n)
{
    static char out[4096];
    const struct weir_redis_reply *reply;
    out[0] = '\0';
    for (size_t at = 0; at < len; at += n) {
        if (weir_redis_reader_feed(&reader, bytes + at, len - at < n ? len - at : n, &err) != 0)
            return err.msg;
        do {
            if (weir_redis_reader_next(&reader, &reply, &err) != 0)
                return err.msg;
            if (reply != NULL)
                render(reply, out, sizeof out);
        } while (reply != NULL);
    }
    return out;
}

static const char *read_text(const char *text)
{
    return read_all(text, strlen(text), strlen(text));
}

START_TEST(test_all_types)
{
    static const char text[] = "+OK\r\n-ERR no\r\n:-42\r\n$5\r\nhe\r\no\r\n$-1\r\n*-1\r\n*0\r\n$0\r\n\r\n"
                               "*3\r\n:1\r\n*2\r\n$1\r\na\r\n$-1\r\n+x\r\n";
    for (size_t n = 1; n <= sizeof text; n++)
        ck_assert_str_eq(read_all(text, sizeof text - 1, n), "+OK -ERR no :-42 $he\r\no _ _ * $ * :1 * $a _ +x ");
}
END_TEST

START_TEST(test_not_the_protocol)
{
    static const char *const texts[] = {
        "HTTP/1.1 400 Bad Request\r\n", "$x\r\n", "$-2\r\n", "*-2\r\n", ":\r\n", ":1a\r\n", "*1\r\n\x16\x03",
        "$99999999999999999999\r\n"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        const char *said = read_text(texts[i]);
        ck_assert_msg(err.code == WEIR_EPROTO && strstr(said, "does not speak") != NULL, "%s: %s", texts[i], said);
        ck_assert_int_eq(weir_redis_reader_feed(&reader, "+OK\r\n", 5, &err), WEIR_EPROTO); /* for good */
        teardown();
        setup();
    }
}
END_TEST

START_TEST(test_types_not_asked_for)
{
    static const char *const texts[] = {"%1\r\n+a\r\n+b\r\n", "~1\r\n+a\r\n", ">1\r\n+a\r\n",      "#t\r\n",
                                        ",1.5\r\n",           "(123\r\n",     "=7\r\ntxt:abc\r\n", "*1\r\n#f\r\n"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        ck_assert_msg(strstr(read_text(texts[i]), "RESP3") != NULL, "%s", texts[i]);
        ck_assert_int_eq(err.code, WEIR_EPROTO);
        teardown();
        setup();
    }
}
END_TEST

START_TEST(test_depth)
{
    char text[4 * (WEIR_REDIS_REPLY_DEPTH_MAX + 1) + 8] = "";
    for (unsigned i = 0; i < WEIR_REDIS_REPLY_DEPTH_MAX; i++)
        strcat(text, "*1\r\n");
    strcat(text, ":1\r\n");
    ck_assert_str_eq(read_text(text), "* * * * * * * * :1 ");
    memmove(text + 4, text, strlen(text) + 1);
    memcpy(text, "*1\r\n", 4);
    ck_assert_str_eq(read_text(text), "the server sent arrays nested too deeply");
}
END_TEST

START_TEST(test_long_arrays)
{
    char text[64];
    snprintf(text, sizeof text, "*%u\r\n", WEIR_REDIS_REPLY_ELEMENTS_MAX);
    ck_assert_str_eq(read_text(text), "");
    teardown();
    setup();
    snprintf(text, sizeof text, "*%u\r\n", WEIR_REDIS_REPLY_ELEMENTS_MAX + 1);
    (void)read_text(text);
    ck_assert_int_eq(err.code, WEIR_EPROTO);
    teardown();
    setup();
    /* Each is short enough, together they are not. */
    snprintf(text, sizeof text, "*2\r\n*%u\r\n", WEIR_REDIS_REPLY_ELEMENTS_MAX - 1);
    ck_assert_str_eq(read_text(text), "the server sent an array that is too long");
}
END_TEST

/* `first`, then so much of the same that it must be refused; in pieces of this size. */
static void refuse_endless(const char *first, char fill, size_t piece, const char *why)
{
    const struct weir_redis_reply *reply;
    char *more = malloc(piece);
    memset(more, fill, piece);
    ck_assert_int_eq(weir_redis_reader_feed(&reader, first, strlen(first), &err), 0);
    size_t held = 0;
    while (weir_redis_reader_next(&reader, &reply, &err) == 0) {
        ck_assert_ptr_null(reply);
        ck_assert_uint_lt(held, WEIR_REDIS_REPLY_BYTES_MAX + 2 * piece);
        ck_assert_int_eq(weir_redis_reader_feed(&reader, more, piece, &err), 0);
        held += piece;
    }
    free(more);
    ck_assert_str_eq(err.msg, why);
    teardown();
    setup();
}

START_TEST(test_endless)
{
    refuse_endless("$1099511627776\r\n", 'x', 65536, "the server sent a value that is too long");
    refuse_endless("+", 'x', 1000, "the server sent a line that is too long");
    refuse_endless("*1\r\n-", '\n', 1, "the server sent a line that is too long");
    refuse_endless("$", '1', 1, "the server sent a line that is too long");
    refuse_endless(":", '0', 4096, "the server sent a line that is too long");
}
END_TEST

/* Many values, none of them too long, whose sum is. */
START_TEST(test_large_in_sum)
{
    const struct weir_redis_reply *reply;
    static char value[100002 + 9];
    memcpy(value, "$100000\r\n", 9);
    memset(value + 9, 'v', 100000);
    memcpy(value + 100009, "\r\n", 2);
    ck_assert_int_eq(weir_redis_reader_feed(&reader, "*1000\r\n", 7, &err), 0);
    unsigned n = 0;
    while (weir_redis_reader_next(&reader, &reply, &err) == 0) {
        ck_assert_ptr_null(reply);
        ck_assert_int_eq(weir_redis_reader_feed(&reader, value, sizeof value, &err), 0);
        n++;
    }
    ck_assert_str_eq(err.msg, "the server sent a reply that is too large");
    ck_assert_uint_le(n, 2 * WEIR_REDIS_REPLY_BYTES_MAX / 100000 + 1);
}
END_TEST

START_TEST(test_error_codes)
{
    static const char *const cases[][2] = {
        {"-NOSCRIPT No matching script.\r\n", "NOSCRIPT"},
        {"-OOM command not allowed when used memory > 'maxmemory'.\r\n", "OOM"},
        {"-\r\n", ""},
        {"-lower case\r\n", ""},
        {"-ERR Error running script (call to f_0): @user_script:1: -READONLY You can't write\r\n", "READONLY"},
        {"-ERR Error running script (call to f_0): @user_script:1: user_script:1: oh: no\r\n", "ERR"},
        {"+OOM\r\n", ""},
    };
    const struct weir_redis_reply *reply;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ck_assert_int_eq(weir_redis_reader_feed(&reader, cases[i][0], strlen(cases[i][0]), &err), 0);
        ck_assert_int_eq(weir_redis_reader_next(&reader, &reply, &err), 0);
        struct weir_str code = weir_redis_error_code(reply);
        ck_assert_msg(weir_str_eq(code, weir_str_of(cases[i][1])), "%s: %.*s", cases[i][0], WEIR_FMT(code));
        ck_assert(weir_redis_error_is(reply, cases[i][1]) == (reply->type == WEIR_REDIS_ERROR));
    }
}
END_TEST

static int read_failing(bool *right)
{
    static const char text[] = "*3\r\n$3\r\nabc\r\n*2\r\n:1\r\n+a\r\n-ERR\r\n";
    struct weir_redis_reader r;
    const struct weir_redis_reply *reply = NULL;
    int rv = weir_redis_reader_init(&r);
    if (rv == 0)
        rv = weir_redis_reader_feed(&r, text, sizeof text - 1, &err);
    if (rv == 0)
        rv = weir_redis_reader_next(&r, &reply, &err);
    *right = rv != 0 || (reply != NULL && reply->count == 3);
    weir_redis_reader_close(&r);
    return rv;
}

START_TEST(test_out_of_memory)
{
    bool more = true;
    for (unsigned long n = 1; more; n = failmalloc_next(n)) {
        bool right;
        failmalloc_begin(n);
        int rv = read_failing(&right);
        long left = failmalloc_end(&more);
        ck_assert_int_eq(left, 0);
        ck_assert(right);
        ck_assert_int_eq(rv, more ? WEIR_ENOMEM : 0);
    }
}
END_TEST

CHECK_MAIN("redis_reply", setup, teardown, test_all_types, test_not_the_protocol, test_types_not_asked_for, test_depth,
           test_long_arrays, test_endless, test_large_in_sum, test_error_codes, test_out_of_memory)
