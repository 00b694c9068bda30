#include "node/health.h"

#include <string.h>

#include "net/log.h"
#include "net/reactor.h"
#include "node/runtime.h"

/* What an event is told with. */
struct telling {
    struct weir_provider *provider;
    struct weir_log_producer *log;
    uint64_t now_ms;   /* 0: not known */
    const char *check; /* why the check that brought it about failed, or NULL */
};

static const char *const reason_text[] = {"failed checks", "failed tries in a row", "rate of failed tries"};

bool weir_health_init(struct weir_provider_health *h)
{
    struct weir_outlier_opts none = {.eject_ms = 1, .eject_ms_max = 1};
    weir_outlier_init(&h->outlier, &none, 0);
    return pthread_mutex_init(&h->lock, NULL) == 0;
}

void weir_health_close(struct weir_provider_health *h)
{
    pthread_mutex_destroy(&h->lock);
}

static bool has(const struct weir_provider_health *h, const struct weir_endpoint *e)
{
    return h->at[e->slot] == e;
}

/* -- telling -- */

static void tell_until(struct weir_log_line *l, uint64_t now_ms, uint64_t until_ms)
{
    char text[WEIR_RFC3339_MS_LEN];
    weir_rfc3339_ms(text, weir_clock_unix_ms() + (until_ms - now_ms));
    weir_log_str(l, "until", (struct weir_str){text, sizeof text});
}

static bool spare_quietly(struct weir_provider_health *h, const struct weir_outlier_event *e, uint64_t now_ms)
{
    uint64_t *told_ms = &h->spared_ms[e->slot];
    /* The only endpoint is not spared: there was nothing to choose. */
    if (h->outlier.count < 2 || (*told_ms != 0 && now_ms - *told_ms < WEIR_HEALTH_SPARED_EVERY_MS))
        return true;
    *told_ms = now_ms;
    return false;
}

static void changed(void *arg, const struct weir_outlier_event *e)
{
    static const struct {
        const char *event, *msg;
        enum weir_log_level level;
    } words[] = {
        [WEIR_OUTLIER_UNHEALTHY] = {"endpoint_unhealthy", "an endpoint fails its health checks", WEIR_LOG_WARN},
        [WEIR_OUTLIER_HEALTHY] = {"endpoint_healthy", "an endpoint passes its health checks again", WEIR_LOG_INFO},
        [WEIR_OUTLIER_EJECTED] = {"endpoint_ejected", "an endpoint is passed over", WEIR_LOG_WARN},
        [WEIR_OUTLIER_RETURNED] = {"endpoint_returned", "an endpoint is chosen again", WEIR_LOG_INFO},
        [WEIR_OUTLIER_SPARED] = {"endpoint_spared", "an endpoint stays in use though it fails: half of them are out",
                                 WEIR_LOG_WARN},
    };
    const struct telling *t = arg;
    struct weir_provider_health *h = &t->provider->health;
    struct weir_endpoint *endpoint = h->at[e->slot];
    bool has_reason = e->change == WEIR_OUTLIER_EJECTED || e->change == WEIR_OUTLIER_SPARED;
    if (e->change == WEIR_OUTLIER_EJECTED)
        atomic_fetch_add_explicit(&endpoint->ejections[e->reason], 1, memory_order_relaxed);
    if (e->change == WEIR_OUTLIER_SPARED && spare_quietly(h, e, t->now_ms))
        return;
    if (e->change == WEIR_OUTLIER_RETURNED && t->now_ms != 0)
        atomic_store_explicit(&endpoint->up_since_ms, t->now_ms, memory_order_relaxed);
    struct weir_log_line l;
    weir_log_begin(&l, t->log, words[e->change].level, words[e->change].event, words[e->change].msg);
    weir_log_text(&l, "provider", t->provider->name);
    weir_log_text(&l, "endpoint", endpoint->id);
    if (has_reason)
        weir_log_text(&l, "reason", reason_text[e->reason]);
    if (e->change == WEIR_OUTLIER_UNHEALTHY)
        weir_log_text(&l, "reason", t->check);
    if (e->change == WEIR_OUTLIER_EJECTED && e->until_ms != WEIR_NEVER)
        tell_until(&l, t->now_ms, e->until_ms);
    weir_log_end(&l);
}

