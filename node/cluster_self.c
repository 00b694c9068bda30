/* Who this node is in its cluster, and how much it has to do. */
#include <stdio.h>
#include <sys/random.h>
#include <unistd.h>

#include "node/cluster_inner.h"
#include "node/peer_address.h"

/* Numbers that pass through a script are doubles. */
#define INSTANCE_BITS 53u
/* Of a secret that this node proposes. */
#define SECRET_BYTES 32u
/* Some names of hosts are longer; then what the port says still tells them apart on one machine. */
#define HOST_MAX 56

static bool is_id_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
           c == '-';
}

void weir_cluster_default_id(char out[WEIR_NODE_ID_MAX + 1], const char *host, const char *address)
{
    const char *port = strrchr(address, ':');
    snprintf(out, WEIR_NODE_ID_MAX + 1, "%.*s-%s", HOST_MAX, host[0] != '\0' ? host : "node",
             port != NULL ? port + 1 : "0");
    for (char *c = out; *c != '\0'; c++)
        if (!is_id_byte(*c))
            *c = '-';
}

static int chance(void *out, size_t n, struct weir_err *err)
{
    if (getrandom(out, n, 0) != (ssize_t)n)
        return weir_err_set(err, WEIR_EIO, "cluster: the system gives no random bytes");
    return 0;
}

int weir_cluster_name_self(struct weir_cluster *c, struct weir_err *err)
{
    const struct weir_config_distributed *config = &c->began_with->config->distributed_pool;
    uint8_t random[SECRET_BYTES];
    char host[256] = "";
    int rv = chance(&c->instance, sizeof c->instance, err);
    if (rv == 0)
        rv = chance(random, sizeof random, err);
    if (rv != 0)
        return rv;
    c->instance = c->instance >> (64 - INSTANCE_BITS) | 1;
    for (unsigned i = 0; i < SECRET_BYTES; i++)
        snprintf(c->secret + (size_t)2 * i, 3, "%02x", random[i]);
    if (gethostname(host, sizeof host - 1) != 0)
        host[0] = '\0';
    if (config->node_id != NULL)
        snprintf(c->id, sizeof c->id, "%s", config->node_id);
    else
        weir_cluster_default_id(c->id, host, c->node->name);
    snprintf(c->node->name, sizeof c->node->name, "%s", c->id); /* one name on all pages */
    c->number = weir_coord_node_number(c->id);
    return 0;
}

struct weir_cluster_agent_config weir_cluster_agent_config_of(const struct weir_cluster *c,
                                                              const struct weir_config *config)
{
    const struct weir_config_distributed *d = &config->distributed_pool;
    const struct weir_config_analytics *a = &config->analytics;
    bool history = a->enabled && a->collect_performance_metrics;
    return (struct weir_cluster_agent_config){.id = c->id,
                                              .advertise = c->advertise,
                                              .version = WEIR_VERSION,
                                              .instance = c->instance,
                                              .weight = d->weight,
                                              .failover_timeout_ms = d->failover_timeout_ms,
                                              .answer_ms = d->redis_timeout_ms,
                                              .failover = d->failover_enabled,
                                              .shard_count = d->shard_count,
                                              .secret = d->peer_secret != NULL ? d->peer_secret : c->secret,
                                              .secret_shared = d->peer_secret == NULL,
                                              .load_slot_ms = history ? a->sample_interval_ms : 0,
                                              .follow_hints = a->enabled && a->enable_predictive_scaling};
}

/* -- load -- */

static uint32_t cut(uint64_t n)
{
    return n < UINT32_MAX ? (uint32_t)n : UINT32_MAX;
}

static uint32_t per_second(uint64_t now, uint64_t before, uint64_t ms)
{
    return ms > 0 && now > before ? cut((now - before) * 1000 / ms) : 0;
}

uint64_t weir_cluster_utilization_pct(const struct weir_provider *p)
{
    uint32_t total = atomic_load(&p->total), idle = atomic_load(&p->idle), max = atomic_load(&p->total_max);
    return total > idle && max > 0 ? (uint64_t)(total - idle) * 100 / max : 0;
}

void weir_cluster_measure(struct weir_cluster *c, struct weir_coord_load *out, uint64_t now_ms)
{
    struct weir_node_counters sum = {0};
    *out = (struct weir_coord_load){0};
    for (unsigned w = 0; w < c->node->worker_count; w++) {
        uint64_t lag = atomic_load(&c->node->workers[w].lag_us_shown);
        weir_node_counters_sum(&sum, c->node->workers[w].counters);
        out->loop_lag_us = lag > out->loop_lag_us ? cut(lag) : out->loop_lag_us;
    }
    for (unsigned i = 0; c->view != NULL && i < c->view->provider_count; i++) {
        const struct weir_provider *p = c->view->providers[i].rt;
        uint64_t pct = weir_cluster_utilization_pct(p);
        out->connections += atomic_load(&p->total);
        out->utilization_pct = pct > out->utilization_pct ? cut(pct) : out->utilization_pct;
    }
    uint64_t errors = sum.at[WEIR_NC_PROXIED_5XX], requests = errors + sum.at[WEIR_NC_PROXIED_OTHER];
    uint64_t active = sum.at[WEIR_NC_REQUESTS_ACTIVE],
             elsewhere = sum.at[WEIR_NC_PEER_ACTIVE] + sum.at[WEIR_NC_PAGES_ACTIVE];
    out->in_flight = active > elsewhere ? cut(active - elsewhere) : 0; /* cells are not of one instant */
    out->requests_per_s = per_second(requests, c->load.requests, now_ms - c->load.at_ms);
    out->errors_per_s = per_second(errors, c->load.errors, now_ms - c->load.at_ms);
    c->load = (struct weir_cluster_load){now_ms, requests, errors};
}
