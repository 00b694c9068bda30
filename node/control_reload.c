#include "core/config_diff.h"
#include "node/config_file.h"
#include "node/control_inner.h"

/* -- views -- */

void weir_control_publish(struct weir_control *c, struct weir_view *v)
{
    struct weir_view *before = c->view;
    v->generation = before != NULL ? before->generation + 1 : 1;
    weir_view_take_effect(v, before);
    weir_upkeep_follow(&c->upkeep, v);
    for (unsigned i = 0; i < c->node.worker_count; i++) {
        weir_view_ref(v);
        if (weir_worker_post_view(&c->node.workers[i], v) != 0) {
            weir_view_unref(v);
            weir_log_simple(c->log, WEIR_LOG_ERROR, "out_of_memory",
                            "a worker keeps its old configuration: out of memory");
        }
    }
    c->view = v;
    weir_alerting_configure(&c->alerting, v->shared);
    if (before != NULL)
        weir_view_unref(before);
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

void weir_control_resolve(struct weir_control *c)
{
    if (weir_resolve_start(&c->resolve, c->dns, c->next != NULL ? c->next : c->view))
        return;
    if (c->resolve.entries != NULL) {
        c->resolve_again = true; /* a round is under way: one more after it */
        return;
    }
    weir_log_simple(c->log, WEIR_LOG_ERROR, "out_of_memory", "the names could not be asked for: out of memory");
    refresh_later(c);
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

/* Addresses have changed: the configuration in force with the new ones. */
static void publish_moved(struct weir_control *c)
{
    struct weir_err err;
    struct weir_view *v = NULL;
    int rv = weir_view_new(&v, c->view->shared, c->view, c->node.worker_count, &err);
    if (rv == 0 && weir_resolve_apply(&c->resolve, v) == 0)
        weir_control_publish(c, v);
    else if (v != NULL)
        weir_view_unref(v);
}

void weir_control_resolved(struct weir_resolve *r)
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
        weir_control_resolve(c);
    }
    refresh_later(c);
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

void weir_control_reload(struct weir_control *c)
{
    struct weir_config_problems problems = {0};
    struct weir_config *config = NULL;
    struct weir_view *v = NULL;
    struct weir_err err;
    int rv = weir_config_file_load(&config, c->config_path, &problems);
    weir_control_log_problems(c, &problems);
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
    rv = weir_view_new(&v, shared, c->view, c->node.worker_count, &err);
    weir_shared_config_unref(shared);
    if (rv != 0) {
        reload_failed(c, err.msg);
        return;
    }
    if (c->next != NULL)
        weir_view_unref(c->next);
    c->next = v;
    weir_control_resolve(c);
}
