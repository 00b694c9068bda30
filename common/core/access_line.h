/* The access log's line: what one request was, what it cost, and how it ended. */
#ifndef WEIR_CORE_ACCESS_LINE_H
#define WEIR_CORE_ACCESS_LINE_H

#include "core/logline.h"

/* A phase that was not reached. */
#define WEIR_ACCESS_NONE UINT64_MAX

/* Empty strings and NULL texts are left out. Slices are read during the call only. No header value but the request id
 * comes in here, and of the target only the path is shown: queries carry keys. */
struct weir_access_record {
    uint64_t unix_ms; /* when it ended */
    struct weir_str request_id;
    struct weir_str client; /* address, without port */
    struct weir_str method;
    struct weir_str target;
    unsigned status;              /* sent to the client; 0: none */
    uint64_t bytes_in, bytes_out; /* body bytes */
    uint64_t total_us;
    uint64_t limit_us, queue_us, connect_us, first_byte_us; /* or WEIR_ACCESS_NONE */
    const char *provider, *endpoint;                        /* NULL: not routed */
    bool reused;                                            /* the last try's connection; shown with an endpoint only */
    unsigned attempts;                                      /* tries, the first included */
    const char *close_reason; /* why the client's connection ended with it; NULL: it lives on */
    const char *error;        /* weir's own error code (x-weir-error); NULL: none */
    const char *not_retried;  /* why a failed try was not followed by another; NULL: it was, or there was none */
    const char *peer;         /* the node that it was handed to, or came from; NULL: neither */
    const char *hop;          /* with a peer: "to", "from", or why it was served here though it was the peer's */
    const char *node;
};

/* buf has WEIR_LOG_LINE_MAX bytes; returns the length, newline included. */
size_t weir_access_format(char *buf, enum weir_log_format format, const struct weir_access_record *r);

#endif
