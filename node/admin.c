#include "node/admin.h"

#include <stdlib.h>

#include "core/query.h"
#include "core/render.h"
#include "core/render_cluster.h"
#include "node/admin_auth.h"
#include "node/dashboard.h"
#include "node/memory_report.h"
#include "node/node.h"
#include "node/operate.h"
#include "node/overview.h"

/* Of a name in a refusal: the longest that DNS has. */
#define HOST_SHOWN_MAX 253u
/* Of a count, leading zeros included: those of the largest 64-bit number. */
#define COUNT_DIGITS_MAX 20u

static const struct {
    struct weir_str path;
    bool open;
    const char *methods;
} pages[] = {
#define PAGE(id, path, open, methods) {{path, sizeof(path) - 1}, open, methods},
    WEIR_ADMIN_MAP(PAGE)
#undef PAGE
};

void weir_admin_print_map(struct weir_textbuf *out)
{
    for (unsigned i = 0; i < WEIR_ADMIN_NONE; i++)
        weir_textbuf_printf(out, "%s\t%s\t%s\n", pages[i].path.ptr, pages[i].methods, pages[i].open ? "open" : "admin");
}

static enum weir_admin_page page_of(struct weir_str path)
{
    if (path.len > 1 && path.ptr[path.len - 1] == '/')
        path.len--;
    for (unsigned i = 0; i < WEIR_ADMIN_NONE; i++)
        if (weir_str_eq(path, pages[i].path))
            return (enum weir_admin_page)i;
    return WEIR_ADMIN_NONE;
}

static bool takes_method(enum weir_admin_page page, struct weir_str method)
{
    struct weir_str list = weir_str_of(pages[page].methods), one;
    while (weir_str_next_item(&list, &one))
        if (weir_str_eq(one, method))
            return true;
    return false;
}

static void answer_here(struct weir_request *r, enum weir_admin_page page)
{
    static const char alive[] = "{\"status\":\"alive\"}\n", ready[] = "{\"status\":\"ready\"}\n",
                      draining[] = "{\"status\":\"draining\"}\n", starting[] = "{\"status\":\"starting\"}\n";
    const struct weir_node *n = r->worker->node;
    if (page == WEIR_ADMIN_LIVE)
        weir_request_answer(r, 200, "application/json", alive, sizeof alive - 1);
    else if (atomic_load(&n->draining) || atomic_load(&n->resting))
        weir_request_answer(r, 503, "application/json", draining, sizeof draining - 1);
    else if (!atomic_load(&n->ready))
        weir_request_answer(r, 503, "application/json", starting, sizeof starting - 1);
    else
        weir_request_answer(r, 200, "application/json", ready, sizeof ready - 1);
}

static bool add_field(struct weir_request *r, struct weir_str name, const char *value)
{
    return weir_fields_add(&r->own_fields, &r->arena, name, weir_str_of(value));
}

/* Nobody else's page may frame it, and it reaches no further than to the node that it came from. */
static void answer_dashboard(struct weir_request *r)
{
    const struct weir_dashboard *page = &weir_dashboard;
    if (page->html == NULL)
        weir_request_fail(r, 404, "no_dashboard", "This node was built without its web page: %s.", page->missing);
    else if (add_field(r, WEIR_STR("content-security-policy"), page->policy) &&
             add_field(r, WEIR_STR("x-content-type-options"), "nosniff") &&
             add_field(r, WEIR_STR("referrer-policy"), "no-referrer"))
        weir_request_answer(r, 200, "text/html; charset=utf-8", page->html, page->len);
    else
        weir_request_fail(r, 503, "out_of_memory", "The node is out of memory.");
}

/* A browser that came for the page asks its user for the token. */
static void refuse(struct weir_request *r, enum weir_admin_page page, enum weir_admin_access why)
{
    struct weir_str host = r->head->authority;
    if (why == WEIR_ADMIN_HOST_FOREIGN) {
        weir_request_fail(r, 403, "host_foreign",
                          "This page is not shown under the name %.*s, to which any site may lead a browser: list the "
                          "name in server.admin.hosts, send the admin token, or ask by address.",
                          (int)(host.len < HOST_SHOWN_MAX ? host.len : HOST_SHOWN_MAX), host.ptr);
        return;
    }
    if (page == WEIR_ADMIN_DASHBOARD && !add_field(r, WEIR_STR("www-authenticate"), WEIR_ADMIN_BROWSER_CHALLENGE))
        r->own_fields.count = 0; /* no memory: without the question */
    weir_request_fail(r, 401, "admin_token_required",
                      "This page asks for the admin token (server.admin.token) as a bearer token, or for a client "
                      "address in server.admin.allow.");
}

static void free_call(struct weir_admin_call *call)
{
    weir_textbuf_close(&call->text);
    free(call);
}

