/* One request from its head to its last byte: an explicit state machine.
 *
 *   ROUTE -> PLACE -> LIMIT -> ENDPOINT -> POOL -> SEND -> ANSWER -> end
 *                       ^                   |       |
 *                       `------- BACKOFF <----------'
 *
 * A step goes on to the next at once or suspends with a deadline. LIMIT is entered again while not one byte of the
 * answer has gone to the client (core/retry decides, request_outcome.c carries out). One passage from LIMIT to the end
 * of an answer, or to a failure, is a try; the free replacement of a reused connection that died unanswered goes on
 * with its try.
 *
 * A redirect that weir follows (request_redirect.c) goes to POOL at the endpoint that it names, in a try of its own
 * that is no retry. Outside the provider's endpoints (node/foreign.h) neither its limits nor the choice concern it.
 *
 * The body's start is kept in a replay buffer (retry.replay_buffer) until the answer begins; a body that does not fit
 * goes out on a connection that has carried nothing, since it could not be sent twice. */
#ifndef WEIR_NODE_REQUEST_H
#define WEIR_NODE_REQUEST_H

#include "core/accept_encoding.h"
#include "core/access_line.h"
#include "core/outcome.h"
#include "core/retry.h"
#include "core/trace.h"
#include "http/encoder.h"
#include "node/choose.h"
#include "node/client.h"
#include "node/hop.h"
#include "node/limit.h"
#include "node/upstream.h"

