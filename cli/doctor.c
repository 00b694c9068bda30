#include "cli/doctor.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cli/doctor_change.h"
#include "cli/doctor_finding.h"
#include "cli/show.h"
#include "core/tuning.h"

/* What solves pool exhaustion by rule of thumb where nothing better is known, and what the other remedies say. */
#define GROWTH          1.5
#define CONNECT_SHORT_S 5.0
#define TIMEOUT_GROWTH  1.5
#define TOTAL_GROWTH    2.0
#define SHRINK          0.5
#define CONNECT_LONG_S  30.0 /* more does not help a connect that hangs */
#define ATTEMPTS        5.0
#define RETRY_DELAY_S   30.0
#define FAILURES        3.0
#define RECOVERY_S      30.0
#define BACKOFF_S       1.0
#define REPLAY_KB       16.0
#define CLEANUP_S       300.0
/* Fewer connections than these are not what fills a memory. */
#define CONNECTIONS_TELLING 100.0
/* As events and circuits have it (weir_breaker_reason_label). */
#define BY_HAND "operator"

/* -- measures -- */

static double number(const json_t *o, const char *key)
{
    double n;
    ctl_number(o, key, &n);
    return n;
}

/* One provider, looked at twice. */
struct patient {
    const struct ctl_exam *x;
    const char *name;
    const json_t *before, *after;
};

static double grown(const json_t *before, const json_t *after, const char *key)
{
    double more = number(after, key) - number(before, key);
    return more > 0 ? more : 0; /* a node that was restarted counts anew */
}

static double more(const struct patient *p, const char *key)
{
    return grown(p->before, p->after, key);
}

static double more_detail(const struct patient *p, const char *key)
{
    return grown(json_object_get(p->before, "details"), json_object_get(p->after, "details"), key);
}

/* A counter below .endpoints.ID.details.GROUP, over all endpoints. */
static double more_of_endpoints(const struct patient *p, const char *group, const char *key)
{
    json_t *endpoints = json_object_get(p->after, "endpoints"), *now;
    const char *id;
    double sum = 0;
    json_object_foreach(endpoints, id, now)
    {
        const json_t *was = json_object_get(json_object_get(p->before, "endpoints"), id);
        sum += grown(json_object_get(json_object_get(was, "details"), group),
                     json_object_get(json_object_get(now, "details"), group), key);
    }
    return sum;
}

static double configured_timeout(const struct patient *p, const char *key)
{
    return number(json_object_get(json_object_get(p->after, "details"), "timeout_seconds"), key);
}

/* An alert of that name fires for the provider. */
static const json_t *firing(const struct patient *p, const char *name)
{
    const json_t *alerts = json_object_get(p->x->alerts, "alerts");
    for (size_t i = 0; i < json_array_size(alerts); i++) {
        const json_t *a = json_array_get(alerts, i);
        if (strcmp(ctl_text(a, "state", ""), "firing") == 0 && strcmp(ctl_text(a, "name", ""), name) == 0 &&
            strcmp(ctl_text(a, "provider", ""), p->name) == 0)
            return a;
    }
    return NULL;
}

static void tell_alert(json_t *finding, const json_t *alert)
{
    if (alert != NULL)
        ctl_finding_evidence(finding, "the alert %s fires since %s: %s", ctl_text(alert, "name", "-"),
                             ctl_text(alert, "since", "-"), ctl_text(alert, "condition", "-"));
}

/* Lines for the provider, compared with what its node is configured with. */
static void begin_change(struct ctl_change *c, const struct patient *p)
{
    ctl_change_begin(c, p->name, json_object_get(p->after, "settings"));
}

/* How each endpoint failed last; returned: one at which nobody listens, or NULL. */
static const char *tell_failures(json_t *finding, const struct patient *p)
{
    const json_t *health = json_object_get(json_object_get(p->x->providers, "providers"), p->name);
    json_t *endpoints = json_object_get(health, "endpoints"), *e;
    const char *id, *deserted = NULL;
    json_object_foreach(endpoints, id, e)
    {
        const json_t *last = json_object_get(e, "last_failure");
        const char *error = ctl_text(last, "error", NULL);
        if (error != NULL)
            ctl_finding_evidence(finding, "%s failed last with: %s (%s)", id, error, ctl_text(last, "at", "-"));
        if (error != NULL && strcasestr(error, "connection refused") != NULL)
            deserted = id;
    }
    return deserted;
}

