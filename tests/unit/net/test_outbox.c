#include "net/outbox.h"

#include "check_main.h"
#include "helper/net_run.h"
#include "helper/net_test_stream.h"

#include <errno.h>

static struct {
    struct weir_reactor r;
    struct test_stream *ts;
    struct weir_outbox o, other;
    int reports, errors, last_error;
    bool close_other, close_self;
    unsigned refill; /* blocks that `flushed` still hands over */
    char big[100000];
} f;

static void on_flushed(struct weir_outbox *o, int error)
{
    f.reports++;
    f.last_error = error;
    f.errors += error != 0;
    if (f.refill > 0 && error == 0) {
        f.refill--;
        weir_outbox_copy(o, "more;", 5);
    }
    if (f.close_other)
        weir_outbox_close(&f.other);
    if (f.close_self) {
        weir_outbox_close(o);
        memset(o, 0xee, sizeof *o);
    }
}

static void on_event(struct weir_stream *s)
{
    if ((s->source.ready & WEIR_READY_OUT) != 0)
        weir_outbox_writable(&f.o);
}

static void setup(void)
{
    memset(&f, 0, sizeof f);
    for (size_t i = 0; i < sizeof f.big; i++)
        f.big[i] = (char)('a' + i % 23);
    reactor_open(&f.r);
    f.ts = test_stream_new(&f.r);
    f.ts->base.event = on_event;
    weir_outbox_init(&f.o, &f.r, &f.ts->base, on_flushed, NULL);
    weir_outbox_init(&f.other, &f.r, &f.ts->base, on_flushed, NULL);
}

static void teardown(void)
{
    if (!f.close_self) {
        weir_outbox_close(&f.o);
        weir_outbox_close(&f.other);
    }
    test_stream_free(f.ts);
    weir_reactor_close(&f.r);
}

static void assert_wrote(const char *text)
{
    ck_assert_uint_eq(f.ts->wrote_len, strlen(text));
    ck_assert_mem_eq(f.ts->wrote, text, strlen(text));
}

static void copy_text(const char *text)
{
    weir_outbox_copy(&f.o, text, strlen(text));
}

START_TEST(test_one_write_a_turn)
{
    copy_text("head ");
    weir_outbox_ref(&f.o, "small ", 6);
    char *p = weir_outbox_reserve(&f.o, 100);
    memcpy(p, "in place", 8);
    weir_outbox_commit(&f.o, 8);
    ck_assert_uint_eq(weir_outbox_unsent(&f.o), 19);
    ck_assert_uint_eq(weir_outbox_room(&f.o), WEIR_STREAM_BACKLOG_MAX - 19);
    ck_assert_uint_eq(f.ts->writes, 0);
    run_idle(&f.r);
    ck_assert_uint_eq(f.ts->writes, 1);
    assert_wrote("head small in place");
    ck_assert_int_eq(f.reports, 1);
    ck_assert_int_eq(f.last_error, 0);
    ck_assert_uint_eq(weir_outbox_unsent(&f.o), 0);
    ck_assert_ptr_null(f.o.gather);
    ck_assert_ptr_null(f.o.backlog);
    ck_assert_uint_eq(f.o.bytes_total, 19);
    run_idle(&f.r);
    ck_assert_int_eq(f.reports, 1);
}
END_TEST

/* Handed over outside a turn, with nothing else going on: the loop must not sleep on it. */
START_TEST(test_output_from_outside_a_turn_wakes_the_loop)
{
    run_idle(&f.r);
    copy_text("x");
    uv_run(&f.r.loop, UV_RUN_ONCE);
    assert_wrote("x");
}
END_TEST

START_TEST(test_settle_writes_references_only)
{
    copy_text("chunk;");
    weir_outbox_settle(&f.o);
    ck_assert_uint_eq(f.ts->writes, 0);
    weir_outbox_ref(&f.o, f.big, 5000);
    weir_outbox_settle(&f.o);
    ck_assert_uint_eq(f.ts->writes, 1);
    ck_assert_uint_eq(f.ts->wrote_len, 5006);
    ck_assert_int_eq(f.reports, 0); /* never from inside */
    run_idle(&f.r);
    ck_assert_int_eq(f.reports, 1);
    ck_assert_uint_eq(f.ts->writes, 1);
}
END_TEST

START_TEST(test_short_writes_keep_the_order)
{
    f.ts->write_max = 7;
    copy_text("first,");
    weir_outbox_ref(&f.o, f.big, 3000);
    weir_outbox_flush(&f.o);
    memset(f.big + 2000, 0, 1000); /* what was not taken is no longer referred to */
    copy_text(",last");
    RUN_UNTIL(&f.r, weir_outbox_unsent(&f.o) == 0);
    ck_assert_uint_eq(f.ts->wrote_len, 6 + 3000 + 5);
    ck_assert_mem_eq(f.ts->wrote, "first,", 6);
    ck_assert_mem_eq(f.ts->wrote + 6, f.big, 2000);
    ck_assert_int_eq(f.ts->wrote[6 + 2999], 'a' + 2999 % 23);
    ck_assert_mem_eq(f.ts->wrote + 3006, ",last", 5);
    ck_assert_ptr_null(f.o.backlog);
}
END_TEST

