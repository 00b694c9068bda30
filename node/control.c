#include "node/control.h"

#include <stdlib.h>
#include <unistd.h>

#include "core/monitor.h"
#include "node/access_log.h"
#include "node/admin.h"
#include "node/certificates.h"
#include "node/control_inner.h"
#include "node/operate.h"
#include "node/take_snapshot.h"

/* A client that is idle when the node drains may have its next request on the way: it gets this long. */
#define DRAIN_GRACE_MS 1000u
/* What a blocked log may cost at exit. */
#define LOG_FLUSH_MS 1000u
/* Of a drain in a cluster: how long the others may take to take this node's shards over, and the store to hear that it
 * has left. */
#define DRAIN_SHARDS_MS 2000u
#define LEAVE_MS        1000u
/* How long a page waits for what the store says of the members, before it shows what was known. */
#define LOOK_MS 500u

static struct weir_control *control_of(void *receiver)
{
    return ((struct weir_reactor *)receiver)->user;
}

/* -- ending -- */

static void stop_workers(struct weir_control *c)
{
    if (c->stopping)
        return;
    c->stopping = true;
    for (unsigned i = 0; i < c->threads; i++)
        weir_worker_post_stop(&c->node.workers[i]);
    weir_reactor_stop(&c->reactor);
}

static void begin_drain(struct weir_deadline *d, uint64_t now_ms)
{
    struct weir_control *c = WEIR_CONTAINER(d, struct weir_control, drain_begin);
    uint64_t timeout = c->view->config->server.drain_timeout_ms;
    (void)now_ms;
    for (unsigned i = 0; i < c->threads; i++)
        weir_worker_post_drain(&c->node.workers[i], DRAIN_GRACE_MS < timeout / 4 ? DRAIN_GRACE_MS : timeout / 4,
                               timeout);
}

/* All requests have ended: the store is told before the node ends. */
static void leave(struct weir_control *c)
{
    if (c->cluster == NULL) {
        stop_workers(c);
        return;
    }
    weir_reactor_deadline(&c->reactor, &c->leave_end, c->reactor.now_ms + LEAVE_MS);
    weir_cluster_leave(c->cluster);
}

static void leave_ends(struct weir_deadline *d, uint64_t now_ms)
{
    (void)now_ms;
    stop_workers(WEIR_CONTAINER(d, struct weir_control, leave_end));
}

static void worker_drained(struct weir_message *m, void *receiver)
{
    struct weir_control *c = control_of(receiver);
    struct weir_worker *w = WEIR_CONTAINER(m, struct weir_worker, drained);
    /* What it did before is seen from here on: a client that it ended has left node.clients. */
    atomic_exchange(&w->drained_posted, false);
    c->drained += !w->drained_once;
    w->drained_once = true;
    /* A descriptor may still be on its way between two workers: whoever serves it last tells again. */
    if (c->drained >= c->node.worker_count && atomic_load(&c->node.clients) == 0)
        leave(c);
}

static void on_end_signal(uv_signal_t *handle, int number)
{
    struct weir_control *c = handle->data;
    if (atomic_exchange(&c->node.draining, true)) {
        weir_log_simple(c->log, WEIR_LOG_WARN, "stop", "a second signal: ending at once");
        c->forced = true;
        stop_workers(c);
        return;
    }
    struct weir_log_line l;
    weir_log_begin(&l, c->log, WEIR_LOG_INFO, "drain", "finishing what is open, then ending");
    weir_log_i64(&l, "signal", number);
    weir_log_end(&l);
    weir_event_feed_end(&c->events);
    weir_reactor_clock(&c->reactor);
    c->drain_from_ms = c->reactor.now_ms + c->view->config->server.drain_delay_ms;
    bool owns = c->cluster != NULL && !c->emptied;
    weir_reactor_deadline(&c->reactor, &c->drain_begin, c->drain_from_ms + (owns ? DRAIN_SHARDS_MS : 0));
    if (c->cluster != NULL)
        weir_cluster_drain(c->cluster);
}

static void on_reload_signal(uv_signal_t *handle, int number)
{
    (void)number;
    (void)weir_control_reload(handle->data, NULL, 0);
}

/* -- questions -- */

static int take_snapshot(struct weir_control *c, struct weir_snapshot *s, struct weir_arena *a, bool ends)
{
    int rv = weir_take_snapshot(s, a, &c->node, c->view, c->reactor.lag_us_max, ends);
    if (ends)
        c->reactor.lag_us_max = 0;
    weir_alerting_to_gauges(&c->alerting, s->gauges);
    weir_tracing_to_gauges(&c->tracing, s->gauges);
    return rv == 0 && c->cluster != NULL ? weir_cluster_show(c->cluster, s, a) : rv;
}

