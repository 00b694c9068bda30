/* A client's connection: PROXY header, TLS, HTTP, its clocks, and the requests that come over it. */
#ifndef WEIR_NODE_CLIENT_H
#define WEIR_NODE_CLIENT_H

#include "core/cidr.h"
#include "node/worker.h"

/* What it is doing, and so which clock runs: server.header_timeout for what comes before HTTP (PROXY header, handshake)
 * and for a head, server.idle_timeout between requests.
 * While a request is there it is two: server.write_timeout for taking what is sent, and server.idle_timeout for sending
 * what is still expected of the body. */
enum weir_client_phase { WEIR_CLIENT_OPENING, WEIR_CLIENT_IDLE, WEIR_CLIENT_HEAD, WEIR_CLIENT_BUSY };

struct weir_request;

struct weir_client {
    struct weir_list link; /* in the worker's clients */
    struct weir_worker *worker;
    struct weir_stream *stream; /* until HTTP runs on it */
    struct weir_http_conn conn;
    struct weir_deadline deadline;
    struct weir_ip peer;              /* who the connection is from: the socket's, or the PROXY header's */
    char peer_text[WEIR_IP_TEXT_MAX]; /* the same, as it goes into X-Forwarded-For and the log */
    uint8_t peer_text_len;
    enum weir_client_phase phase;
    bool proxy_protocol, serves_admin, serves_proxy, serves_peers;
    bool limited; /* server.max_connections counts it */
    bool secure;  /* over TLS */
    bool http2;
    bool leaving; /* HTTP/2, idle for too long: it is told, and ends when it has heard that */
    bool reset;   /* to be ended by a reset */
    bool
        end_is_all; /* nothing but the connection's end tells it that the answer is whole (HTTP/1.0 without a length) */
    /* The clocks of a client that has a request, or has yet to take the end of an answer: when it last acknowledged
     * something or owed no acknowledgement, and when it last sent something or was not expected to. */
    uint64_t acked_ms, heard_ms;
    uint64_t acked, heard;        /* bytes, when last looked at */
    struct weir_list requests;    /* all that are not over */
    struct weir_request *current; /* HTTP/1.1: whose head or body is still coming */
    const char *close_reason;     /* why it is cut off, for the access log of its requests; NULL: it is not */
    uint8_t *opening;             /* an incomplete PROXY header, or HTTP/2 preface; NULL most of the time */
    size_t opening_len;
};

/* What clients' connections are set to; listening sockets get it once, for all of them. */
extern const struct weir_tcp_opts weir_client_tcp_opts;

/* Takes over fd, whatever happens. */
void weir_client_begin(struct weir_worker *w, const struct weir_worker_listener *l, int fd,
                       const struct weir_addr *peer);
/* Draining: an idle one closes, a busy one does after its answer. */
void weir_client_drain(struct weir_client *c);
/* Ends it now, its requests with it. */
void weir_client_abort(struct weir_client *c, const char *reason);
/* A request has begun to wait for the client's head, or has it. */
void weir_client_set_phase(struct weir_client *c, enum weir_client_phase phase);

#endif
