/* Where the master is, by asking Redis Sentinels; and word of it as soon as it moves.
 *
 * A question goes to the sentinels in turn, beginning with the one that answered last, until one knows the master. One
 * subscription to +switch-master is kept with one of them, with the next one when it ends; what it may have missed is
 * asked for when it begins. Sentinels are outside parties too: what they say is bounded, and that a server really is
 * the master is for whoever connects to it (ROLE). On the reactor's thread only. */
#ifndef WEIR_STORE_SENTINEL_H
#define WEIR_STORE_SENTINEL_H

#include "core/list.h"
#include "store/redis_conn.h"

struct weir_sentinel;

struct weir_sentinel_opts {
    const struct weir_redis_url *url;   /* its hosts, master, sentinel credentials; outlives it, as do all pointers */
    struct weir_redis_dial_opts server; /* dns, tls, crypto, tls_name; the rest is not used */
    const char *client_name;
    uint64_t timeout_ms;
    uint64_t seed;
    /* The master is another one than was last told. May close it. */
    void (*switched)(void *owner, const char *host, uint16_t port);
    void *owner;
};

/* The asker's memory, in use until `done` or a cancel. */
struct weir_sentinel_question {
    struct weir_list link;
    /* host: the master's, valid during the call; NULL: none of them knew, and err says what the last one said. May ask
     * again, and close the sentinels. */
    void (*done)(struct weir_sentinel_question *q, const char *host, uint16_t port, const struct weir_err *err);
};

/* Errors: WEIR_ENOMEM. */
WEIR_MUST_USE int weir_sentinel_open(struct weir_sentinel **out, struct weir_reactor *r,
                                     const struct weir_sentinel_opts *opts);
/* Questions are dropped, without `done`; nulls. Legal on NULL and inside every callback. */
void weir_sentinel_close(struct weir_sentinel **sentinel);

/* done is called once, never from inside. */
void weir_sentinel_ask(struct weir_sentinel *s, struct weir_sentinel_question *q);
/* Takes it back, if it is still open. q->link must be initialised. */
void weir_sentinel_cancel(struct weir_sentinel_question *q);

#endif