static int take_alerts_snapshot(void *owner, struct weir_snapshot *s, struct weir_arena *a)
{
    return take_snapshot(owner, s, a, false);
}

static void answer(struct weir_control *c, struct weir_admin_call *call)
{
    struct weir_arena arena = {0};
    struct weir_snapshot s;
    bool scrape = call->page == WEIR_ADMIN_METRICS || call->page == WEIR_ADMIN_PROMETHEUS;
    const struct weir_admin_sources from = {&s,         &c->node,     c->view,          &c->alerting,
                                            &c->events, &c->overview, c->reactor.now_ms};
    if (weir_admin_recall(call, &c->overview, from.now_ms)) {
        weir_admin_return(call);
        return;
    }
    if (take_snapshot(c, &s, &arena, scrape) == 0)
        weir_admin_render(call, &from);
    else
        call->text.failed = true;
    weir_arena_reset(&arena);
    weir_admin_return(call);
}

static void answer_lookers(struct weir_control *c)
{
    struct weir_list *l;
    weir_deadline_clear(&c->look_end);
    while ((l = weir_list_pop_front(&c->lookers)) != NULL)
        answer(c, WEIR_CONTAINER(l, struct weir_admin_call, waiting));
}

static void look_ends(struct weir_deadline *d, uint64_t now_ms)
{
    (void)now_ms;
    answer_lookers(WEIR_CONTAINER(d, struct weir_control, look_end));
}

/* The page shows what the store knows, and that is on its way. */
static bool looks(struct weir_control *c, enum weir_admin_page page)
{
    if (c->cluster == NULL)
        return false;
    if (page == WEIR_ADMIN_CLUSTER_NODES || page == WEIR_ADMIN_OVERVIEW)
        return weir_cluster_look(c->cluster);
    return page == WEIR_ADMIN_CLUSTER_ANALYTICS && weir_cluster_look_advice(c->cluster);
}

static void admin_call(struct weir_message *m, void *receiver)
{
    struct weir_control *c = control_of(receiver);
    struct weir_admin_call *call = (struct weir_admin_call *)m;
    if (weir_operate(c, call)) {
        weir_admin_return(call);
        return;
    }
    if (!looks(c, call->page)) {
        answer(c, call);
        return;
    }
    if (weir_list_empty(&c->lookers))
        weir_reactor_deadline(&c->reactor, &c->look_end, c->reactor.now_ms + LOOK_MS);
    weir_list_push_back(&c->lookers, &call->waiting);
}

/* -- the cluster -- */

static void cluster_changed(void *owner)
{
    weir_control_republish(owner);
}

/* No more than what was on its way here is still to come. */
static void cluster_drained(void *owner)
{
    struct weir_control *c = owner;
    uint64_t now_ms = c->reactor.now_ms;
    c->emptied = true;
    if (c->drain_begin.due_ms != WEIR_NEVER)
        weir_reactor_deadline(&c->reactor, &c->drain_begin, c->drain_from_ms > now_ms ? c->drain_from_ms : now_ms);
}

static void cluster_left(void *owner)
{
    stop_workers(owner);
}

static void cluster_looked(void *owner)
{
    answer_lookers(owner);
}

static void cluster_heard(void *owner, struct weir_str event, bool pushed)
{
    struct weir_control *c = owner;
    weir_event_feed_hear(&c->events, event);
    if (pushed)
        weir_operate_hear(c, event);
}

static bool cluster_hurts(void *owner, const char *provider)
{
    const struct weir_control *c = owner;
    return weir_alerting_wants_scale_up(&c->alerting, provider);
}

static int join_cluster(struct weir_control *c, struct weir_shared_config *shared, struct weir_err *err)
{
    static const struct weir_cluster_events events = {.changed = cluster_changed,
                                                      .drained = cluster_drained,
                                                      .left = cluster_left,
                                                      .looked = cluster_looked,
                                                      .heard = cluster_heard,
                                                      .hurts = cluster_hurts};
    const struct weir_cluster_opts opts = {
        .reactor = &c->reactor, .node = &c->node, .log = c->log, .shared = shared, .events = &events, .owner = c};
    int rv = shared->config->distributed_pool.enabled ? weir_cluster_open(&c->cluster, &opts, err) : 0;
    c->upkeep.cluster = c->cluster;
    return rv;
}

/* -- from time to time -- */