START_TEST(test_full_kernel_costs_no_attempts_until_it_has_room)
{
    test_stream_room(f.ts, 4);
    copy_text("12345678");
    run_idle(&f.r);
    ck_assert_uint_eq(f.ts->writes, 1);
    ck_assert_uint_eq(weir_outbox_unsent(&f.o), 4);
    copy_text("9");
    run_idle(&f.r);
    ck_assert_uint_eq(f.ts->writes, 1);
    ck_assert_uint_eq(weir_outbox_unsent(&f.o), 5);
    int before = f.reports;
    test_stream_room(f.ts, 100);
    run_idle(&f.r);
    assert_wrote("123456789");
    ck_assert_uint_eq(f.ts->writes, 2);
    ck_assert_int_eq(f.reports, before + 1);
}
END_TEST

START_TEST(test_eagain_keeps_all)
{
    f.ts->write_eagains = 2;
    copy_text("patience");
    RUN_UNTIL(&f.r, weir_outbox_unsent(&f.o) == 0);
    assert_wrote("patience");
}
END_TEST

START_TEST(test_a_producer_that_ignores_room_is_stopped)
{
    test_stream_room(f.ts, 0);
    for (int i = 0; i < 20 && !f.o.failed; i++) {
        weir_outbox_ref(&f.o, f.big, 16000);
        weir_outbox_settle(&f.o);
        ck_assert_uint_le(weir_outbox_unsent(&f.o), WEIR_OUTBOX_UNSENT_MAX);
    }
    ck_assert(f.o.failed);
    run_idle(&f.r);
    ck_assert_int_eq(f.last_error, -ENOBUFS);
}
END_TEST

START_TEST(test_more_than_a_gather_in_one_turn)
{
    weir_outbox_copy(&f.o, f.big, 50000);
    for (int i = 0; i < 200; i++) {
        weir_outbox_ref(&f.o, f.big + i * 2 * 10, 2000); /* more iovecs than there are */
        weir_outbox_copy(&f.o, "-", 1);
    }
    weir_outbox_flush(&f.o);
    ck_assert_uint_eq(f.ts->wrote_len, 50000 + 200 * 2001);
    ck_assert_mem_eq(f.ts->wrote, f.big, 50000);
    ck_assert_mem_eq(f.ts->wrote + 50000 + 199 * 2001, f.big + 199 * 20, 2000);
    run_idle(&f.r);
    ck_assert_int_eq(f.reports, 1);
}
END_TEST

START_TEST(test_an_error_is_told_once_and_the_rest_swallowed)
{
    f.ts->write_error = -EPIPE;
    copy_text("lost");
    run_idle(&f.r);
    ck_assert_int_eq(f.errors, 1);
    ck_assert_int_eq(f.last_error, -EPIPE);
    copy_text("also lost");
    weir_outbox_ref(&f.o, f.big, 5000);
    ck_assert_ptr_null(weir_outbox_reserve(&f.o, 10));
    weir_outbox_flush(&f.o);
    run_idle(&f.r);
    ck_assert_int_eq(f.reports, 1);
    ck_assert_uint_eq(weir_outbox_unsent(&f.o), 0);
    ck_assert_uint_eq(f.ts->writes, 1);
}
END_TEST

START_TEST(test_an_error_while_the_backlog_drains)
{
    test_stream_room(f.ts, 1);
    copy_text("ab");
    run_idle(&f.r);
    f.ts->write_error = -ECONNRESET;
    test_stream_room(f.ts, 5);
    run_idle(&f.r);
    ck_assert_int_eq(f.errors, 1);
    ck_assert_int_eq(f.last_error, -ECONNRESET);
}
END_TEST

/* The report of one may close others of the same turn, and itself. */
START_TEST(test_closed_from_inside_a_report)
{
    f.close_other = f.close_self = true;
    weir_outbox_copy(&f.o, "a", 1);
    weir_outbox_copy(&f.other, "b", 1);
    run_idle(&f.r);
    assert_wrote("a");
    ck_assert_int_eq(f.reports, 1);
}
END_TEST

START_TEST(test_what_a_report_hands_over_goes_out_in_the_next_turn)
{
    f.refill = 3;
    copy_text("start;");
    uint64_t turns = f.r.poller.turns;
    uv_run(&f.r.loop, UV_RUN_ONCE);
    assert_wrote("start;");
    while (f.refill > 0 || weir_outbox_unsent(&f.o) > 0)
        uv_run(&f.r.loop, UV_RUN_ONCE);
    assert_wrote("start;more;more;more;");
    ck_assert_uint_eq(f.r.poller.turns - turns, 4);
}
END_TEST

CHECK_MAIN("outbox", setup, teardown, test_one_write_a_turn, test_output_from_outside_a_turn_wakes_the_loop,
           test_settle_writes_references_only, test_short_writes_keep_the_order,
           test_full_kernel_costs_no_attempts_until_it_has_room, test_eagain_keeps_all,
           test_a_producer_that_ignores_room_is_stopped, test_more_than_a_gather_in_one_turn,
           test_an_error_is_told_once_and_the_rest_swallowed, test_an_error_while_the_backlog_drains,
           test_closed_from_inside_a_report, test_what_a_report_hands_over_goes_out_in_the_next_turn)
