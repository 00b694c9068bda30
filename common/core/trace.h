/* Traces: the context that travels with a request (W3C Trace Context), spans (one for a request, one for each of its
 * tries), and their form on the wire: OTLP/JSON, as an OpenTelemetry collector takes it at /v1/traces. Pure. */
#ifndef WEIR_CORE_TRACE_H
#define WEIR_CORE_TRACE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/err.h"
#include "core/rng.h"
#include "core/str.h"
#include "core/textbuf.h"

/* -- context -- */

/* Version, trace id, span id and flags with their dashes (W3C Trace Context 2.2). */
#define WEIR_TRACEPARENT_LEN 55u
/* Where the span id begins in it. */
#define WEIR_TRACEPARENT_SPAN 36u

struct weir_trace_context {
    uint64_t trace_high, trace_low; /* the trace id; not both 0 */
    uint64_t span;                  /* 0: none */
    bool sampled;
};

/* False: it is none, as by its grammar; *out is not touched then. Later versions are read as far as this one goes. */
bool weir_trace_parse(struct weir_trace_context *out, struct weir_str traceparent);
void weir_trace_format(char out[WEIR_TRACEPARENT_LEN], const struct weir_trace_context *c);
/* A new trace without a span. */
void weir_trace_begin(struct weir_trace_context *c, struct weir_rng *rng);
uint64_t weir_trace_span_id(struct weir_rng *rng);
/* Whether a trace that begins here is recorded: the same for all who see its id and go by the same share. */
bool weir_trace_is_chosen(const struct weir_trace_context *c, double share);

/* -- spans -- */

/* Of longer texts the beginning is kept: a span has one size, so that a ring can hold them. */
#define WEIR_SPAN_METHOD_MAX     16u
#define WEIR_SPAN_PATH_MAX       96u
#define WEIR_SPAN_NAME_MAX       64u
#define WEIR_SPAN_ENDPOINT_MAX   96u
#define WEIR_SPAN_ERROR_MAX      32u
#define WEIR_SPAN_REQUEST_ID_MAX 64u

enum weir_span_kind { WEIR_SPAN_REQUEST, WEIR_SPAN_TRY };

/* Texts end with 0; an empty one is left out. */
struct weir_span {
    enum weir_span_kind kind;
    struct weir_trace_context context; /* its own span */
    uint64_t parent;                   /* 0: it is the trace's first */
    uint64_t begin_us, end_us;         /* since 1970 */
    uint16_t status;                   /* 0: there was no answer */
    uint16_t attempt;                  /* TRY: which, from 1. REQUEST: how many */
    bool reused;                       /* TRY: its connection had served before */
    bool failed;
    char method[WEIR_SPAN_METHOD_MAX], path[WEIR_SPAN_PATH_MAX];
    char provider[WEIR_SPAN_NAME_MAX], endpoint[WEIR_SPAN_ENDPOINT_MAX];
    char peer[WEIR_SPAN_NAME_MAX]; /* the node that it was handed to, or came from */
    char error[WEIR_SPAN_ERROR_MAX];
    char request_id[WEIR_SPAN_REQUEST_ID_MAX];
};

/* As much of a text as fits, with ? for what is no printable ASCII: a batch must not fail over one byte of a client. */
void weir_span_text(char *out, size_t size, struct weir_str text);

struct weir_trace_source {
    const char *service, *node, *version;
};

/* An ExportTraceServiceRequest (opentelemetry-proto 1.x) as JSON: ids in hexadecimal, 64-bit numbers as texts. Adds to
 * out. Errors: WEIR_ENOMEM. */
WEIR_MUST_USE int weir_trace_render(struct weir_textbuf *out, const struct weir_trace_source *from,
                                    const struct weir_span *spans, size_t count);

#endif
