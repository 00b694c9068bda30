/* What the mock has seen, for tests: connections, requests, and clients that went away. Shared by all workers. */
#ifndef WEIR_MOCK_STATS_H
#define WEIR_MOCK_STATS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

/* Where a request was when its client went away. */
#define MOCK_PHASE_MAP(X)     \
    X(RECEIVING, "receiving") \
    X(WAITING, "waiting")     \
    X(STREAMING, "streaming") \
    X(STALLED, "stalled")
#define MOCK_PHASE_ENUM(id, name) MOCK_PHASE_##id,
enum mock_phase { MOCK_PHASE_MAP(MOCK_PHASE_ENUM) MOCK_PHASE_COUNT };
#undef MOCK_PHASE_ENUM

/* Requests whose arrival is remembered: a minute of a thousand a second. */
#define MOCK_ARRIVALS_MAX 65536u

struct mock_gauge {
    _Atomic uint64_t total, open, open_max;
};

/* Connections and requests to the control listener are not counted, nor are requests to control paths. */
struct mock_stats {
    struct mock_gauge connections, requests;
    _Atomic uint64_t closed_by_client, closed_by_mock, closed_idle;
    _Atomic uint64_t aborted[MOCK_PHASE_COUNT];
    _Atomic uint64_t aborted_at_us; /* CLOCK_MONOTONIC of the latest */
    _Atomic uint64_t malformed;
    _Atomic uint64_t body_bytes_in, body_bytes_out, tokens_out;
    _Atomic uint64_t arrival_count, arrivals_us[MOCK_ARRIVALS_MAX]; /* a ring; CLOCK_MONOTONIC */
};

void mock_gauge_enter(struct mock_gauge *g);
void mock_gauge_leave(struct mock_gauge *g);

/* A request's head has come. */
void mock_stats_arrived(struct mock_stats *s, uint64_t now_us);

/* Zeroes totals; what is open stays counted as open and as the new maximum. */
void mock_stats_reset(struct mock_stats *s);
/* JSON, in at most `cap` bytes; returns the length. */
size_t mock_stats_json(struct mock_stats *s, uint64_t now_us, char *buf, size_t cap);
/* JSON, malloc'd: when each request arrived, from the one numbered `from` (0: the first since the reset) or the oldest
 * remembered. NULL: out of memory. */
char *mock_stats_arrivals(struct mock_stats *s, uint64_t from, uint64_t now_us, size_t *len);

#endif
