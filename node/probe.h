/* Active checks: asks an endpoint whether it is there, past the pool, and says how it went. A TCP connection is a
 * check, with the handshake where the endpoint is https; with health.path it is a request over HTTP/1.1 whose status
 * must be an expected one. The addresses of the
 * endpoint's name are asked in turn, each for an equal share of what is left of health_check_timeout, and one that
 * passes is enough. On control's reactor; nothing waits. */
#ifndef WEIR_NODE_PROBE_H
#define WEIR_NODE_PROBE_H

#include "http/call.h"
#include "node/view.h"

/* Checks at once: they are spread over their interval, so this many take place only when many endpoints hang; each
 * holds a descriptor. */
#define WEIR_PROBES_MAX 64u

enum weir_probe_result {
    WEIR_PROBE_FAILED,
    WEIR_PROBE_PASSED,
    WEIR_PROBE_NOT_MADE, /* this node lacked memory or descriptors: says nothing about the endpoint */
};

struct weir_probes;

struct weir_probe {
    struct weir_probes *set;
    struct weir_view *view; /* one reference, while it runs; NULL: free */
    const struct weir_view_endpoint *endpoint;
    struct weir_call call;        /* to the address under way */
    struct weir_deadline address; /* its time */
    unsigned next_address;
    struct weir_err failure; /* of the addresses that were asked, the one to tell */
    uint64_t ends_ms;
};

/* why: of a check that did not pass, valid during the call. The endpoint is held until it returns. */
typedef void weir_probe_done_fn(void *arg, const struct weir_view_endpoint *e, enum weir_probe_result result,
                                const char *why);

struct weir_probes {
    struct weir_reactor *reactor;
    struct weir_crypto_pool *crypto; /* for https:// endpoints; outlives it. The caller's to set */
    struct weir_tls_stats *tls;      /* likewise; may be NULL */
    weir_probe_done_fn *done;
    void *arg;
    unsigned running;
    struct weir_probe at[WEIR_PROBES_MAX];
};

/* done: called once for each that was begun, never from inside begin, and not after close. */
void weir_probes_init(struct weir_probes *s, struct weir_reactor *reactor, void *arg, weir_probe_done_fn *done);
static inline bool weir_probes_have_room(const struct weir_probes *s)
{
    return s->running < WEIR_PROBES_MAX;
}
/* There must be room. Keeps a reference to the view, which e is of, until the end. */
void weir_probe_begin(struct weir_probes *s, struct weir_view *view, const struct weir_view_endpoint *e);
/* Ends all that run, without a result. */
void weir_probes_close(struct weir_probes *s);

#endif
