/* The load history's node side: what this node has seen of a slot, provider by provider. Nothing of it is on a
 * request's way: sums are differences of the counters that are kept anyway, and what is in flight is looked at ten
 * times a second, which is the finest peak that it knows. */
#include <stdlib.h>
#include <string.h>

#include "core/load_record.h"
#include "core/metrics_read.h"
#include "node/cluster_inner.h"

/* A provider's counters, added up over workers and endpoints. */
struct sums {
    uint64_t requests, refused, errors, leases_new, leases_reused, connects, closed, connect_us, exchanges, exchange_us;
    struct weir_hist first_byte;
};

struct meter_row {
    char provider[WEIR_PROVIDER_NAME_MAX + 1];
    struct sums before; /* at the end of the slot before */
    uint64_t in_flight_sum, in_flight_peak, connections_peak;
};

struct weir_cluster_meter {
    uint32_t looks, count;
    uint64_t in_flight_peak, utilization_pct;
    struct meter_row rows[WEIR_LOAD_PROVIDERS_MAX];
    struct weir_textbuf text;
};

struct weir_cluster_meter *weir_cluster_meter_new(void)
{
    struct weir_cluster_meter *m = calloc(1, sizeof *m);
    if (m != NULL)
        weir_textbuf_init(&m->text, WEIR_LOAD_RECORD_TEXT_MAX);
    return m;
}

void weir_cluster_meter_free(struct weir_cluster_meter **m)
{
    if (*m == NULL)
        return;
    weir_textbuf_close(&(*m)->text);
    free(*m);
    *m = NULL;
}

/* -- reading -- */

static void gather(struct sums *out, const struct weir_view_provider *v)
{
    struct weir_endpoint_counters e = {0};
    struct weir_provider_counters p = {0};
    for (unsigned w = 0; w < v->rt->worker_count; w++) {
        weir_provider_counters_sum(&p, &v->rt->local[w].counters);
        for (unsigned i = 0; i < v->endpoint_count; i++)
            weir_endpoint_counters_sum(&e, &v->endpoints[i].rt->local[w].counters);
    }
    *out =
        (struct sums){.requests = p.at[WEIR_PC_REQUESTS],
                      .refused = p.at[WEIR_PC_RATE_REFUSED] + p.at[WEIR_PC_PLACES_REFUSED] + p.at[WEIR_PC_QUEUE_FULL] +
                                 p.at[WEIR_PC_QUEUE_TIMEOUT] + p.at[WEIR_PC_CIRCUIT_REFUSED],
                      .errors = e.at[WEIR_EC_TRIES_FAILED],
                      .leases_new = e.at[WEIR_EC_LEASES_NEW],
                      .leases_reused = e.at[WEIR_EC_LEASES_REUSED],
                      .connects = e.at[WEIR_EC_CREATED],
                      .closed = weir_endpoint_rows_sum(&e, WEIR_EC_CLOSED_EXPIRED, WEIR_EC_EVICTIONS),
                      .connect_us = p.hist[WEIR_H_CONNECT].sum_us,
                      .exchanges = e.at[WEIR_EC_EXCHANGES],
                      .exchange_us = e.at[WEIR_EC_EXCHANGE_US],
                      .first_byte = e.latency[WEIR_LATENCY_FIRST_BYTE]};
}

/* Requests at work, or that wait for a limit or a connection. */
static uint64_t in_flight(const struct weir_view_provider *v)
{
    uint64_t n = weir_waitline_count(&v->rt->limit.line) + (uint64_t)weir_waitline_count(&v->rt->places.line);
    for (unsigned i = 0; i < v->endpoint_count; i++)
        n += atomic_load_explicit(&v->endpoints[i].rt->in_flight, memory_order_relaxed);
    return n;
}

/* The row of a provider; one that is met for the first time counts from now. NULL: there are too many. */
static struct meter_row *row_of(struct weir_cluster_meter *m, const struct weir_view_provider *v)
{
    for (uint32_t i = 0; i < m->count; i++)
        if (strcmp(m->rows[i].provider, v->config->name) == 0)
            return &m->rows[i];
    if (m->count == WEIR_LOAD_PROVIDERS_MAX || strlen(v->config->name) > WEIR_PROVIDER_NAME_MAX)
        return NULL;
    struct meter_row *row = &m->rows[m->count++];
    *row = (struct meter_row){0};
    memcpy(row->provider, v->config->name, strlen(v->config->name));
    gather(&row->before, v);
    return row;
}

/* Names that a reload has taken out make room. */
static void drop_gone(struct weir_cluster_meter *m, const struct weir_view *v)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < m->count; i++) {
        bool there = false;
        for (unsigned k = 0; k < v->provider_count && !there; k++)
            there = strcmp(m->rows[i].provider, v->providers[k].config->name) == 0;
        if (there)
            m->rows[kept++] = m->rows[i];
    }
    m->count = kept;
}

