#include "net/crypto_pool.h"

#include "check_main.h"
#include "helper/core_failmalloc.h"
#include "helper/net_run.h"

#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#define SUBMITTERS 4
#define EACH       500

struct task {
    struct weir_crypto_job job;
    unsigned number;
    uint64_t payload; /* plain memory: the race detector checks that it is published both ways */
    int policy, niceness;
};

/* `gate` keeps the pool's threads busy until it is opened. */
static struct {
    struct weir_reactor r;
    struct weir_crypto_pool *pool;
    pthread_mutex_t gate;
    unsigned done;
    unsigned order[8];
    bool wrong;
} f;

static void setup(void)
{
    memset(&f, 0, sizeof f);
    pthread_mutex_init(&f.gate, NULL);
    reactor_open(&f.r);
}

static void teardown(void)
{
    weir_crypto_pool_free(&f.pool);
    weir_reactor_close(&f.r);
    pthread_mutex_destroy(&f.gate);
}

static void open_pool(unsigned threads)
{
    struct weir_err err;
    ck_assert_int_eq(weir_crypto_pool_new(&f.pool, threads, &err), WEIR_OK);
}

static void compute(struct weir_crypto_job *job)
{
    struct task *t = WEIR_CONTAINER(job, struct task, job);
    t->payload *= 3;
}

static void wait_at_gate(struct weir_crypto_job *job)
{
    (void)job;
    pthread_mutex_lock(&f.gate);
    pthread_mutex_unlock(&f.gate);
}

static void on_done(struct weir_message *m, void *receiver)
{
    struct task *t = WEIR_CONTAINER(m, struct task, job.done);
    if (receiver != &f.r)
        f.wrong = true;
    if (f.done < sizeof f.order / sizeof f.order[0])
        f.order[f.done] = t->number;
    f.done++;
}

static void prepare(struct task *t, unsigned number, void (*run)(struct weir_crypto_job *job))
{
    *t = (struct task){
        .number = number, .payload = number, .job = {.run = run, .mailbox = &f.r.mailbox, .done.handle = on_done}};
    weir_list_init(&t->job.queued);
}

static void note_priority(struct weir_crypto_job *job)
{
    struct task *t = WEIR_CONTAINER(job, struct task, job);
    t->policy = sched_getscheduler(0);
    t->niceness = getpriority(PRIO_PROCESS, (id_t)gettid());
}

START_TEST(test_its_threads_give_way_to_loops)
{
    struct task t;
    open_pool(1);
    prepare(&t, 1, note_priority);
    ck_assert_int_eq(weir_crypto_pool_submit(f.pool, &t.job, false), WEIR_OK);
    RUN_UNTIL(&f.r, f.done == 1);
    ck_assert_int_eq(t.policy, SCHED_BATCH);
    ck_assert_int_gt(t.niceness, getpriority(PRIO_PROCESS, 0));
    ck_assert_int_eq(sched_getscheduler(0), SCHED_OTHER);
}
END_TEST

/* The pool's only thread stands at the gate, for `first`. */
static void occupy(struct task *first)
{
    open_pool(1);
    pthread_mutex_lock(&f.gate);
    prepare(first, 0, wait_at_gate);
    ck_assert_int_eq(weir_crypto_pool_submit(f.pool, &first->job, false), WEIR_OK);
    while (weir_crypto_pool_waiting(f.pool) > 0)
        sched_yield();
}

START_TEST(test_urgent_jobs_go_first_and_each_kind_in_order)
{
    static const bool urgent[] = {false, false, true, false, true};
    static const unsigned order[] = {0, 3, 5, 1, 2, 4};
    struct task tasks[6];
    occupy(&tasks[0]);
    for (unsigned i = 1; i < 6; i++) {
        prepare(&tasks[i], i, compute);
        ck_assert_int_eq(weir_crypto_pool_submit(f.pool, &tasks[i].job, urgent[i - 1]), WEIR_OK);
    }
    ck_assert_uint_eq(weir_crypto_pool_waiting(f.pool), 5);
    pthread_mutex_unlock(&f.gate);
    RUN_UNTIL(&f.r, f.done == 6);
    ck_assert_mem_eq(f.order, order, sizeof order);
    ck_assert_uint_eq(tasks[4].payload, 12);
}
END_TEST