enum weir_request_step {
    WEIR_STEP_HEAD,     /* waiting for it */
    WEIR_STEP_PLACE,    /* waiting for what tells which node of the cluster serves it */
    WEIR_STEP_LIMIT,    /* waiting for a token of the provider's rate limit, or a place at an endpoint */
    WEIR_STEP_ENDPOINT, /* choosing one */
    WEIR_STEP_BACKOFF,  /* a try has failed, the next one is to come */
    WEIR_STEP_POOL,     /* waiting for a connection */
    WEIR_STEP_SEND,     /* the request is going out */
    WEIR_STEP_ANSWER,   /* the head has come, the body follows */
    WEIR_STEP_TAIL,     /* all of it has come, and a part waits to be taken by the client */
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

/* What a try has out at its endpoint, to be given back when it ends. */
struct weir_try {
    struct weir_breaker_ticket ticket;
    uint64_t begun_us;
    struct weir_address *address; /* where it is, if its endpoint has others besides; the view's */
    uint32_t in_flight;           /* at its endpoint when it began, itself included */
    bool open;                    /* it counts as in flight */
    bool told;                    /* its circuit knows how it ended */
    bool answered;                /* well, so far: what it is told unless the answer breaks off */
    bool replacing;               /* its first connection was stale: only a new one will do */
};

/* Where a provider has sent the request on; of all zero bytes it has not. */
struct weir_request_redirect {
    struct weir_str method, target;           /* in place of the client's, unless target is empty; in the arena */
    uint64_t slot;                            /* the one endpoint that was named, a bit; 0: any */
    const struct weir_view_endpoint *foreign; /* the last one outside that it led to: one reference to its runtime */
    uint8_t count;                            /* followed so far */
    bool outside;                             /* what is asked now is asked there */
    /* It has led outside. Even back at the provider it is then somebody else who said what is asked: the provider's
     * credentials stay away from it until the request begins again. */
    bool left;
    bool restarts; /* the request is still what it was: a retry begins again with it, at any endpoint */
};

/* How weir codes the answer; of all zero bytes it does not. */
struct weir_request_coding {
    struct weir_encoder *encoder;       /* NULL: the answer passes as it comes */
    const struct weir_fields *trailers; /* in WEIR_STEP_TAIL: what follows; in the arena */
    struct weir_event_scan events;
    enum weir_coding wish; /* of the client, among those that weir has */
    enum weir_coding_word word;
};

/* What the last try that brought no answer came to; static texts. */
struct weir_last_failure {
    const char *code, *message; /* NULL: there was none, or an answer came since */
    uint16_t status;
};

/* What the access log wants of a head whose arena is gone. */
struct weir_request_note {
    struct weir_str request_id, method, target;
    char text[];
};

struct weir_admin_call;
struct weir_event_follower;
struct weir_request_trace;

struct weir_request {
    struct weir_list in_client;
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
    struct weir_admin_call *admin;        /* while control works on it */
    struct weir_event_follower *follower; /* while its answer goes on with what happens (node/event_follow.h) */
    struct weir_request_note *note;
    struct weir_request_trace *trace; /* node/request_trace.h; NULL: it is not recorded */
    struct weir_arena arena;
    struct weir_pool_waiter waiter;
    struct weir_waitline_waiter limit; /* in the line of the rate limit, or of places */
    struct weir_waitline *line;        /* which, while it waits */
    struct weir_upstream_target target;
    struct weir_deadline deadline; /* the earliest of the clocks below */
    struct weir_replay replay;
    enum weir_request_step step;
    uint16_t pins;              /* calls under way that still use it: it is not freed before they end */
    uint16_t status;            /* sent to the client, 0: none */
    uint16_t attempts;          /* tries that had their turn */
    uint16_t retries;           /* tries decided upon after the first one */
    uint64_t tried;             /* endpoints that have failed it, a bit for each slot */
    struct weir_address *avoid; /* where its last try failed, if there are others; the view's */
    struct weir_try try;
    struct weir_last_failure last_failure;
    struct weir_request_coding coding;
    struct weir_request_redirect redirect;
    struct weir_hop hop;
    struct weir_str asked; /* the target that was sent last; in the arena */
    bool own_page;         /* it asks for one of weir's own */
    bool body_ended;       /* the client's request is complete */
    bool end_sent_up;      /* ... and has been sent on */
    bool answer_begun;     /* a byte of the final head has gone to the client */
    bool answer_ended;     /* the last one too */
    bool head_prepared;
    bool continued; /* the client has been told to go on (100) */
    bool reused;
    uint8_t replacements;          /* of its connection, free ones: at most WEIR_RETRY_REPLACEMENTS_MAX */
    bool fresh;                    /* only a connection that has carried nothing will do */
    struct weir_ip address;        /* the client's, as logs and limits see it */
    bool address_certain;          /* nobody that is not trusted had a say in it */
    size_t credit_down, credit_up; /* granted to either side and not yet used */
    bool its_turn;                 /* at the line of places: has come, it is to choose */
    bool holds_token;              /* of the rate limit, and has sent nothing for it yet */
    /* Clocks: when they run out, WEIR_NEVER when they do not run. */
    uint64_t limit_due_ms, pool_due_ms, read_due_ms, write_due_ms, total_due_ms;
    uint64_t again_due_ms, deadline_due_ms; /* the next try; retry.deadline */
    /* On the reactor's clock; 0: not reached. */
    uint64_t start_us, asked_us, wait_us, granted_us, first_byte_us;
    uint64_t connect_us;
    uint64_t limit_since_us, limit_wait_us; /* it began to wait in the line; has waited in all lines */
    uint64_t places_since_us;               /* it came for a place, and has none yet; 0: it has not had to wait */
    uint64_t limit_end_ms, places_end_ms;   /* no longer than that */
    uint64_t permit_end_ms;                 /* likewise, for a probe's permit of the cluster; 0: it does not wait */
    struct weir_fields own_fields;          /* what an answer of weir's own is to carry besides; in the arena */
    uint64_t bytes_in, bytes_out;
    uint64_t retry_after_s;   /* of an answer of weir's own; 0: a second */
    const char *close_reason; /* why it was cut off; NULL: it was not, or the connection's says */
    /* HTTP/2: how far it had come when last looked at, and when that moved, or was not expected to. */
    uint64_t taken, taken_ms, heard, heard_ms;
    const char *error;       /* code of x-weir-error */
    const char *not_retried; /* why a failed try was the last one; NULL: none was, or it is no matter */
};

/* The codec's accept: a request begins on a client's connection. False: out of memory. */
bool weir_request_begin(struct weir_client *c, struct weir_exchange *down);
/* The head or the framing of the body was not taken: answers and logs. */
void weir_request_malformed(struct weir_client *c, struct weir_exchange *down, const struct weir_malformed *why,
                            bool after_head);

/* HTTP/1.1: the client did not send a whole head in time. */
void weir_request_head_timeout(struct weir_request *r);
/* The client sends nothing more of the body, though it may. */
void weir_request_body_timeout(struct weir_request *r);
/* HTTP/2: its head is not whole though it began server.header_timeout ago. */
bool weir_request_head_is_late(const struct weir_request *r, uint64_t now_ms);
/* HTTP/2: ends it if its client takes nothing for server.write_timeout, or sends nothing for server.idle_timeout. True:
 * it did, and requests may be gone. */
bool weir_request_look_at_progress(struct weir_request *r, uint64_t now_ms);
/* The client is right to send nothing yet: it has asked whether it is to go on (RFC 9110 10.1.1). */
bool weir_request_waits_for_100(const struct weir_request *r);

/* -- between the parts of a request -- */

/* Its head is here: routes it, and goes on. */
void weir_request_dispatch(struct weir_request *r);
/* Routed, and this node serves it. */
void weir_request_serve_here(struct weir_request *r);

/* (request_answer.c) Answers with weir's own error, or cuts the answer off when it has begun. code is for x-weir-error,
 * type for the body.
 */
void weir_request_fail(struct weir_request *r, unsigned status, const char *code, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* The head of an answer of weir's own whose body is sent by the caller, and its end (weir_request_answer_ended first).
 * False: it was cut off, and the request may be gone. */
bool weir_request_answer_begin(struct weir_request *r, unsigned status, const char *content_type);
/* Sends a whole answer of weir's own. */
void weir_request_answer(struct weir_request *r, unsigned status, const char *content_type, const void *body,
                         size_t len);
/* -- tries: made (request_try.c) -- */

/* The first try: its provider counts a request, and retry.deadline begins to run. */
void weir_request_begin_tries(struct weir_request *r);
/* Begins a try: rate limit, endpoint, connection, sending. */
void weir_request_try(struct weir_request *r);

/* -- ... and ended (request_outcome.c) -- */

/* The connector has counted it. */
#define WEIR_TRY_COUNTED WEIR_EC_COUNT

struct weir_try_failure {
    struct weir_outcome outcome;
    unsigned status;     /* for the client, should no further try follow */
    const char *code;    /* likewise */
    const char *message; /* what the endpoint did, without its name: clients need not know it */
    const char *why;     /* the same for the log, with address and the system's reason; NULL: code says it */
    enum weir_endpoint_counter counter;
    bool silent; /* nobody has closed or reset anything: no answer to a PING, no acknowledgement of a segment */
};
/* The try under way ended without a whole answer: another one follows, or the client hears of it. */
void weir_request_try_failed(struct weir_request *r, const struct weir_try_failure *f);
/* A final head has come: tells the circuit. True: it is not passed on, another try follows. */
bool weir_request_answer_again(struct weir_request *r, const struct weir_head *head);
/* The try is over, and nothing more is to be said of it: nobody's fault where nothing was said yet. Legal when none is
 * open. */
void weir_request_end_try(struct weir_request *r);

/* -- no further try (request_refuse.c) -- */

/* Counts why a failed try was the last one. Always false. */
bool weir_request_give_up(struct weir_request *r, enum weir_retry_reason reason);
/* The cluster has been asked whether this node may probe an endpoint: tries again in a moment, for as long as the
 * answer can take. False: that is over. */
bool weir_request_await_permit(struct weir_request *r);
/* It looks so much later than it meant to: this node was held up, and with it what brings the answer, so that does not
 * count as waiting. */
void weir_request_look_is_late(struct weir_request *r, uint64_t late_ms);
/* It has waited for that, and the store's clock said that it was a moment too early: in wait_ms it may ask again. */
bool weir_request_asked_early(const struct weir_request *r, uint64_t wait_ms);
/* No circuit lets it through for wait_ms; 0: that is not known. */
void weir_request_refuse_open(struct weir_request *r, uint64_t wait_ms);

/* -- redirects (request_redirect.c) -- */

/* A final head has come. True: it is not passed on: the request goes on elsewhere, or has failed. */
bool weir_request_follow(struct weir_request *r, const struct weir_head *head);
/* Another try follows: where the request is still what it was, it begins again before its first redirect. */
void weir_request_unfollow(struct weir_request *r);
/* Gives back what a redirect outside has left. */
void weir_request_leave_foreign(struct weir_request *r);
/* The try outside has failed for good: the client is told, and that it was not the provider. */
void weir_request_fail_outside(struct weir_request *r, const struct weir_try_failure *f);
/* What is sent in place of the request's fields once it has left the provider: without what only that is to see.
 * False: out of memory. */
bool weir_request_foreign_fields(struct weir_request *r, struct weir_fields *out);
/* The method of what is asked now; empty once the head is gone. */
struct weir_str weir_request_method(const struct weir_request *r);

/* -- its connection (request_upstream.c) -- */

/* Sends the head on the exchange just opened, and what is there of the body. */
void weir_request_send(struct weir_request *r, const struct weir_head *head);
/* Ends the try and its waits: leaves the pool's queue, resets an open exchange. The connection's end is booked as
 * `reason`.
 */
void weir_request_let_go(struct weir_request *r, enum weir_endpoint_counter reason);
/* Resets the open exchange, if there is one; the try goes on, or is ended by the caller. */
void weir_request_let_upstream_go(struct weir_request *r, enum weir_endpoint_counter reason);
/* Of the answer whose head has come nothing is passed on; the try is over. From inside the head's event. */
void weir_request_let_answer_go(struct weir_request *r, const struct weir_head *head);
/* Those of the try: pool, read, write, total. The deadline has to be armed anew. */
void weir_request_stop_clocks(struct weir_request *r);
/* The body, which has ended, is not sent again. */
void weir_request_forget_body(struct weir_request *r);
/* More of the client's body has come, or its end: sends on what may be sent. */
void weir_request_push_body(struct weir_request *r, const uint8_t *p, size_t n);
void weir_request_push_end(struct weir_request *r);
/* The client can take so many more bytes as they come from upstream: that may go on. */
void weir_request_pull(struct weir_request *r, size_t room);

/* -- the answer's body, coded by weir or not (request_encode.c); the client's exchange is open -- */

/* Notes what the client accepts, before its fields are changed. */
void weir_request_note_coding(struct weir_request *r);
/* Decides whether the answer is coded, and changes its head (`out`) if so. False: out of memory. */
bool weir_request_begin_coding(struct weir_request *r, struct weir_head *out);
/* Bytes of the answer, and its end, go to the client. The request may be gone afterwards. */
void weir_request_send_answer(struct weir_request *r, const uint8_t *p, size_t n);
void weir_request_end_answer(struct weir_request *r, const struct weir_fields *trailers);
/* The client has room: what waits for it goes out, the answer's end too. Returns the room for bytes that are to come.
 * The request may be over afterwards: pin it. */
size_t weir_request_take_room(struct weir_request *r, size_t room);

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

/* -- lines to stand in (request_limit.c): the rate limit, and places at endpoints (node/concurrency.h) -- */

enum weir_limit_result { WEIR_LIMIT_PASS, WEIR_LIMIT_WAIT, WEIR_LIMIT_REFUSED };
/* Before each try. WAIT: weir_request_try is called again when its turn has come. REFUSED: it has been answered with
 * 429, and may be gone. */
enum weir_limit_result weir_limit_enter(struct weir_request *r);
/* Whether a try after delay_ms would have its token before it was refused. */
bool weir_limit_could_try(const struct weir_request *r, uint64_t delay_ms);
/* Before an endpoint is chosen: those who wait for a place come first. As weir_limit_enter; refused with 503. */
enum weir_limit_result weir_places_enter(struct weir_request *r);
/* No endpoint had a place: stands in the line. The request may be gone afterwards. */
void weir_places_wait(struct weir_request *r);
/* One had. */
void weir_places_found(struct weir_request *r);
/* Its clock (limit_due_ms) has run out. The request may be gone afterwards. */
void weir_limit_clock(struct weir_request *r, uint64_t now_ms);
/* Leaves the line; a token that nothing was sent for goes back. Legal at any time. */
void weir_limit_let_go(struct weir_request *r);

/* The trace that it came with. False: with none, or one that cannot be read. */
bool weir_request_read_trace(struct weir_request *r, struct weir_trace_context *given);
/* The trace that it goes on with: its field, whose text may be changed; NULL: out of memory. */
char *weir_request_write_trace(struct weir_request *r, const struct weir_trace_context *c);
/* The request's head as it goes to its endpoint (request_head.c). False: out of memory. */
bool weir_request_head_up(struct weir_request *r, struct weir_head *out);
/* The answer's head as it goes to the client; changes `in`. */
bool weir_request_head_down(struct weir_request *r, struct weir_head *in, struct weir_head *out);
/* Who is at the other end of the connection by which it came to the cluster: weir's client, also where a peer has
 * handed it on. */
static inline const struct weir_ip *weir_request_peer(const struct weir_request *r)
{
    return r->hop.origin != NULL ? &r->hop.origin->pass.client : &r->client->peer;
}
/* Who the client is, by its connection, server.trusted_proxies and X-Forwarded-For. */
void weir_request_find_address(struct weir_request *r);
/* Longer ids of clients are replaced: the log and the providers are to be spared them. */
#define WEIR_REQUEST_ID_MAX 128u
/* Its id: the client's own, or one made now. */
struct weir_str weir_request_id(struct weir_request *r);

/* True: it was one of weir's own paths and is being answered (admin.c). */
bool weir_admin_take(struct weir_request *r);
/* What may be done with the page, for Allow. */
const char *weir_admin_methods(const struct weir_request *r);
/* The request goes away before control has answered. */
void weir_admin_forget(struct weir_admin_call *call);

extern const struct weir_exchange_events weir_request_down_events, weir_request_up_events;

#endif
