/* The feed on control and a follower on a worker, in one thread: each mailbox is drained by hand, and the client is a
 * scripted exchange. */
#include "node/event_feed.h"

#include <stdio.h>
#include <string.h>

#include "check_main.h"
#include "helper/core_failmalloc.h"

static struct weir_reactor control;
static struct weir_node node;
static struct weir_worker worker;
static struct weir_event_feed feed;
static struct weir_request request;

/* -- the client -- */

static struct weir_exchange down;
static char got[1 << 16];
static size_t got_len, room;
static bool headed, ended;

static void send_head(struct weir_exchange *x, const struct weir_head *head, bool end)
{
    (void)x;
    headed = head->status == 200 && !end && head->has_body && head->content_length == WEIR_LENGTH_UNKNOWN;
}

static size_t send_body(struct weir_exchange *x, const void *p, size_t n)
{
    (void)x;
    if (n > 0 && got_len + n < sizeof got) {
        memcpy(got + got_len, p, n);
        got_len += n;
    }
    room -= n < room ? n : room;
    return room;
}

static void send_end(struct weir_exchange *x, const struct weir_fields *trailers)
{
    (void)x, (void)trailers;
    ended = true;
}

static void reset(struct weir_exchange *x, enum weir_reset_reason reason)
{
    (void)x, (void)reason;
}

static size_t room_of(const struct weir_exchange *x)
{
    (void)x;
    return room;
}

static const struct weir_exchange_ops ops = {
    .send_head = send_head, .send_body = send_body, .send_end = send_end, .room = room_of, .reset = reset};

/* -- the two threads -- */

static void setup(void)
{
    struct weir_err err;
    ck_assert_int_eq(weir_reactor_init(&control, &err), 0);
    ck_assert_int_eq(weir_reactor_init(&worker.reactor, &err), 0);
    node.control_mailbox = &control.mailbox;
    worker.node = &node;
    weir_event_feed_init(&feed, &control);
    down.ops = &ops;
    request = (struct weir_request){.worker = &worker, .down = &down, .pins = 1};
    weir_request_stop_clocks(&request);
    request.limit_due_ms = request.again_due_ms = request.deadline_due_ms = WEIR_NEVER;
    room = SIZE_MAX;
}

static void settle(void)
{
    for (int i = 0; i < 4; i++) {
        weir_mailbox_drain(&worker.reactor.mailbox);
        weir_mailbox_drain(&control.mailbox);
    }
}

static void teardown(void)
{
    if (request.follower != NULL)
        weir_event_unfollow(request.follower);
    weir_event_feed_close(&feed);
    settle();
    weir_arena_reset(&request.arena);
    weir_reactor_close(&worker.reactor);
    weir_reactor_close(&control);
}

static void hear(unsigned id)
{
    char text[128];
    snprintf(text, sizeof text, "{\"id\":%u,\"unix_ms\":%u,\"event\":\"e\"}", id, 100 * id);
    weir_event_feed_hear(&feed, weir_str_of(text));
}

static bool follow(uint64_t after, size_t count)
{
    struct weir_textbuf first;
    weir_textbuf_init(&first, 1 << 20);
    struct weir_event_follower *f = weir_event_feed_follow(&feed, &worker, after, count, &first);
    if (f != NULL)
        weir_event_follow(&request, f, &first);
    weir_textbuf_close(&first);
    return f != NULL;
}

/* The ids that the client has got, in their order. */
static void got_ids(const char *wanted)
{
    char ids[4096] = "";
    got[got_len] = '\0';
    for (const char *at = got; (at = strstr(at, "id: ")) != NULL; at += 4)
        if (at == got || at[-1] == '\n')
            snprintf(ids + strlen(ids), sizeof ids - strlen(ids), "%ld ", strtol(at + 4, NULL, 10));
    ck_assert_str_eq(ids, wanted);
}

START_TEST(test_kept_events_then_new_ones)
{
    for (unsigned id = 1; id <= 5; id++)
        hear(id);
    ck_assert(follow(0, 2));
    ck_assert(headed && request.answer_begun && !request.answer_ended);
    got_ids("4 5 ");
    hear(6);
    hear(6); /* known */
    hear(7);
    settle();
    got_ids("4 5 6 7 ");
    ck_assert(!ended);
    ck_assert_uint_eq(request.bytes_out, got_len);
}
END_TEST

START_TEST(test_going_on_behind_an_event)
{
    for (unsigned id = 1; id <= 5; id++)
        hear(id);
    ck_assert(follow(3, 1));
    got_ids("4 5 ");
}
END_TEST