/* The limit to be configured for one in force: with pool_sharding a node has a part of it. */
static double whole_of(const struct patient *p, double in_force)
{
    const json_t *s = p->x->state;
    double owned = number(s, "owned"), shards = number(s, "shard_count");
    bool parted = json_is_true(json_object_get(s, "pool_sharding")) && owned > 0 && shards > 0;
    return parted ? ceil(in_force * shards / owned) : in_force;
}

/* -- the troubles -- */

static void check_pool(json_t *findings, const struct patient *p)
{
    double waiting = number(p->after, "pending_requests"), used = number(p->after, "pool_utilization_percent");
    double full = more_detail(p, "pool_queue_full_total"), late = more_detail(p, "pool_queue_timeouts_total");
    const json_t *alert = firing(p, "pool_exhausted");
    bool exhausted = waiting > 0 && used >= CTL_POOL_FULL_PERCENT;
    if (!exhausted && full + late == 0 && alert == NULL)
        return;
    json_t *f = ctl_finding_add(findings, p->x, "pool exhaustion", p->name);
    double limit = number(p->after, "max_connections"), kept = number(p->after, "max_keepalive_connections");
    ctl_finding_evidence(f, "%.0f of %.0f connections are in use, and %.0f requests wait for one",
                         number(p->after, "active_connections"), limit, waiting);
    if (full + late > 0)
        ctl_finding_evidence(f, "in %.0f s %.0f requests waited too long, and %.0f found the queue full", p->x->seconds,
                             late, full);
    tell_alert(f, alert);
    double rps = ceil(more(p, "total_requests") / p->x->seconds), ms = number(p->after, "avg_response_time_ms");
    double whole = whole_of(p, limit), wanted = weir_tuning_pool_size((int64_t)rps, ms);
    wanted = whole_of(p, wanted);
    if (wanted < ceil(whole * GROWTH))
        wanted = ceil(whole * GROWTH);
    double kept_wanted = whole > 0 ? ceil(whole_of(p, kept) * wanted / whole) : kept;
    double connect = configured_timeout(p, "connect");
    struct ctl_change c;
    begin_change(&c, p);
    ctl_change_section(&c, "connection_pool");
    ctl_change_number(&c, "max_connections", CTL_AT_LEAST, wanted, whole);
    ctl_change_number(&c, "max_keepalive_connections", CTL_AT_LEAST, kept_wanted, -1);
    if (!ctl_change_end(&c, f))
        ctl_finding_text(
            f, "advice",
            "That many are configured, and about %.0f are in force: auto_tune and pool_limits.load_scaling hold "
            "the limit down, and can be turned off.",
            whole);
    else if (connect > CONNECT_SHORT_S)
        ctl_finding_text(f, "advice",
                         "Connects that hang hold places in the pool: timeout.connect is %g s, %g would do.", connect,
                         CONNECT_SHORT_S);
}

/* Only the clocks that ran out: a longer one of another kind mends nothing. */
static void change_timeouts(json_t *finding, const struct patient *p, bool connects, bool reads)
{
    double connect = configured_timeout(p, "connect"), read = configured_timeout(p, "read"),
           total = configured_timeout(p, "total");
    double longer = connect * TIMEOUT_GROWTH;
    struct ctl_change c;
    begin_change(&c, p);
    ctl_change_section(&c, "timeout");
    if (connects && connect < CONNECT_LONG_S)
        ctl_change_number(&c, "connect", CTL_AT_LEAST, longer < CONNECT_LONG_S ? longer : CONNECT_LONG_S, connect);
    if (reads) {
        ctl_change_number(&c, "read", CTL_AT_LEAST, read * TIMEOUT_GROWTH, read);
        ctl_change_number(&c, "total", CTL_AT_LEAST, total * TOTAL_GROWTH, total);
    }
    ctl_change_section(&c, "retry");
    ctl_change_on(&c, "enabled");
    ctl_change_number(&c, "attempts", CTL_AT_LEAST, ATTEMPTS, -1);
    ctl_change_number(&c, "backoff_max_delay", CTL_AT_MOST, RETRY_DELAY_S, -1);
    (void)ctl_change_end(&c, finding);
}

