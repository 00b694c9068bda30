#include "net/mailbox.h"

#include "check_main.h"
#include "helper/net_run.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#define SENDERS 4
#define EACH    20000
/* Messages of one sender under way at a time: they go round, as connections handed over do. */
#define POOL 64

struct letter {
    struct weir_message m;
    unsigned sender, number;
    uint64_t payload; /* plain memory: the race detector checks that posting publishes it */
    atomic_bool *free;
};

static struct {
    uv_loop_t loop;
    struct weir_mailbox mb;
    unsigned next[SENDERS];
    unsigned received;
    bool in_order;
    pthread_t receiver_thread;
    bool closing;
    unsigned closed;
    unsigned bounces;
} f;

static void setup(void)
{
    memset(&f, 0, sizeof f);
    f.in_order = true;
    ck_assert_int_eq(uv_loop_init(&f.loop), 0);
    ck_assert_int_eq(weir_mailbox_init(&f.mb, &f.loop, &f), WEIR_OK);
}

static void on_closed(struct weir_mailbox *mb)
{
    ck_assert_ptr_eq(mb, &f.mb);
    f.closed++;
}

static void teardown(void)
{
    if (!f.closing)
        weir_mailbox_close(&f.mb, on_closed);
    uv_run(&f.loop, UV_RUN_DEFAULT);
    ck_assert_uint_eq(f.closed, 1);
    ck_assert_int_eq(uv_loop_close(&f.loop), 0);
}

static void receive(struct weir_message *m, void *receiver)
{
    struct letter *l = WEIR_CONTAINER(m, struct letter, m);
    if (receiver != &f || !pthread_equal(pthread_self(), f.receiver_thread) || l->number != f.next[l->sender] ||
        l->payload != (uint64_t)l->sender * EACH + l->number)
        f.in_order = false;
    f.next[l->sender] = l->number + 1;
    f.received++;
    atomic_store_explicit(l->free, true, memory_order_release);
    if (f.received == SENDERS * EACH)
        uv_stop(&f.loop);
}

static void *send_all(void *arg)
{
    unsigned sender = *(unsigned *)arg;
    struct letter *letters = calloc(POOL, sizeof *letters);
    static atomic_bool is_free[SENDERS][POOL];
    for (unsigned i = 0; i < POOL; i++)
        atomic_store(&is_free[sender][i], true);
    for (unsigned n = 0; n < EACH; n++) {
        struct letter *l = &letters[n % POOL];
        while (!atomic_load_explicit(&is_free[sender][n % POOL], memory_order_acquire))
            sched_yield();
        *l = (struct letter){.m.handle = receive,
                             .sender = sender,
                             .number = n,
                             .payload = (uint64_t)sender * EACH + n,
                             .free = &is_free[sender][n % POOL]};
        atomic_store_explicit(l->free, false, memory_order_relaxed);
        weir_mailbox_post(&f.mb, &l->m);
    }
    return letters;
}

/* Every message of every sender comes, on the receiver's thread, in its sender's order; a lost wake-up would hang here.
 */
START_TEST(test_many_senders)
{
    pthread_t threads[SENDERS];
    unsigned ids[SENDERS];
    f.receiver_thread = pthread_self();
    for (unsigned i = 0; i < SENDERS; i++) {
        ids[i] = i;
        ck_assert_int_eq(pthread_create(&threads[i], NULL, send_all, &ids[i]), 0);
    }
    uv_run(&f.loop, UV_RUN_DEFAULT);
    for (unsigned i = 0; i < SENDERS; i++) {
        void *letters;
        pthread_join(threads[i], &letters);
        free(letters);
    }
    ck_assert_uint_eq(f.received, SENDERS * EACH);
    ck_assert(f.in_order);
}
END_TEST

static void bounce(struct weir_message *m, void *receiver)
{
    (void)receiver;
    if (++f.bounces < 100)
        weir_mailbox_post(&f.mb, m); /* its handler owns it and may post it again */
    else
        uv_stop(&f.loop);
}

START_TEST(test_handler_may_post_it_again)
{
    struct weir_message m = {.handle = bounce};
    weir_mailbox_post(&f.mb, &m);
    uv_run(&f.loop, UV_RUN_DEFAULT);
    ck_assert_uint_eq(f.bounces, 100);
}
END_TEST

static void free_it(struct weir_message *m, void *receiver)
{
    (void)receiver;
    f.received++;
    free(m);
}

static struct weir_message *new_message(void)
{
    struct weir_message *m = malloc(sizeof *m);
    m->handle = free_it;
    return m;
}

START_TEST(test_drain_takes_all_without_the_loop)
{
    weir_mailbox_drain(&f.mb);
    weir_mailbox_post(&f.mb, new_message());
    weir_mailbox_post(&f.mb, new_message());
    weir_mailbox_drain(&f.mb);
    ck_assert_uint_eq(f.received, 2);
    uv_run(&f.loop, UV_RUN_NOWAIT); /* the wake-up finds nothing */
    ck_assert_uint_eq(f.received, 2);
}
END_TEST

START_TEST(test_close_handles_what_has_arrived)
{
    weir_mailbox_post(&f.mb, new_message());
    f.closing = true;
    weir_mailbox_close(&f.mb, on_closed);
    ck_assert_uint_eq(f.received, 1);
    ck_assert_uint_eq(f.closed, 0);
}
END_TEST

CHECK_MAIN("mailbox", setup, teardown, test_many_senders, test_handler_may_post_it_again,
           test_drain_takes_all_without_the_loop, test_close_handles_what_has_arrived)