/* -- the lock, and what is shown to who does not take it -- */

static struct weir_outlier *enter(struct weir_provider *p)
{
    pthread_mutex_lock(&p->health.lock);
    return &p->health.outlier;
}

static void leave(struct weir_provider *p)
{
    struct weir_provider_health *h = &p->health;
    uint64_t out = 0, unhealthy = 0, failing = 0;
    for (unsigned i = 0; i < WEIR_POOL_ENDPOINTS_MAX; i++) {
        const struct weir_outlier_endpoint *e = &h->outlier.at[i];
        out |= (uint64_t)e->ejected << i;
        unhealthy |= (uint64_t)e->unhealthy << i;
        failing |= (uint64_t)(e->failures > 0) << i;
    }
    atomic_store_explicit(&h->out, out, memory_order_relaxed);
    atomic_store_explicit(&h->unhealthy, unhealthy, memory_order_relaxed);
    atomic_store_explicit(&h->failing, failing, memory_order_relaxed);
    pthread_mutex_unlock(&h->lock);
}

/* -- requests -- */

uint64_t weir_health_out(const struct weir_provider *p)
{
    return atomic_load_explicit(&p->health.out, memory_order_relaxed);
}

void weir_health_tried(struct weir_provider *p, struct weir_endpoint *e, unsigned worker, bool ok, uint64_t now_ms,
                       struct weir_log_producer *log)
{
    if (ok && (atomic_load_explicit(&p->health.failing, memory_order_relaxed) >> e->slot & 1) == 0) {
        weir_cell_add(&e->local[worker].answers, 1);
        return;
    }
    struct telling t = {.provider = p, .log = log, .now_ms = now_ms};
    struct weir_outlier *o = enter(p);
    if (has(&p->health, e) && ok)
        weir_outlier_answered(o, e->slot);
    else if (has(&p->health, e))
        weir_outlier_failed(o, e->slot, now_ms, &t, changed);
    leave(p);
}

void weir_health_circuit(struct weir_provider *p, const struct weir_endpoint *e, bool open, uint64_t until_ms,
                         struct weir_log_producer *log)
{
    struct telling t = {.provider = p, .log = log};
    struct weir_outlier *o = enter(p);
    if (has(&p->health, e) && open)
        weir_outlier_checks_pause(o, e->slot, until_ms);
    else if (has(&p->health, e))
        weir_outlier_restore(o, e->slot, &t, changed);
    leave(p);
}

/* -- control -- */

static uint64_t answers_of(const struct weir_endpoint *e)
{
    uint64_t sum = 0;
    for (unsigned w = 0; w < e->worker_count; w++)
        sum += weir_cell_read(&e->local[w].answers);
    return sum;
}

static void add(struct weir_provider *p, struct weir_endpoint *e, uint64_t random, struct telling *t)
{
    struct weir_provider_health *h = &p->health;
    h->at[e->slot] = e;
    h->folded[e->slot] = answers_of(e);
    h->spared_ms[e->slot] = 0;
    weir_outlier_add(&h->outlier, e->slot, t->now_ms, random, t, changed);
}

/* Takes out whoever is not among the slots. */
static void keep(struct weir_provider_health *h, uint64_t slots, struct telling *t)
{
    for (unsigned i = 0; i < WEIR_POOL_ENDPOINTS_MAX; i++) {
        if (h->at[i] == NULL || (slots >> i & 1) != 0)
            continue;
        weir_outlier_remove(&h->outlier, i, t, changed);
        h->at[i] = NULL;
    }
}