static void check_timeouts(json_t *findings, const struct patient *p)
{
    double connects = more(p, "connection_timeouts_total");
    double reads = more_of_endpoints(p, "upstream_timeouts_total", "read") +
                   more_of_endpoints(p, "upstream_timeouts_total", "total");
    double connect = configured_timeout(p, "connect"), read = configured_timeout(p, "read"),
           total = configured_timeout(p, "total");
    if (connects + reads == 0)
        return;
    json_t *f = ctl_finding_add(findings, p->x, "connection timeouts", p->name);
    if (connects > 0)
        ctl_finding_evidence(f, "in %.0f s %.0f connects did not come about within %g s", p->x->seconds, connects,
                             connect);
    if (reads > 0)
        ctl_finding_evidence(f, "in %.0f s %.0f answers did not come within %g s, or end within %g s", p->x->seconds,
                             reads, read, total);
    if (number(p->after, "avg_response_time_ms") > 0)
        ctl_finding_evidence(f, "a connection takes %.1f ms on average, an answer %.1f ms",
                             number(p->after, "avg_connection_time_ms"), number(p->after, "avg_response_time_ms"));
    tell_failures(f, p);
    change_timeouts(f, p, connects > 0, reads > 0);
    if (connects > 0 && connect >= CONNECT_LONG_S)
        ctl_finding_text(
            f, "advice",
            "More than %g s does not mend a connect that hangs: is %s to be reached at all from here? weirctl "
            "breakers, and /health/providers, say.",
            connect, p->name);
    else
        ctl_finding_text(
            f, "advice",
            "Is %s to be reached at all from here, and well? weirctl breakers, and /health/providers, say.", p->name);
}

/* The last word that the cluster's events have of an endpoint's opening; NULL: they have none. */
static const json_t *opening_of(const struct ctl_exam *x, const char *endpoint)
{
    const json_t *events = json_object_get(x->events, "events");
    for (size_t i = json_array_size(events); i > 0; i--) {
        const json_t *e = json_array_get(events, i - 1);
        if (strcmp(ctl_text(e, "event", ""), "circuit_opened") == 0 &&
            strcmp(ctl_text(e, "endpoint", ""), endpoint) == 0)
            return e;
    }
    return NULL;
}

/* An operator has opened it. The node that was told knows; of the others, those that listened to what it said. */
static bool is_by_hand(const json_t *circuit, const json_t *opening)
{
    return strcmp(ctl_text(circuit, "reason", ""), BY_HAND) == 0 ||
           (json_is_true(json_object_get(circuit, "shared")) && strcmp(ctl_text(opening, "reason", ""), BY_HAND) == 0);
}

static void tell_order(json_t *findings, const struct patient *p, const json_t *circuit, const json_t *opening)
{
    const char *endpoint = ctl_text(circuit, "endpoint", "-"), *state = ctl_text(circuit, "state", "-");
    json_t *f = ctl_finding_add(findings, p->x, "circuit opened by hand", p->name);
    ctl_finding_evidence(f, "the circuit of %s is %s since %.0f s, by an operator's word to node %s", endpoint, state,
                         number(circuit, "state_seconds"),
                         ctl_text(opening, "node", ctl_text(p->x->after, "node_id", "-")));
    if (number(circuit, "retry_in_seconds") > 0)
        ctl_finding_evidence(f, "in %.0f s a request may try it again", number(circuit, "retry_in_seconds"));
    ctl_finding_text(f, "advice", "weirctl breaker close %s closes it at once.", endpoint);
}

/* Circuits of the provider that are not closed: whether there are any that have opened by themselves. */
static bool tell_circuits(json_t *findings, json_t **finding, const struct patient *p)
{
    const json_t *rows = json_object_get(p->x->breakers, "breakers");
    bool any = false;
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        const char *state = ctl_text(row, "state", "closed"), *endpoint = ctl_text(row, "endpoint", "-");
        if (strcmp(ctl_text(row, "provider", ""), p->name) != 0 || strcmp(state, "closed") == 0)
            continue;
        const json_t *opening = opening_of(p->x, endpoint);
        if (is_by_hand(row, opening)) {
            tell_order(findings, p, row, opening);
            continue;
        }
        if (*finding == NULL)
            *finding = ctl_finding_add(findings, p->x, "high error rate", p->name);
        ctl_finding_evidence(*finding, "the circuit of %s is %s", endpoint, state);
        any = true;
    }
    return any;
}

/* What keeps failures from spreading; true: not all of it is set. */
static bool change_errors(json_t *finding, const struct patient *p)
{
    static const int codes[] = {408, 429, 500, 502, 503, 504};
    struct ctl_change c;
    begin_change(&c, p);
    ctl_change_section(&c, "circuit_breaker");
    ctl_change_on(&c, "enabled");
    ctl_change_number(&c, "failure_threshold", CTL_AT_MOST, FAILURES, -1);
    ctl_change_number(&c, "recovery_timeout", CTL_AT_MOST, RECOVERY_S, -1);
    ctl_change_section(&c, "retry");
    ctl_change_on(&c, "enabled");
    ctl_change_codes(&c, "retry_status_codes", codes, sizeof codes / sizeof codes[0]);
    ctl_change_number(&c, "backoff_factor", CTL_AT_LEAST, BACKOFF_S, -1);
    return ctl_change_end(&c, finding);
}

