/* The node's own certificates, those that clients, peers, the store and providers are shown, and when they expire: for
 * metrics, and for warnings ahead of time. Of control's thread. */
#ifndef WEIR_NODE_CERTIFICATES_H
#define WEIR_NODE_CERTIFICATES_H

#include "core/snapshot.h"
#include "net/log.h"
#include "node/view.h"

/* Time enough to renew by hand; automatic renewal comes as late as this. */
#define WEIR_CERTIFICATE_WARN_S (30 * 86400)

/* Says which certificates of the setup (NULL: none) expire within WEIR_CERTIFICATE_WARN_S, or have expired: once each,
 * and again when a reload has read them. */
void weir_certificates_watch(struct weir_tls_setup *t, int64_t now_unix_s, struct weir_log_producer *log);
/* Errors: WEIR_ENOMEM. What it makes is in the arena and refers to the view. */
WEIR_MUST_USE int weir_certificates_show(struct weir_snapshot *s, struct weir_arena *a, const struct weir_view *v);

#endif
