#include "core/trace.h"

#include <jansson.h>
#include <string.h>

#include "check_main.h"

#define GOOD "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

START_TEST(test_what_is_a_traceparent)
{
    static const struct {
        const char *text;
        bool good, sampled;
    } cases[] = {
        {GOOD, true, true},
        {"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00", true, false},
        {"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-03", true, true}, /* flags of later versions */
        {"01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more", true, true},
        {"cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", true, true},
        {GOOD "-more", false, false}, /* version 00 ends here */
        {"01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01more", false, false},
        {"ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", false, false},
        {"00-00000000000000000000000000000000-00f067aa0ba902b7-01", false, false},
        {"00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", false, false},
        {"00-4BF92F3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", false, false},
        {"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0", false, false},
        {"00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", false, false},
        {"", false, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct weir_trace_context c = {.span = 42};
        ck_assert_msg(weir_trace_parse(&c, weir_str_of(cases[i].text)) == cases[i].good, "%s", cases[i].text);
        ck_assert_int_eq(c.sampled, cases[i].sampled);
        if (!cases[i].good)
            ck_assert_uint_eq(c.span, 42);
    }
}
END_TEST

START_TEST(test_it_is_written_as_it_was_read)
{
    struct weir_trace_context c;
    char text[WEIR_TRACEPARENT_LEN];
    ck_assert(weir_trace_parse(&c, WEIR_STR(GOOD)));
    ck_assert(c.trace_high == UINT64_C(0x4bf92f3577b34da6) && c.trace_low == UINT64_C(0xa3ce929d0e0e4736));
    ck_assert(c.span == UINT64_C(0x00f067aa0ba902b7));
    weir_trace_format(text, &c);
    ck_assert_mem_eq(text, GOOD, sizeof text);
}
END_TEST

START_TEST(test_the_share_that_is_chosen)
{
    struct weir_rng rng = {7};
    unsigned tenth = 0, none = 0, all = 0;
    for (int i = 0; i < 20000; i++) {
        struct weir_trace_context c;
        weir_trace_begin(&c, &rng);
        ck_assert(c.span == 0 && !c.sampled && c.trace_high != 0);
        tenth += weir_trace_is_chosen(&c, 0.1);
        none += weir_trace_is_chosen(&c, 0);
        all += weir_trace_is_chosen(&c, 1);
    }
    ck_assert_uint_eq(none, 0);
    ck_assert_uint_eq(all, 20000);
    ck_assert(tenth > 1850 && tenth < 2150);
}
END_TEST

START_TEST(test_texts_are_cut_and_made_harmless)
{
    char out[8];
    weir_span_text(out, sizeof out, WEIR_STR("short"));
    ck_assert_str_eq(out, "short");
    weir_span_text(out, sizeof out, WEIR_STR("/models/x"));
    ck_assert_str_eq(out, "/models");
    weir_span_text(out, sizeof out, WEIR_STR("/\xc3\xa4\n"));
    ck_assert_str_eq(out, "/???");
    weir_span_text(out, sizeof out, WEIR_STR(""));
    ck_assert_str_eq(out, "");
}
END_TEST

START_TEST(test_hostile_texts_do_not_break_the_json)
{
    static const struct weir_trace_source from = {"weir", "node \"1\"", "0.1.0"};
    struct weir_span s = {.kind = WEIR_SPAN_TRY, .context = {1, 2, 3, true}, .begin_us = 1, .end_us = 2, .attempt = 1};
    struct weir_textbuf text;
    weir_span_text(s.path, sizeof s.path, WEIR_STR("/\xff\xfe\"\\\x01"));
    weir_span_text(s.request_id, sizeof s.request_id, WEIR_STR("\xc3"));
    weir_textbuf_init(&text, 1 << 16);
    ck_assert_int_eq(weir_trace_render(&text, &from, &s, 1), 0);
    json_t *root = json_loadb(text.ptr, text.len, 0, NULL);
    ck_assert_ptr_nonnull(root);
    json_t *scope =
        json_array_get(json_object_get(json_array_get(json_object_get(root, "resourceSpans"), 0), "scopeSpans"), 0);
    json_t *span = json_array_get(json_object_get(scope, "spans"), 0);
    ck_assert_str_eq(json_string_value(json_object_get(span, "traceId")), "00000000000000010000000000000002");
    ck_assert_str_eq(json_string_value(json_object_get(span, "startTimeUnixNano")), "1000");
    ck_assert_ptr_null(json_object_get(span, "parentSpanId"));
    json_decref(root);
    weir_textbuf_close(&text);
}
END_TEST

START_TEST(test_more_than_fits)
{
    static const struct weir_trace_source from = {"weir", "n", "0"};
    struct weir_span s = {.context = {1, 2, 3, true}};
    struct weir_textbuf text;
    weir_textbuf_init(&text, 100);
    ck_assert_int_eq(weir_trace_render(&text, &from, &s, 1), WEIR_ENOMEM);
    weir_textbuf_close(&text);
}
END_TEST

CHECK_MAIN("trace", NULL, NULL, test_what_is_a_traceparent, test_it_is_written_as_it_was_read,
           test_the_share_that_is_chosen, test_texts_are_cut_and_made_harmless,
           test_hostile_texts_do_not_break_the_json, test_more_than_fits)
