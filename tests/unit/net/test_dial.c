/* Races between addresses: real sockets where the network decides, and streams that never answer where silence is
 * wanted. */
#include "net/dial.h"

#include <sys/socket.h>
#include <unistd.h>

#include "check_main.h"
#include "helper/net_run.h"
#include "helper/net_test_stream.h"

#define LISTENERS 3
#define NOTES     32

static struct {
    struct weir_reactor r;
    struct weir_dial *dial;
    int listeners[LISTENERS];
    struct weir_addr up[LISTENERS];   /* somebody listens there */
    struct weir_addr down[LISTENERS]; /* nobody does */
    struct test_stream *silent[WEIR_DIAL_ATTEMPTS_MAX];
    unsigned silent_count, begun;
    bool no_descriptors;
    int done, code;
    char message[512];
    struct weir_stream *winner;
    struct weir_addr winner_addr;
    struct {
        struct weir_addr addr;
        enum weir_dial_outcome outcome;
    } notes[NOTES];
    unsigned note_count;
} f;

static struct weir_addr bound(int *fd)
{
    struct weir_addr a;
    socklen_t len = sizeof a;
    *fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert(weir_addr_literal(&a, WEIR_STR("127.0.0.1"), 0));
    ck_assert_int_eq(bind(*fd, &a.sa, weir_addr_len(&a)), 0);
    ck_assert_int_eq(getsockname(*fd, &a.sa, &len), 0);
    return a;
}

static void setup(void)
{
    memset(&f, 0, sizeof f);
    reactor_open(&f.r);
    for (int i = 0; i < LISTENERS; i++) {
        int fd;
        f.up[i] = bound(&f.listeners[i]);
        ck_assert_int_eq(listen(f.listeners[i], 16), 0);
        f.down[i] = bound(&fd);
        close(fd);
    }
}

static void teardown(void)
{
    weir_dial_close(&f.dial, false);
    weir_stream_close(&f.winner, true);
    for (unsigned i = 0; i < f.silent_count; i++) {
        ck_assert(f.silent[i]->closed);
        test_stream_free(f.silent[i]);
    }
    for (int i = 0; i < LISTENERS; i++)
        close(f.listeners[i]);
    weir_reactor_close(&f.r);
}

static void never_start(struct weir_stream *s)
{
    (void)s;
}

static struct weir_stream_ops silent_ops;

/* 192.0.2.0/24 swallows what is sent to it; anything else is the real thing. */
static int connect_or_hang(struct weir_stream **out, struct weir_reactor *r, const struct sockaddr *addr, socklen_t len,
                           const struct weir_tcp_opts *opts, struct weir_err *err)
{
    const struct weir_addr *a = (const struct weir_addr *)addr;
    f.begun++;
    if (f.no_descriptors)
        return weir_err_set(err, WEIR_ELIMIT, "connect: no descriptors");
    if (ntohl(a->v4.sin_addr.s_addr) >> 8 != 0xc00002)
        return weir_tcp_connect(out, r, addr, len, opts, err);
    struct test_stream *ts = test_stream_new(r);
    silent_ops = *ts->base.ops;
    silent_ops.start = never_start;
    ts->base.ops = &silent_ops;
    f.silent[f.silent_count++] = ts;
    *out = &ts->base;
    return WEIR_OK;
}

static void on_tried(void *owner, const struct weir_addr *addr, enum weir_dial_outcome outcome)
{
    ck_assert_ptr_eq(owner, &f);
    ck_assert_uint_lt(f.note_count, NOTES);
    f.notes[f.note_count].addr = *addr;
    f.notes[f.note_count++].outcome = outcome;
}

static void on_done(void *owner, const struct weir_dial_result *result)
{
    ck_assert_ptr_eq(owner, &f);
    f.dial = NULL;
    f.done++;
    f.winner = result->stream;
    f.winner_addr = result->addr;
    ck_assert((result->stream == NULL) == (result->err != NULL));
    if (result->err != NULL) {
        f.code = result->err->code;
        snprintf(f.message, sizeof f.message, "%s", result->err->msg);
    }
}

static int start(const struct weir_addr *addrs, unsigned count, struct weir_err *err)
{
    return weir_dial_start(&f.dial, &f.r,
                           &(struct weir_dial_opts){.addrs = addrs,
                                                    .count = count,
                                                    .connect = connect_or_hang,
                                                    .tried = on_tried,
                                                    .done = on_done,
                                                    .owner = &f},
                           err);
}

static void dial(const struct weir_addr *addrs, unsigned count)
{
    struct weir_err err;
    ck_assert_int_eq(start(addrs, count, &err), WEIR_OK);
    ck_assert_int_eq(f.done, 0);
}

static struct weir_addr literal(const char *text)
{
    struct weir_addr a;
    ck_assert(weir_addr_literal(&a, weir_str_of(text), 80));
    return a;
}

