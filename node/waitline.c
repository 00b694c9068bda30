#include "node/waitline.h"

#include <assert.h>
#include <stdlib.h>

#include "node/pool.h"

static uint64_t now_us(const struct weir_pool *p)
{
    return p->connector->now_us(p->arg);
}

static struct weir_waitline_waiter *waiter_of(struct weir_list *link)
{
    return WEIR_CONTAINER(link, struct weir_waitline_waiter, link);
}

int weir_waitline_init(struct weir_waitline *l, struct weir_provider *owner, unsigned worker_count,
                       const struct weir_waitline_source *source)
{
    *l = (struct weir_waitline){.source = source, .owner = owner, .worker_count = worker_count};
    l->desks = calloc(worker_count, sizeof *l->desks);
    if (l->desks == NULL)
        return WEIR_ENOMEM;
    for (unsigned i = 0; i < worker_count; i++)
        l->desks[i].line = l;
    weir_list_init(&l->waiters);
    pthread_mutex_init(&l->lock, NULL); /* with no attributes it cannot fail */
    return 0;
}

void weir_waitline_end(struct weir_waitline *l)
{
    if (l->desks == NULL)
        return;
    assert(l->count == 0);
    pthread_mutex_destroy(&l->lock);
    free(l->desks);
    l->desks = NULL;
}

static void link_in(struct weir_waitline *l, struct weir_waitline_waiter *w, unsigned worker)
{
    struct weir_list *before = l->waiters.prev;
    while (before != &l->waiters && waiter_of(before)->since_us > w->since_us)
        before = before->prev;
    weir_list_insert_after(before, &w->link);
    w->worker = worker;
    w->waiting = true;
    l->count++;
    l->desks[worker].waiting++;
}

static void link_out(struct weir_waitline *l, struct weir_waitline_waiter *w)
{
    weir_list_remove(&w->link);
    w->waiting = false;
    l->count--;
    l->desks[w->worker].waiting--;
}

enum weir_waitline_answer weir_waitline_enter(struct weir_waitline *l, struct weir_pool *p,
                                              struct weir_waitline_waiter *w, uint32_t count_max, uint64_t wait_us_max,
                                              uint64_t *wait_us)
{
    enum weir_waitline_answer answer;
    uint64_t now = now_us(p);
    assert(!w->waiting);
    *wait_us = w->not_before_us = 0;
    pthread_mutex_lock(&l->lock);
    if (l->source->there(l, now) > l->count) {
        l->source->take(l, now);
        answer = WEIR_WAITLINE_PASS;
    } else {
        *wait_us = l->source->wait_us(l, now, l->count + 1);
        answer = *wait_us > wait_us_max  ? WEIR_WAITLINE_LATE
                 : l->count >= count_max ? WEIR_WAITLINE_FULL
                                         : WEIR_WAITLINE_WAIT;
    }
    if (answer == WEIR_WAITLINE_WAIT) {
        /* Behind all, whatever the clock of its worker says. */
        w->since_us =
            l->count > 0 && waiter_of(l->waiters.prev)->since_us > now ? waiter_of(l->waiters.prev)->since_us : now;
        link_in(l, w, p->worker);
    }
    bool oldest_here = l->desks[p->worker].waiting == 1;
    pthread_mutex_unlock(&l->lock);
    if (answer == WEIR_WAITLINE_WAIT && oldest_here)
        w->look_at(w, now + *wait_us);
    return answer;
}

void weir_waitline_return(struct weir_waitline *l, struct weir_pool *p, struct weir_waitline_waiter *w,
                          uint64_t not_before_us)
{
    assert(!w->waiting && w->since_us > 0);
    pthread_mutex_lock(&l->lock);
    link_in(l, w, p->worker);
    w->not_before_us = not_before_us;
    pthread_mutex_unlock(&l->lock);
    w->look_at(w, not_before_us);
}

/* -- calling -- */

static void called(struct weir_message *m, void *receiver)
{
    (void)receiver;
    struct weir_waitline_desk *desk = (struct weir_waitline_desk *)m;
    struct weir_waitline *l = desk->line;
    struct weir_provider *owner = l->owner;
    struct weir_pool *p = desk->pool;
    atomic_store(&desk->called, false); /* before looking: what comes after it calls again */
    weir_waitline_settle(l, p);
    weir_provider_unref(owner);
}

static uint64_t who_waits(const struct weir_waitline *l)
{
    uint64_t workers = 0;
    for (unsigned i = 0; l->count > 0 && i < l->worker_count; i++)
        if (l->desks[i].waiting > 0)
            workers |= UINT64_C(1) << i;
    return workers;
}

static void call(struct weir_waitline *l, struct weir_pool *p, uint64_t workers)
{
    for (unsigned i = 0; workers >> i != 0; i++) {
        struct weir_waitline_desk *desk = &l->desks[i];
        if ((workers >> i & 1) == 0 || atomic_exchange(&desk->called, true))
            continue;
        weir_provider_ref(l->owner);
        desk->pool = p->peers[i];
        desk->message.handle = called;
        weir_mailbox_post(desk->pool->mailbox, &desk->message);
    }
}

void weir_waitline_call(struct weir_waitline *l, struct weir_pool *p)
{
    pthread_mutex_lock(&l->lock);
    uint64_t workers = who_waits(l);
    pthread_mutex_unlock(&l->lock);
    call(l, p, workers);
}

void weir_waitline_leave(struct weir_waitline *l, struct weir_pool *p, struct weir_waitline_waiter *w)
{
    if (!w->waiting)
        return;
    assert(w->worker == p->worker);
    pthread_mutex_lock(&l->lock);
    link_out(l, w);
    uint64_t workers = who_waits(l);
    pthread_mutex_unlock(&l->lock);
    call(l, p, workers); /* everybody behind it has moved up; this worker's next has no clock yet */
}

/* This worker's oldest waiter, out of the line if its turn has come; else *wait_us says how long it has to go on. */
static struct weir_waitline_waiter *next(struct weir_waitline *l, unsigned worker, uint64_t now, uint64_t *wait_us)
{
    uint32_t rank = 1;
    if (l->desks[worker].waiting == 0)
        return NULL;
    struct weir_list *at = l->waiters.next;
    for (; waiter_of(at)->worker != worker; at = at->next)
        rank++;
    struct weir_waitline_waiter *w = waiter_of(at);
    if (w->not_before_us > now) {
        *wait_us = w->not_before_us - now;
    } else if (l->source->there(l, now) >= rank) {
        l->source->take(l, now);
        link_out(l, w);
    } else {
        *wait_us = l->source->wait_us(l, now, rank);
    }
    return w;
}

void weir_waitline_settle(struct weir_waitline *l, struct weir_pool *p)
{
    struct weir_provider *owner = l->owner;
    weir_provider_ref(owner); /* a request that goes on may end, and its view with it */
    for (bool more = true; more;) {
        uint64_t now = now_us(p), wait_us = 0;
        pthread_mutex_lock(&l->lock);
        struct weir_waitline_waiter *w = next(l, p->worker, now, &wait_us);
        more = w != NULL && !w->waiting;
        pthread_mutex_unlock(&l->lock);
        if (more)
            w->granted(w);
        else if (w != NULL)
            w->look_at(w, now + wait_us);
    }
    weir_provider_unref(owner);
}
