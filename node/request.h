/* One request from its head to its last byte: an explicit state machine.
 *
 *   ROUTE -> ENDPOINT -> POOL -> SEND -> ANSWER -> end
 *
 * A step goes on to the next at once or suspends with a deadline. ENDPOINT is entered again while not one byte of the
 * answer has gone to the client: so far for the one free replacement of a reused connection that died unanswered.
 *
 * The body's start is kept in a replay buffer (retry.replay_buffer) until the answer begins; a body that does not fit
 * goes out on a connection that has carried nothing, since it could not be sent twice. */
#ifndef WEIR_NODE_REQUEST_H
#define WEIR_NODE_REQUEST_H

#include "core/access_line.h"
#include "node/client.h"
#include "node/upstream.h"

enum weir_request_step {
    WEIR_STEP_HEAD,     /* waiting for it */
    WEIR_STEP_ENDPOINT, /* choosing one */
    WEIR_STEP_POOL,     /* waiting for a connection */
    WEIR_STEP_SEND,     /* the request is going out */
    WEIR_STEP_ANSWER,   /* the head has come, the body follows */
    WEIR_STEP_LOCAL,    /* answered by weir itself */
    WEIR_STEP_OVER,
};

/* The start of the body, kept so that it can be sent again. */
struct weir_replay {
    uint8_t *bytes;
    size_t len, cap, max;
    size_t sent; /* of it, on the present connection */
    bool broken; /* more came than is kept: cannot be sent again */
};

/* What the access log wants of a head whose arena is gone. */
struct weir_request_note {
    struct weir_str request_id, method, target;
    char text[];
};

struct weir_admin_call;

struct weir_request {
    struct weir_client *client;
    struct weir_worker *worker;
    struct weir_hold *hold;
    struct weir_exchange *down, *up;    /* NULL: over */
    struct weir_upstream *upstream;     /* leased, while up is open */
    struct weir_head *head;             /* the client's; in the arena */
    const struct weir_fields *trailers; /* likewise */
    const struct weir_view_provider *provider;
    const struct weir_view_endpoint *endpoint;
    const struct weir_config_route *route;
    struct weir_admin_call *admin; /* while control works on it */
    struct weir_request_note *note;
    struct weir_arena arena;
    struct weir_pool_waiter waiter;
    struct weir_upstream_target target;
    struct weir_deadline deadline; /* the earliest of the clocks below */
    struct weir_replay replay;
    enum weir_request_step step;
    uint16_t pins;   /* calls under way that still use it: it is not freed before they end */
    uint16_t status; /* sent to the client, 0: none */
    uint16_t attempts;
    bool body_ended;   /* the client's request is complete */
    bool end_sent_up;  /* ... and has been sent on */
    bool answer_begun; /* a byte of the final head has gone to the client */
    bool answer_ended; /* the last one too */
    bool head_prepared;
    bool continued; /* the client has been told to go on (100) */
    bool reused;
    bool replaced;                 /* the free replacement has been used */
    bool fresh;                    /* only a connection that has carried nothing will do */
    struct weir_ip address;        /* the client's, as logs and limits see it */
    bool address_certain;          /* nobody that is not trusted had a say in it */
    size_t credit_down, credit_up; /* granted to either side and not yet used */
    /* Clocks: when they run out, WEIR_NEVER when they do not run. */
    uint64_t pool_due_ms, read_due_ms, write_due_ms, total_due_ms;
    /* On the reactor's clock; 0: not reached. */
    uint64_t start_us, asked_us, wait_us, granted_us, first_byte_us;
    uint64_t connect_us;
    uint64_t bytes_in, bytes_out;
    const char *error; /* code of x-weir-error */
};

/* The codec's accept: a request begins on a client's connection. False: out of memory. */
bool weir_request_begin(struct weir_client *c, struct weir_exchange *down);
/* The head or the framing of the body was not taken: answers and logs. */
void weir_request_malformed(struct weir_client *c, struct weir_exchange *down, const struct weir_malformed *why,
                            bool after_head);

/* The client did not send a whole head in time; or nothing more of the body. */
void weir_request_head_timeout(struct weir_client *c);
void weir_request_body_timeout(struct weir_client *c);
/* The client is right to send nothing yet: it has asked whether it is to go on (RFC 9110 10.1.1). */
bool weir_request_waits_for_100(const struct weir_request *r);

/* -- between the parts of a request -- */

/* (request_answer.c) Answers with weir's own error, or cuts the answer off when it has begun. code is for x-weir-error,
 * type for the body.
 */
void weir_request_fail(struct weir_request *r, unsigned status, const char *code, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* Sends a whole answer of weir's own. */
void weir_request_answer(struct weir_request *r, unsigned status, const char *content_type, const void *body,
                         size_t len);
/* Begins a try: endpoint, connection, sending (request_upstream.c). */
void weir_request_try(struct weir_request *r);
/* Lets the upstream go: leaves the pool's queue, resets an open exchange. The connection's end is booked as `reason`.
 */
void weir_request_let_go(struct weir_request *r, enum weir_endpoint_counter reason);
/* More of the client's body has come, or its end: sends on what may be sent. */
void weir_request_push_body(struct weir_request *r, const uint8_t *p, size_t n);
void weir_request_push_end(struct weir_request *r);
/* The client can take more: the upstream may go on. */
void weir_request_pull(struct weir_request *r, size_t room);
/* Sets the deadline to the earliest clock. */
void weir_request_arm(struct weir_request *r);
/* The response is complete, or was cut off. */
void weir_request_answer_ended(struct weir_request *r);
/* Logs, counts and frees when nothing is open any more. The request may be gone afterwards. */
void weir_request_end_if_over(struct weir_request *r);
/* Its worker's counters of the provider it goes to; it is routed. */
static inline struct weir_provider_counters *weir_request_provider_counters(const struct weir_request *r)
{
    return &r->provider->rt->local[r->worker->index].counters;
}
/* ... and of the endpoint of its present try. */
static inline struct weir_endpoint_counters *weir_request_endpoint_counters(const struct weir_request *r)
{
    return &r->endpoint->rt->local[r->worker->index].counters;
}

static inline void weir_request_pin(struct weir_request *r)
{
    r->pins++;
}
/* The last statement of a call: the request may be gone afterwards. */
void weir_request_unpin(struct weir_request *r);
/* Once only streaming is left, the heads are not needed: keeps what the log wants and frees the arena. */
void weir_request_shrink(struct weir_request *r);

/* The request's head as it goes to its endpoint (request_head.c). False: out of memory. */
bool weir_request_head_up(struct weir_request *r, struct weir_head *out);
/* The answer's head as it goes to the client; changes `in`. */
bool weir_request_head_down(struct weir_request *r, struct weir_head *in, struct weir_head *out);
/* Who the client is, by its connection, server.trusted_proxies and X-Forwarded-For. */
void weir_request_find_address(struct weir_request *r);
/* Its id: the client's own, or one made now. */
struct weir_str weir_request_id(struct weir_request *r);

/* True: it was one of weir's own paths and is being answered (admin.c). */
bool weir_admin_take(struct weir_request *r);
/* The request goes away before control has answered. */
void weir_admin_forget(struct weir_admin_call *call);

extern const struct weir_exchange_events weir_request_down_events, weir_request_up_events;

#endif
