#include "net/poller.h"

#include "check_main.h"
#include "helper/net_run.h"

#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define MANY 600

/* Sources over socket pairs; the test holds the far ends. */
struct probe {
    struct weir_source src;
    int far;
    unsigned runs;
    uint64_t turn;          /* in which it ran last */
    unsigned again;         /* runs it asks for without an event */
    struct probe *wakes;    /* asks for this one in each run */
    struct probe *removes;  /* removes and closes this one */
    struct probe *looks_at; /* notes that one's readiness */
    uint8_t seen;
    bool registered;
};

static struct {
    struct weir_reactor r;
    struct weir_poller *p;
    struct probe a, b, c;
} f;

static void close_probe(struct probe *x)
{
    if (!x->registered)
        return;
    x->registered = false;
    weir_poller_remove(f.p, &x->src);
    close(x->src.fd);
    close(x->far);
    x->src.run = NULL; /* a run after removal would crash */
}

static void run_probe(struct weir_source *src)
{
    struct probe *x = WEIR_CONTAINER(src, struct probe, src);
    x->runs++;
    x->turn = f.p->turns;
    if (x->again > 0) {
        x->again--;
        weir_poller_again(f.p, src);
    }
    if (x->wakes != NULL)
        weir_poller_again(f.p, &x->wakes->src);
    if (x->looks_at != NULL)
        x->seen = x->looks_at->src.ready;
    if (x->removes != NULL)
        close_probe(x->removes);
}

