#include <stdio.h>

#include "core/config_diff.h"
#include "net/config_file.h"
#include "node/certificates.h"
#include "node/control_inner.h"

/* -- views -- */

void weir_control_publish(struct weir_control *c, struct weir_view *v)
{
    struct weir_view *before = c->view;
    v->generation = before != NULL ? before->generation + 1 : 1;
    if (c->cluster != NULL)
        v->cluster = weir_cluster_picture(c->cluster, v->shared, before != NULL ? before->cluster : NULL);
    weir_view_take_effect(v, before);
    weir_upkeep_follow(&c->upkeep, v);
    if (c->cluster != NULL)
        weir_cluster_follow(c->cluster, v);
    for (unsigned i = 0; i < c->node.worker_count; i++) {
        weir_view_ref(v);
        if (weir_worker_post_view(&c->node.workers[i], v) != 0) {
            weir_view_unref(v);
            weir_log_simple(c->log, WEIR_LOG_ERROR, "out_of_memory",
                            "a worker keeps its old configuration: out of memory");
        }
    }
    c->view = v;
    weir_certificates_watch(v->shared->tls, (int64_t)(weir_clock_unix_ms() / 1000), c->log);
    weir_alerting_configure(&c->alerting, v->shared);
    weir_tracing_configure(&c->tracing, v->shared);
    if (before != NULL)
        weir_view_unref(before);
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
    weir_cluster_warn_of_what_stays(c->log, was, is);
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
    weir_control_publish(c, v);
    weir_node_add(&c->node.control_counters, WEIR_NC_RELOADS_OK, 1);
    struct weir_log_line l;
    weir_log_begin(&l, c->log, WEIR_LOG_INFO, "reload", "the configuration was read again and is in force");
    weir_log_u64(&l, "generation", v->generation);
    weir_log_end(&l);
}

/* -- names -- */

static void note_latency(struct weir_control *c, const struct weir_resolve_entry *e)
{
    for (unsigned i = 0; i < c->view->provider_count; i++) {
        struct weir_endpoint *rt = weir_view_endpoint_named(&c->view->providers[i], e->id);
        if (rt != NULL)
            weir_latency_observe(&rt->control, WEIR_LATENCY_DNS, e->took_us, c->reactor.now_us);
    }
}

static void log_fails(struct weir_control *c, const struct weir_resolve_entry *e)
{
    struct weir_log_line l;
    weir_log_begin(&l, c->log, WEIR_LOG_WARN, "dns_failed",
                   "a name does not resolve; what was known of it stays in use");
    weir_log_text(&l, "endpoint", e->id);
    weir_log_text(&l, "reason", e->problem);
    weir_log_end(&l);
}

static void log_works(struct weir_control *c, const struct weir_resolve_entry *e)
{
    struct weir_log_line l;
    weir_log_begin(&l, c->log, WEIR_LOG_INFO, "dns_works", "a name resolves again");
    weir_log_text(&l, "endpoint", e->id);
    weir_log_end(&l);
}

static void entry_told(struct weir_resolve *r, const struct weir_resolve_entry *e, enum weir_resolve_event event)
{
    switch (event) {
    case WEIR_RESOLVE_ANSWERED:
        note_latency(r->owner, e);
        return;
    case WEIR_RESOLVE_FAILS:
        log_fails(r->owner, e);
        return;
    case WEIR_RESOLVE_WORKS:
        log_works(r->owner, e);
        return;
    }
}

#define ADDRESSES_TEXT_MAX (WEIR_ADDRESSES_MAX * WEIR_ADDR_TEXT_MAX)

static const char *addresses_text(char *text, const struct weir_view_endpoint *e)
{
    char one[WEIR_ADDR_TEXT_MAX];
    size_t len = 0;
    text[0] = '\0';
    for (unsigned i = 0; i < e->address_count; i++)
        len += (size_t)snprintf(text + len, ADDRESSES_TEXT_MAX - len, "%s%s", i > 0 ? " " : "",
                                weir_addr_text(&e->addresses[i], one));
    return text;
}

static void log_moved(struct weir_control *c, const struct weir_view_endpoint *old,
                      const struct weir_view_endpoint *now)
{
    char text[ADDRESSES_TEXT_MAX];
    struct weir_log_line l;
    weir_log_begin(&l, c->log, WEIR_LOG_INFO, "endpoint_addresses", "a name resolves to other addresses");
    weir_log_text(&l, "endpoint", now->config->id);
    weir_log_text(&l, "old", addresses_text(text, old));
    weir_log_text(&l, "new", addresses_text(text, now));
    weir_log_end(&l);
}

static bool same_set(const struct weir_view_endpoint *a, const struct weir_view_endpoint *b)
{
    bool same = a->address_count == b->address_count;
    for (unsigned i = 0; same && i < a->address_count; i++)
        same = weir_addresses_find(weir_view_records(b), &a->addresses[i]) != NULL;
    return same;
}

void weir_control_republish(struct weir_control *c)
{
    struct weir_err err;
    struct weir_view *v = NULL;
    int rv = weir_view_new(&v, c->view->shared, c->view, c->node.worker_count, &err);
    if (rv == 0)
        rv = weir_resolve_apply(&c->resolve, v);
    if (rv != 0) {
        if (v != NULL)
            weir_view_unref(v);
        weir_log_simple(c->log, WEIR_LOG_ERROR, "out_of_memory",
                        "addresses and the cluster's picture stay as they were: out of memory");
        return;
    }
    for (unsigned i = 0; i < v->provider_count; i++) {
        for (unsigned k = 0; k < v->providers[i].endpoint_count; k++) {
            const struct weir_view_endpoint *old = &c->view->providers[i].endpoints[k];
            const struct weir_view_endpoint *now = &v->providers[i].endpoints[k];
            if (old->address_count > 0 && !same_set(old, now))
                log_moved(c, old, now);
        }
    }
    weir_control_publish(c, v);
}

