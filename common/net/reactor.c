#include "net/reactor.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "net/outbox.h"

uint64_t weir_clock_us(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000u + (uint64_t)ts.tv_nsec / 1000u;
}

uint64_t weir_clock_unix_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return (uint64_t)ts.tv_sec * 1000u + (uint64_t)ts.tv_nsec / 1000000u;
}

void weir_reactor_clock(struct weir_reactor *r)
{
    r->now_us = weir_clock_us();
    r->now_ms = r->now_us / 1000;
}

static void on_timer(uv_timer_t *timer)
{
    struct weir_reactor *r = timer->data;
    /* Deadlines fire at the end of the turn: an answer that has arrived by now is read before its clock is judged. */
    r->timer_ms = 0;
    weir_poller_wake(&r->poller);
}

/* The loop's clock is CLOCK_MONOTONIC in milliseconds too (as of its last poll), so the difference is exact. */
static void arm_timer(struct weir_reactor *r, uint64_t due_ms)
{
    if (due_ms == r->timer_ms)
        return;
    r->timer_ms = due_ms;
    if (due_ms == WEIR_NEVER) {
        uv_timer_stop(&r->timer);
        return;
    }
    uint64_t loop_ms = uv_now(&r->loop);
    uv_timer_start(&r->timer, on_timer, due_ms > loop_ms ? due_ms - loop_ms : 0, 0);
}

static bool on_turn_clock(void *arg)
{
    struct weir_reactor *r = arg;
    weir_reactor_clock(r);
    r->turn_us = r->now_us;
    return r->timer_ms <= r->now_ms; /* what has come since the loop looked is to be read before deadlines fire */
}

static void on_turn_start(void *arg)
{
    struct weir_reactor *r = arg;
    weir_mailbox_drain(&r->mailbox);
}

static bool on_turn_end(void *arg)
{
    struct weir_reactor *r = arg;
    weir_wheel_run(&r->wheel, r->now_ms);
    if (r->timer_ms <= r->now_ms)
        arm_timer(r, weir_wheel_next_ms(&r->wheel));
    return weir_outbox_flush_all(r);
}

static void on_before_poll(uv_prepare_t *prepare)
{
    struct weir_reactor *r = prepare->data;
    uint64_t now_us = weir_clock_us();
    if (now_us - r->turn_us > r->lag_us_max)
        r->lag_us_max = now_us - r->turn_us;
    r->turn_us = now_us;
}

static void on_mail(struct weir_mailbox *mb)
{
    (void)mb; /* the turn that follows drains it, once events are noted and the clock is read */
}

static void free_memory(struct weir_reactor *r)
{
    weir_outbox_pool_free(r->outbox_pool);
    free(r->read_buffer);
    r->outbox_pool = NULL;
    r->read_buffer = NULL;
}

static int init_loop(struct weir_reactor *r, struct weir_err *err)
{
    int rv = uv_loop_init(&r->loop);
    if (rv != 0)
        return weir_err_set(err, WEIR_EIO, "event loop: %s", uv_strerror(rv));
    if (weir_poller_init(&r->poller, &r->loop) != WEIR_OK) {
        weir_err_set(err, WEIR_EIO, "poller: %s", strerrordesc_np(errno));
        goto err_after_loop;
    }
    if (weir_mailbox_init(&r->mailbox, &r->loop, r) != WEIR_OK) {
        weir_err_set(err, WEIR_EIO, "mailbox: %s", strerrordesc_np(errno));
        goto err_after_poller;
    }
    return WEIR_OK;

err_after_poller:
    weir_poller_close(&r->poller, NULL);
err_after_loop:
    uv_run(&r->loop, UV_RUN_DEFAULT);
    rv = uv_loop_close(&r->loop);
    assert(rv == 0);
    return err->code;
}

int weir_reactor_init(struct weir_reactor *r, struct weir_err *err)
{
    memset(r, 0, sizeof *r);
    weir_list_init(&r->dirty);
    r->timer_ms = WEIR_NEVER;
    weir_reactor_clock(r);
    r->read_buffer = malloc(WEIR_READ_BUFFER_BYTES);
    r->outbox_pool = weir_outbox_pool_new();
    if (r->read_buffer == NULL || r->outbox_pool == NULL || weir_wheel_init(&r->wheel, r->now_ms) != WEIR_OK) {
        free_memory(r);
        return weir_err_set(err, WEIR_ENOMEM, "reactor: out of memory");
    }
    if (init_loop(r, err) != WEIR_OK) {
        weir_wheel_close(&r->wheel);
        free_memory(r);
        return err->code;
    }
    r->mailbox.woken = on_mail;
    r->poller.turn_clock = on_turn_clock;
    r->poller.turn_start = on_turn_start;
    r->poller.turn_end = on_turn_end;
    r->poller.turn_arg = r;
    uv_timer_init(&r->loop, &r->timer);
    uv_prepare_init(&r->loop, &r->before_poll);
    r->timer.data = r->before_poll.data = r;
    r->turn_us = weir_clock_us();
    uv_prepare_start(&r->before_poll, on_before_poll);
    return WEIR_OK;
}

void weir_reactor_run(struct weir_reactor *r)
{
    uv_update_time(&r->loop); /* what passed since init was not a turn */
    r->turn_us = weir_clock_us();
    uv_run(&r->loop, UV_RUN_DEFAULT);
}

void weir_reactor_stop(struct weir_reactor *r)
{
    uv_stop(&r->loop);
}

void weir_reactor_close(struct weir_reactor *r)
{
    weir_mailbox_close(&r->mailbox, NULL);
    weir_poller_close(&r->poller, NULL);
    uv_close((uv_handle_t *)&r->timer, NULL);
    uv_close((uv_handle_t *)&r->before_poll, NULL);
    uv_run(&r->loop, UV_RUN_NOWAIT); /* a stop that was asked for after the last run ends this one and not the next */
    uv_run(&r->loop, UV_RUN_DEFAULT);
    int rv = uv_loop_close(&r->loop);
    assert(rv == 0);
    assert(weir_list_empty(&r->dirty));
    weir_wheel_close(&r->wheel);
    free_memory(r);
}

void weir_reactor_deadline(struct weir_reactor *r, struct weir_deadline *d, uint64_t due_ms)
{
    weir_deadline_set(&r->wheel, d, due_ms);
    if (due_ms >= r->timer_ms)
        return;
    uint64_t tick_ms = due_ms + (WEIR_WHEEL_TICK_MS - 1) - (due_ms + (WEIR_WHEEL_TICK_MS - 1)) % WEIR_WHEEL_TICK_MS;
    arm_timer(r, tick_ms);
}
