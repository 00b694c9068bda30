/* How one try at an endpoint ended: the one input of the retry policy and of the circuit breaker. */
#ifndef WEIR_CORE_OUTCOME_H
#define WEIR_CORE_OUTCOME_H

#include <stdbool.h>
#include <stdint.h>

enum weir_outcome_kind {
    WEIR_OUTCOME_ANSWERED,       /* a response head came: status, and what Retry-After said */
    WEIR_OUTCOME_CONNECT_FAILED, /* name, connection or TLS handshake; not by the connect clock */
    WEIR_OUTCOME_TIMEOUT,        /* one of the try's clocks ran out: connect, write, read, total */
    WEIR_OUTCOME_POOL_TIMEOUT,   /* no connection in time: the node's own limit, not the endpoint's doing */
    WEIR_OUTCOME_LOST,           /* the connection broke, or the answer made no sense, after the request was begun */
    WEIR_OUTCOME_ABORTED,        /* the client went away */
};

struct weir_outcome {
    enum weir_outcome_kind kind;
    unsigned status;         /* ANSWERED only */
    bool retry_after;        /* ANSWERED only: the field was there and was understood */
    uint64_t retry_after_ms; /* from the moment of the answer */
    /* LOST only: the endpoint certainly did nothing with the request, as not a byte of it was written, or HTTP/2 said
     * so (REFUSED_STREAM, a stream above the last one of GOAWAY; RFC 9113 section 8.7). */
    bool unprocessed;
    bool reused; /* the connection had carried requests before */
    bool closed; /* LOST only: by FIN or RST, before any byte of a response; not by a protocol error */
};

#endif