static void names_changed(struct weir_resolve *r)
{
    struct weir_control *c = r->owner;
    if (weir_resolve_differs(r, c->view))
        weir_control_republish(c);
}

static void reload_failed(struct weir_control *c, const char *why);

/* The view that stays has its names asked for again. */
static void drop_next(struct weir_control *c, const char *why)
{
    weir_view_unref(c->next);
    c->next = NULL;
    reload_failed(c, why);
    weir_reactor_deadline(&c->reactor, &c->refresh, c->reactor.now_ms);
}

static void names_ready(struct weir_resolve *r)
{
    struct weir_control *c = r->owner;
    if (c->next != NULL && weir_resolve_apply(r, c->next) == 0)
        publish_next(c);
    else
        names_changed(r);
    if (c->next != NULL)
        drop_next(c, "out of memory");
    if (!atomic_load(&c->node.ready) && !atomic_load(&c->node.draining)) {
        atomic_store(&c->node.ready, true);
        weir_log_simple(c->log, WEIR_LOG_INFO, "ready", "serving");
    }
}

const struct weir_resolve_events weir_control_names = {
    .ready = names_ready, .changed = names_changed, .entry = entry_told};

void weir_control_resolve(struct weir_control *c)
{
    struct weir_err err;
    if (weir_resolve_want(&c->resolve, c->next != NULL ? c->next : c->view, &err) == 0)
        return;
    if (c->next != NULL) {
        drop_next(c, err.msg);
        return;
    }
    struct weir_log_line l;
    weir_log_begin(&l, c->log, WEIR_LOG_ERROR, "resolver_failed", "no name can be asked for; tried again in 30 s");
    weir_log_text(&l, "reason", err.msg);
    weir_log_end(&l);
    weir_reactor_deadline(&c->reactor, &c->refresh, c->reactor.now_ms + WEIR_NAME_RETRY_MS_MAX);
}

/* -- reload -- */

void weir_control_log_problems(struct weir_control *c, const struct weir_config_problems *problems)
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

/* The file is wrong: all of it is in the log, the first of it is the sentence. */
static void explain(const struct weir_config_problems *problems, char *why, size_t len)
{
    size_t errors = 0;
    const struct weir_config_problem *first = NULL;
    for (size_t i = 0; i < problems->count; i++)
        if (problems->at[i].level == WEIR_CONFIG_ERROR && errors++ == 0)
            first = &problems->at[i];
    if (why != NULL && first != NULL)
        snprintf(why, len, "%s:%u: %s: %s%s", first->file, first->line, first->key, first->sentence,
                 errors > 1 ? " (the first of several errors; all are in the log)" : "");
    else if (why != NULL)
        snprintf(why, len, "the file cannot be read");
}

/* A file that is read while it is written is empty, or ends before its providers. */
static int refuse_half_a_file(struct weir_control *c, const struct weir_config *config, char *why, size_t len)
{
    if (config->provider_count > 0 || c->view->config->provider_count == 0)
        return 0;
    static const char none[] =
        "the file names no provider, and providers are in use: if it was being written, reload again";
    struct weir_log_line l;
    weir_log_begin(&l, c->log, WEIR_LOG_ERROR, "config_error", none);
    weir_log_text(&l, "file", c->config_path);
    weir_log_text(&l, "key", "providers");
    weir_log_end(&l);
    if (why != NULL)
        snprintf(why, len, "%s", none);
    return WEIR_EINVAL;
}

static int load(struct weir_control *c, struct weir_config **config, char *why, size_t len)
{
    struct weir_config_problems problems = {0};
    int rv = weir_config_file_load(config, c->config_path, &problems);
    weir_control_log_problems(c, &problems);
    if (rv != 0)
        explain(&problems, why, len);
    weir_config_problems_reset(&problems);
    if (rv == 0 && (rv = refuse_half_a_file(c, *config, why, len)) != 0)
        weir_config_free(config);
    return rv;
}

bool weir_control_reload(struct weir_control *c, char *why, size_t len)
{
    struct weir_config *config = NULL;
    struct weir_view *v = NULL;
    struct weir_err err;
    if (load(c, &config, why, len) != 0) {
        reload_failed(c, "the file has errors");
        return false;
    }
    struct weir_shared_config *shared = weir_shared_config_new(config);
    int rv = shared == NULL ? weir_err_set(&err, WEIR_ENOMEM, "out of memory")
                            : weir_tls_setup_new(&shared->tls, config, &err);
    if (rv == 0)
        rv = weir_view_new(&v, shared, c->view, c->node.worker_count, &err);
    if (shared != NULL)
        weir_shared_config_unref(shared);
    else
        weir_config_free(&config);
    if (rv != 0) {
        if (why != NULL)
            snprintf(why, len, "%s", err.msg);
        reload_failed(c, err.msg);
        return false;
    }
    if (c->next != NULL)
        weir_view_unref(c->next);
    c->next = v;
    weir_control_resolve(c);
    return true;
}
