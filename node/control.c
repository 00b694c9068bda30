#include "node/control.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/config_diff.h"
#include "core/monitor.h"
#include "node/access_log.h"
#include "node/admin.h"
#include "node/config_file.h"
#include "node/resolve.h"
#include "node/take_snapshot.h"

/* A client that is idle when the node drains may have its next request on the way: it gets this long. */
#define DRAIN_GRACE_MS 1000u
/* What a blocked log may cost at exit. */
#define LOG_FLUSH_MS 1000u
/* Descriptors that are neither clients nor upstreams: loops, listeners, log, resolver. */
#define OTHER_DESCRIPTORS 128u

struct weir_control {
    struct weir_node node;
    struct weir_reactor reactor;
    struct weir_log_producer *log;
    const char *config_path;
    struct weir_view *view; /* the one in force */
    struct weir_dns *dns;
    struct weir_resolve resolve;
    struct weir_deadline refresh, monitor, drain_begin;
    uv_signal_t terminate, interrupt, hangup;
    unsigned drained;       /* workers that have nothing left */
    unsigned threads;       /* workers that run */
    struct weir_view *next; /* of a reload: published once its names are resolved */
    bool resolve_again;
    bool stopping;
    bool forced;
    int exit_code;
};

static struct weir_control *control_of(void *receiver)
{
    return ((struct weir_reactor *)receiver)->user;
}

/* -- views -- */

static bool publish(struct weir_control *c, struct weir_view *v)
{
    struct weir_view *before = c->view;
    weir_view_take_effect(v, before);
    for (unsigned i = 0; i < c->node.worker_count; i++) {
        weir_view_ref(v);
        if (weir_worker_post_view(&c->node.workers[i], v) != 0) {
            weir_view_unref(v);
            weir_log_simple(c->log, WEIR_LOG_ERROR, "out_of_memory",
                            "a worker keeps its old configuration: out of memory");
        }
    }
    c->view = v;
    if (before != NULL)
        weir_view_unref(before);
    return true;
}

static void log_unresolved(struct weir_control *c)
{
    for (unsigned i = 0; i < c->resolve.count; i++) {
        const struct weir_resolve_entry *e = &c->resolve.entries[i];
        if (e->count > 0)
            continue;
        struct weir_log_line l;
        weir_log_begin(&l, c->log, WEIR_LOG_WARN, "dns_failed",
                       "a name does not resolve; what was known of it stays in use");
        weir_log_text(&l, "endpoint", e->id);
        weir_log_text(&l, "reason", e->problem);
        weir_log_end(&l);
    }
}

static void refresh_later(struct weir_control *c)
{
    weir_reactor_deadline(&c->reactor, &c->refresh, c->reactor.now_ms + c->view->config->dns.refresh_ms);
}

static void log_changed(void *arg, const char *key, const char *from, const char *to)
{
    struct weir_control *c = arg;
    struct weir_log_line l;
    weir_log_begin(&l, c->log, WEIR_LOG_INFO, "config_changed", NULL);
    weir_log_text(&l, "key", key);
    weir_log_text(&l, "from", from);
    weir_log_text(&l, "to", to);
    weir_log_end(&l);
}

static bool same_listens(const struct weir_config_listens *a, const struct weir_config_listens *b)
{
    bool same = a->count == b->count;
    for (size_t i = 0; same && i < a->count; i++)
        same = strcmp(a->at[i].text, b->at[i].text) == 0 && a->at[i].proxy_protocol == b->at[i].proxy_protocol;
    return same;
}

static void warn_of_what_stays(struct weir_control *c, const struct weir_config *was, const struct weir_config *is)
{
    if (!same_listens(&was->server.listen, &is->server.listen) ||
        !same_listens(&was->server.admin.listen, &is->server.admin.listen))
        weir_log_simple(c->log, WEIR_LOG_WARN, "restart_needed", "listening addresses change only with a restart");
    if (was->server.workers != is->server.workers)
        weir_log_simple(c->log, WEIR_LOG_WARN, "restart_needed", "the number of workers changes only with a restart");
}

static void start_resolving(struct weir_control *c)
{
    if (!weir_resolve_start(&c->resolve, c->dns, c->next != NULL ? c->next : c->view))
        c->resolve_again = true; /* a round is under way: one more after it */
}

/* The names of a reload are resolved: it takes effect. */
static void publish_next(struct weir_control *c)
{
    struct weir_view *v = c->next;
    c->next = NULL;
    if (weir_config_diff(c->view->config, v->config, c, log_changed) != 0)
        weir_log_simple(c->log, WEIR_LOG_WARN, "out_of_memory",
                        "the changed keys could not all be told: out of memory");
    warn_of_what_stays(c, c->view->config, v->config);
    weir_log_configure(c->node.log, (enum weir_log_format)v->config->logging.format,
                       (enum weir_log_level)v->config->logging.level);
    publish(c, v);
    weir_node_add(&c->node.control_counters, WEIR_NC_RELOADS_OK, 1);
    struct weir_log_line l;
    weir_log_begin(&l, c->log, WEIR_LOG_INFO, "reload", "the configuration was read again and is in force");
    weir_log_u64(&l, "generation", v->generation);
    weir_log_end(&l);
}