static void open_probe(struct probe *x)
{
    int pair[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    weir_source_init(&x->src, pair[0], run_probe);
    x->far = pair[1];
    ck_assert_int_eq(weir_poller_add(f.p, &x->src), WEIR_OK);
    x->registered = true;
}

static void setup(void)
{
    memset(&f, 0, sizeof f);
    reactor_open(&f.r);
    f.p = &f.r.poller;
    open_probe(&f.a);
    open_probe(&f.b);
    open_probe(&f.c);
    /* The first edge says that they are writable. */
    RUN_UNTIL(&f.r, f.a.runs > 0 && f.b.runs > 0 && f.c.runs > 0);
    f.a.runs = f.b.runs = f.c.runs = 0;
}

static void teardown(void)
{
    close_probe(&f.a);
    close_probe(&f.b);
    close_probe(&f.c);
    weir_reactor_close(&f.r);
}

static void tell(struct probe *x)
{
    ck_assert_int_eq(write(x->far, "x", 1), 1);
}

START_TEST(test_readiness_stays_until_it_is_cleared)
{
    ck_assert_uint_eq(f.a.src.ready, WEIR_READY_OUT);
    tell(&f.a);
    RUN_UNTIL(&f.r, f.a.runs > 0);
    ck_assert_uint_eq(f.a.src.ready, WEIR_READY_IN | WEIR_READY_OUT);
    run_idle(&f.r);
    ck_assert_uint_eq(f.a.runs, 1); /* an edge runs it once, unread bytes or not */
    ck_assert_uint_eq(f.a.src.ready, WEIR_READY_IN | WEIR_READY_OUT);
    tell(&f.a);
    RUN_UNTIL(&f.r, f.a.runs == 2);
}
END_TEST

START_TEST(test_a_peer_that_goes_shows_with_bytes_unread)
{
    tell(&f.a);
    RUN_UNTIL(&f.r, f.a.runs > 0);
    shutdown(f.a.far, SHUT_WR);
    RUN_UNTIL(&f.r, (f.a.src.ready & WEIR_READY_HUP) != 0);
}
END_TEST

START_TEST(test_again_runs_without_an_event_and_once)
{
    weir_poller_again(f.p, &f.a.src);
    weir_poller_again(f.p, &f.a.src);
    ck_assert_uint_eq(f.a.runs, 0);
    uv_run(&f.r.loop, UV_RUN_ONCE); /* the loop does not sleep on it */
    ck_assert_uint_eq(f.a.runs, 1);
    run_idle(&f.r);
    ck_assert_uint_eq(f.a.runs, 1);
}
END_TEST

START_TEST(test_again_from_its_own_run_is_another_turn)
{
    f.a.again = 3;
    weir_poller_again(f.p, &f.a.src);
    uint64_t turn = f.p->turns;
    uv_run(&f.r.loop, UV_RUN_ONCE);
    ck_assert_uint_eq(f.a.runs, 1);
    RUN_UNTIL(&f.r, f.a.runs == 4);
    ck_assert_uint_eq(f.p->turns - turn, 4);
}
END_TEST

START_TEST(test_again_for_one_that_has_not_run_is_this_turn)
{
    f.a.wakes = &f.b;
    tell(&f.a);
    RUN_UNTIL(&f.r, f.b.runs > 0);
    ck_assert_uint_eq(f.a.turn, f.b.turn);
    ck_assert_uint_eq(f.b.runs, 1);
}
END_TEST

/* Two that wake each other for ever take turns with everybody else, and each runs once a turn. */
START_TEST(test_two_that_wake_each_other_do_not_starve_a_third)
{
    f.a.wakes = &f.b;
    f.b.wakes = &f.a;
    uint64_t turn = f.p->turns;
    weir_poller_again(f.p, &f.a.src);
    tell(&f.c);
    RUN_UNTIL(&f.r, f.c.runs > 0);
    ck_assert_uint_le(f.a.runs, f.p->turns - turn);
    f.a.wakes = f.b.wakes = NULL;
}
END_TEST

START_TEST(test_events_of_a_batch_are_noted_before_the_first_run)
{
    f.a.looks_at = &f.b;
    tell(&f.a);
    close(f.b.far);
    f.b.far = dup(f.a.far); /* something to close in teardown */
    RUN_UNTIL(&f.r, f.a.runs > 0);
    ck_assert(f.a.seen & WEIR_READY_HUP);
}
END_TEST

START_TEST(test_removed_by_another_of_the_same_batch)
{
    f.a.removes = &f.b;
    f.b.removes = &f.a;
    tell(&f.a);
    tell(&f.b);
    run_idle(&f.r);
    ck_assert_uint_eq(f.a.runs + f.b.runs, 1); /* whoever came first */
    ck_assert(f.a.registered != f.b.registered);
}
END_TEST

START_TEST(test_removes_itself)
{
    f.a.removes = &f.a;
    f.a.again = 1;
    tell(&f.a);
    RUN_UNTIL(&f.r, f.a.runs > 0);
    run_idle(&f.r);
    ck_assert_uint_eq(f.a.runs, 1);
}
END_TEST

START_TEST(test_a_removed_source_can_be_added_elsewhere)
{
    struct weir_reactor other;
    tell(&f.a);
    weir_poller_remove(f.p, &f.a.src);
    f.a.src.ready = 0;
    reactor_open(&other);
    f.p = &other.poller;
    ck_assert_int_eq(weir_poller_add(f.p, &f.a.src), WEIR_OK);
    run_idle(&f.r);
    ck_assert_uint_eq(f.a.runs, 0);
    RUN_UNTIL(&other, f.a.runs > 0);
    ck_assert(f.a.src.ready & WEIR_READY_IN);
    close_probe(&f.a);
    weir_reactor_close(&other);
    f.p = &f.r.poller;
}
END_TEST

START_TEST(test_more_events_than_a_batch)
{
    static struct probe many[MANY];
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    for (int i = 0; i < MANY; i++)
        open_probe(&many[i]);
    uint64_t turn = f.p->turns;
    unsigned ran = 0;
    while (ran < MANY) {
        uv_run(&f.r.loop, UV_RUN_ONCE);
        ran = 0;
        for (int i = 0; i < MANY; i++)
            ran += many[i].runs > 0;
        ck_assert_uint_le(ran, (f.p->turns - turn) * WEIR_POLLER_BATCH);
    }
    for (int i = 0; i < MANY; i++) {
        ck_assert_uint_eq(many[i].runs, 1);
        close_probe(&many[i]);
    }
}
END_TEST

START_TEST(test_add_of_what_is_no_socket_fails)
{
    struct weir_source src;
    weir_source_init(&src, -1, run_probe);
    uint64_t before = f.p->sources;
    ck_assert_int_eq(weir_poller_add(f.p, &src), WEIR_EIO);
    ck_assert_uint_eq(f.p->sources, before);
}
END_TEST

CHECK_MAIN("poller", setup, teardown, test_readiness_stays_until_it_is_cleared,
           test_a_peer_that_goes_shows_with_bytes_unread, test_again_runs_without_an_event_and_once,
           test_again_from_its_own_run_is_another_turn, test_again_for_one_that_has_not_run_is_this_turn,
           test_two_that_wake_each_other_do_not_starve_a_third, test_events_of_a_batch_are_noted_before_the_first_run,
           test_removed_by_another_of_the_same_batch, test_removes_itself, test_a_removed_source_can_be_added_elsewhere,
           test_more_events_than_a_batch, test_add_of_what_is_no_socket_fails)
