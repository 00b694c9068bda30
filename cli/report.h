/* The figures of a review, with their targets, from what a node answers. Pure. Pages are JSON from outside: what is
 * missing is "no data". */
#ifndef WEIR_CLI_REPORT_H
#define WEIR_CLI_REPORT_H

#include <jansson.h>
#include <stdbool.h>

#define CTL_REPORT_SINCE_S (7.0 * 86400)
/* So many of the last events are looked at: all that the store keeps. */
#define CTL_REPORT_EVENTS 1000u
/* Of fewer requests than these no rate is said to miss its target: the first connection alone would do that. */
#define CTL_REPORT_REQUESTS_MIN 100.0

/* "7d", "24h", "30m", "90s". False: something else, or nothing. */
bool ctl_report_since(const char *text, double *seconds);

/* A new {schema, node, since_seconds, counted_seconds, figures: [{provider ("(all)": all), figure, value (null: no
 * data), unit, target, met (null: no
 * data, or too few requests to judge)}], hours: [{provider, hour, requests_per_s, reuse_percent, churn_per_min}: the
 * busiest ones], events: {name: count}}. pools: /api/http-client/pool/stats; health: /health; analytics:
 * /api/cluster/analytics; events: /api/cluster/events; the last three may be NULL. now_unix_ms: from when
 * since_s counts back. NULL: out of memory. */
json_t *ctl_report_make(const json_t *pools, const json_t *health, const json_t *analytics, const json_t *events,
                        double since_s, double now_unix_ms);

/* The same from what the store has of that time (cli/store_history.h), which is of all nodes: node is null,
 * counted_seconds the time that there are points of; pending requests are not among these, and hours is empty. */
json_t *ctl_report_of_history(const json_t *history, const json_t *events, double since_s, double now_unix_ms);

#endif
