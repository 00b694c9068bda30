/* Peers are asked whether they are there, once per distributed_pool.health_check_interval each, so that no request has
 * to find out that they are not. Of names there is nothing to ask: connections resolve them. */
#include "node/cluster_inner.h"

/* One that passes proves little: the listener of a process that hangs takes connections, too. */
static void probed(void *cluster, const struct weir_view_endpoint *e, enum weir_probe_result result, const char *why)
{
    struct weir_cluster *c = cluster;
    const struct weir_peer *p = WEIR_CONTAINER(e->provider, struct weir_peer, link);
    uint64_t for_ms = c->view->config->distributed_pool.failover_timeout_ms;
    struct weir_log_line l;
    if (result != WEIR_PROBE_FAILED || !weir_peer_suspect(p->rt, c->reactor->now_ms, for_ms))
        return;
    weir_log_begin(&l, c->log, WEIR_LOG_WARN, "peer_suspect",
                   "a peer cannot be reached; its requests are served elsewhere for a while");
    weir_log_text(&l, "peer", p->id);
    weir_log_text(&l, "address", e->config->authority);
    weir_log_text(&l, "reason", "probe");
    weir_log_text(&l, "error", why);
    weir_log_end(&l);
}

void weir_cluster_probes_init(struct weir_cluster *c)
{
    weir_probes_init(&c->probes, c->reactor, c, probed);
    c->probes.crypto = c->node->crypto;
    c->probes.tls = &c->node->tls_up;
    c->rng.state = c->instance;
}

void weir_cluster_probe_peers(struct weir_cluster *c, uint64_t now_ms)
{
    const struct weir_cluster_view *v = c->view != NULL ? c->view->cluster : NULL;
    uint64_t interval_ms = v != NULL ? v->config->health_check_interval_ms : 0;
    for (uint32_t i = 0; v != NULL && i < v->peer_count; i++) {
        const struct weir_peer *p = &v->peers[i];
        if (!p->may_take || p->link.endpoints[0].address_count == 0)
            continue;
        if (p->rt->probe_due_ms == 0) /* not all of them at once */
            p->rt->probe_due_ms = now_ms + 1 + weir_rng_next(&c->rng) % interval_ms;
        if (p->rt->probe_due_ms > now_ms || !weir_probes_have_room(&c->probes))
            continue;
        p->rt->probe_due_ms = now_ms + interval_ms;
        if (!weir_peer_is_suspect(p->rt)) /* requests try that one */
            weir_probe_begin(&c->probes, c->view, &p->link.endpoints[0]);
    }
}
