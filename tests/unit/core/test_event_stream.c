#include "core/event_stream.h"

#include <stdio.h>

#include "check_main.h"
#include "helper/core_failmalloc.h"

static char heard[4096];

static void note(void *arg, const struct weir_event *e)
{
    size_t len = strlen(heard);
    (void)arg;
    snprintf(heard + len, sizeof heard - len, "%.*s/%.*s/%.*s|", WEIR_FMT(e->type), WEIR_FMT(e->id), WEIR_FMT(e->data));
}

/* Whole, and cut at every place into pieces of each size. */
static void hears(const char *text, const char *wanted)
{
    size_t len = strlen(text);
    for (size_t piece = 1; piece <= len; piece++) {
        struct weir_event_stream s;
        heard[0] = '\0';
        weir_event_stream_init(&s, 1024, note, NULL);
        for (size_t at = 0; at < len; at += piece)
            ck_assert(weir_event_stream_feed(&s, text + at, len - at < piece ? len - at : piece));
        ck_assert_msg(strcmp(heard, wanted) == 0, "in pieces of %zu: %s", piece, heard);
        weir_event_stream_close(&s);
    }
}

START_TEST(test_events)
{
    hears("data: one\n\n", "message//one|");
    hears("event: lost\nid: 7\ndata: {\"a\":1}\n\ndata:two\n\n", "lost/7/{\"a\":1}|message/7/two|");
    hears("data: a\ndata:  b\ndata\n\n", "message//a\n b\n|");
}
END_TEST

START_TEST(test_line_ends)
{
    hears("data: a\r\n\r\ndata: b\r\rdata: c\n\n", "message//a|message//b|message//c|");
    hears("data: a\r\ndata: b\r\n\r\n", "message//a\nb|");
}
END_TEST

START_TEST(test_what_is_no_event)
{
    hears(": alive\n\n", "");
    hears("\n\n\n", "");
    hears("event: x\nid: 1\n\ndata: y\n\n", "message/1/y|");
    hears("retry: 10\nunknown: z\ndata: y\n\n", "message//y|");
    hears("data: not ended\n", "");
    hears("\xef\xbb\xbf"
          "data: y\n\n\xef\xbb\xbf"
          "data: n\n\n",
          "message//y|");
}
END_TEST

START_TEST(test_bound)
{
    static const char *const endless[] = {"data: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "data: aaaaaaaaaaaa\n",
                                          "event: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
    for (size_t i = 0; i < sizeof endless / sizeof endless[0]; i++) {
        struct weir_event_stream s;
        bool more = true;
        unsigned fed = 0;
        weir_event_stream_init(&s, 64, note, NULL);
        for (; more && fed < 100; fed++)
            more = weir_event_stream_feed(&s, endless[i], strlen(endless[i]));
        ck_assert_msg(!more && fed < 10, "%s", endless[i]);
        ck_assert(!weir_event_stream_feed(&s, "\n\n", 2)); /* and it stays so */
        weir_event_stream_close(&s);
    }
}
END_TEST

START_TEST(test_out_of_memory)
{
    static const char text[] = "event: e\nid: 1\ndata: a\ndata: b\n\n";
    bool more = true;
    for (unsigned long n = 1; more; n = failmalloc_next(n)) {
        struct weir_event_stream s;
        heard[0] = '\0';
        failmalloc_begin(n);
        weir_event_stream_init(&s, 1024, note, NULL);
        bool fine = weir_event_stream_feed(&s, text, sizeof text - 1);
        weir_event_stream_close(&s);
        long left = failmalloc_end(&more);
        ck_assert_int_eq(left, 0);
        ck_assert(fine != more);
    }
    ck_assert_str_eq(heard, "e/1/a\nb|");
}
END_TEST

CHECK_MAIN("event_stream", NULL, NULL, test_events, test_line_ends, test_what_is_no_event, test_bound,
           test_out_of_memory)