static void refresh(struct weir_deadline *d, uint64_t now_ms)
{
    struct weir_control *c = WEIR_CONTAINER(d, struct weir_control, refresh);
    (void)now_ms;
    weir_control_resolve(c);
}

/* What the monitor has seen, for its next look. The snapshot's providers are the view's. */
static void note_monitored(const struct weir_view *view, const struct weir_snapshot *s)
{
    for (unsigned i = 0; i < view->provider_count; i++) {
        struct weir_guide_values v;
        weir_guide_of_provider(&v, &s->providers[i]);
        view->providers[i].rt->tries_monitored = (uint64_t)v.at[WEIR_GUIDE_TOTAL_REQUESTS];
        view->providers[i].rt->tries_failed_monitored = (uint64_t)v.at[WEIR_GUIDE_ERROR_COUNT];
    }
}

static void run_monitor(struct weir_deadline *d, uint64_t now_ms)
{
    struct weir_control *c = WEIR_CONTAINER(d, struct weir_control, monitor);
    struct weir_arena arena = {0};
    struct weir_snapshot s;
    weir_certificates_watch(c->view->shared->tls, (int64_t)(weir_clock_unix_ms() / 1000), c->log);
    if (take_snapshot(c, &s, &arena, false) == 0) {
        weir_monitor_log(c->log, &s);
        note_monitored(c->view, &s);
    }
    weir_arena_reset(&arena);
    weir_reactor_deadline(&c->reactor, d, now_ms + WEIR_MONITOR_INTERVAL_MS);
}

/* -- beginning -- */

static int start_threads(struct weir_control *c, struct weir_err *err)
{
    for (unsigned i = 0; i < c->node.worker_count; i++) {
        int rv = uv_thread_create(&c->node.workers[i].thread, weir_worker_main, &c->node.workers[i]);
        if (rv != 0)
            return weir_err_set(err, WEIR_EIO, "worker %u: %s", i, uv_strerror(rv));
        c->threads++;
    }
    return 0;
}

static void end_threads(struct weir_control *c)
{
    for (unsigned i = 0; i < c->threads; i++)
        uv_thread_join(&c->node.workers[i].thread);
    bool more = true;
    while (more) {
        more = false;
        for (unsigned i = 0; i < c->threads; i++)
            more = weir_worker_sweep(&c->node.workers[i]) || more;
    }
}

static int serve(struct weir_control *c, struct weir_config *config, struct weir_err *err)
{
    struct weir_shared_config *shared = weir_shared_config_new(config);
    struct weir_view *v;
    if (shared == NULL) {
        weir_config_free(&config);
        return weir_err_set(err, WEIR_ENOMEM, "configuration: out of memory");
    }
    int rv = weir_tls_setup_new(&shared->tls, config, err);
    if (rv == 0)
        rv = join_cluster(c, shared, err);
    if (rv == 0)
        rv = weir_view_new(&v, shared, NULL, c->node.worker_count, err);
    weir_shared_config_unref(shared);
    if (rv == 0) {
        rv = start_threads(c, err);
        if (rv != 0)
            weir_view_unref(v);
    }
    if (rv != 0) {
        for (unsigned i = 0; i < c->threads; i++)
            weir_worker_post_stop(&c->node.workers[i]);
        return rv;
    }
    weir_control_publish(c, v);
    weir_control_resolve(c);
    weir_reactor_deadline(&c->reactor, &c->monitor, c->reactor.now_ms + WEIR_MONITOR_INTERVAL_MS);
    weir_reactor_run(&c->reactor);
    return 0;
}

static int start_log(struct weir_control *c, const struct weir_config *config, struct weir_err *err)
{
    struct weir_log_opts opts = {.fd = STDERR_FILENO,
                                 .format = (enum weir_log_format)config->logging.format,
                                 .level = (enum weir_log_level)config->logging.level};
    int rv = weir_log_start(&c->node.log, &opts, err);
    if (rv == 0 && weir_log_join(c->node.log, &c->log) != 0)
        rv = weir_err_set(err, WEIR_ENOMEM, "log: out of memory");
    return rv;
}