/* The delay passes without anybody waiting for it. */
static void pass(uint64_t ms)
{
    weir_wheel_run(&f.r.wheel, f.r.now_ms + ms);
}

static void expect_note(unsigned i, const struct weir_addr *addr, enum weir_dial_outcome outcome)
{
    ck_assert_uint_lt(i, f.note_count);
    ck_assert(weir_addr_eq(&f.notes[i].addr, addr));
    ck_assert_int_eq(f.notes[i].outcome, outcome);
}

START_TEST(test_the_first_address_is_enough)
{
    dial(f.up, 3);
    RUN_UNTIL(&f.r, f.done == 1);
    ck_assert_ptr_nonnull(f.winner);
    ck_assert(weir_addr_eq(&f.winner_addr, &f.up[0]));
    ck_assert_uint_eq(f.begun, 1);
    ck_assert_uint_eq(f.note_count, 1);
    expect_note(0, &f.up[0], WEIR_DIAL_WON);
}
END_TEST

START_TEST(test_a_refusal_is_followed_at_once)
{
    const struct weir_addr addrs[] = {f.down[0], f.down[1], f.up[0], f.up[1]};
    dial(addrs, 4);
    RUN_UNTIL(&f.r, f.done == 1);
    ck_assert(weir_addr_eq(&f.winner_addr, &f.up[0]));
    ck_assert_uint_eq(f.begun, 3);
    ck_assert_uint_eq(f.note_count, 3);
    expect_note(0, &f.down[0], WEIR_DIAL_FAILED);
    expect_note(1, &f.down[1], WEIR_DIAL_FAILED);
    expect_note(2, &f.up[0], WEIR_DIAL_WON);
}
END_TEST

START_TEST(test_when_all_refuse_the_reason_is_told)
{
    char text[WEIR_ADDR_TEXT_MAX];
    dial(f.down, 3);
    RUN_UNTIL(&f.r, f.done == 1);
    ck_assert_ptr_null(f.winner);
    ck_assert_int_eq(f.code, WEIR_EREFUSED);
    ck_assert_ptr_nonnull(strstr(f.message, "3 addresses"));
    ck_assert_ptr_nonnull(strstr(f.message, weir_addr_text(&f.down[2], text)));
    ck_assert_ptr_nonnull(strstr(f.message, "Connection refused"));
}
END_TEST

START_TEST(test_one_that_refuses_alone_is_told_as_it_is)
{
    dial(f.down, 1);
    RUN_UNTIL(&f.r, f.done == 1);
    ck_assert_int_eq(strncmp(f.message, "connect to 127.0.0.1:", 21), 0);
}
END_TEST

START_TEST(test_silence_is_raced)
{
    const struct weir_addr addrs[] = {literal("192.0.2.1"), f.up[0]};
    dial(addrs, 2);
    run_idle(&f.r);
    pass(WEIR_DIAL_DELAY_MS / 2);
    ck_assert_uint_eq(f.begun, 1);
    RUN_UNTIL(&f.r, f.done == 1);
    ck_assert(weir_addr_eq(&f.winner_addr, &f.up[0]));
    ck_assert(f.silent[0]->closed && f.silent[0]->closed_by_reset);
    ck_assert_uint_eq(f.note_count, 2);
    expect_note(0, &f.up[0], WEIR_DIAL_WON);
    expect_note(1, &addrs[0], WEIR_DIAL_LOST);
}
END_TEST

START_TEST(test_a_late_one_still_wins_over_those_after_it)
{
    const struct weir_addr addrs[] = {literal("192.0.2.1"), literal("192.0.2.2")};
    dial(addrs, 2);
    pass(WEIR_DIAL_DELAY_MS + WEIR_WHEEL_TICK_MS);
    ck_assert_uint_eq(f.begun, 2);
    f.silent[0]->base.started(&f.silent[0]->base, WEIR_OK, NULL);
    ck_assert_int_eq(f.done, 1);
    ck_assert_ptr_eq(f.winner, &f.silent[0]->base);
    ck_assert(!f.silent[0]->closed && f.silent[1]->closed);
    ck_assert_uint_eq(f.note_count, 1); /* of the second nothing is known yet */
    expect_note(0, &addrs[0], WEIR_DIAL_WON);
}
END_TEST

START_TEST(test_a_failure_while_others_are_open_does_not_end_it)
{
    const struct weir_addr addrs[] = {literal("192.0.2.1"), f.down[0]};
    dial(addrs, 2);
    RUN_UNTIL(&f.r, f.note_count == 1);
    expect_note(0, &f.down[0], WEIR_DIAL_FAILED);
    ck_assert_int_eq(f.done, 0);
    struct weir_err err = {.code = WEIR_ECLOSED, .msg = "connect to 192.0.2.1:80: Connection reset by peer"};
    f.silent[0]->base.started(&f.silent[0]->base, err.code, &err);
    ck_assert_int_eq(f.done, 1);
    ck_assert_int_eq(f.code, WEIR_ECLOSED);
}
END_TEST