static void answered(struct weir_message *m, void *receiver)
{
    (void)receiver;
    struct weir_admin_call *call = (struct weir_admin_call *)m;
    struct weir_request *r = call->request;
    if (r == NULL && call->follower != NULL)
        weir_event_unfollow(call->follower);
    if (r != NULL) {
        r->admin = NULL;
        if (call->follower != NULL)
            weir_event_follow(r, call->follower, &call->text);
        else if (call->events.follow)
            weir_request_fail(r, 503, "followers", "As many as may follow the events do already, or the node ends.");
        else if (call->refusal != WEIR_ADMIN_DONE)
            weir_operate_refuse(r, call);
        else if (call->text.failed)
            weir_request_fail(r, 503, "out_of_memory", "The node is out of memory.");
        else
            weir_request_answer(r, call->status, call->content_type, call->text.ptr, call->text.len);
    }
    free_call(call);
}

/* What ?n= and the fields say of the events that are wanted: a client that names no type gets the stream. False: n is
 * no number. */
static bool read_events_question(struct weir_admin_call *call, const struct weir_request *r)
{
    const struct weir_field *accept = weir_fields_find(&r->head->fields, WEIR_STR("accept")),
                            *last = weir_fields_find(&r->head->fields, WEIR_STR("last-event-id"));
    bool json = accept != NULL && memmem(accept->value.ptr, accept->value.len, "application/json", 16) != NULL;
    char text[COUNT_DIGITS_MAX + 1];
    uint64_t n;
    call->events.follow = !json && weir_str_eq(r->head->method, WEIR_STR("GET"));
    call->events.count = call->events.follow ? 0 : WEIR_ADMIN_EVENTS_DEFAULT;
    if (last == NULL || !weir_str_to_u64(last->value, &call->events.after))
        call->events.after = 0;
    enum weir_query_code found = weir_query_find(r->head->target, WEIR_STR("n"), text, sizeof text);
    if (found == WEIR_QUERY_NONE)
        return true;
    if (found == WEIR_QUERY_WRONG || !weir_str_to_u64(weir_str_of(text), &n))
        return false;
    call->events.count = n < WEIR_COORD_EVENTS_KEPT ? n : WEIR_COORD_EVENTS_KEPT;
    return true;
}

/* What the query and the fields say. False: it cannot be read; the request is answered. */
static bool read_question(struct weir_admin_call *call, struct weir_request *r)
{
    if (call->page == WEIR_ADMIN_CLUSTER_EVENTS && !read_events_question(call, r))
        weir_request_fail(r, 400, "malformed_query", "The query's n is not a number of events.");
    else if (call->post && !weir_operate_read_target(call, r))
        weir_request_fail(r, 400, "malformed_query",
                          "The query is not what this page takes: ?node=ID, ?endpoint=URL, percent-encoded, or none.");
    else
        return true;
    return false;
}

static void ask_control(struct weir_request *r, enum weir_admin_page page, bool post)
{
    struct weir_admin_call *call = calloc(1, sizeof *call);
    if (call == NULL) {
        weir_request_fail(r, 503, "out_of_memory", "The node is out of memory.");
        return;
    }
    call->message.handle = r->worker->node->admin_call;
    call->worker = r->worker;
    call->request = r;
    call->page = page;
    call->post = post;
    if (!read_question(call, r)) {
        free(call);
        return;
    }
    weir_textbuf_init(&call->text, WEIR_RENDER_BYTES_MAX);
    r->admin = call;
    weir_mailbox_post(r->worker->node->control_mailbox, &call->message);
}

void weir_admin_forget(struct weir_admin_call *call)
{
    call->request = NULL;
}

bool weir_admin_take(struct weir_request *r)
{
    enum weir_admin_page page = page_of(weir_route_path(r->head->target));
    if (page == WEIR_ADMIN_NONE)
        return false;
    enum weir_admin_access access = pages[page].open ? WEIR_ADMIN_ALLOWED : weir_admin_access_of(r);
    r->step = WEIR_STEP_LOCAL;
    r->own_page = true;
    weir_node_add(r->worker->counters, WEIR_NC_PAGES_ACTIVE, 1);
    if (!takes_method(page, r->head->method))
        weir_request_fail(r, 405, "method_not_allowed", "This page takes %s.", pages[page].methods);
    else if (access != WEIR_ADMIN_ALLOWED)
        refuse(r, page, access);
    else if (weir_str_eq(r->head->method, WEIR_STR("POST")) && weir_operate_is_cross_site(r))
        weir_request_fail(r, 403, "cross_site", "Pages of other sites may not operate a node.");
    else if (page == WEIR_ADMIN_LIVE || page == WEIR_ADMIN_READY)
        answer_here(r, page);
    else if (page == WEIR_ADMIN_DASHBOARD)
        answer_dashboard(r);
    else
        ask_control(r, page, weir_str_eq(r->head->method, WEIR_STR("POST")));
    return true;
}

const char *weir_admin_methods(const struct weir_request *r)
{
    enum weir_admin_page page = r->head != NULL ? page_of(weir_route_path(r->head->target)) : WEIR_ADMIN_NONE;
    return page != WEIR_ADMIN_NONE ? pages[page].methods : "GET, HEAD";
}

