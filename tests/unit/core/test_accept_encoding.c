#include "check_main.h"
#include "core/accept_encoding.h"
#include "helper/core_failmalloc.h"

#define BOTH (1u << WEIR_CODING_ZSTD | 1u << WEIR_CODING_GZIP)

static struct weir_arena arena;
static struct weir_fields fields;
static struct weir_coding_sight sight;

static void setup(void)
{
    weir_arena_init(&arena);
    fields = (struct weir_fields){0};
    sight = (struct weir_coding_sight){.status = 200, .fields = &fields, .content_length = 1000, .has_body = true};
}

static void teardown(void)
{
    weir_arena_reset(&arena);
}

static void add(const char *name, const char *value)
{
    struct weir_str n = weir_str_of(name);
    ck_assert(weir_fields_add(&fields, &arena, n, weir_str_of(value)));
    fields.at[fields.count - 1].id = weir_field_id_of(n);
}

static enum weir_coding choose(const char *value, unsigned offered)
{
    fields.count = 0;
    add("accept-encoding", value);
    return weir_accept_encoding_choose(&fields, offered);
}

START_TEST(test_what_clients_accept)
{
    static const struct {
        const char *value;
        enum weir_coding both, gzip_only;
    } cases[] = {
        {"", WEIR_CODING_IDENTITY, WEIR_CODING_IDENTITY},
        {"gzip", WEIR_CODING_GZIP, WEIR_CODING_GZIP},
        {"GZip", WEIR_CODING_GZIP, WEIR_CODING_GZIP},
        {"x-gzip", WEIR_CODING_GZIP, WEIR_CODING_GZIP},
        {"zstd", WEIR_CODING_ZSTD, WEIR_CODING_IDENTITY},
        {"gzip, deflate, br, zstd", WEIR_CODING_ZSTD, WEIR_CODING_GZIP},
        {"gzip;q=1.0, zstd;q=0.9", WEIR_CODING_GZIP, WEIR_CODING_GZIP},
        {"gzip;q=0.001,zstd;q=0.002", WEIR_CODING_ZSTD, WEIR_CODING_GZIP},
        {"gzip ; q=0.5 , zstd ;Q=0.25", WEIR_CODING_GZIP, WEIR_CODING_GZIP},
        {"gzip;q=1.", WEIR_CODING_GZIP, WEIR_CODING_GZIP},
        {"gzip;q=0", WEIR_CODING_IDENTITY, WEIR_CODING_IDENTITY},
        {"gzip;q=0.000", WEIR_CODING_IDENTITY, WEIR_CODING_IDENTITY},
        {"identity", WEIR_CODING_IDENTITY, WEIR_CODING_IDENTITY},
        {"identity, gzip", WEIR_CODING_GZIP, WEIR_CODING_GZIP},
        {"identity;q=1, gzip;q=0.9", WEIR_CODING_IDENTITY, WEIR_CODING_IDENTITY},
        {"identity;q=0.5, gzip;q=0.4, zstd;q=0.6", WEIR_CODING_ZSTD, WEIR_CODING_IDENTITY},
        {"identity;q=0", WEIR_CODING_IDENTITY, WEIR_CODING_IDENTITY},
        {"*", WEIR_CODING_ZSTD, WEIR_CODING_GZIP},
        {"*;q=0", WEIR_CODING_IDENTITY, WEIR_CODING_IDENTITY},
        {"gzip, *;q=0", WEIR_CODING_GZIP, WEIR_CODING_GZIP},
        {"zstd;q=0, *", WEIR_CODING_GZIP, WEIR_CODING_GZIP},
        {"br, deflate", WEIR_CODING_IDENTITY, WEIR_CODING_IDENTITY},
        {",, gzip ,,", WEIR_CODING_GZIP, WEIR_CODING_GZIP},
        /* weights that are none accept nothing */
        {"gzip;q=2", WEIR_CODING_IDENTITY, WEIR_CODING_IDENTITY},
        {"gzip;q=1.001", WEIR_CODING_IDENTITY, WEIR_CODING_IDENTITY},
        {"gzip;q=0.1234", WEIR_CODING_IDENTITY, WEIR_CODING_IDENTITY},
        {"gzip;q=.5", WEIR_CODING_IDENTITY, WEIR_CODING_IDENTITY},
        {"gzip;q=-1", WEIR_CODING_IDENTITY, WEIR_CODING_IDENTITY},
        {"gzip;q=", WEIR_CODING_IDENTITY, WEIR_CODING_IDENTITY},
        {"gzip;q", WEIR_CODING_IDENTITY, WEIR_CODING_IDENTITY},
        {"gzip;", WEIR_CODING_IDENTITY, WEIR_CODING_IDENTITY},
        {"gzip;q = 1", WEIR_CODING_IDENTITY, WEIR_CODING_IDENTITY},
        {"gzip;level=9", WEIR_CODING_IDENTITY, WEIR_CODING_IDENTITY},
        {"gzip;q=1;q=1", WEIR_CODING_IDENTITY, WEIR_CODING_IDENTITY},
        {";q=1", WEIR_CODING_IDENTITY, WEIR_CODING_IDENTITY},
        {"gzipped", WEIR_CODING_IDENTITY, WEIR_CODING_IDENTITY},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        enum weir_coding both = choose(cases[i].value, BOTH), gzip = choose(cases[i].value, 1u << WEIR_CODING_GZIP);
        ck_assert_msg(both == cases[i].both && gzip == cases[i].gzip_only, "%s: %d and %d", cases[i].value, (int)both,
                      (int)gzip);
        ck_assert_int_eq(choose(cases[i].value, 0), WEIR_CODING_IDENTITY);
    }
    fields.count = 0;
    ck_assert_int_eq(weir_accept_encoding_choose(&fields, BOTH), WEIR_CODING_IDENTITY);
}
END_TEST

