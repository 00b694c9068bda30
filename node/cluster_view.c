#include "node/cluster_view.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* A hop is as long as the request that it carries: its clocks are the receiver's, and PING tells whether that one is
 * still there. */
#define HOP_MS_MAX UINT64_C(604800000)
/* Silence on a link that carries something is asked about after this long, and the link is over after as long again. */
#define PING_MS 1000u
/* Requests to one peer that wait for a connection, which takes WEIR_PEER_CONNECT_MS at most. */
#define WAITING_MAX 65536u
/* Connections to one peer, WEIR_H2_STREAMS_MAX requests on each. */
#define CONNECTIONS_MAX 1024u
/* An idle link; the receiver's server.idle_timeout may be shorter. */
#define IDLE_MS 600000u
/* Streams that stall take no more each. With as many of them as one connection carries, all that stall fit into the
 * connection's window, so that the others go on. */
#define STREAM_WINDOW ((uint64_t)128 << 10)

static const struct weir_config_provider link_config = {
    .name = "peer",
    .endpoint_count = 1,
    .http = {.enabled = true,
             .pool = {.max_connections = CONNECTIONS_MAX,
                      .max_keepalive_connections = CONNECTIONS_MAX,
                      .keepalive_expiry_ms = IDLE_MS,
                      .block_timeout_ms = WEIR_PEER_CONNECT_MS,
                      .max_pending = WAITING_MAX,
                      .max_connections_cap = CONNECTIONS_MAX},
             .timeout = {.total_ms = HOP_MS_MAX,
                         .connect_ms = WEIR_PEER_LINK_MS,
                         .read_ms = HOP_MS_MAX,
                         .write_ms = HOP_MS_MAX,
                         .pool_ms = WEIR_PEER_CONNECT_MS},
             .retry = {.deadline_ms = HOP_MS_MAX},
             .health = {.health_check_timeout_ms = WEIR_PEER_CONNECT_MS},
             .circuit_breaker = {.failure_threshold = 1, .half_open_permits = 1},
             .features = {.http2_enabled = true, .connection_reuse = true, .tcp_keepalive = true},
             .adaptive_concurrency = {.min = 1, .max = 1},
             .http2_stream_window_bytes = STREAM_WINDOW,
             .http2_ping_interval_ms = PING_MS},
    .forwarded_headers = WEIR_CONFIG_OFF,
    .http2 = WEIR_CONFIG_ON,
    .connection_reuse = true,
};

/* -- a peer -- */

static int fill_config(struct weir_cluster_view *v, struct weir_config_provider *config,
                       struct weir_config_endpoint *endpoint, const char *advertise, struct weir_err *err)
{
    struct weir_str host, whole = weir_str_of(advertise);
    uint16_t port;
    bool tls = v->config->peer_tls.cert_file != NULL;
    if (!weir_addr_split(whole, &host, &port) || port == 0)
        return weir_err_set(err, WEIR_EINVAL, "its address is no host:port");
    struct weir_str parts[2] = {tls ? WEIR_STR("https://") : WEIR_STR("http://"), whole};
    *config = link_config;
    config->http.tls = v->config->peer_tls;
    config->endpoints = endpoint;
    *endpoint = (struct weir_config_endpoint){.path_prefix = "", .port = port, .weight = 1, .tls = tls};
    endpoint->id = endpoint->url = weir_arena_join(&v->arena, parts, 2).ptr;
    endpoint->host = weir_arena_dup(&v->arena, host).ptr;
    endpoint->authority = weir_arena_dup(&v->arena, whole).ptr;
    if (endpoint->id == NULL || endpoint->host == NULL || endpoint->authority == NULL)
        return weir_err_set(err, WEIR_ENOMEM, "out of memory");
    return 0;
}

/* The runtimes, from the picture before where that has them. */
static int fill_runtimes(struct weir_peer *p, const struct weir_peer *old, unsigned worker_count)
{
    struct weir_view_provider *link = &p->link;
    const struct weir_view_endpoint *was = old != NULL ? &old->link.endpoints[0] : NULL;
    if (old != NULL) {
        weir_peer_state_ref(old->rt);
        weir_provider_ref(old->link.rt);
        p->rt = old->rt;
        link->rt = old->link.rt;
    } else {
        p->rt = weir_peer_state_new();
        link->rt = weir_provider_new(link->config->name, worker_count);
    }
    if (p->rt == NULL || link->rt == NULL)
        return WEIR_ENOMEM;
    if (was != NULL && strcmp(was->config->id, link->endpoints[0].config->id) == 0) {
        link->endpoints[0].rt = was->rt;
        weir_endpoint_ref(was->rt);
    } else {
        link->endpoints[0].rt = weir_endpoint_new(link->rt, link->endpoints[0].config->id);
    }
    return link->endpoints[0].rt != NULL ? 0 : WEIR_ENOMEM;
}