START_TEST(test_takes_back_only_what_has_not_begun)
{
    struct task tasks[3];
    occupy(&tasks[0]);
    for (unsigned i = 1; i < 3; i++) {
        prepare(&tasks[i], i, compute);
        ck_assert_int_eq(weir_crypto_pool_submit(f.pool, &tasks[i].job, false), WEIR_OK);
    }
    ck_assert(!weir_crypto_pool_cancel(f.pool, &tasks[0].job));
    ck_assert(weir_crypto_pool_cancel(f.pool, &tasks[1].job));
    ck_assert_uint_eq(weir_crypto_pool_waiting(f.pool), 1);
    pthread_mutex_unlock(&f.gate);
    RUN_UNTIL(&f.r, f.done == 2);
    ck_assert_uint_eq(tasks[1].payload, 1);
    ck_assert_uint_eq(tasks[2].payload, 6);
    ck_assert(!weir_crypto_pool_cancel(f.pool, &tasks[2].job));
}
END_TEST

START_TEST(test_its_end_runs_what_is_queued)
{
    struct task tasks[4];
    occupy(&tasks[0]);
    for (unsigned i = 1; i < 4; i++) {
        prepare(&tasks[i], i, compute);
        ck_assert_int_eq(weir_crypto_pool_submit(f.pool, &tasks[i].job, false), WEIR_OK);
    }
    pthread_mutex_unlock(&f.gate);
    weir_crypto_pool_free(&f.pool);
    ck_assert_ptr_null(f.pool);
    for (unsigned i = 1; i < 4; i++)
        ck_assert_uint_eq(tasks[i].payload, 3 * (uint64_t)i);
    weir_mailbox_drain(&f.r.mailbox);
    ck_assert_uint_eq(f.done, 4);
}
END_TEST

/* -- several threads that submit and take back at once, as workers do -- */

struct submitter {
    struct weir_reactor r;
    pthread_t thread;
    unsigned done, taken_back;
    bool wrong;
};

static void on_submitters_done(struct weir_message *m, void *receiver)
{
    struct task *t = WEIR_CONTAINER(m, struct task, job.done);
    struct submitter *s = WEIR_CONTAINER((struct weir_reactor *)receiver, struct submitter, r);
    if (t->payload != 3 * (uint64_t)t->number)
        s->wrong = true;
    s->done++;
}

static void *submit_all(void *arg)
{
    static struct task tasks[SUBMITTERS][EACH];
    static atomic_uint next;
    struct submitter *s = arg;
    struct task *mine = tasks[atomic_fetch_add(&next, 1)];
    for (unsigned i = 0; i < EACH; i++) {
        prepare(&mine[i], i, compute);
        mine[i].job.mailbox = &s->r.mailbox;
        mine[i].job.done.handle = on_submitters_done;
        while (weir_crypto_pool_submit(f.pool, &mine[i].job, i % 3 == 0) != WEIR_OK)
            sched_yield(); /* full of the others' */
        if (i % 5 == 0 && weir_crypto_pool_cancel(f.pool, &mine[i].job)) {
            s->taken_back++;
            s->wrong = s->wrong || mine[i].payload != i;
        }
    }
    while (s->done + s->taken_back < EACH)
        uv_run(&s->r.loop, UV_RUN_ONCE);
    return NULL;
}

START_TEST(test_many_threads_submit_and_take_back)
{
    static struct submitter submitters[SUBMITTERS];
    open_pool(3);
    for (unsigned i = 0; i < SUBMITTERS; i++) {
        reactor_open(&submitters[i].r);
        ck_assert_int_eq(pthread_create(&submitters[i].thread, NULL, submit_all, &submitters[i]), 0);
    }
    for (unsigned i = 0; i < SUBMITTERS; i++) {
        ck_assert_int_eq(pthread_join(submitters[i].thread, NULL), 0);
        ck_assert(!submitters[i].wrong);
        ck_assert_uint_eq(submitters[i].done + submitters[i].taken_back, EACH);
    }
    ck_assert_uint_eq(weir_crypto_pool_waiting(f.pool), 0);
    weir_crypto_pool_free(&f.pool);
    for (unsigned i = 0; i < SUBMITTERS; i++)
        weir_reactor_close(&submitters[i].r);
}
END_TEST

START_TEST(test_out_of_memory)
{
    struct weir_err err;
    bool failed;
    failmalloc_begin(1);
    int rv = weir_crypto_pool_new(&f.pool, 2, &err);
    long left = failmalloc_end(&failed);
    ck_assert(failed);
    ck_assert_int_eq(rv, WEIR_ENOMEM);
    ck_assert_str_eq(err.msg, "crypto pool: out of memory");
    ck_assert_ptr_null(f.pool);
    ck_assert_int_eq(left, 0);
}
END_TEST

CHECK_MAIN("crypto pool", setup, teardown, test_its_threads_give_way_to_loops,
           test_urgent_jobs_go_first_and_each_kind_in_order, test_takes_back_only_what_has_not_begun,
           test_its_end_runs_what_is_queued, test_many_threads_submit_and_take_back, test_out_of_memory)