void weir_cluster_meter_look(struct weir_cluster *c)
{
    struct weir_cluster_meter *m = c->meter;
    uint64_t all = 0;
    for (unsigned i = 0; i < c->view->provider_count; i++) {
        const struct weir_view_provider *v = &c->view->providers[i];
        struct meter_row *row = row_of(m, v);
        uint64_t n = in_flight(v), open = atomic_load(&v->rt->total), pct = weir_cluster_utilization_pct(v->rt);
        all += n;
        m->utilization_pct = pct > m->utilization_pct ? pct : m->utilization_pct;
        if (row == NULL)
            continue;
        row->in_flight_sum += n;
        row->in_flight_peak = n > row->in_flight_peak ? n : row->in_flight_peak;
        row->connections_peak = open > row->connections_peak ? open : row->connections_peak;
    }
    m->in_flight_peak = all > m->in_flight_peak ? all : m->in_flight_peak;
    m->looks++;
}

/* -- a slot's end -- */

/* An endpoint that has gone takes its counts with it: nothing new, then. */
static uint64_t since(uint64_t now, uint64_t before)
{
    return now > before ? now - before : 0;
}

static void set_point(struct weir_load_point *p, const struct meter_row *row, const struct sums *now, uint32_t looks)
{
    const struct sums *before = &row->before;
    uint64_t reused = since(now->leases_reused, before->leases_reused);
    struct weir_hist first_byte = {0};
    p->requests = since(now->requests, before->requests);
    p->refused = since(now->refused, before->refused);
    p->errors = since(now->errors, before->errors);
    p->in_flight_mean = looks > 0 ? row->in_flight_sum * 1000 / looks : 0;
    p->in_flight_peak = row->in_flight_peak;
    p->connections_peak = row->connections_peak;
    p->leases = since(now->leases_new, before->leases_new) + reused;
    p->reused = reused;
    p->connects = since(now->connects, before->connects);
    p->closed = since(now->closed, before->closed);
    p->connect_us_sum = since(now->connect_us, before->connect_us);
    p->exchanges = since(now->exchanges, before->exchanges);
    p->exchange_us_sum = since(now->exchange_us, before->exchange_us);
    for (unsigned i = 0; i <= WEIR_HIST_BOUNDS; i++)
        first_byte.bucket[i] = since(now->first_byte.bucket[i], before->first_byte.bucket[i]);
    p->first_byte_p50_us = weir_hist_quantile_us(&first_byte, 0.5);
    p->first_byte_p99_us = weir_hist_quantile_us(&first_byte, 0.99);
}

static uint64_t take_lag_us(const struct weir_node *node)
{
    uint64_t most = 0;
    for (unsigned w = 0; w < node->worker_count; w++) {
        uint64_t lag = atomic_exchange_explicit(&node->workers[w].lag_us_slot, 0, memory_order_relaxed);
        most = lag > most ? lag : most;
    }
    return most;
}

static void print(struct weir_cluster *c, struct weir_load_record *r)
{
    struct weir_cluster_meter *m = c->meter;
    weir_textbuf_clear(&m->text);
    (void)weir_load_record_print(&m->text, r);
}

struct weir_str weir_cluster_take_load(void *cluster, uint64_t now_ms, uint64_t slot)
{
    struct weir_cluster *c = cluster;
    struct weir_cluster_meter *m = c->meter;
    struct weir_load_record r = {.slot = slot, .nodes = 1};
    (void)now_ms;
    if (c->view == NULL)
        return (struct weir_str){"", 0};
    weir_cluster_meter_look(c);
    r.in_flight_peak = m->in_flight_peak;
    r.utilization_pct = m->utilization_pct;
    r.loop_lag_us = take_lag_us(c->node);
    snprintf(r.node, sizeof r.node, "%s", c->id);
    for (unsigned i = 0; i < c->view->provider_count; i++) {
        const struct weir_view_provider *v = &c->view->providers[i];
        struct meter_row *row = row_of(m, v);
        struct weir_load_item *item = row != NULL ? weir_load_record_item(&r, weir_str_of(row->provider)) : NULL;
        struct sums now;
        if (item == NULL)
            continue;
        gather(&now, v);
        set_point(&item->point, row, &now, m->looks);
        item->point.hurting = c->events->hurts(c->owner, row->provider);
        row->before = now;
        row->in_flight_sum = row->in_flight_peak = row->connections_peak = 0;
    }
    m->looks = 0;
    m->in_flight_peak = m->utilization_pct = 0;
    drop_gone(m, c->view);
    if (slot != 0)
        print(c, &r);
    return slot != 0 && !m->text.failed ? (struct weir_str){m->text.ptr, m->text.len} : (struct weir_str){"", 0};
}
