#include "node/node.h"

#define TOLD_EVERY_MS 60000u

/* True: it is this call that may speak. */
static bool may_tell(_Atomic uint64_t *told, uint64_t now_ms)
{
    uint64_t last_ms = atomic_load_explicit(told, memory_order_relaxed);
    return (last_ms == 0 || now_ms - last_ms >= TOLD_EVERY_MS) &&
           atomic_compare_exchange_strong(told, &last_ms, now_ms);
}

void weir_node_tell_handshake(struct weir_node *node, struct weir_log_producer *log, uint64_t now_ms,
                              enum weir_tls_fail fail, const char *reason)
{
    struct weir_log_line l;
    if (!may_tell(&node->handshakes_told_ms[fail], now_ms))
        return;
    weir_log_begin(&l, log, WEIR_LOG_WARN, "client_tls_failed",
                   "a client's TLS handshake failed; others like it are counted");
    weir_log_text(&l, "check", weir_tls_fail_text(fail));
    weir_log_text(&l, "reason", reason);
    weir_log_end(&l);
}

void weir_node_tell_cut(struct weir_node *node, struct weir_log_producer *log, uint64_t now_ms, const char *client,
                        const char *reason)
{
    struct weir_log_line l;
    if (!may_tell(&node->cut_told_ms, now_ms))
        return;
    weir_log_begin(&l, log, WEIR_LOG_WARN, "client_cut_off",
                   "a client floods its HTTP/2 connection, or breaks the protocol; others like it are counted");
    weir_log_text(&l, "client", client);
    weir_log_text(&l, "reason", reason);
    weir_log_end(&l);
}

void weir_node_tell_peer_refused(struct weir_node *node, struct weir_log_producer *log, uint64_t now_ms,
                                 const char *client, const char *reason)
{
    struct weir_log_line l;
    if (!may_tell(&node->peer_refused_told_ms, now_ms))
        return;
    weir_log_begin(&l, log, WEIR_LOG_WARN, "peer_refused",
                   "a request on the peer listener was not signed by a peer; others like it are counted");
    weir_log_text(&l, "client", client);
    weir_log_text(&l, "reason", reason);
    weir_log_end(&l);
}

uint32_t weir_node_load(const struct weir_node *node)
{
    uint64_t load = 0;
    for (unsigned i = 0; i < node->worker_count; i++) {
        const struct weir_node_counters *c = node->workers[i].counters;
        load += weir_cell_read(&c->at[WEIR_NC_REQUESTS_ACTIVE]) - weir_cell_read(&c->at[WEIR_NC_PEER_ACTIVE]) -
                weir_cell_read(&c->at[WEIR_NC_PAGES_ACTIVE]);
    }
    return load < UINT32_MAX ? (uint32_t)load : 0; /* cells are not of one instant */
}
