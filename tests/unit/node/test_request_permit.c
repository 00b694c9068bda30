/* A request's wait for a probe's permit of the cluster: how long it goes on looking. */
#include "check_main.h"
#include "helper/net_run.h"
#include "node/request.h"
#include "node/worker.h"

static struct weir_worker worker;
static struct weir_request r;

static void look(struct weir_deadline *d, uint64_t now_ms)
{
    (void)d;
    (void)now_ms;
}

static void setup(void)
{
    reactor_open(&worker.reactor);
    r = (struct weir_request){.worker = &worker};
    weir_request_stop_clocks(&r);
    r.limit_due_ms = r.again_due_ms = r.deadline_due_ms = WEIR_NEVER;
    weir_deadline_init(&r.deadline, look);
}

static void teardown(void)
{
    weir_deadline_drop(&worker.reactor.wheel, &r.deadline);
    weir_reactor_close(&worker.reactor);
}

/* The next look, so much later than it was meant to be. */
static bool looks_on(uint64_t late_ms)
{
    worker.reactor.now_ms = r.again_due_ms + late_ms;
    weir_request_look_is_late(&r, late_ms);
    r.again_due_ms = WEIR_NEVER;
    return weir_request_await_permit(&r);
}

START_TEST(test_waits_for_a_while_and_no_longer)
{
    uint64_t begun_ms = worker.reactor.now_ms;
    ck_assert(weir_request_await_permit(&r));
    while (looks_on(1))
        ck_assert_uint_le(worker.reactor.now_ms, begun_ms + 1000);
    ck_assert_uint_ge(worker.reactor.now_ms, begun_ms + 250);
}
END_TEST

/* Whoever brings the answer stood still as well. */
START_TEST(test_a_pause_of_the_process_is_no_wait)
{
    ck_assert(weir_request_await_permit(&r));
    ck_assert(looks_on(2000));
    ck_assert(looks_on(0));
    uint64_t resumed_ms = worker.reactor.now_ms;
    while (looks_on(1))
        ck_assert_uint_le(worker.reactor.now_ms, resumed_ms + 1000);
    ck_assert_uint_ge(worker.reactor.now_ms, resumed_ms + 250);
}
END_TEST

CHECK_MAIN("request_permit", setup, teardown, test_waits_for_a_while_and_no_longer,
           test_a_pause_of_the_process_is_no_wait)
