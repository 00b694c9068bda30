/* The spans of one request whose trace is recorded: one for the request, one for each try. Of the others, which are
 * nearly all, weir_request.trace is NULL, and each of these calls is one comparison. */
#ifndef WEIR_NODE_REQUEST_TRACE_H
#define WEIR_NODE_REQUEST_TRACE_H

#include "core/trace.h"

struct weir_request;

struct weir_request_trace {
    struct weir_span span; /* of the request; not finished */
    char *field;           /* its traceparent as it is sent on; in the arena */
    uint64_t try_id, try_begun_us;
    uint64_t unix_less_worker_us; /* read once: by one reading a try lies within its request, to the microsecond */
    uint16_t tries, try_status;
    const char *try_error; /* static; NULL: none */
};

/* Routed, its head is there: decides whether it is recorded, and begins if so. */
void weir_request_trace_begin(struct weir_request *r);
/* A try begins: what is sent on names it as the parent. */
void weir_request_trace_try(struct weir_request *r);
/* What came of it: a status, or a static word. */
void weir_request_trace_outcome(struct weir_request *r, unsigned status, const char *error);
void weir_request_trace_try_end(struct weir_request *r);
/* The request is over; frees. */
void weir_request_trace_end(struct weir_request *r);

#endif
