/* The store that the members of a cluster share, as a program sees it: requests of core/coord.h in, answers and pushes
 * out, by callbacks on the thread of its reactor.
 *
 *     weir_store_open -> [submit -> reply]*, push*, contact* -> weir_store_close
 *
 * Two kinds: `redis` (store/redis_store.c: scripts on a Redis or Valkey server) and `memory` (store/memory.c: the same
 * state in this process, for a node by itself and for tests).
 *
 * Each request is answered exactly once, never from inside submit: WEIR_COORD_AWAY when there is no contact or when the
 * answer does not come in time. Only what is over WEIR_STORE_CALLS_MAX, or finds no memory, is dropped without an
 * answer; so that nobody waits for one in vain, what is only told (CHECKED, EVENT), as often as there is something to
 * tell, leaves room for the rest. Nothing is sent twice: the asker knows what may be repeated. */
#ifndef WEIR_STORE_STORE_H
#define WEIR_STORE_STORE_H

#include "core/config.h"
#include "core/coord.h"
#include "core/err.h"
#include "net/crypto_pool.h"
#include "net/dns.h"
#include "net/reactor.h"
#include "net/tls_config.h"

/* Requests under way. A busy node sends 50 a second, and each is over after a fraction of one. */
#define WEIR_STORE_CALLS_MAX 256u
/* Of these, what is only told. Agents have fewer than the others under way of all that they wait for. */
#define WEIR_STORE_TELLINGS_MAX 192u

/* Each may submit; none is called after close. What they are given lives as long as the call. */
struct weir_store_events {
    void (*reply)(void *owner, const struct weir_coord_reply *reply);
    void (*push)(void *owner, const struct weir_coord_push *push);
    /* Once for each change, beginning with the first: requests can be carried out, or not, for this reason (a sentence
     * without secrets; "" when up). Pushes that were sent while it was down are lost. */
    void (*contact)(void *owner, bool up, const char *why);
};

struct weir_store;

struct weir_store_opts {
    const struct weir_config_distributed *config; /* outlives the store, as do all pointers here */
    const char *client_name;                      /* how the server's operator sees this client: the member's id */
    struct weir_dns *dns;
    struct weir_crypto_pool *crypto;
    struct weir_tls_config *tls; /* for rediss://, else NULL */
    uint64_t seed;               /* of the jitter between tries; unlike on each member */
    const struct weir_store_events *events;
    void *owner;
};

/* The Redis of config->redis_url; begins to connect, and tells how that ends by `contact`. Errors: WEIR_EINVAL (the
 * URL), WEIR_ENOMEM. */
WEIR_MUST_USE int weir_store_open(struct weir_store **out, struct weir_reactor *r, const struct weir_store_opts *opts,
                                  struct weir_err *err);
/* One in memory; up from the next turn on. Errors: WEIR_ENOMEM. */
WEIR_MUST_USE int weir_store_open_memory(struct weir_store **out, struct weir_reactor *r,
                                         const struct weir_store_events *events, void *owner, struct weir_err *err);

/* Takes a request; what it points to is copied. */
void weir_store_submit(struct weir_store *s, const struct weir_coord_request *request);
/* Where it is: "10.0.0.1:6379", "unix:/run/redis.sock", "memory"; "" while that is not known. */
const char *weir_store_server(const struct weir_store *s);
/* Ends it; requests under way are not answered. Nulls; legal on NULL and inside every callback. */
void weir_store_close(struct weir_store **s);

#endif