/* A name is asked for at each connection; of an address there is nothing to ask. */
static int fill_address(struct weir_cluster_view *v, struct weir_view_endpoint *e)
{
    struct weir_addr literal;
    if (!weir_addr_literal(&literal, weir_str_of(e->config->host), e->config->port))
        return 0;
    return weir_view_endpoint_set_addresses(e, &v->arena, &literal, 1, e);
}

static int build_link(struct weir_cluster_view *v, struct weir_peer *p, const struct weir_cluster_peer *seen,
                      const struct weir_peer *old, unsigned worker_count, struct weir_err *err)
{
    struct weir_view_provider *link = &p->link;
    struct weir_config_provider *config = weir_arena_alloc(&v->arena, sizeof *config);
    struct weir_config_endpoint *endpoint = weir_arena_alloc(&v->arena, sizeof *endpoint);
    struct weir_view_endpoint *at = weir_arena_alloc(&v->arena, sizeof *at);
    struct weir_tcp_opts *tcp = weir_arena_alloc(&v->arena, sizeof *tcp);
    if (config == NULL || endpoint == NULL || at == NULL || tcp == NULL)
        return weir_err_set(err, WEIR_ENOMEM, "out of memory");
    int rv = fill_config(v, config, endpoint, seen->advertise, err);
    if (rv != 0)
        return rv;
    *tcp = (struct weir_tcp_opts){.keepalive = true};
    *at = (struct weir_view_endpoint){.config = endpoint, .provider = link};
    *link = (struct weir_view_provider){
        .config = config, .endpoints = at, .endpoint_count = 1, .tcp = tcp, .is_link = true};
    if (v->shared->tls != NULL)
        link->tls.own = v->shared->tls->peer_client;
    if (fill_runtimes(p, old, worker_count) != 0 || fill_address(v, at) != 0)
        return weir_err_set(err, WEIR_ENOMEM, "out of memory");
    const struct weir_view_provider *was = old != NULL ? &old->link : NULL;
    if (was != NULL && was->endpoints != NULL && was->endpoints[0].rt == at->rt)
        at->settings = was->endpoints[0].settings + !weir_view_connects_alike(link, was);
    link->slots = UINT64_C(1) << at->rt->slot;
    weir_provider_configure(link->rt, config);
    weir_endpoint_configure(at->rt, config);
    return 0;
}

static int build_peer(struct weir_cluster_view *v, const struct weir_cluster_sight *sight, uint32_t i,
                      const struct weir_cluster_view *before, unsigned worker_count, struct weir_err *err)
{
    const struct weir_cluster_peer *seen = &sight->peers[i];
    const struct weir_peer *old = before != NULL ? weir_cluster_view_peer(before, weir_str_of(seen->id)) : NULL;
    assert(v->peers != NULL);
    struct weir_peer *p = &v->peers[i];
    *p = (struct weir_peer){.id = weir_arena_dup(&v->arena, weir_str_of(seen->id)).ptr, .index = i};
    v->peer_count++;
    if (p->id == NULL)
        return weir_err_set(err, WEIR_ENOMEM, "out of memory");
    if (i == v->self)
        return 0;
    p->may_take = seen->alive && seen->state == WEIR_NODE_ACTIVE && !seen->suspect;
    v->taking_count += p->may_take;
    return build_link(v, p, seen, old != NULL && old->rt != NULL ? old : NULL, worker_count, err);
}

/* -- the picture -- */

static int build_map(struct weir_cluster_view *v, const struct weir_cluster_sight *sight)
{
    size_t bytes = sight->shard_count * sizeof *v->owner;
    uint16_t *owner = weir_arena_alloc(&v->arena, bytes + 1);
    v->secret = weir_arena_dup(&v->arena, weir_str_of(sight->secret));
    if (owner == NULL || v->secret.ptr == NULL || !weir_peer_key_init(&v->key, v->secret))
        return WEIR_ENOMEM;
    if (bytes > 0)
        memcpy(owner, sight->owner, bytes);
    v->owner = owner;
    return 0;
}