static void check_errors(json_t *findings, const struct patient *p)
{
    double opened = more(p, "connections_created_total"), lost = more(p, "connection_errors_total");
    double tries = more(p, "total_requests"), failed = more(p, "error_count");
    double refused =
        more_of_endpoints(p, "upstream_responses_total", "5xx"); /* failed tries where retries are on only */
    failed = refused > failed ? refused : failed;
    /* A connect that fails creates nothing: it counts as one that was to be. */
    bool connections = lost > CTL_ERROR_RATE_MAX * (opened > lost ? opened : lost) && lost > 0;
    bool answers = failed > CTL_ERROR_RATE_MAX * tries && failed > 0;
    const json_t *alert = firing(p, "high_error_rate");
    json_t *f = NULL;
    if (connections || answers || alert != NULL)
        f = ctl_finding_add(findings, p->x, "high error rate", p->name);
    if (connections)
        ctl_finding_evidence(f, "in %.0f s %.0f connections failed or were lost, beside %.0f that were opened",
                             p->x->seconds, lost, opened);
    if (answers)
        ctl_finding_evidence(f, "in %.0f s %.0f of %.0f tries failed", p->x->seconds, failed, tries);
    if (f != NULL)
        tell_alert(f, alert);
    if (!tell_circuits(findings, &f, p) && f == NULL)
        return;
    const char *deserted = tell_failures(f, p);
    bool left = change_errors(f, p), alone = json_object_size(json_object_get(p->after, "endpoints")) == 1;
    if (deserted != NULL)
        ctl_finding_text(f, "advice", "Nobody listens at %s: is it running?", deserted);
    else if (left)
        ctl_finding_text(f, "advice", "The lines contain the damage; its cause is at %s, or on the way there.",
                         p->name);
    else
        ctl_finding_text(
            f, "advice", "What contains the damage is set; its cause is at %s, or on the way there.%s", p->name,
            alone ? " A second one among its endpoints would give requests somewhere to go meanwhile." : "");
}

/* -- memory -- */

/* The provider to which most connections are open. */
static struct patient largest(const struct ctl_exam *x)
{
    struct patient most = {.x = x};
    json_t *providers = json_object_get(x->after, "providers"), *p;
    const char *name;
    json_object_foreach(providers, name, p)
    {
        if (most.after == NULL || number(p, "connections_total") > number(most.after, "connections_total"))
            most = (struct patient){.x = x, .name = name, .after = p};
    }
    return most;
}

/* What may be kept smaller: connections, of which half of those that are open would have to do, and bodies. */
static void change_memory(json_t *finding, const struct patient *p, double requests)
{
    double limit = number(p->after, "max_connections"), open = number(p->after, "connections_total"),
           kept = number(p->after, "max_keepalive_connections");
    double wanted = ceil((open < limit ? open : limit) * SHRINK);
    struct ctl_change c;
    begin_change(&c, p);
    if (open >= CONNECTIONS_TELLING) {
        ctl_change_section(&c, "connection_pool");
        ctl_change_number(&c, "max_connections", CTL_AT_MOST, whole_of(p, wanted), whole_of(p, limit));
        ctl_change_number(&c, "max_keepalive_connections", CTL_AT_MOST,
                          whole_of(p, ceil((kept < wanted ? kept : wanted) * SHRINK)), -1);
    }
    if (requests > 0) { /* of each one's body, to send it again */
        ctl_change_section(&c, "retry");
        ctl_change_kilobytes(&c, "replay_buffer", CTL_AT_MOST, REPLAY_KB);
    }
    if (open >= CONNECTIONS_TELLING || requests > 0) {
        ctl_change_section(&c, "health");
        ctl_change_number(&c, "cleanup_interval", CTL_AT_MOST, CLEANUP_S, -1);
        ctl_change_on(&c, "force_cleanup");
    }
    (void)ctl_change_end(&c, finding);
}

