/* What is told of an endpoint's circuit: to the log, the counters, and whoever takes endpoints in and out. */
#include "net/log.h"
#include "node/circuit_inner.h"

static const struct {
    const char *name;
    enum weir_log_level level;
    enum weir_endpoint_counter counter;
} told[WEIR_BREAKER_EVENT_KINDS] = {
    [WEIR_BREAKER_IS_OPENED] = {"circuit_opened", WEIR_LOG_WARN, WEIR_EC_CIRCUIT_OPENED},
    [WEIR_BREAKER_IS_HALF_OPENED] = {"circuit_half_open", WEIR_LOG_INFO, WEIR_EC_CIRCUIT_HALF_OPENED},
    [WEIR_BREAKER_IS_CLOSED] = {"circuit_closed", WEIR_LOG_INFO, WEIR_EC_CIRCUIT_CLOSED},
    [WEIR_BREAKER_IS_COOLING] = {"circuit_cooling", WEIR_LOG_WARN, WEIR_EC_CIRCUIT_COOLED},
    [WEIR_BREAKER_IS_KEPT_CLOSED] = {"circuit_kept_closed", WEIR_LOG_WARN, WEIR_EC_CIRCUIT_KEPT},
};

static void log_event(struct weir_endpoint *e, const struct weir_circuit_caller *by,
                      const struct weir_breaker_event *event, const char *why, const char *node)
{
    struct weir_log_line l;
    weir_log_begin(&l, by->log, told[event->kind].level, told[event->kind].name, weir_breaker_event_text(event->kind));
    weir_log_text(&l, "provider", e->provider->name);
    weir_log_text(&l, "endpoint", e->id);
    weir_log_text(&l, "reason", weir_breaker_reason_label(event->reason));
    if (event->kind == WEIR_BREAKER_IS_OPENED || event->kind == WEIR_BREAKER_IS_KEPT_CLOSED) {
        weir_log_u64(&l, "failures", event->run);
        if (why != NULL)
            weir_log_text(&l, "last_failure", why);
    }
    if (event->until_ms > by->now_ms)
        weir_log_u64(&l, "wait_ms", event->until_ms - by->now_ms);
    weir_log_u64(&l, "generation", event->gen);
    if (node[0] != '\0')
        weir_log_text(&l, "by", node);
    weir_log_end(&l);
}

static struct weir_endpoint_counters *counters_of(struct weir_endpoint *e, const struct weir_circuit_caller *by)
{
    return by->worker == WEIR_CIRCUIT_CONTROL ? &e->control : &e->local[by->worker].counters;
}

void weir_circuit_tell_one(struct weir_endpoint *e, const struct weir_circuit_caller *by,
                           const struct weir_breaker_event *event, const char *why, const char *node)
{
    if (event->kind == WEIR_BREAKER_IS_CLOSED)
        atomic_store_explicit(&e->up_since_ms, by->now_ms, memory_order_relaxed);
    if (event->kind == WEIR_BREAKER_IS_CLOSED || event->kind == WEIR_BREAKER_IS_OPENED)
        weir_health_circuit(e->provider, e, event->kind == WEIR_BREAKER_IS_OPENED, event->until_ms, by->log);
    if (!atomic_load_explicit(&e->circuit.monitored, memory_order_relaxed))
        return;
    weir_endpoint_add(counters_of(e, by), told[event->kind].counter, 1);
    log_event(e, by, event, why, node);
}

void weir_circuit_tell(struct weir_endpoint *e, const struct weir_circuit_caller *by,
                       const struct weir_breaker_reply *r, const char *why)
{
    for (uint32_t i = 0; i < r->event_count; i++)
        weir_circuit_tell_one(e, by, &r->events[i], why, "");
}