/* Addresses have changed: the configuration in force with the new ones. */
static void publish_moved(struct weir_control *c)
{
    struct weir_err err;
    struct weir_view *v = NULL;
    int rv = weir_view_new(&v, c->view->shared, c->view, c->node.worker_count, c->view->generation + 1, &err);
    if (rv == 0 && weir_resolve_apply(&c->resolve, v) == 0)
        publish(c, v);
    else if (v != NULL)
        weir_view_unref(v);
}

static void resolved(struct weir_resolve *r)
{
    struct weir_control *c = r->owner;
    log_unresolved(c);
    if (c->next != NULL && !c->resolve_again && weir_resolve_apply(r, c->next) == 0)
        publish_next(c);
    else if (weir_resolve_differs(r, c->view))
        publish_moved(c);
    weir_resolve_clear(r);
    if (!atomic_load(&c->node.ready) && !atomic_load(&c->node.draining)) {
        atomic_store(&c->node.ready, true);
        weir_log_simple(c->log, WEIR_LOG_INFO, "ready", "serving");
    }
    if (c->resolve_again) {
        c->resolve_again = false;
        start_resolving(c);
    }
    refresh_later(c);
}

static void refresh(struct weir_deadline *d, uint64_t now_ms)
{
    struct weir_control *c = WEIR_CONTAINER(d, struct weir_control, refresh);
    (void)now_ms;
    start_resolving(c);
}

/* -- reload -- */

static void log_problems(struct weir_control *c, const struct weir_config_problems *problems)
{
    for (size_t i = 0; i < problems->count; i++) {
        const struct weir_config_problem *p = &problems->at[i];
        struct weir_log_line l;
        weir_log_begin(&l, c->log, p->level == WEIR_CONFIG_ERROR ? WEIR_LOG_ERROR : WEIR_LOG_WARN,
                       p->level == WEIR_CONFIG_ERROR ? "config_error" : "config_warning", p->sentence);
        weir_log_text(&l, "file", p->file);
        weir_log_u64(&l, "line", p->line);
        weir_log_text(&l, "key", p->key);
        weir_log_end(&l);
    }
}

static void reload_failed(struct weir_control *c, const char *why)
{
    struct weir_log_line l;
    weir_node_add(&c->node.control_counters, WEIR_NC_RELOADS_FAILED, 1);
    weir_log_begin(&l, c->log, WEIR_LOG_ERROR, "reload_failed", "the configuration in force stays as it was");
    weir_log_text(&l, "reason", why);
    weir_log_end(&l);
}

static void reload(struct weir_control *c)
{
    struct weir_config_problems problems = {0};
    struct weir_config *config = NULL;
    struct weir_view *v = NULL;
    struct weir_err err;
    int rv = weir_config_file_load(&config, c->config_path, &problems);
    log_problems(c, &problems);
    weir_config_problems_reset(&problems);
    if (rv != 0) {
        reload_failed(c, "the file has errors");
        return;
    }
    struct weir_shared_config *shared = weir_shared_config_new(config);
    if (shared == NULL) {
        weir_config_free(&config);
        reload_failed(c, "out of memory");
        return;
    }
    rv = weir_view_new(&v, shared, c->view, c->node.worker_count, c->view->generation + 1, &err);
    weir_shared_config_unref(shared);
    if (rv != 0) {
        reload_failed(c, err.msg);
        return;
    }
    if (c->next != NULL)
        weir_view_unref(c->next);
    c->next = v;
    start_resolving(c);
}

/* -- ending -- */

static void stop_workers(struct weir_control *c)
{
    if (c->stopping)
        return;
    c->stopping = true;
    for (unsigned i = 0; i < c->threads; i++)
        if (weir_worker_post_stop(&c->node.workers[i]) != 0)
            abort(); /* no memory for a few bytes and nothing left to serve */
    weir_reactor_stop(&c->reactor);
}

static void begin_drain(struct weir_deadline *d, uint64_t now_ms)
{
    struct weir_control *c = WEIR_CONTAINER(d, struct weir_control, drain_begin);
    uint64_t timeout = c->view->config->server.drain_timeout_ms;
    (void)now_ms;
    for (unsigned i = 0; i < c->threads; i++)
        if (weir_worker_post_drain(&c->node.workers[i], DRAIN_GRACE_MS < timeout / 4 ? DRAIN_GRACE_MS : timeout / 4,
                                   timeout) != 0)
            stop_workers(c);
}

