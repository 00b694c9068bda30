/* Every number weir keeps, named once: tables of rows, from which enumerators, names in both formats, the reference
 * page and the sets that hold the numbers (core/counters.h) are made. */
#ifndef WEIR_CORE_METRICS_H
#define WEIR_CORE_METRICS_H

#include "core/metrics_cluster.h"

enum weir_metric_kind { WEIR_KIND_COUNTER, WEIR_KIND_GAUGE, WEIR_KIND_HISTOGRAM };
/* How the cell is kept; US is shown in seconds. */
enum weir_metric_unit { WEIR_UNIT_COUNT, WEIR_UNIT_BYTES, WEIR_UNIT_US };

/* All tables: X(id, family, labels, kind, unit, help). Rows of one family stand together and share kind, unit and help;
 * `labels` tells them apart. A gauge goes down by weir_*_sub; its sum over the threads is what counts, so what one
 * thread added another one may take away. */

/* Scope: the node. */
#define WEIR_NODE_COUNTER_MAP(X)                                                                                       \
    X(REQUESTS_2XX, "weir_requests_total", "class=\"2xx\"", COUNTER, COUNT, WEIR_HELP_REQUESTS)                        \
    X(REQUESTS_3XX, "weir_requests_total", "class=\"3xx\"", COUNTER, COUNT, WEIR_HELP_REQUESTS)                        \
    X(REQUESTS_4XX, "weir_requests_total", "class=\"4xx\"", COUNTER, COUNT, WEIR_HELP_REQUESTS)                        \
    X(REQUESTS_5XX, "weir_requests_total", "class=\"5xx\"", COUNTER, COUNT, WEIR_HELP_REQUESTS)                        \
    X(REQUESTS_NONE, "weir_requests_total", "class=\"none\"", COUNTER, COUNT, WEIR_HELP_REQUESTS)                      \
    X(PROXIED_5XX, "weir_proxied_requests_total", "class=\"5xx\"", COUNTER, COUNT, WEIR_HELP_PROXIED)                  \
    X(PROXIED_OTHER, "weir_proxied_requests_total", "class=\"other\"", COUNTER, COUNT, WEIR_HELP_PROXIED)              \
    X(REQUESTS_ACTIVE, "weir_requests_active", "", GAUGE, COUNT, "Requests in progress.")                              \
    X(PAGES_ACTIVE, "weir_own_pages_active", "", GAUGE, COUNT, "Of weir_requests_active, those for weir's own pages.") \
    X(DOWN_ACCEPTED, "weir_downstream_connections_accepted_total", "", COUNTER, COUNT, "Client connections accepted.") \
    X(DOWN_CLOSED, "weir_downstream_connections_closed_total", "", COUNTER, COUNT, "Client connections closed.")       \
    X(DOWN_REFUSED, "weir_downstream_connections_refused_total", "", COUNTER, COUNT, "Closed at once: too many.")      \
    X(DOWN_ACTIVE, "weir_downstream_connections", "state=\"active\"", GAUGE, COUNT, WEIR_HELP_DOWN)                    \
    X(DOWN_IDLE, "weir_downstream_connections", "state=\"idle\"", GAUGE, COUNT, WEIR_HELP_DOWN)                        \
    X(DOWN_RECEIVED, "weir_downstream_received_bytes_total", "", COUNTER, BYTES, "Bytes received from clients.")       \
    X(DOWN_SENT, "weir_downstream_sent_bytes_total", "", COUNTER, BYTES, "Bytes sent to clients.")                     \
    X(DOWN_HTTP2, "weir_downstream_http2_connections_total", "", COUNTER, COUNT, "Clients' connections of HTTP/2.")    \
    X(DOWN_HTTP2_CUT, "weir_downstream_http2_cut_total", "", COUNTER, COUNT,                                           \
      "Of these, ended by weir for floods or broken framing.")                                                         \
    X(FD_HANDED_OVER, "weir_accepted_handed_over_total", "", COUNTER, COUNT, "Accepted, and handed to idler workers.") \
    X(ACCEPT_FAILED, "weir_accept_failures_total", "", COUNTER, COUNT, "accept() calls that failed.")                  \
    X(ABORT_REQUEST, "weir_client_aborts_total", "phase=\"request\"", COUNTER, COUNT, WEIR_HELP_ABORT)                 \
    X(ABORT_QUEUE, "weir_client_aborts_total", "phase=\"queue\"", COUNTER, COUNT, WEIR_HELP_ABORT)                     \
    X(ABORT_CONNECT, "weir_client_aborts_total", "phase=\"connect\"", COUNTER, COUNT, WEIR_HELP_ABORT)                 \
    X(ABORT_BACKOFF, "weir_client_aborts_total", "phase=\"backoff\"", COUNTER, COUNT, WEIR_HELP_ABORT)                 \
    X(ABORT_WAIT, "weir_client_aborts_total", "phase=\"wait\"", COUNTER, COUNT, WEIR_HELP_ABORT)                       \
    X(ABORT_STREAM, "weir_client_aborts_total", "phase=\"stream\"", COUNTER, COUNT, WEIR_HELP_ABORT)                   \
    X(BAD_REQUEST_LINE, "weir_malformed_requests_total", "code=\"request_line\"", COUNTER, COUNT, WEIR_HELP_BAD)       \
    X(BAD_HEADER, "weir_malformed_requests_total", "code=\"header\"", COUNTER, COUNT, WEIR_HELP_BAD)                   \
    X(BAD_HOST, "weir_malformed_requests_total", "code=\"host\"", COUNTER, COUNT, WEIR_HELP_BAD)                       \
    X(BAD_FRAMING, "weir_malformed_requests_total", "code=\"framing\"", COUNTER, COUNT, WEIR_HELP_BAD)                 \
    X(BAD_CHUNK, "weir_malformed_requests_total", "code=\"chunk\"", COUNTER, COUNT, WEIR_HELP_BAD)                     \
    X(BAD_VERSION, "weir_malformed_requests_total", "code=\"version\"", COUNTER, COUNT, WEIR_HELP_BAD)                 \
    X(BAD_HEAD_SIZE, "weir_malformed_requests_total", "code=\"head_size\"", COUNTER, COUNT, WEIR_HELP_BAD)             \
    X(BAD_BODY_SIZE, "weir_malformed_requests_total", "code=\"body_size\"", COUNTER, COUNT, WEIR_HELP_BAD)             \
    X(BAD_PROXY, "weir_malformed_requests_total", "code=\"proxy_protocol\"", COUNTER, COUNT, WEIR_HELP_BAD)            \
    X(BAD_OTHER, "weir_malformed_requests_total", "code=\"other\"", COUNTER, COUNT, WEIR_HELP_BAD)                     \
    X(TIMEOUT_HEAD, "weir_downstream_timeouts_total", "clock=\"head\"", COUNTER, COUNT, WEIR_HELP_DOWN_TIMEOUT)        \
    X(TIMEOUT_IDLE, "weir_downstream_timeouts_total", "clock=\"idle\"", COUNTER, COUNT, WEIR_HELP_DOWN_TIMEOUT)        \
    X(TIMEOUT_BODY, "weir_downstream_timeouts_total", "clock=\"body\"", COUNTER, COUNT, WEIR_HELP_DOWN_TIMEOUT)        \
    X(TIMEOUT_WRITE, "weir_downstream_timeouts_total", "clock=\"write\"", COUNTER, COUNT, WEIR_HELP_DOWN_TIMEOUT)      \
    X(CODED_GZIP, "weir_answers_compressed_total", "coding=\"gzip\"", COUNTER, COUNT, WEIR_HELP_CODED)                 \
    X(CODED_ZSTD, "weir_answers_compressed_total", "coding=\"zstd\"", COUNTER, COUNT, WEIR_HELP_CODED)                 \
    X(CODER_IN, "weir_compression_input_bytes_total", "", COUNTER, BYTES,                                              \
      "Bytes of answers before weir compressed them.")                                                                 \
    X(CODER_OUT, "weir_compression_output_bytes_total", "", COUNTER, BYTES,                                            \
      "Bytes of answers after weir compressed them.")                                                                  \
    X(PEER_FORWARDED, "weir_peer_requests_total", "direction=\"forwarded\"", COUNTER, COUNT, WEIR_HELP_PEER)           \
    X(PEER_RECEIVED, "weir_peer_requests_total", "direction=\"received\"", COUNTER, COUNT, WEIR_HELP_PEER)             \
    X(PEER_ACTIVE, "weir_peer_requests_active", "", GAUGE, COUNT, "Requests that peers serve for this node.")          \
    X(PEER_FALLBACK_CONNECT, "weir_peer_fallbacks_total", "reason=\"connect\"", COUNTER, COUNT, WEIR_HELP_FALLBACK)    \
    X(PEER_FALLBACK_ACK, "weir_peer_fallbacks_total", "reason=\"ack_late\"", COUNTER, COUNT, WEIR_HELP_FALLBACK)       \
    X(PEER_FALLBACK_LOST, "weir_peer_fallbacks_total", "reason=\"lost\"", COUNTER, COUNT, WEIR_HELP_FALLBACK)          \
    X(PEER_FALLBACK_STALE, "weir_peer_fallbacks_total", "reason=\"stale\"", COUNTER, COUNT, WEIR_HELP_FALLBACK)        \
    X(PEER_FALLBACK_REFUSED, "weir_peer_fallbacks_total", "reason=\"refused\"", COUNTER, COUNT, WEIR_HELP_FALLBACK)    \
    X(PEER_FALLBACK_ANSWERED, "weir_peer_fallbacks_total", "reason=\"answered\"", COUNTER, COUNT, WEIR_HELP_FALLBACK)  \
    X(PEER_FALLBACK_RESOURCES, "weir_peer_fallbacks_total", "reason=\"resources\"", COUNTER, COUNT,                    \
      WEIR_HELP_FALLBACK)                                                                                              \
    X(PEER_FALLBACK_REPLAYED, "weir_peer_fallbacks_total", "reason=\"replayed\"", COUNTER, COUNT, WEIR_HELP_FALLBACK)  \
    X(PEER_REFUSED, "weir_peer_refused_total", "", COUNTER, COUNT,                                                     \
      "Requests on the peer listener whose signature was not good.")                                                   \
    X(RELOADS_OK, "weir_reloads_total", "result=\"ok\"", COUNTER, COUNT, WEIR_HELP_RELOADS)                            \
    X(RELOADS_FAILED, "weir_reloads_total", "result=\"failed\"", COUNTER, COUNT, WEIR_HELP_RELOADS)                    \
    X(ALERTS_FIRED, "weir_alert_changes_total", "state=\"firing\"", COUNTER, COUNT, WEIR_HELP_ALERT_CHANGES)           \
    X(ALERTS_RESOLVED, "weir_alert_changes_total", "state=\"resolved\"", COUNTER, COUNT, WEIR_HELP_ALERT_CHANGES)      \
    X(SPANS_KEPT, "weir_trace_spans_total", "result=\"kept\"", COUNTER, COUNT, WEIR_HELP_SPANS)                        \
    X(SPANS_DROPPED, "weir_trace_spans_total", "result=\"dropped\"", COUNTER, COUNT, WEIR_HELP_SPANS)                  \
    X(SCALE_UPS, "weir_scale_up_alerts_total", "", COUNTER, COUNT, "Alerts with the action scale_up that fired.")