static void close_control(struct weir_control *c)
{
    weir_signals_close(&c->signals);
    answer_lookers(c);
    weir_alerting_close(&c->alerting);
    weir_tracing_close(&c->tracing);
    weir_event_feed_close(&c->events);
    weir_overview_close(&c->overview);
    weir_resolve_close(&c->resolve);
    weir_upkeep_close(&c->upkeep);
    weir_deadline_drop(&c->reactor.wheel, &c->refresh);
    weir_deadline_drop(&c->reactor.wheel, &c->monitor);
    weir_deadline_drop(&c->reactor.wheel, &c->drain_begin);
    weir_deadline_drop(&c->reactor.wheel, &c->leave_end);
    weir_deadline_drop(&c->reactor.wheel, &c->look_end);
    weir_cluster_close(&c->cluster);
    weir_crypto_pool_free(&c->node.crypto); /* posts what it had begun, which is then handled once more */
    weir_mailbox_drain(&c->reactor.mailbox);
    for (unsigned i = 0; i < c->node.worker_count; i++)
        weir_worker_sweep(&c->node.workers[i]); /* answers that came after their worker had ended */
    if (c->next != NULL)
        weir_view_unref(c->next);
    if (c->view != NULL)
        weir_view_unref(c->view);
    for (unsigned i = 0; i < c->node.worker_count; i++)
        weir_worker_close(&c->node.workers[i]);
    free(c->node.workers);
    weir_reactor_close(&c->reactor);
}

static void log_start(struct weir_control *c)
{
    struct weir_log_line l;
    weir_log_begin(&l, c->log, WEIR_LOG_INFO, "start", "weir-node begins");
    weir_log_text(&l, "version", WEIR_VERSION);
    weir_log_text(&l, "config", c->config_path);
    weir_log_end(&l);
}

static int run(struct weir_control *c, const struct weir_control_opts *opts, struct weir_err *err)
{
    struct weir_config *config = opts->config;
    log_start(c);
    weir_control_raise_descriptors(c, config);
    weir_control_log_problems(c, opts->warnings);
    int rv = weir_control_make_workers(c, config, err);
    if (rv == 0)
        rv = weir_crypto_pool_new(&c->node.crypto, c->node.worker_count, err);
    c->alerting.crypto = c->tracing.crypto = c->node.crypto;
    if (rv == 0)
        rv = weir_control_listen(c, config, err);
    if (rv != 0) {
        weir_config_free(&config);
        return rv;
    }
    rv = serve(c, config, err);
    end_threads(c);
    return rv;
}

int weir_control_run(const struct weir_control_opts *opts, struct weir_err *err)
{
    struct weir_config *config = opts->config;
    struct weir_control *c = weir_alloc_lines(sizeof *c);
    if (c == NULL) {
        weir_config_free(&config);
        weir_err_set(err, WEIR_ENOMEM, "control: out of memory");
        return 1;
    }
    c->config_path = opts->config_path;
    c->node.started_us = weir_clock_us();
    c->node.control_mailbox = &c->reactor.mailbox;
    c->node.worker_drained = worker_drained;
    c->node.admin_call = admin_call;
    int rv = start_log(c, config, err);
    if (rv == 0)
        rv = weir_reactor_init(&c->reactor, err);
    if (rv != 0) {
        weir_config_free(&config);
        if (c->node.log != NULL)
            weir_log_stop(&c->node.log, LOG_FLUSH_MS);
        free(c);
        return 1;
    }
    c->reactor.user = c;
    weir_upkeep_init(&c->upkeep, &c->reactor, &c->node, c->log);
    weir_resolve_init(&c->resolve, &c->reactor, &weir_control_names, c);
    weir_deadline_init(&c->refresh, refresh);
    weir_deadline_init(&c->monitor, run_monitor);
    weir_deadline_init(&c->drain_begin, begin_drain);
    weir_deadline_init(&c->leave_end, leave_ends);
    weir_deadline_init(&c->look_end, look_ends);
    weir_list_init(&c->lookers);
    c->alerting = (struct weir_alerting){.reactor = &c->reactor,
                                         .log = c->log,
                                         .counters = &c->node.control_counters,
                                         .node = c->node.name,
                                         .snapshot = take_alerts_snapshot,
                                         .owner = c};
    weir_alerting_init(&c->alerting);
    c->tracing = (struct weir_tracing){.reactor = &c->reactor, .log = c->log, .node = &c->node};
    weir_tracing_init(&c->tracing);
    weir_event_feed_init(&c->events, &c->reactor);
    weir_signals_init(&c->signals, &c->reactor, on_end_signal, on_reload_signal, c);
    rv = run(c, opts, err);
    close_control(c);
    int code = rv != 0 || c->forced ? 1 : 0;
    if (rv == 0)
        weir_log_simple(c->log, WEIR_LOG_INFO, "stopped", NULL);
    weir_log_stop(&c->node.log, LOG_FLUSH_MS);
    free(c);
    return code;
}