static void worker_drained(struct weir_message *m, void *receiver)
{
    struct weir_control *c = control_of(receiver);
    struct weir_worker *w = WEIR_CONTAINER(m, struct weir_worker, drained);
    atomic_store(&w->drained_posted, false);
    c->drained++;
    /* A descriptor may still be on its way between two workers: whoever serves it last tells again. */
    if (c->drained >= c->node.worker_count && atomic_load(&c->node.clients) == 0)
        stop_workers(c);
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
    weir_reactor_deadline(&c->reactor, &c->drain_begin,
                          weir_clock_us() / 1000 + c->view->config->server.drain_delay_ms);
}

static void on_reload_signal(uv_signal_t *handle, int number)
{
    (void)number;
    reload(handle->data);
}

/* -- questions -- */

static void admin_call(struct weir_message *m, void *receiver)
{
    struct weir_control *c = control_of(receiver);
    struct weir_admin_call *call = (struct weir_admin_call *)m;
    struct weir_arena arena = {0};
    struct weir_snapshot s;
    uint64_t lag_us = c->reactor.lag_ms_max * 1000;
    if (weir_take_snapshot(&s, &arena, &c->node, c->view, lag_us) == 0)
        weir_admin_render(call, &s);
    else
        call->text.failed = true;
    c->reactor.lag_ms_max = 0;
    weir_arena_reset(&arena);
    weir_admin_return(call);
}

static void run_monitor(struct weir_deadline *d, uint64_t now_ms)
{
    struct weir_control *c = WEIR_CONTAINER(d, struct weir_control, monitor);
    struct weir_arena arena = {0};
    struct weir_snapshot s;
    if (weir_take_snapshot(&s, &arena, &c->node, c->view, 0) == 0)
        weir_monitor_log(c->log, &s);
    weir_arena_reset(&arena);
    weir_reactor_deadline(&c->reactor, d, now_ms + WEIR_MONITOR_INTERVAL_MS);
}

/* -- beginning -- */

static unsigned cores(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0)
        return 1;
    int n = CPU_COUNT(&set);
    return n < 1 ? 1 : n > (int)WEIR_WORKERS_MAX ? WEIR_WORKERS_MAX : (unsigned)n;
}

static void raise_descriptors(struct weir_control *c, const struct weir_config *config)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    uint64_t wanted = (uint64_t)config->server.max_connections + OTHER_DESCRIPTORS;
    for (size_t i = 0; i < config->provider_count; i++)
        wanted += config->providers[i].http.pool.max_connections;
    if (limit.rlim_cur == RLIM_INFINITY || wanted <= limit.rlim_cur)
        return;
    struct weir_log_line l;
    weir_log_begin(
        &l, c->log, WEIR_LOG_WARN, "descriptors",
        "the configured connections do not fit into the descriptor limit; raise it (ulimit -n, LimitNOFILE=) or "
        "lower server.max_connections");
    weir_log_u64(&l, "wanted", wanted);
    weir_log_u64(&l, "limit", limit.rlim_cur);
    weir_log_end(&l);
}

static int listen_on(struct weir_control *c, const struct weir_config_listen *listen, bool admin, bool proxy,
                     struct weir_err *err)
{
    int fds[WEIR_WORKERS_MAX];
    struct weir_addr addr;
    char text[WEIR_ADDR_TEXT_MAX];
    if (!weir_addr_literal(&addr, weir_str_of(listen->host), listen->port))
        return weir_err_set(err, WEIR_EINVAL, "listen on %s: not an address", listen->text);
    if (c->node.workers[0].listener_count >= WEIR_LISTENERS_MAX)
        return weir_err_set(err, WEIR_ELIMIT, "listen on %s: at most %u addresses", listen->text, WEIR_LISTENERS_MAX);
    int rv = weir_listen_open(fds, c->node.worker_count, &addr, err);
    if (rv != 0)
        return rv;
    for (unsigned i = 0; i < c->node.worker_count; i++) {
        struct weir_worker *w = &c->node.workers[i];
        w->listeners[w->listener_count++] = (struct weir_worker_listener){
            .fd = fds[i], .proxy_protocol = listen->proxy_protocol, .serves_admin = admin, .serves_proxy = proxy};
    }
    if (c->node.name[0] == '\0')
        snprintf(c->node.name, sizeof c->node.name, "%s", weir_addr_text(&addr, text));
    struct weir_log_line l;
    weir_log_begin(&l, c->log, WEIR_LOG_INFO, "listening", NULL);
    weir_log_text(&l, "address", weir_addr_text(&addr, text));
    weir_log_text(&l, "serves", admin && proxy ? "proxy and admin" : admin ? "admin" : "proxy");
    weir_log_end(&l);
    return 0;
}