START_TEST(test_several_lines)
{
    add("accept-encoding", "br");
    add("accept", "zstd");
    add("accept-encoding", "gzip;q=0.3");
    ck_assert_int_eq(weir_accept_encoding_choose(&fields, BOTH), WEIR_CODING_GZIP);
}
END_TEST

static enum weir_coding_word decide(const char *type)
{
    fields.count = 0;
    if (type != NULL)
        add("content-type", type);
    return weir_coding_decide(&sight);
}

START_TEST(test_types)
{
    static const char *const yes[] = {
        "application/json",
        "Application/JSON; charset=utf-8",
        "text/plain",
        "text/html;charset=x",
        "application/ld+json",
        "application/x-ndjson",
        "application/jsonl",
        "application/problem+json",
        "application/xhtml+xml",
        "text/csv ; header=present",
    };
    static const char *const no[] = {NULL,
                                     "",
                                     "image/png",
                                     "application/octet-stream",
                                     "audio/mpeg",
                                     "application/jsonx",
                                     "textual/plain",
                                     "application/zip",
                                     "text",
                                     "text/event-stream",
                                     "TEXT/Event-Stream; charset=utf-8"};
    for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++)
        ck_assert_msg(decide(yes[i]) == WEIR_CODING_WHOLE, "%s", yes[i]);
    for (size_t i = 0; i < sizeof no / sizeof no[0]; i++)
        ck_assert_msg(decide(no[i]) == WEIR_CODING_NEVER, "%s", no[i] != NULL ? no[i] : "none");
    sight.event_streams = true;
    ck_assert_int_eq(decide("text/event-stream; charset=utf-8"), WEIR_CODING_EVENTS);
    ck_assert_int_eq(decide("image/png"), WEIR_CODING_NEVER);
    fields.count = 0;
    add("content-type", "text/plain");
    add("content-type", "text/plain");
    ck_assert_int_eq(weir_coding_decide(&sight), WEIR_CODING_NEVER);
}
END_TEST

START_TEST(test_answers_that_stay)
{
    static const unsigned never[] = {204, 206, 304, 100, 199};
    for (size_t i = 0; i < sizeof never / sizeof never[0]; i++) {
        sight.status = never[i];
        ck_assert_int_eq(decide("application/json"), WEIR_CODING_NEVER);
    }
    sight.status = 500;
    ck_assert_int_eq(decide("application/json"), WEIR_CODING_WHOLE);
    sight.has_body = false;
    ck_assert_int_eq(decide("application/json"), WEIR_CODING_NEVER);
    sight.has_body = true;
    sight.content_length = WEIR_CODING_LENGTH_MIN - 1;
    ck_assert_int_eq(decide("application/json"), WEIR_CODING_NEVER);
    sight.content_length++;
    ck_assert_int_eq(decide("application/json"), WEIR_CODING_WHOLE);
    sight.content_length = -1;
    ck_assert_int_eq(decide("application/json"), WEIR_CODING_STREAM);
    static const char *const stop[][2] = {{"content-encoding", "gzip"},
                                          {"content-encoding", "identity"},
                                          {"content-range", "bytes 0-1/2"},
                                          {"cache-control", "no-transform"},
                                          {"cache-control", "private, No-Transform"}};
    for (size_t i = 0; i < sizeof stop / sizeof stop[0]; i++) {
        fields.count = 0;
        add("content-type", "application/json");
        add("cache-control", "no-store, private");
        ck_assert_int_eq(weir_coding_decide(&sight), WEIR_CODING_STREAM);
        add(stop[i][0], stop[i][1]);
        ck_assert_msg(weir_coding_decide(&sight) == WEIR_CODING_NEVER, "%s: %s", stop[i][0], stop[i][1]);
    }
}
END_TEST

