/* A request that one node of a cluster hands to another, seen from both sides. One hop at most.
 *
 *     the node where it landed                       the node that serves it
 *     PLACE: whose is it? (node/place.h)
 *     a try at that peer's link: the head as the     x-weir-peer is verified (node/peer_auth.h), else 403
 *       client sent it and x-weir-peer; of the   ->  102 with load and epoch, before anything is done
 *       body what the replay buffer holds            at the end of the turn, unless it was reset by then:
 *     102: the rest of the body may follow       <-    routed and served as if it had landed there
 *     the answer is passed on
 *
 * Before the 102 nothing is lost: a link that cannot be had in WEIR_PEER_CONNECT_MS, no 102 within
 * distributed_pool.peer_ack_timeout, a connection that breaks, any other answer: the exchange is reset and the request
 * served here, as if there had been no peer. After it a lost link is one of a connection with a request on its way:
 * replayed here once, if it was closed rather than silent, not one byte of an answer had come, and the body can be sent
 * again (as core/retry says of connections that had been used before: this one brought the 102); else the client is
 * told. What the peer answers is never retried: the peer has done so.
 *
 * Streams, trailers, interim answers, resets both ways and back-pressure pass through as between any two exchanges. */
#ifndef WEIR_NODE_HOP_H
#define WEIR_NODE_HOP_H

#include "net/poller.h"
#include "node/cluster_view.h"
#include "node/peer_auth.h"

struct weir_request;
struct weir_try_failure;
struct weir_head;
struct weir_fields;

/* Of a body so much is looked at for a key: what the replay buffer holds unless it is configured otherwise. Clients
 * that write the key behind a longer conversation are placed by their other keys. */
#define WEIR_HOP_PEEK_BYTES_MAX ((size_t)65536)

/* X(id, label, suspect): why a request was served here though it was a peer's; and whether that peer is avoided for a
 * while. */
#define WEIR_HOP_FAIL_MAP(X)                                                   \
    X(CONNECT, "connect", true)      /* no connection in time */               \
    X(ACK, "ack_late", true)         /* no acknowledgement in time */          \
    X(LOST, "lost", true)            /* a new connection broke before it */    \
    X(STALE, "stale", false)         /* one that had been used before did */   \
    X(REFUSED, "refused", true)      /* the signature was not taken */         \
    X(ANSWERED, "answered", false)   /* another answer came instead of it */   \
    X(RESOURCES, "resources", false) /* memory, or the link's queue is full */ \
    X(REPLAYED, "replayed", false)   /* lost after it */

#define WEIR_HOP_FAIL_ENUM(id, label, suspect) WEIR_HOP_##id,
enum weir_hop_fail { WEIR_HOP_FAIL_MAP(WEIR_HOP_FAIL_ENUM) WEIR_HOP_FAIL_COUNT };
#undef WEIR_HOP_FAIL_ENUM

/* Where a request comes from that a peer has handed over. */
struct weir_hop_origin {
    struct weir_request *request;
    struct weir_source dispatch; /* runs once, at the end of the turn in which it came */
    struct weir_peer_pass pass;
    char client_text[WEIR_IP_TEXT_MAX]; /* pass.client */
    uint8_t client_text_len;
    char node[WEIR_NODE_ID_MAX + 1]; /* pass.node */
};

/* A request's part in it; of all zero bytes it has none. */
struct weir_hop {
    const struct weir_peer *peer;        /* it goes there, or is there; the view's */
    const struct weir_peer *left;        /* it was to go there, but is served here; the view's */
    const char *why_left;                /* label */
    struct weir_affinity_search *search; /* in WEIR_STEP_PLACE: for its key, in the body; in the arena */
    struct weir_hop_origin *origin;      /* it came from a peer; owned */
    uint32_t shard;
    bool sharded;  /* it has one */
    bool acked;    /* the peer has it */
    bool answered; /* anything but the acknowledgement has come of an answer */
};

/* The cluster's connection_affinity says that endpoints are chosen by load. */
bool weir_hop_goes_by_load(const struct weir_request *r);
/* Routed, and the node is one of a cluster: finds out who serves it, and goes on there. May wait for the body's start.
 */
void weir_hop_place(struct weir_request *r);
/* In WEIR_STEP_PLACE more of the body has come, which has been kept, or (n 0) its end. The request may be gone
 * afterwards. */
void weir_hop_body_came(struct weir_request *r, const uint8_t *p, size_t n);

/* A head has come on a peer's link: true when it is well, and goes on at the end of the turn; else it is answered. */
bool weir_hop_receive(struct weir_request *r);

/* The head as it goes to the peer. False: out of memory. */
bool weir_hop_head(struct weir_request *r, struct weir_head *out);
/* An interim head has come from the peer; true: it was the acknowledgement. */
bool weir_hop_acknowledged(struct weir_request *r, const struct weir_head *head);
/* A final head has come from the peer. True: it is not passed on, the request is served here. */
bool weir_hop_refused(struct weir_request *r, const struct weir_head *head);
/* True: the request was on its way to a peer, and is served here now; it may be gone. False: it was not. */
bool weir_hop_failed(struct weir_request *r, enum weir_hop_fail why);
/* The try at the peer has ended without a whole answer: served here, or the client is told. */
void weir_hop_lost(struct weir_request *r, const struct weir_try_failure *f);
/* The clock of the connection, or of the acknowledgement, has run out. */
void weir_hop_clock(struct weir_request *r);
/* The request is over: gives back what it has. */
void weir_hop_end(struct weir_request *r);

/* x-weir-node and x-weir-shard, of an answer that is made here; false: out of memory. */
bool weir_hop_mark(struct weir_request *r, struct weir_fields *fields);

#endif