START_TEST(test_a_slow_client_gets_all_of_it_later)
{
    room = 0;
    ck_assert(follow(0, 0));
    hear(1);
    hear(2);
    settle();
    ck_assert_uint_eq(got_len, 0);
    while (request.follower->waiting.len > 0) {
        room = 7;
        weir_event_follow_room(&request);
    }
    got_ids("1 2 ");
}
END_TEST

/* Who is slower than the backlog holds is told, and costs nothing more. */
START_TEST(test_a_client_that_takes_nothing_is_dropped)
{
    static char large[WEIR_COORD_EVENT_MAX + 256];
    room = 0;
    ck_assert(follow(0, 0));
    for (unsigned id = 1; !ended; id++) {
        snprintf(large, sizeof large, "{\"id\":%u,\"unix_ms\":%u,\"msg\":\"%0*d\"}", id, id, (int)WEIR_COORD_EVENT_MAX,
                 0);
        weir_event_feed_hear(&feed, weir_str_of(large));
        settle();
        ck_assert_uint_lt(id, 2 * WEIR_FOLLOW_BACKLOG_MAX / WEIR_COORD_EVENT_MAX);
    }
    got[got_len] = '\0';
    ck_assert_ptr_nonnull(strstr(got, ": this follower is too slow"));
    ck_assert_ptr_null(request.follower);
    ck_assert(request.answer_ended);
    ck_assert_uint_eq(feed.follower_count, 0);
}
END_TEST

START_TEST(test_the_node_ends)
{
    ck_assert(follow(0, 0));
    weir_event_feed_end(&feed);
    settle();
    got[got_len] = '\0';
    ck_assert_ptr_nonnull(strstr(got, ": the node ends"));
    ck_assert(ended && request.answer_ended && request.follower == NULL);
    ck_assert(!follow(0, 0));
    hear(1); /* heard by nobody */
    settle();
    ck_assert_uint_eq(feed.follower_count, 0);
}
END_TEST

/* The client goes while pieces are on their way, and while control has just ended the feed. */
START_TEST(test_the_client_goes)
{
    ck_assert(follow(0, 0));
    hear(1);
    weir_event_unfollow(request.follower);
    request.follower = NULL;
    hear(2);
    settle();
    ck_assert_uint_eq(feed.follower_count, 0);
    got_ids("");
    ck_assert(follow(0, 0));
    weir_event_feed_end(&feed);
    weir_event_unfollow(request.follower);
    request.follower = NULL;
    settle();
    ck_assert(!ended);
}
END_TEST

START_TEST(test_bound)
{
    struct weir_event_follower *followers[WEIR_FOLLOWERS_MAX];
    for (unsigned i = 0; i < WEIR_FOLLOWERS_MAX; i++) {
        struct weir_textbuf first;
        weir_textbuf_init(&first, 1 << 20);
        followers[i] = weir_event_feed_follow(&feed, &worker, 0, 0, &first);
        ck_assert_ptr_nonnull(followers[i]);
        weir_textbuf_close(&first);
    }
    ck_assert(!follow(0, 0));
    weir_event_unfollow(followers[3]);
    settle();
    ck_assert(follow(0, 0));
    for (unsigned i = 0; i < WEIR_FOLLOWERS_MAX; i++)
        if (i != 3)
            weir_event_unfollow(followers[i]);
}
END_TEST

/* In whatever order the ends meet, nothing is left. */
START_TEST(test_nothing_is_left)
{
    bool more = true;
    for (unsigned long n = 1; more; n = failmalloc_next(n)) {
        failmalloc_begin(n);
        (void)follow(0, 5);
        hear((unsigned)n);
        weir_mailbox_drain(&worker.reactor.mailbox);
        if (request.follower != NULL)
            weir_event_unfollow(request.follower);
        request.follower = NULL;
        settle();
        weir_event_ring_close(&feed.ring);
        weir_arena_reset(&request.arena);
        long left = failmalloc_end(&more);
        ck_assert_int_eq(left, 0);
        ck_assert_uint_eq(feed.follower_count, 0);
        request.answer_begun = request.answer_ended = false;
        request.down = &down;
    }
}
END_TEST

CHECK_MAIN("event_feed", setup, teardown, test_kept_events_then_new_ones, test_going_on_behind_an_event,
           test_a_slow_client_gets_all_of_it_later, test_a_client_that_takes_nothing_is_dropped, test_the_node_ends,
           test_the_client_goes, test_bound, test_nothing_is_left)