static void render_memory_gc(struct weir_admin_call *call, const struct weir_snapshot *s, int *rv)
{
    struct weir_allocator_report report;
    weir_allocator_read(&report, call->post);
    *rv = weir_render_memory_gc(&call->text, s, &report);
}

static void render_memory_pool(struct weir_admin_call *call, const struct weir_admin_sources *from, int *rv)
{
    struct weir_memory_row rows[WEIR_MEMORY_ROWS_MAX];
    size_t count = weir_memory_rows(rows, from->snapshot, from->node, from->view);
    *rv = weir_render_memory_pool(&call->text, from->snapshot, rows, count);
}

/* One that can serve nobody is a 503: probes and load balancers look no further than at the status. */
static void render_providers(struct weir_admin_call *call, const struct weir_snapshot *s, int *rv)
{
    *rv = weir_render_health_providers(&call->text, s);
    for (size_t i = 0; i < s->provider_count; i++)
        if (weir_health_of_provider(&s->providers[i]) == WEIR_UNHEALTHY)
            call->status = 503;
}

static void render_events(struct weir_admin_call *call, const struct weir_admin_sources *from, int *rv)
{
    if (call->events.follow)
        call->follower =
            weir_event_feed_follow(from->events, call->worker, call->events.after, call->events.count, &call->text);
    else
        *rv = weir_render_cluster_events(&call->text, from->snapshot, &from->events->ring, call->events.count);
}

/* Pages that are made of the snapshot alone, and are always a 200 in JSON. */
static int (*const plain[WEIR_ADMIN_NONE])(struct weir_textbuf *out, const struct weir_snapshot *s) = {
    [WEIR_ADMIN_CONNECTIONS] = weir_render_health_connections,
    [WEIR_ADMIN_CIRCUIT] = weir_render_circuits,
    [WEIR_ADMIN_METRICS] = weir_render_metrics_json,
    [WEIR_ADMIN_POOL_STATS] = weir_render_pool_stats,
    [WEIR_ADMIN_LATENCY] = weir_render_latency,
    [WEIR_ADMIN_CLUSTER_STATE] = weir_render_cluster_state,
    [WEIR_ADMIN_CLUSTER_NODES] = weir_render_cluster_nodes,
    [WEIR_ADMIN_CLUSTER_SHARDS] = weir_render_cluster_shards,
    [WEIR_ADMIN_CLUSTER_MAP] = weir_render_cluster_map,
    [WEIR_ADMIN_CLUSTER_BREAKERS] = weir_render_cluster_breakers,
    [WEIR_ADMIN_CLUSTER_LIMITS] = weir_render_cluster_limits,
    [WEIR_ADMIN_CLUSTER_HINTS] = weir_render_cluster_hints,
    [WEIR_ADMIN_CLUSTER_ANALYTICS] = weir_render_cluster_analytics,
};

void weir_admin_render(struct weir_admin_call *call, const struct weir_admin_sources *from)
{
    const struct weir_snapshot *s = from->snapshot;
    int rv = 0;
    call->status = 200;
    call->content_type = "application/json";
    switch (call->page) {
    case WEIR_ADMIN_HEALTH:
        rv = weir_render_health(&call->text, s);
        if (weir_health_of_node(s) == WEIR_UNHEALTHY)
            call->status = 503;
        break;
    case WEIR_ADMIN_PROVIDERS:
        render_providers(call, s, &rv);
        break;
    case WEIR_ADMIN_PROMETHEUS:
        call->content_type = WEIR_PROMETHEUS_CONTENT_TYPE;
        rv = weir_render_prometheus(&call->text, s);
        break;
    case WEIR_ADMIN_ALERTS:
        rv = weir_alerting_render(from->alerting, &call->text, s);
        break;
    case WEIR_ADMIN_MEMORY_POOL:
        render_memory_pool(call, from, &rv);
        break;
    case WEIR_ADMIN_MEMORY_GC:
        render_memory_gc(call, s, &rv);
        break;
    case WEIR_ADMIN_CLUSTER_EVENTS:
        render_events(call, from, &rv);
        break;
    case WEIR_ADMIN_OVERVIEW:
        rv = weir_overview_make(from->overview, from, from->now_ms);
        if (rv == 0)
            weir_admin_recall(call, from->overview, from->now_ms);
        break;
    default: /* those without a renderer are answered elsewhere: by workers, or by what operates the node */
        if (plain[call->page] != NULL)
            rv = plain[call->page](&call->text, s);
        break;
    }
    call->text.failed = call->text.failed || rv != 0;
}

bool weir_admin_recall(struct weir_admin_call *call, const struct weir_overview *kept, uint64_t now_ms)
{
    if (call->page != WEIR_ADMIN_OVERVIEW || !weir_overview_recall(kept, &call->text, now_ms))
        return false;
    call->status = 200;
    call->content_type = "application/json";
    return true;
}

void weir_admin_return(struct weir_admin_call *call)
{
    call->message.handle = answered;
    weir_mailbox_post(&call->worker->reactor.mailbox, &call->message);
}
