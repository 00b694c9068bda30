#include "net/crypto_pool.h"

#include <assert.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define NICER_BY 10

struct weir_crypto_pool {
    pthread_mutex_t lock;
    pthread_cond_t work;
    struct weir_list urgent, others;
    _Atomic size_t waiting; /* written under the lock */
    bool ending;
    unsigned threads;
    pthread_t thread[];
};

static struct weir_crypto_job *next_job(struct weir_crypto_pool *p)
{
    struct weir_list *l = weir_list_pop_front(&p->urgent);
    if (l == NULL)
        l = weir_list_pop_front(&p->others);
    if (l == NULL)
        return NULL;
    atomic_fetch_sub_explicit(&p->waiting, 1, memory_order_relaxed);
    return WEIR_CONTAINER(l, struct weir_crypto_job, queued);
}

/* Without this a job, as it wakes up, takes the core from the very turn that submits it, and all that the loop serves
 * waits for 2 to 5 ms of arithmetic. A batch thread interrupts nobody when it wakes up, and weighs a tenth of a loop
 * where they compete. Needs no privilege; where it is refused all works on. */
static void give_way(void)
{
    struct sched_param none = {0};
    (void)pthread_setschedparam(pthread_self(), SCHED_BATCH, &none);
    (void)setpriority(PRIO_PROCESS, (id_t)gettid(), getpriority(PRIO_PROCESS, (id_t)gettid()) + NICER_BY);
}

static void *work(void *arg)
{
    struct weir_crypto_pool *p = arg;
    give_way();
    pthread_mutex_lock(&p->lock);
    for (;;) {
        struct weir_crypto_job *job = next_job(p);
        if (job == NULL) {
            if (p->ending)
                break;
            pthread_cond_wait(&p->work, &p->lock);
            continue;
        }
        pthread_mutex_unlock(&p->lock);
        job->run(job);
        weir_mailbox_post(job->mailbox, &job->done);
        pthread_mutex_lock(&p->lock);
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

static void end_threads(struct weir_crypto_pool *p)
{
    pthread_mutex_lock(&p->lock);
    p->ending = true;
    pthread_cond_broadcast(&p->work);
    pthread_mutex_unlock(&p->lock);
    for (unsigned i = 0; i < p->threads; i++)
        pthread_join(p->thread[i], NULL);
}

int weir_crypto_pool_new(struct weir_crypto_pool **out, unsigned threads, struct weir_err *err)
{
    assert(threads > 0 && threads <= WEIR_CRYPTO_THREADS_MAX);
    *out = NULL;
    struct weir_crypto_pool *p = calloc(1, sizeof *p + threads * sizeof p->thread[0]);
    if (p == NULL)
        return weir_err_set(err, WEIR_ENOMEM, "crypto pool: out of memory");
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->work, NULL);
    weir_list_init(&p->urgent);
    weir_list_init(&p->others);
    for (; p->threads < threads; p->threads++) {
        int rv = pthread_create(&p->thread[p->threads], NULL, work, p);
        if (rv != 0) {
            weir_err_set(err, WEIR_ELIMIT, "crypto pool: thread: %s", strerrordesc_np(rv));
            weir_crypto_pool_free(&p);
            return err->code;
        }
        pthread_setname_np(p->thread[p->threads], "weir-crypto");
    }
    *out = p;
    return WEIR_OK;
}

void weir_crypto_pool_free(struct weir_crypto_pool **pool)
{
    struct weir_crypto_pool *p = *pool;
    if (p == NULL)
        return;
    *pool = NULL;
    end_threads(p);
    assert(weir_list_empty(&p->urgent) && weir_list_empty(&p->others));
    pthread_cond_destroy(&p->work);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

int weir_crypto_pool_submit(struct weir_crypto_pool *p, struct weir_crypto_job *job, bool urgent)
{
    int rv = WEIR_ELIMIT;
    pthread_mutex_lock(&p->lock);
    assert(!p->ending);
    if (atomic_load_explicit(&p->waiting, memory_order_relaxed) < WEIR_CRYPTO_QUEUE_MAX) {
        weir_list_push_back(urgent ? &p->urgent : &p->others, &job->queued);
        atomic_fetch_add_explicit(&p->waiting, 1, memory_order_relaxed);
        pthread_cond_signal(&p->work);
        rv = WEIR_OK;
    }
    pthread_mutex_unlock(&p->lock);
    return rv;
}

bool weir_crypto_pool_cancel(struct weir_crypto_pool *p, struct weir_crypto_job *job)
{
    pthread_mutex_lock(&p->lock);
    bool waits = !weir_list_empty(&job->queued);
    if (waits) {
        weir_list_remove(&job->queued);
        atomic_fetch_sub_explicit(&p->waiting, 1, memory_order_relaxed);
    }
    pthread_mutex_unlock(&p->lock);
    return waits;
}

size_t weir_crypto_pool_waiting(const struct weir_crypto_pool *p)
{
    return atomic_load_explicit(&p->waiting, memory_order_relaxed);
}