void weir_health_follow(struct weir_provider *p, const struct weir_outlier_opts *opts,
                        struct weir_endpoint *const *endpoints, unsigned count, uint64_t now_ms, uint64_t random,
                        struct weir_log_producer *log)
{
    struct telling t = {.provider = p, .log = log, .now_ms = now_ms};
    struct weir_outlier *o = enter(p);
    uint64_t slots = 0;
    if (o->count == 0)
        weir_outlier_init(o, opts, now_ms);
    else
        weir_outlier_opts_set(o, opts, now_ms, &t, changed);
    /* The new ones first: with fewer endpoints somebody who is out might be let in for a moment. */
    for (unsigned i = 0; i < count; i++) {
        struct weir_endpoint *e = endpoints[i];
        slots |= UINT64_C(1) << e->slot;
        if (p->health.at[e->slot] != e)
            add(p, e, random + i * (opts->check_interval_ms / count), &t);
    }
    keep(&p->health, slots, &t);
    leave(p);
}

void weir_health_forget(struct weir_provider *p)
{
    struct weir_outlier *o = enter(p);
    struct weir_outlier_opts opts = o->opts;
    weir_outlier_init(o, &opts, o->sweep_ms);
    memset(p->health.at, 0, sizeof p->health.at);
    leave(p);
}

static void fold(struct weir_provider_health *h)
{
    for (unsigned i = 0; i < WEIR_POOL_ENDPOINTS_MAX; i++) {
        if (h->at[i] == NULL)
            continue;
        uint64_t answers = answers_of(h->at[i]), more = answers - h->folded[i];
        weir_outlier_answers(&h->outlier, i, more < UINT32_MAX ? (uint32_t)more : UINT32_MAX);
        h->folded[i] = answers;
    }
}

void weir_health_tick(struct weir_provider *p, uint64_t now_ms, struct weir_log_producer *log)
{
    struct telling t = {.provider = p, .log = log, .now_ms = now_ms};
    struct weir_outlier *o = enter(p);
    fold(&p->health);
    weir_outlier_tick(o, now_ms, &t, changed);
    leave(p);
}

struct weir_endpoint *weir_health_check_next(struct weir_provider *p, uint64_t now_ms)
{
    struct weir_outlier *o = enter(p);
    int slot = weir_outlier_check_due(o, now_ms);
    if (slot >= 0)
        weir_outlier_check_begin(o, (unsigned)slot);
    struct weir_endpoint *e = slot >= 0 ? p->health.at[slot] : NULL;
    leave(p);
    return e;
}

void weir_health_check_done(struct weir_provider *p, struct weir_endpoint *e, const char *why, uint64_t now_ms,
                            struct weir_log_producer *log)
{
    struct telling t = {.provider = p, .log = log, .now_ms = now_ms, .check = why};
    struct weir_outlier *o = enter(p);
    atomic_fetch_add_explicit(&e->checks[why != NULL], 1, memory_order_relaxed);
    if (has(&p->health, e))
        weir_outlier_check_done(o, e->slot, now_ms, why == NULL, &t, changed);
    leave(p);
}

void weir_health_check_heard(struct weir_provider *p, struct weir_endpoint *e, const char *why, uint64_t now_ms,
                             struct weir_log_producer *log)
{
    struct telling t = {.provider = p, .log = log, .now_ms = now_ms, .check = why};
    struct weir_outlier *o = enter(p);
    if (has(&p->health, e) && o->opts.checks && !o->at[e->slot].checking) {
        weir_outlier_check_begin(o, e->slot);
        weir_outlier_check_done(o, e->slot, now_ms, why == NULL, &t, changed);
    }
    leave(p);
}

void weir_health_check_drop(struct weir_provider *p, const struct weir_endpoint *e, uint64_t now_ms)
{
    struct weir_outlier *o = enter(p);
    if (has(&p->health, e))
        weir_outlier_check_drop(o, e->slot, now_ms);
    leave(p);
}
