#include "node/node.h"

#define HANDSHAKE_TOLD_EVERY_MS 60000u

void weir_node_tell_handshake(struct weir_node *node, struct weir_log_producer *log, uint64_t now_ms,
                              enum weir_tls_fail fail, const char *reason)
{
    _Atomic uint64_t *told = &node->handshakes_told_ms[fail];
    uint64_t last_ms = atomic_load_explicit(told, memory_order_relaxed);
    struct weir_log_line l;
    if ((last_ms != 0 && now_ms - last_ms < HANDSHAKE_TOLD_EVERY_MS) ||
        !atomic_compare_exchange_strong(told, &last_ms, now_ms))
        return;
    weir_log_begin(&l, log, WEIR_LOG_WARN, "client_tls_failed",
                   "a client's TLS handshake failed; others like it are counted");
    weir_log_text(&l, "check", weir_tls_fail_text(fail));
    weir_log_text(&l, "reason", reason);
    weir_log_end(&l);
}