#define WEIR_HELP_REQUESTS      "Requests ended, by the class of the status that the client was sent."
#define WEIR_HELP_PROXIED       "Of weir_requests_total, those for a provider: not for weir's own pages."
#define WEIR_HELP_DOWN          "Client connections that are open, with and without a request in progress."
#define WEIR_HELP_ABORT         "Requests whose client went away, by what they were doing."
#define WEIR_HELP_BAD           "Requests refused as malformed or over a limit."
#define WEIR_HELP_DOWN_TIMEOUT  "Client connections ended by a clock: a 408, or closed."
#define WEIR_HELP_PEER          "Requests handed to peers, and taken from them."
#define WEIR_HELP_FALLBACK      "Requests on their way to a peer that were served here after all, by what went wrong."
#define WEIR_HELP_RELOADS       "Configuration reloads."
#define WEIR_HELP_ALERT_CHANGES "Alerts that began or ceased to fire."
#define WEIR_HELP_SPANS         "Spans of recorded traces that ended, and those that found no room on their way out."
#define WEIR_HELP_CODED         "Answers that weir compressed, by coding."

/* How handshakes of one side end: the results that succeed, then what can be wrong, in the order of enum weir_tls_fail
 * (net/tls.h). */
#define WEIR_TLS_ROWS(X, SIDE, family, help)                                                    \
    X(TLS_##SIDE##_FULL, family, "result=\"full\"", COUNTER, COUNT, help)                       \
    X(TLS_##SIDE##_RESUMED, family, "result=\"resumed\"", COUNTER, COUNT, help)                 \
    X(TLS_##SIDE##_EXPIRED, family, "result=\"expired\"", COUNTER, COUNT, help)                 \
    X(TLS_##SIDE##_NOT_YET_VALID, family, "result=\"not_yet_valid\"", COUNTER, COUNT, help)     \
    X(TLS_##SIDE##_UNTRUSTED, family, "result=\"untrusted\"", COUNTER, COUNT, help)             \
    X(TLS_##SIDE##_SELF_SIGNED, family, "result=\"self_signed\"", COUNTER, COUNT, help)         \
    X(TLS_##SIDE##_WRONG_HOST, family, "result=\"wrong_host\"", COUNTER, COUNT, help)           \
    X(TLS_##SIDE##_KEY_USAGE, family, "result=\"key_usage\"", COUNTER, COUNT, help)             \
    X(TLS_##SIDE##_WEAK, family, "result=\"weak\"", COUNTER, COUNT, help)                       \
    X(TLS_##SIDE##_BAD_CERTIFICATE, family, "result=\"bad_certificate\"", COUNTER, COUNT, help) \
    X(TLS_##SIDE##_NO_CERTIFICATE, family, "result=\"no_certificate\"", COUNTER, COUNT, help)   \
    X(TLS_##SIDE##_VERSION, family, "result=\"version\"", COUNTER, COUNT, help)                 \
    X(TLS_##SIDE##_NO_COMMON, family, "result=\"nothing_in_common\"", COUNTER, COUNT, help)     \
    X(TLS_##SIDE##_ALPN, family, "result=\"alpn\"", COUNTER, COUNT, help)                       \
    X(TLS_##SIDE##_ALERT, family, "result=\"alert\"", COUNTER, COUNT, help)                     \
    X(TLS_##SIDE##_CLOSED, family, "result=\"closed\"", COUNTER, COUNT, help)                   \
    X(TLS_##SIDE##_NOT_TLS, family, "result=\"not_tls\"", COUNTER, COUNT, help)                 \
    X(TLS_##SIDE##_PROTOCOL, family, "result=\"protocol\"", COUNTER, COUNT, help)               \
    X(TLS_##SIDE##_OVERLOAD, family, "result=\"overload\"", COUNTER, COUNT, help)               \
    X(TLS_##SIDE##_MEMORY, family, "result=\"memory\"", COUNTER, COUNT, help)

/* Scope: the node. Values that control reads off the process when it takes a snapshot; X as above. */
#define WEIR_NODE_GAUGE_MAP(X)                                                                                        \
    X(UPTIME_US, "weir_uptime_seconds", "", GAUGE, US, "Time since the process started to serve.")                    \
    X(RESIDENT, "weir_process_resident_memory_bytes", "", GAUGE, BYTES, "Resident memory.")                           \
    X(MEMORY_LIMIT, "weir_process_memory_limit_bytes", "", GAUGE, BYTES,                                              \
      "Memory that the process may use: its control group's limit or the machine's memory.")                          \
    X(FDS_OPEN, "weir_process_open_descriptors", "", GAUGE, COUNT, "Open file descriptors.")                          \
    X(FDS_LIMIT, "weir_process_descriptors_limit", "", GAUGE, COUNT, "File descriptors that may be open.")            \
    X(CPU_US, "weir_process_cpu_seconds_total", "", COUNTER, US, "CPU time used, user and system.")                   \
    X(LAG_CONTROL_US, "weir_loop_lag_seconds", "thread=\"control\"", GAUGE, US, WEIR_HELP_LAG)                        \
    X(LAG_WORKER_US, "weir_loop_lag_seconds", "thread=\"worker\"", GAUGE, US, WEIR_HELP_LAG)                          \
    X(VIEW_GENERATION, "weir_view_generation", "", GAUGE, COUNT, "Generation of the view that is in force.")          \
    X(DRAINING, "weir_draining", "", GAUGE, COUNT, "1 while the node drains.")                                        \
    X(WORKERS, "weir_workers", "", GAUGE, COUNT, "Worker threads.")                                                   \
    X(LOG_DROPPED, "weir_log_lines_dropped_total", "", COUNTER, COUNT, "Log lines dropped rather than waited for.")   \
    X(ALERTS_INFO, "weir_alerts_firing", "severity=\"info\"", GAUGE, COUNT, WEIR_HELP_ALERTS)                         \
    X(ALERTS_WARNING, "weir_alerts_firing", "severity=\"warning\"", GAUGE, COUNT, WEIR_HELP_ALERTS)                   \
    X(ALERTS_CRITICAL, "weir_alerts_firing", "severity=\"critical\"", GAUGE, COUNT, WEIR_HELP_ALERTS)                 \
    X(SCALE_UP, "weir_scale_up_wanted", "", GAUGE, COUNT, "Alerts with the action scale_up that fire now.")           \
    WEIR_TLS_ROWS(X, UP, "weir_upstream_tls_handshakes_total",                                                        \
                  "TLS handshakes with endpoints, checks included, by how they ended.")                               \
    WEIR_TLS_ROWS(X, DOWN, "weir_downstream_tls_handshakes_total", "TLS handshakes with clients, by how they ended.") \
    X(TLS_UNVERIFIED, "weir_tls_unverified_endpoints", "", GAUGE, COUNT,                                              \
      "Endpoints over https:// whose certificate is not checked.")                                                    \
    X(CERTIFICATES_EXPIRING, "weir_tls_certificates_expiring", "", GAUGE, COUNT,                                      \
      "The node's own certificates that expire within 30 days, or have.")                                             \
    X(TLS_WAITING, "weir_tls_handshakes_waiting", "", GAUGE, COUNT, "Steps of handshakes that wait for a thread.")    \
    X(WEBHOOK_QUEUED, "weir_webhook_queued", "", GAUGE, COUNT, "Alerts that wait to be posted.")                      \
    X(WEBHOOK_DELIVERED, "weir_webhook_posts_total", "result=\"delivered\"", COUNTER, COUNT, WEIR_HELP_WEBHOOK)       \
    X(WEBHOOK_FAILED, "weir_webhook_posts_total", "result=\"failed\"", COUNTER, COUNT, WEIR_HELP_WEBHOOK)             \
    X(WEBHOOK_DROPPED, "weir_webhook_dropped_total", "", COUNTER, COUNT, "Alerts given up before they were posted.")  \
    X(TRACES_DELIVERED, "weir_trace_posts_total", "result=\"delivered\"", COUNTER, COUNT, WEIR_HELP_TRACES)           \
    X(TRACES_FAILED, "weir_trace_posts_total", "result=\"failed\"", COUNTER, COUNT, WEIR_HELP_TRACES)                 \
    X(TRACES_DROPPED, "weir_trace_posts_dropped_total", "", COUNTER, COUNT, "Batches of spans given up.")             \
    WEIR_CLUSTER_ROWS(X)                                                                                              \
    WEIR_HINT_ROWS(X)

#define WEIR_HELP_TRACES  "Tries to send a batch of spans to the collector, by how they ended."
#define WEIR_HELP_ALERTS  "Alerts that fire now, by severity; over all and per provider count as two."
#define WEIR_HELP_WEBHOOK "Tries to post an alert, by how they ended."
#define WEIR_HELP_LAG     "How late the event loop ran a timer: the worst of its kind since the last snapshot."

/* Scope: a provider; what has no endpoint yet. */
#define WEIR_PROVIDER_COUNTER_MAP(X)                                                                                \
    X(REQUESTS, "weir_provider_requests_total", "", COUNTER, COUNT, "Client requests routed to the provider.")      \
    X(RETRIES_STATUS, "weir_retries_total", "after=\"status\"", COUNTER, COUNT, WEIR_HELP_RETRIES)                  \
    X(RETRIES_CONNECT, "weir_retries_total", "after=\"connect\"", COUNTER, COUNT, WEIR_HELP_RETRIES)                \
    X(RETRIES_TIMEOUT, "weir_retries_total", "after=\"timeout\"", COUNTER, COUNT, WEIR_HELP_RETRIES)                \
    X(RETRIES_LOST, "weir_retries_total", "after=\"lost\"", COUNTER, COUNT, WEIR_HELP_RETRIES)                      \
    X(KEPT_BEGUN, "weir_retries_refused_total", "reason=\"answer_begun\"", COUNTER, COUNT, WEIR_HELP_NOT_RETRIED)   \
    X(KEPT_ATTEMPTS, "weir_retries_refused_total", "reason=\"attempts\"", COUNTER, COUNT, WEIR_HELP_NOT_RETRIED)    \
    X(KEPT_METHOD, "weir_retries_refused_total", "reason=\"method\"", COUNTER, COUNT, WEIR_HELP_NOT_RETRIED)        \
    X(KEPT_BODY, "weir_retries_refused_total", "reason=\"body\"", COUNTER, COUNT, WEIR_HELP_NOT_RETRIED)            \
    X(KEPT_DEADLINE, "weir_retries_refused_total", "reason=\"deadline\"", COUNTER, COUNT, WEIR_HELP_NOT_RETRIED)    \
    X(KEPT_AFTER, "weir_retries_refused_total", "reason=\"retry_after\"", COUNTER, COUNT, WEIR_HELP_NOT_RETRIED)    \
    X(KEPT_BUDGET, "weir_retries_refused_total", "reason=\"budget\"", COUNTER, COUNT, WEIR_HELP_NOT_RETRIED)        \
    X(KEPT_RATE, "weir_retries_refused_total", "reason=\"rate_limit\"", COUNTER, COUNT, WEIR_HELP_NOT_RETRIED)      \
    X(KEPT_ENDPOINT, "weir_retries_refused_total", "reason=\"no_endpoint\"", COUNTER, COUNT, WEIR_HELP_NOT_RETRIED) \
    X(REDIRECT_FOLLOWED, "weir_redirects_total", "result=\"followed\"", COUNTER, COUNT, WEIR_HELP_REDIRECTS)        \
    X(REDIRECT_FOREIGN, "weir_redirects_total", "result=\"foreign\"", COUNTER, COUNT, WEIR_HELP_REDIRECTS)          \
    X(REDIRECT_LIMIT, "weir_redirects_total", "result=\"limit\"", COUNTER, COUNT, WEIR_HELP_REDIRECTS)              \
    X(REDIRECT_ORIGIN, "weir_redirects_total", "result=\"origin\"", COUNTER, COUNT, WEIR_HELP_REDIRECTS)            \
    X(REDIRECT_TLS, "weir_redirects_total", "result=\"tls\"", COUNTER, COUNT, WEIR_HELP_REDIRECTS)                  \
    X(REDIRECT_LOCATION, "weir_redirects_total", "result=\"location\"", COUNTER, COUNT, WEIR_HELP_REDIRECTS)        \
    X(REDIRECT_BODY, "weir_redirects_total", "result=\"body\"", COUNTER, COUNT, WEIR_HELP_REDIRECTS)                \
    X(REDIRECT_FAILED, "weir_redirects_failed_total", "", COUNTER, COUNT,                                           \
      "Requests that failed where a redirect led to, outside the provider's endpoints.")                            \
    X(CIRCUIT_REFUSED, "weir_circuit_refusals_total", "", COUNTER, COUNT,                                           \
      "Requests answered at once because the circuits of all endpoints were open.")                                 \
    X(QUEUED, "weir_pool_queued_total", "", COUNTER, COUNT,                                                         \
      "Requests that had to wait because all connections were in use.")                                             \
    X(QUEUE_TIMEOUT, "weir_pool_queue_timeouts_total", "", COUNTER, COUNT,                                          \
      "Requests whose wait ran out (pool clock).")                                                                  \
    X(QUEUE_FULL, "weir_pool_queue_full_total", "", COUNTER, COUNT, "Requests refused because the queue was full.") \
    X(QUEUE_CANCEL, "weir_pool_queue_cancels_total", "", COUNTER, COUNT, "Requests whose client left the queue.")   \
    X(NO_ENDPOINT, "weir_provider_no_endpoint_total", "", COUNTER, COUNT,                                           \
      "Requests refused because no endpoint could be used.")                                                        \
    X(CLEANED, "weir_pool_cleaned_connections_total", "", COUNTER, COUNT,                                           \
      "Idle connections closed by clean-up sweeps.")                                                                \
    X(PREOPENED, "weir_connections_preopened_total", "", COUNTER, COUNT,                                            \
      "Connections begun ahead of a predicted peak.")                                                               \
    X(RATE_ADMITTED, "weir_rate_limit_requests_total", "result=\"admitted\"", COUNTER, COUNT, WEIR_HELP_RATE)       \
    X(RATE_QUEUED, "weir_rate_limit_requests_total", "result=\"queued\"", COUNTER, COUNT, WEIR_HELP_RATE)           \
    X(RATE_REFUSED, "weir_rate_limit_requests_total", "result=\"refused\"", COUNTER, COUNT, WEIR_HELP_RATE)         \
    X(RATE_LEFT, "weir_rate_limit_requests_total", "result=\"left\"", COUNTER, COUNT, WEIR_HELP_RATE)               \
    X(PLACES_QUEUED, "weir_concurrency_requests_total", "result=\"queued\"", COUNTER, COUNT, WEIR_HELP_PLACES)      \
    X(PLACES_REFUSED, "weir_concurrency_requests_total", "result=\"refused\"", COUNTER, COUNT, WEIR_HELP_PLACES)    \
    X(PLACES_LEFT, "weir_concurrency_requests_total", "result=\"left\"", COUNTER, COUNT, WEIR_HELP_PLACES)

#define WEIR_HELP_REDIRECTS \
    "Redirects: followed (to an endpoint, or to a foreign origin), ended by the limit in a row, or passed on and why."
#define WEIR_HELP_RETRIES     "Tries after the first one, by what the try before came to; free replacements apart."
#define WEIR_HELP_NOT_RETRIED "Failed tries that would have been retried but for this reason."
#define WEIR_HELP_PLACES \
    "Tries that found all endpoints at their adaptive limit: served after a wait, refused with 503, or left."
#define WEIR_HELP_RATE                                                                                                 \
    "Tries at a provider with a rate limit: let through at once, let through after a wait, refused with 429, or left " \
    "while they waited."

/* Scope: a provider. Values that control reads when it takes a snapshot; X as above. WEIR_GAUGE_NONE is
 * not shown: what it measures is not in use there. */
#define WEIR_PROVIDER_GAUGE_MAP(X)                                                                                   \
    X(RATE_LIMIT, "weir_rate_limit_requests_per_minute", "", GAUGE, COUNT, "The provider's rate limit in force.")    \
    X(RATE_TOKENS, "weir_rate_limit_tokens", "", GAUGE, COUNT, "Requests that the rate limit lets through at once.") \
    X(RATE_WAITING, "weir_rate_limit_waiting", "", GAUGE, COUNT, "Requests that wait for the rate limit.")           \
    X(CLOCK_CONNECT_US, "weir_timeout_seconds", "clock=\"connect\"", GAUGE, US, WEIR_HELP_CLOCK)                     \
    X(CLOCK_READ_US, "weir_timeout_seconds", "clock=\"read\"", GAUGE, US, WEIR_HELP_CLOCK)                           \
    X(CLOCK_TOTAL_US, "weir_timeout_seconds", "clock=\"total\"", GAUGE, US, WEIR_HELP_CLOCK)                         \
    X(ENDPOINTS_EJECTED, "weir_endpoints_ejected", "", GAUGE, COUNT, "Endpoints that are passed over.")              \
    X(BUDGET_USED, "weir_retry_budget_used", "", GAUGE, COUNT, "Retries of the last ten seconds.")                   \
    X(BUDGET_ALLOWED, "weir_retry_budget_allowed", "", GAUGE, COUNT,                                                 \
      "Retries that the requests of the last ten seconds allow.")                                                    \
    WEIR_HINT_PROVIDER_ROWS(X)
#define WEIR_GAUGE_NONE UINT64_MAX

#define WEIR_HELP_CLOCK "Clocks in force of a try that begins now: as configured, or by auto_tune."

/* Scope: an endpoint. An event is counted by exactly one row, but for TRIES and TRIES_FAILED, which count the try. */
#define WEIR_ENDPOINT_COUNTER_MAP(X)                                                                                   \
    X(TRIES, "weir_upstream_tries_total", "", COUNTER, COUNT,                                                          \
      "Tries begun: retries count again, the free replacement of a stale connection does not.")                        \
    X(TRIES_FAILED, "weir_upstream_tries_failed_total", "", COUNTER, COUNT, "Tries that brought no answer.")           \
    X(EXCHANGES, "weir_upstream_exchanges_total", "", COUNTER, COUNT, "Answers received to their end.")                \
    X(EXCHANGE_US, "weir_upstream_exchange_seconds_total", "", COUNTER, US,                                            \
      "Time of the answers received to their end, from sending to the last byte.")                                     \
    X(RESPONSES_2XX, "weir_upstream_responses_total", "class=\"2xx\"", COUNTER, COUNT, WEIR_HELP_RESPONSES)            \
    X(RESPONSES_3XX, "weir_upstream_responses_total", "class=\"3xx\"", COUNTER, COUNT, WEIR_HELP_RESPONSES)            \
    X(RESPONSES_4XX, "weir_upstream_responses_total", "class=\"4xx\"", COUNTER, COUNT, WEIR_HELP_RESPONSES)            \
    X(RESPONSES_5XX, "weir_upstream_responses_total", "class=\"5xx\"", COUNTER, COUNT, WEIR_HELP_RESPONSES)            \
    X(LEASES_NEW, "weir_pool_leases_total", "connection=\"new\"", COUNTER, COUNT, WEIR_HELP_LEASES)                    \
    X(LEASES_REUSED, "weir_pool_leases_total", "connection=\"reused\"", COUNTER, COUNT, WEIR_HELP_LEASES)              \
    X(LEASE_WAIT_US, "weir_pool_lease_wait_seconds_total", "", COUNTER, US,                                            \
      "Time that requests waited for a usable connection: queue, connect, or nothing when one was idle.")              \
    X(CREATED, "weir_pool_connections_created_total", "", COUNTER, COUNT, "Connections that became usable.")           \
    X(CLOSED_EXPIRED, "weir_pool_connections_closed_total", "reason=\"expired\"", COUNTER, COUNT, WEIR_HELP_CLOSED)    \
    X(CLOSED_SURPLUS, "weir_pool_connections_closed_total", "reason=\"surplus\"", COUNTER, COUNT, WEIR_HELP_CLOSED)    \
    X(CLOSED_LIFETIME, "weir_pool_connections_closed_total", "reason=\"lifetime\"", COUNTER, COUNT, WEIR_HELP_CLOSED)  \
    X(CLOSED_MOVED, "weir_pool_connections_closed_total", "reason=\"moved\"", COUNTER, COUNT,                          \
      WEIR_HELP_CLOSED) /* its name no longer resolves to its address, or that address is avoided */                   \
    X(CLOSED_IDLE_PEER, "weir_pool_connections_closed_total", "reason=\"idle_peer\"", COUNTER, COUNT,                  \
      WEIR_HELP_CLOSED) /* while idle it became readable, or the peer closed it */                                     \
    X(CLOSED_UNHEALTHY, "weir_pool_connections_closed_total", "reason=\"unhealthy\"", COUNTER, COUNT,                  \
      WEIR_HELP_CLOSED) /* its endpoint is out of health */                                                            \
    X(CLOSED_ASKED, "weir_pool_connections_closed_total", "reason=\"asked\"", COUNTER, COUNT,                          \
      WEIR_HELP_CLOSED) /* Connection: close, HTTP/1.0, connection_reuse: false */                                     \
    X(CLOSED_FAILED, "weir_pool_connections_closed_total", "reason=\"failed\"", COUNTER, COUNT,                        \
      WEIR_HELP_CLOSED) /* an error or clock in use; also framing in doubt */                                          \
    X(CLOSED_CANCEL, "weir_pool_connections_closed_total", "reason=\"cancel\"", COUNTER, COUNT, WEIR_HELP_CLOSED)      \
    X(CLOSED_CONFIG, "weir_pool_connections_closed_total", "reason=\"config\"", COUNTER, COUNT,                        \
      WEIR_HELP_CLOSED) /* reload, drain, shutdown */                                                                  \
    X(EVICTIONS, "weir_pool_evictions_total", "", COUNTER, COUNT,                                                      \
      "Idle connections closed to make room for another endpoint's.")                                                  \
    X(STALE_REPLACED, "weir_pool_stale_replacements_total", "", COUNTER, COUNT,                                        \
      "Reused connections that died without an answer and were replaced at once.")                                     \
    X(STREAMS_ACTIVE, "weir_pool_streams_active", "", GAUGE, COUNT, "Requests on HTTP/2 connections now.")             \
    X(STREAMS, "weir_pool_streams_total", "", COUNTER, COUNT, "Requests sent on HTTP/2 connections.")                  \
    X(CREATED_HTTP2, "weir_pool_connections_http2_created_total", "", COUNTER, COUNT,                                  \
      "Connections that became usable and speak HTTP/2.")                                                              \
    X(GOAWAYS, "weir_upstream_goaways_total", "", COUNTER, COUNT, "HTTP/2 connections that their peer let run empty.") \
    X(STREAMS_REFUSED, "weir_upstream_streams_refused_total", "", COUNTER, COUNT,                                      \
      "Requests that an HTTP/2 peer would not look at: REFUSED_STREAM, or above the last id of a GOAWAY.")             \
    X(PINGS_LOST, "weir_upstream_pings_lost_total", "", COUNTER, COUNT,                                                \
      "HTTP/2 connections closed because a PING was not answered.")                                                    \
    X(HANDED_OVER, "weir_pool_handovers_total", "", COUNTER, COUNT,                                                    \
      "Idle connections handed to a worker whose request waited.")                                                     \
    X(CANCELS, "weir_upstream_cancels_total", "", COUNTER, COUNT, "Tries cancelled because the client went away.")     \
    X(CONNECT_DNS, "weir_connect_failures_total", "reason=\"dns\"", COUNTER, COUNT, WEIR_HELP_CONNECT)                 \
    X(CONNECT_REFUSED, "weir_connect_failures_total", "reason=\"refused\"", COUNTER, COUNT, WEIR_HELP_CONNECT)         \
    X(CONNECT_UNREACHABLE, "weir_connect_failures_total", "reason=\"unreachable\"", COUNTER, COUNT, WEIR_HELP_CONNECT) \
    X(CONNECT_RESET, "weir_connect_failures_total", "reason=\"reset\"", COUNTER, COUNT, WEIR_HELP_CONNECT)             \
    X(CONNECT_TLS, "weir_connect_failures_total", "reason=\"tls\"", COUNTER, COUNT, WEIR_HELP_CONNECT)                 \
    X(CONNECT_RESOURCES, "weir_connect_failures_total", "reason=\"resources\"", COUNTER, COUNT, WEIR_HELP_CONNECT)     \
    X(CONNECT_OTHER, "weir_connect_failures_total", "reason=\"other\"", COUNTER, COUNT, WEIR_HELP_CONNECT)             \
    X(TIMEOUT_CONNECT, "weir_upstream_timeouts_total", "clock=\"connect\"", COUNTER, COUNT, WEIR_HELP_TIMEOUTS)        \
    X(TIMEOUT_WRITE, "weir_upstream_timeouts_total", "clock=\"write\"", COUNTER, COUNT, WEIR_HELP_TIMEOUTS)            \
    X(TIMEOUT_READ, "weir_upstream_timeouts_total", "clock=\"read\"", COUNTER, COUNT, WEIR_HELP_TIMEOUTS)              \
    X(TIMEOUT_TOTAL, "weir_upstream_timeouts_total", "clock=\"total\"", COUNTER, COUNT, WEIR_HELP_TIMEOUTS)            \
    X(TIMEOUT_DEADLINE, "weir_upstream_timeouts_total", "clock=\"deadline\"", COUNTER, COUNT, WEIR_HELP_TIMEOUTS)      \
    X(LOST_CLOSED, "weir_upstream_lost_total", "reason=\"closed\"", COUNTER, COUNT, WEIR_HELP_LOST)                    \
    X(LOST_RESET, "weir_upstream_lost_total", "reason=\"reset\"", COUNTER, COUNT, WEIR_HELP_LOST)                      \
    X(LOST_PROTOCOL, "weir_upstream_lost_total", "reason=\"protocol\"", COUNTER, COUNT, WEIR_HELP_LOST)                \
    X(IN_FLIGHT, "weir_endpoint_in_flight", "", GAUGE, COUNT,                                                          \
      "Tries at the endpoint, those that wait for a connection to it included.")                                       \
    X(CONCURRENCY_LIMIT, "weir_endpoint_concurrency_limit", "", GAUGE, COUNT,                                          \
      "Requests that the endpoint is sent at once at most, by adaptive concurrency; 0: no limit.")                     \
    X(CIRCUIT_STATE, "weir_circuit_state", "", GAUGE, COUNT, "The endpoint's circuit: 0 closed, 1 half open, 2 open.") \
    X(CIRCUIT_OPENED, "weir_circuit_transitions_total", "to=\"open\"", COUNTER, COUNT, WEIR_HELP_CIRCUIT)              \
    X(CIRCUIT_HALF_OPENED, "weir_circuit_transitions_total", "to=\"half_open\"", COUNTER, COUNT, WEIR_HELP_CIRCUIT)    \
    X(CIRCUIT_CLOSED, "weir_circuit_transitions_total", "to=\"closed\"", COUNTER, COUNT, WEIR_HELP_CIRCUIT)            \
    X(CIRCUIT_COOLED, "weir_circuit_cooldowns_total", "", COUNTER, COUNT,                                              \
      "Times that the endpoint asked to be left alone (429, or 503, with Retry-After).")                               \
    X(CIRCUIT_KEPT, "weir_circuit_kept_closed_total", "", COUNTER, COUNT,                                              \
      "Times that this node's failures did not open the shared circuit, as another node was served well.")             \
    X(SENT, "weir_upstream_sent_bytes_total", "", COUNTER, BYTES, "Bytes sent to the endpoint.")                       \
    X(RECEIVED, "weir_upstream_received_bytes_total", "", COUNTER, BYTES, "Bytes received from the endpoint.")         \
    X(CHECKS_PASSED, "weir_health_checks_total", "result=\"passed\"", COUNTER, COUNT, WEIR_HELP_CHECKS)                \
    X(CHECKS_FAILED, "weir_health_checks_total", "result=\"failed\"", COUNTER, COUNT, WEIR_HELP_CHECKS)                \
    X(EJECTIONS_CHECKS, "weir_endpoint_ejections_total", "reason=\"checks\"", COUNTER, COUNT, WEIR_HELP_EJECTIONS)     \
    X(EJECTIONS_FAILURES, "weir_endpoint_ejections_total", "reason=\"failures\"", COUNTER, COUNT, WEIR_HELP_EJECTIONS) \
    X(EJECTIONS_RATE, "weir_endpoint_ejections_total", "reason=\"rate\"", COUNTER, COUNT, WEIR_HELP_EJECTIONS)

#define WEIR_HELP_CHECKS    "Active health checks of the endpoint."
#define WEIR_HELP_EJECTIONS "Times that the endpoint began to be passed over, by what showed it to be sick."
#define WEIR_HELP_RESPONSES "Response heads received, by class of status."
#define WEIR_HELP_LEASES    "Connections given to requests, by whether they had served one before."
#define WEIR_HELP_CLOSED    "Connections closed after they had become usable, evictions apart."
#define WEIR_HELP_CONNECT   "Connects that failed other than by the connect clock."
#define WEIR_HELP_TIMEOUTS  "Tries ended by a clock."
#define WEIR_HELP_CIRCUIT   "Changes of the endpoint's circuit."
#define WEIR_HELP_LOST      "Connections lost in use other than by a clock, replaced stale ones apart."

/* Scope: a provider. X(id, family, help); microseconds, shown in seconds. */
#define WEIR_HIST_MAP(X)                                                                                          \
    X(REQUEST, "weir_request_duration_seconds", "Whole request, from its head to the last byte of the answer.")   \
    X(FIRST_BYTE, "weir_first_byte_duration_seconds", "From the request's head to the first byte of the answer.") \
    X(CONNECT, "weir_connect_duration_seconds", "Connects that succeeded, TLS handshake included.")               \
    X(QUEUE, "weir_queue_duration_seconds", "Wait in the pool's queue, of the requests that had to.")             \
    X(RATE_LIMIT, "weir_rate_limit_wait_seconds", "Wait for the provider's rate limit, of the requests that had to.")

/* Scope: an endpoint: how long the stages of reaching it take, for whoever asks why it is slow. Each keeps a histogram
 * and its most recent value. X(id, name, help) */
#define WEIR_LATENCY_MAP(X)                                                                         \
    X(DNS, "dns", "Questions for its name that were answered.")                                     \
    X(CONNECT, "connect", "TCP connects that succeeded, lost races against other addresses apart.") \
    X(TLS, "tls", "TLS handshakes that succeeded.")                                                 \
    X(FIRST_BYTE, "first_byte", "From sending a try's head to the first byte of its answer.")

#define WEIR_METRIC_ENUM_NC(id, ...) WEIR_NC_##id,
#define WEIR_METRIC_ENUM_NG(id, ...) WEIR_NG_##id,
#define WEIR_METRIC_ENUM_PC(id, ...) WEIR_PC_##id,
#define WEIR_METRIC_ENUM_EC(id, ...) WEIR_EC_##id,
#define WEIR_METRIC_ENUM_PG(id, ...) WEIR_PG_##id,
#define WEIR_METRIC_ENUM_H(id, ...)  WEIR_H_##id,
#define WEIR_METRIC_ENUM_L(id, ...)  WEIR_LATENCY_##id,
enum weir_node_counter { WEIR_NODE_COUNTER_MAP(WEIR_METRIC_ENUM_NC) WEIR_NC_COUNT };
enum weir_node_gauge { WEIR_NODE_GAUGE_MAP(WEIR_METRIC_ENUM_NG) WEIR_NG_COUNT };
enum weir_provider_counter { WEIR_PROVIDER_COUNTER_MAP(WEIR_METRIC_ENUM_PC) WEIR_PC_COUNT };
enum weir_provider_gauge { WEIR_PROVIDER_GAUGE_MAP(WEIR_METRIC_ENUM_PG) WEIR_PG_COUNT };
enum weir_endpoint_counter { WEIR_ENDPOINT_COUNTER_MAP(WEIR_METRIC_ENUM_EC) WEIR_EC_COUNT };
enum weir_hist_id { WEIR_HIST_MAP(WEIR_METRIC_ENUM_H) WEIR_H_COUNT };
enum weir_latency_id { WEIR_LATENCY_MAP(WEIR_METRIC_ENUM_L) WEIR_LATENCY_COUNT };
#undef WEIR_METRIC_ENUM_NC
#undef WEIR_METRIC_ENUM_NG
#undef WEIR_METRIC_ENUM_PC
#undef WEIR_METRIC_ENUM_EC
#undef WEIR_METRIC_ENUM_PG
#undef WEIR_METRIC_ENUM_H
#undef WEIR_METRIC_ENUM_L

/* One row of a table, for whoever renders it. */
struct weir_metric {
    const char *name, *labels, *help;
    enum weir_metric_kind kind;
    enum weir_metric_unit unit;
};
extern const struct weir_metric weir_node_counter_table[WEIR_NC_COUNT];
extern const struct weir_metric weir_node_gauge_table[WEIR_NG_COUNT];
extern const struct weir_metric weir_provider_counter_table[WEIR_PC_COUNT];
extern const struct weir_metric weir_provider_gauge_table[WEIR_PG_COUNT];
extern const struct weir_metric weir_endpoint_counter_table[WEIR_EC_COUNT];
extern const struct weir_metric weir_hist_table[WEIR_H_COUNT];
extern const char *const weir_latency_names[WEIR_LATENCY_COUNT];

#endif