static const char *value_of(const char *name)
{
    static char text[200];
    const struct weir_field *f = weir_fields_find(&fields, weir_str_of(name));
    if (f == NULL)
        return "none";
    ck_assert_uint_lt(f->value.len, sizeof text);
    memcpy(text, f->value.ptr, f->value.len);
    text[f->value.len] = '\0';
    return text;
}

START_TEST(test_marks)
{
    add("content-length", "5");
    add("accept-ranges", "bytes");
    add("etag", "\"abc\"");
    add("x-other", "stays");
    ck_assert(weir_coding_mark(&fields, &arena, WEIR_CODING_IDENTITY));
    ck_assert_str_eq(value_of("vary"), "accept-encoding");
    ck_assert_str_eq(value_of("content-length"), "5");
    ck_assert_str_eq(value_of("etag"), "\"abc\"");
    ck_assert(weir_coding_mark(&fields, &arena, WEIR_CODING_GZIP));
    ck_assert_str_eq(value_of("content-length"), "none");
    ck_assert_str_eq(value_of("accept-ranges"), "none");
    ck_assert_str_eq(value_of("content-encoding"), "gzip");
    ck_assert_str_eq(value_of("etag"), "W/\"abc\"");
    ck_assert_uint_eq(fields.count, 4); /* vary once */
    fields.count = 0;
    add("vary", "origin, Accept-Encoding");
    add("etag", "W/\"abc\"");
    ck_assert(weir_coding_mark(&fields, &arena, WEIR_CODING_ZSTD));
    ck_assert_str_eq(value_of("vary"), "origin, Accept-Encoding");
    ck_assert_str_eq(value_of("etag"), "W/\"abc\"");
    ck_assert_str_eq(value_of("content-encoding"), "zstd");
    ck_assert_uint_eq(fields.count, 3);
    fields.count = 0;
    add("vary", "*");
    ck_assert(weir_coding_mark(&fields, &arena, WEIR_CODING_IDENTITY));
    ck_assert_uint_eq(fields.count, 1);
    fields.count = 0;
    add("vary", "origin");
    ck_assert(weir_coding_mark(&fields, &arena, WEIR_CODING_IDENTITY));
    ck_assert_uint_eq(fields.count, 2);
}
END_TEST

START_TEST(test_marks_out_of_memory)
{
    bool more = true;
    for (unsigned long n = 1; more; n = failmalloc_next(n)) {
        struct weir_arena a;
        struct weir_fields f = {0};
        weir_arena_init(&a);
        static char etag[2000];
        failmalloc_begin(n);
        bool ok = weir_fields_add(&f, &a, WEIR_STR("etag"), (struct weir_str){etag, sizeof etag}) &&
                  weir_coding_mark(&f, &a, WEIR_CODING_GZIP);
        weir_arena_reset(&a);
        long left = failmalloc_end(&more);
        ck_assert_int_eq(ok, !more);
        ck_assert_int_eq(left, 0);
    }
}
END_TEST

/* Where events end, as one string of positions, for every way of cutting the text in two. */
static void ends_at(const char *text, const char *marks)
{
    size_t n = strlen(text);
    for (size_t cut = 0; cut <= n; cut++) {
        struct weir_event_scan s = {0};
        const uint8_t *p = (const uint8_t *)text;
        size_t a = weir_event_scan(&s, p, cut), b = weir_event_scan(&s, p + cut, n - cut);
        size_t want_a = 0, want_b = 0;
        for (size_t i = 0; i < n; i++) {
            if (marks[i] != '|')
                continue;
            *(i < cut ? &want_a : &want_b) = i < cut ? i + 1 : i + 1 - cut;
        }
        ck_assert_msg(a == want_a && b == want_b, "%s cut at %zu: %zu (%zu), %zu (%zu)", text, cut, a, want_a, b,
                      want_b);
    }
}

START_TEST(test_event_ends)
{
    ends_at("data: a\n\ndata: b\n\nx", "        |        | ");
    ends_at("data\r\n\r\nx\r\n", "      ||   ");
    ends_at("data\r\rx\r\r", "     |  |");
    ends_at("data\n\n\n\n", "     |||");
    ends_at("\n", " ");
    ends_at("a\r\nb\nc", "      ");
    ends_at("a\n\r\n", "  ||");
}
END_TEST

CHECK_MAIN("accept_encoding", setup, teardown, test_what_clients_accept, test_several_lines, test_types,
           test_answers_that_stay, test_marks, test_marks_out_of_memory, test_event_ends)