/* As an address of IPv6 fails on a machine without it. */
START_TEST(test_one_without_a_way_does_not_hide_why_another_failed)
{
    const struct weir_addr addrs[] = {f.down[0], literal("192.0.2.1")};
    struct weir_err err = {.code = WEIR_EIO, .msg = "connect to 192.0.2.1:80: Cannot assign requested address"};
    dial(addrs, 2);
    RUN_UNTIL(&f.r, f.begun == 2);
    f.silent[0]->base.started(&f.silent[0]->base, err.code, &err);
    ck_assert_int_eq(f.code, WEIR_EREFUSED);
    ck_assert_ptr_nonnull(strstr(f.message, "2 addresses failed, one of them: connect to 127.0.0.1:"));
    ck_assert_ptr_nonnull(strstr(f.message, "Connection refused"));
}
END_TEST

START_TEST(test_the_owner_s_clock_blames_who_is_silent)
{
    const struct weir_addr addrs[] = {f.down[0], literal("192.0.2.1"), literal("192.0.2.2")};
    dial(addrs, 3);
    RUN_UNTIL(&f.r, f.begun == 3);
    weir_dial_close(&f.dial, true);
    ck_assert_ptr_null(f.dial);
    ck_assert_int_eq(f.done, 0);
    ck_assert_uint_eq(f.note_count, 3);
    expect_note(1, &addrs[1], WEIR_DIAL_FAILED);
    expect_note(2, &addrs[2], WEIR_DIAL_FAILED);
}
END_TEST

START_TEST(test_an_end_for_other_reasons_blames_nobody)
{
    const struct weir_addr addrs[] = {literal("192.0.2.1"), f.up[0]};
    dial(addrs, 2);
    weir_dial_close(&f.dial, false);
    ck_assert_uint_eq(f.note_count, 0);
    weir_dial_close(&f.dial, false);
}
END_TEST

START_TEST(test_attempts_are_bounded)
{
    struct weir_addr addrs[WEIR_DIAL_ATTEMPTS_MAX + 2];
    for (unsigned i = 0; i < WEIR_DIAL_ATTEMPTS_MAX + 2; i++)
        addrs[i] = literal("192.0.2.1");
    dial(addrs, WEIR_DIAL_ATTEMPTS_MAX + 2);
    for (uint64_t i = 1; i <= WEIR_DIAL_ATTEMPTS_MAX + 2; i++) {
        f.r.now_ms += WEIR_DIAL_DELAY_MS + WEIR_WHEEL_TICK_MS;
        pass(0);
    }
    ck_assert_uint_eq(f.begun, WEIR_DIAL_ATTEMPTS_MAX);
    ck_assert_int_eq(f.done, 0);
}
END_TEST

START_TEST(test_nothing_that_could_begin_is_an_error_of_start)
{
    struct weir_err err;
    f.no_descriptors = true;
    ck_assert_int_eq(start(f.up, 3, &err), WEIR_ELIMIT);
    ck_assert_ptr_null(f.dial);
    ck_assert_int_eq(f.done, 0);
    ck_assert_uint_eq(f.note_count, 0);
}
END_TEST

START_TEST(test_families_take_turns)
{
    const struct weir_addr in[] = {literal("2001:db8::1"), literal("2001:db8::2"), literal("2001:db8::3"),
                                   literal("192.0.2.1"), literal("192.0.2.2")};
    const unsigned expect[] = {0, 3, 1, 4, 2};
    struct weir_addr out[5];
    weir_dial_interleave(out, in, 5);
    for (unsigned i = 0; i < 5; i++)
        ck_assert(weir_addr_eq(&out[i], &in[expect[i]]));
    weir_dial_interleave(out, in + 2, 3); /* v6, v4, v4 */
    ck_assert(weir_addr_eq(&out[1], &in[3]) && weir_addr_eq(&out[2], &in[4]));
    weir_dial_interleave(out, in + 3, 2); /* one family only */
    ck_assert(weir_addr_eq(&out[0], &in[3]) && weir_addr_eq(&out[1], &in[4]));
    weir_dial_interleave(out, in, 0);
}
END_TEST

CHECK_MAIN("dial", setup, teardown, test_the_first_address_is_enough, test_a_refusal_is_followed_at_once,
           test_when_all_refuse_the_reason_is_told, test_one_that_refuses_alone_is_told_as_it_is, test_silence_is_raced,
           test_a_late_one_still_wins_over_those_after_it, test_a_failure_while_others_are_open_does_not_end_it,
           test_one_without_a_way_does_not_hide_why_another_failed, test_the_owner_s_clock_blames_who_is_silent,
           test_an_end_for_other_reasons_blames_nobody, test_attempts_are_bounded,
           test_nothing_that_could_begin_is_an_error_of_start, test_families_take_turns)