static void check_memory(json_t *findings, const struct ctl_exam *x)
{
    const json_t *memory = json_object_get(json_object_get(x->health, "checks"), "memory"),
                 *was = json_object_get(json_object_get(x->health_before, "checks"), "memory"),
                 *objects = json_object_get(x->memory, "objects");
    double used = number(memory, "used_percent"), limit = number(memory, "limit_bytes"),
           more_bytes = grown(was, memory, "resident_bytes"),
           clients = number(json_object_get(objects, "client_connections"), "count"),
           requests = number(json_object_get(objects, "requests"), "count");
    const struct patient most = largest(x);
    if (used < CTL_MEMORY_FULL_PERCENT)
        return;
    json_t *f = ctl_finding_add(findings, x, "memory", NULL);
    ctl_finding_evidence(f, "the node takes %.1f MB, %.0f %% of the %.1f MB that it may",
                         number(memory, "resident_bytes") / 1e6, used, limit / 1e6);
    if (json_is_object(was) && more_bytes * 100 >= limit)
        ctl_finding_evidence(f, "in %.0f s it has grown by %.1f MB", x->seconds, more_bytes / 1e6);
    ctl_finding_evidence(f, "%.0f connections to providers are open, and %.0f of clients; %.0f requests are under way",
                         number(x->after, "connections_total"), clients > 0 ? clients - 1 : 0,
                         requests > 0 ? requests - 1 : 0);
    if (most.after != NULL)
        change_memory(f, &most, requests - 1);
    ctl_finding_text(
        f, "advice",
        "/debug/memory/pool says what takes it. A node that has to be that large needs more: server.memory_limit, or "
        "the limit of its control group.");
}

/* -- the cluster -- */

static void check_nodes(json_t *findings, const struct ctl_exam *x)
{
    const json_t *nodes = json_object_get(x->nodes, "nodes");
    json_t *lost = NULL;
    for (size_t i = 0; i < json_array_size(nodes); i++) {
        const json_t *node = json_array_get(nodes, i);
        const char *id = ctl_text(node, "id", "-");
        double used = number(json_object_get(node, "load"), "utilization_percent");
        bool alive = json_is_true(json_object_get(node, "alive"));
        if (!alive) {
            if (lost == NULL) {
                lost = ctl_finding_add(findings, x, "lost nodes", NULL);
                ctl_finding_text(lost, "advice",
                                 "Look at its log, or start it again; its shards are at the others meanwhile.");
            }
            ctl_finding_evidence(lost, "node %s has not been heard of for %.0f s", id, number(node, "age_ms") / 1000);
        } else if (!json_is_true(json_object_get(node, "self")) && used >= CTL_POOL_FULL_PERCENT) {
            json_t *f = ctl_finding_add(findings, x, "pool exhaustion", NULL);
            json_object_set_new(f, "node", json_string(id));
            ctl_finding_evidence(f, "the fullest pool of node %s is in use to %.0f %%", id, used);
            ctl_finding_text(f, "advice", "Ask the node itself: weirctl doctor --node with its URL.");
        }
    }
}

static void check_cluster(json_t *findings, const struct ctl_exam *x)
{
    double shards = number(x->state, "shard_count"), alive = number(json_object_get(x->state, "nodes"), "alive");
    if (!json_is_string(json_object_get(x->state, "cluster")))
        return;
    if (ctl_store_is_away(x->state)) {
        json_t *f = ctl_finding_add(findings, x, "store out of reach", NULL);
        ctl_finding_evidence(f, "%s, since %s: %s", ctl_text(x->state, "store", "-"), ctl_text(x->state, "since", "-"),
                             ctl_text(x->state, "store_error", "not tried yet"));
        ctl_finding_text(f, "advice", "Does it run? Until it is back, circuits and limits are the node's own.");
    }
    if (alive > 1 && shards > 0 && shards < CTL_SHARDS_PER_NODE * alive) {
        json_t *f = ctl_finding_add(findings, x, "few shards", NULL);
        ctl_finding_evidence(f, "%.0f shards for %.0f nodes: their parts are uneven", shards, alive);
        ctl_finding_text(f, "change", "distributed_pool:\n  shard_count: %.0f # %.0f now\n",
                         2 * CTL_SHARDS_PER_NODE * alive, shards);
    }
    check_nodes(findings, x);
}

json_t *ctl_diagnose(const struct ctl_exam *x)
{
    static void (*const checks[])(json_t * findings, const struct patient *p) = {check_pool, check_timeouts,
                                                                                 check_errors};
    json_t *findings = json_array(), *providers = json_object_get(x->after, "providers"), *after;
    const char *name;
    for (size_t i = 0; findings != NULL && i < sizeof checks / sizeof checks[0]; i++)
        json_object_foreach(providers, name, after)
        {
            const json_t *before = json_object_get(json_object_get(x->before, "providers"), name);
            checks[i](findings, &(struct patient){.x = x, .name = name, .before = before, .after = after});
        }
    if (findings != NULL) {
        check_memory(findings, x);
        check_cluster(findings, x);
    }
    return findings;
}