static int listen_all(struct weir_control *c, const struct weir_config *config, struct weir_err *err)
{
    bool apart = config->server.admin.listen.count > 0;
    int rv = 0;
    for (size_t i = 0; rv == 0 && i < config->server.listen.count; i++)
        rv = listen_on(c, &config->server.listen.at[i], !apart, true, err);
    for (size_t i = 0; rv == 0 && i < config->server.admin.listen.count; i++)
        rv = listen_on(c, &config->server.admin.listen.at[i], true, false, err);
    return rv;
}

static int make_workers(struct weir_control *c, unsigned count, struct weir_err *err)
{
    c->node.workers = calloc(count, sizeof *c->node.workers);
    if (c->node.workers == NULL)
        return weir_err_set(err, WEIR_ENOMEM, "workers: out of memory");
    unsigned wanted = count;
    c->node.worker_count = count; /* pools are told how many they are */
    for (unsigned i = 0; i < wanted; i++) {
        int rv = weir_worker_init(&c->node.workers[i], &c->node, i, err);
        if (rv != 0) {
            c->node.worker_count = i;
            return rv;
        }
    }
    return 0;
}

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

static void watch_signals(struct weir_control *c)
{
    const struct {
        uv_signal_t *handle;
        uv_signal_cb cb;
        int number;
    } signals[] = {{&c->terminate, on_end_signal, SIGTERM},
                   {&c->interrupt, on_end_signal, SIGINT},
                   {&c->hangup, on_reload_signal, SIGHUP}};
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        uv_signal_init(&c->reactor.loop, signals[i].handle);
        signals[i].handle->data = c;
        uv_signal_start(signals[i].handle, signals[i].cb, signals[i].number);
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
    int rv = weir_view_new(&v, shared, NULL, c->node.worker_count, 1, err);
    weir_shared_config_unref(shared);
    if (rv == 0)
        rv = start_threads(c, err);
    if (rv != 0) {
        for (unsigned i = 0; i < c->threads; i++)
            weir_worker_post_stop(&c->node.workers[i]);
        return rv;
    }
    publish(c, v);
    c->resolve = (struct weir_resolve){.done = resolved, .owner = c};
    weir_resolve_start(&c->resolve, c->dns, c->view);
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
    uv_close((uv_handle_t *)&c->terminate, NULL);
    uv_close((uv_handle_t *)&c->interrupt, NULL);
    uv_close((uv_handle_t *)&c->hangup, NULL);
    weir_dns_close(&c->dns);
    weir_resolve_clear(&c->resolve);
    weir_deadline_drop(&c->reactor.wheel, &c->refresh);
    weir_deadline_drop(&c->reactor.wheel, &c->monitor);
    weir_deadline_drop(&c->reactor.wheel, &c->drain_begin);
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

static int run(struct weir_control *c, const struct weir_control_opts *opts, struct weir_err *err)
{
    struct weir_config *config = opts->config;
    raise_descriptors(c, config);
    log_problems(c, opts->warnings);
    int rv = make_workers(c, config->server.workers != 0 ? config->server.workers : cores(), err);
    if (rv == 0)
        rv = listen_all(c, config, err);
    if (rv == 0)
        rv = weir_dns_new(&c->dns, &c->reactor, err);
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
    size_t size = (sizeof(struct weir_control) + WEIR_CACHE_LINE - 1) / WEIR_CACHE_LINE * WEIR_CACHE_LINE;
    struct weir_control *c = aligned_alloc(WEIR_CACHE_LINE, size);
    int rv = c == NULL ? weir_err_set(err, WEIR_ENOMEM, "control: out of memory") : 0;
    if (rv == 0) {
        memset(c, 0, size);
        c->config_path = opts->config_path;
        c->node.started_us = weir_clock_us();
        c->node.control_mailbox = &c->reactor.mailbox;
        c->node.worker_drained = worker_drained;
        c->node.admin_call = admin_call;
        rv = start_log(c, config, err);
    }
    if (rv == 0)
        rv = weir_reactor_init(&c->reactor, err);
    if (rv != 0) {
        weir_config_free(&config);
        if (c != NULL && c->node.log != NULL)
            weir_log_stop(&c->node.log, LOG_FLUSH_MS);
        free(c);
        return 1;
    }
    c->reactor.user = c;
    weir_deadline_init(&c->refresh, refresh);
    weir_deadline_init(&c->monitor, run_monitor);
    weir_deadline_init(&c->drain_begin, begin_drain);
    watch_signals(c);
    rv = run(c, opts, err);
    close_control(c);
    int code = rv != 0 || c->forced ? 1 : 0;
    if (rv == 0)
        weir_log_simple(c->log, WEIR_LOG_INFO, "stopped", NULL);
    weir_log_stop(&c->node.log, LOG_FLUSH_MS);
    free(c);
    return code;
}