int weir_cluster_view_new(struct weir_cluster_view **out, const struct weir_cluster_sight *sight,
                          struct weir_shared_config *shared, const struct weir_cluster_view *before,
                          unsigned worker_count, struct weir_err *err)
{
    assert(sight->self < sight->peer_count && sight->peer_count <= WEIR_CLUSTER_NODES_MAX);
    struct weir_cluster_view *v = calloc(1, sizeof *v);
    *out = NULL;
    if (v == NULL)
        return weir_err_set(err, WEIR_ENOMEM, "cluster: out of memory");
    v->refs = 1;
    weir_shared_config_ref(shared);
    v->shared = shared;
    v->config = &shared->config->distributed_pool;
    v->self = sight->self;
    v->epoch = sight->epoch;
    v->shard_count = sight->shard_count;
    v->contact = sight->contact;
    v->store_offset_ms = sight->store_offset_ms;
    v->peers = weir_arena_alloc(&v->arena, sight->peer_count * sizeof *v->peers);
    int rv =
        v->peers == NULL || build_map(v, sight) != 0 ? weir_err_set(err, WEIR_ENOMEM, "cluster: out of memory") : 0;
    if (rv == 0 && v->config->connection_affinity == WEIR_CONFIG_STICKY)
        rv = weir_affinity_new(&v->affinity, v->config->affinity.keys.at, v->config->affinity.keys.count, err);
    for (uint32_t i = 0; rv == 0 && i < sight->peer_count; i++) {
        rv = build_peer(v, sight, i, before, worker_count, err);
        if (rv != 0)
            weir_err_wrap(err, "cluster: node %s", sight->peers[i].id);
    }
    if (rv != 0) {
        weir_cluster_view_unref(v);
        return rv;
    }
    *out = v;
    return 0;
}

static void end_peer(struct weir_peer *p)
{
    if (p->link.endpoints != NULL && p->link.endpoints[0].rt != NULL)
        weir_view_endpoint_end(&p->link.endpoints[0]);
    if (p->link.rt != NULL)
        weir_provider_unref(p->link.rt);
    if (p->rt != NULL)
        weir_peer_state_unref(p->rt);
}

struct weir_cluster_view *weir_cluster_view_ref(struct weir_cluster_view *v)
{
    if (v != NULL)
        atomic_fetch_add(&v->refs, 1);
    return v;
}

void weir_cluster_view_unref(struct weir_cluster_view *v)
{
    if (v == NULL || atomic_fetch_sub(&v->refs, 1) != 1)
        return;
    for (uint32_t i = 0; i < v->peer_count; i++)
        end_peer(&v->peers[i]);
    weir_affinity_free(&v->affinity);
    weir_shared_config_unref(v->shared);
    weir_arena_reset(&v->arena);
    free(v);
}

void weir_cluster_view_take_effect(const struct weir_cluster_view *v, const struct weir_cluster_view *before)
{
    for (uint32_t i = 0; v != NULL && i < v->peer_count; i++) {
        const struct weir_view_endpoint *link = v->peers[i].rt != NULL ? &v->peers[i].link.endpoints[0] : NULL;
        if (link != NULL)
            atomic_store_explicit(&link->rt->settings, link->settings, memory_order_relaxed);
    }
    for (uint32_t i = 0; before != NULL && i < before->peer_count; i++) {
        const struct weir_peer *old = &before->peers[i];
        const struct weir_peer *now = v != NULL ? weir_cluster_view_peer(v, weir_str_of(old->id)) : NULL;
        if (old->rt == NULL)
            continue;
        assert(old->link.rt != NULL && old->link.endpoints != NULL);
        assert(now == NULL || now->rt == NULL || now->link.endpoints != NULL);
        if (now == NULL || now->link.rt != old->link.rt)
            atomic_store(&old->link.rt->retired, true);
        if (now == NULL || now->rt == NULL || now->link.endpoints[0].rt != old->link.endpoints[0].rt)
            atomic_store(&old->link.endpoints[0].rt->retired, true);
    }
}

/* They are in ascending order of their ids. */
const struct weir_peer *weir_cluster_view_peer(const struct weir_cluster_view *v, struct weir_str id)
{
    uint32_t low = 0, high = v->peer_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        const struct weir_peer *p = &v->peers[middle];
        size_t len = strlen(p->id);
        int order = memcmp(p->id, id.ptr, len < id.len ? len : id.len);
        if (order == 0)
            order = (len > id.len) - (len < id.len);
        if (order == 0)
            return p;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}
