/* The link to Redis: one connection for commands and one for subscriptions, kept alive; for the thread that owns the
 * reactor (control's). Nothing in here blocks, and there is no thread in here.
 *
 * Life: weir_redis_link_open -> up -> (down -> up)* -> weir_redis_link_close. A link that is away tries again by
 * itself, with growing, jittered pauses of at most WEIR_REDIS_RETRY_MS_MAX; calls fail at once meanwhile, so that
 * nobody waits for a store that is not there. Away means: refused, silent (no byte for 4 x timeout while a call waits),
 * broken protocol, wrong password, or a server that is not fit to be written to (READONLY, LOADING, MASTERDOWN: a
 * demoted master after a failover must not be kept). With Sentinel (store/sentinel.h) the master's address is asked for
 * anew at each try, and a switch of the master is followed as soon as it is announced.
 *
 * A server that is there and refuses a command (OOM, NOPERM, an error of a script) is up: the error is the call's
 * reply.
 *
 * Every call has a deadline. One that is over means "unknown": the command may have been carried out, or still be.
 * The same holds for calls in flight when the connection ends. */
#ifndef WEIR_STORE_REDIS_H
#define WEIR_STORE_REDIS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/err.h"
#include "core/redis_url.h"
#include "core/str.h"
#include "net/crypto_pool.h"
#include "net/dns.h"
#include "net/reactor.h"
#include "net/tls_config.h"
#include "store/redis_reply.h"
#include "store/redis_script.h"

/* The longest pause before a connection is tried again. */
#define WEIR_REDIS_RETRY_MS_MAX 1000u
/* Channels of one link. */
#define WEIR_REDIS_CHANNELS_MAX 8u
/* Arguments of one command, its name included. */
#define WEIR_REDIS_ARGS_MAX 1024u

struct weir_redis_link;

/* How a call ended. Exactly one of reply and err is set; both are valid during the call. err->code: WEIR_ETIMEOUT,
 * WEIR_ECLOSED (the connection ended, the server is not fit, or the link was closed), WEIR_EPROTO, WEIR_ENOMEM. An
 * error reply of the server is a reply (WEIR_REDIS_ERROR). May make calls and close the link. */
typedef void (*weir_redis_cb)(void *owner, const struct weir_redis_reply *reply, const struct weir_err *err);

/* All may make calls and close the link; each may be NULL. */
struct weir_redis_link_events {
    /* Commands can be sent (again). */
    void (*up)(void *owner);
    /* They cannot, for this reason, which holds no secret. Once before the first `up` if the first try fails, then once
     * after each `up`. Calls in flight hear of it after this. */
    void (*down)(void *owner, const struct weir_err *why);
    /* All channels are subscribed to (again). Whatever was published before is lost: time to read afresh. Comes before
     * or after `up`. */
    void (*subscribed)(void *owner);
    /* They no longer are; `subscribed` will follow. */
    void (*unsubscribed)(void *owner);
    /* A message, any bytes, valid during the call. */
    void (*message)(void *owner, struct weir_str channel, struct weir_str payload);
};

struct weir_redis_link_opts {
    const struct weir_redis_url *url; /* outlives the link, as do all pointers here */
    struct weir_dns *dns;
    struct weir_tls_config *tls;     /* wanted when url->tls */
    struct weir_crypto_pool *crypto; /* the same */
    const char *tls_name;            /* what the server must prove to be; NULL: the host it is reached by */
    const char *client_name;         /* shown by CLIENT LIST; printable, without spaces. NULL: none */
    uint64_t timeout_ms;             /* of a call that names none (distributed_pool.redis_timeout) */
    uint64_t seed;                   /* of the pauses' jitter: unlike on each node */
    const char *const *channels;     /* to be subscribed to, at most WEIR_REDIS_CHANNELS_MAX */
    unsigned channel_count;          /* 0: there is no subscription connection */
    const struct weir_redis_link_events *events;
    void *owner;
};

/* Begins to connect; no event comes from inside. Errors: WEIR_ENOMEM. */
WEIR_MUST_USE int weir_redis_link_open(struct weir_redis_link **out, struct weir_reactor *r,
                                       const struct weir_redis_link_opts *opts, struct weir_err *err);
/* Closes both connections: each call in flight ends with WEIR_ECLOSED, from inside; no event comes any more. Nulls;
 * legal on NULL and inside every callback. */
void weir_redis_link_close(struct weir_redis_link **link);

bool weir_redis_link_is_up(const struct weir_redis_link *link);
bool weir_redis_link_is_subscribed(const struct weir_redis_link *link);
/* Where the commands go: "10.0.0.1:6379", "unix:/run/redis.sock"; "" while that is not known. */
const char *weir_redis_link_server(const struct weir_redis_link *link);

/* Sends a command: args[0] is its name. The bytes are copied. Commands go out in the order of the calls, and their
 * callbacks come in it too, timeouts apart. timeout_ms 0: the link's. cb is called exactly once, never from inside.
 * Errors, and then cb is not called: WEIR_ECLOSED (the link is away), WEIR_ELIMIT (too many calls or bytes in flight),
 * WEIR_ENOMEM. */
WEIR_MUST_USE int weir_redis_link_call(struct weir_redis_link *link, const struct weir_str *args, unsigned count,
                                       uint64_t timeout_ms, weir_redis_cb cb, void *owner);

/* Runs a script: EVALSHA, and EVAL with the body where the server does not know it (never SCRIPT LOAD, which some
 * proxies refuse). The deadline spans both. As weir_redis_link_call otherwise; keys and args together at most
 * WEIR_REDIS_ARGS_MAX - 3. */
WEIR_MUST_USE int weir_redis_link_eval(struct weir_redis_link *link, const struct weir_redis_script *script,
                                       const struct weir_str *keys, unsigned key_count, const struct weir_str *args,
                                       unsigned arg_count, uint64_t timeout_ms, weir_redis_cb cb, void *owner);

/* Since the link was opened. */
struct weir_redis_stats {
    uint64_t calls;                      /* sent */
    uint64_t timeouts;                   /* calls whose deadline passed */
    uint64_t errors;                     /* error replies */
    uint64_t refused;                    /* calls not sent: away, or too much in flight */
    uint64_t connects;                   /* command connections that came up */
    uint64_t losses;                     /* ... and were lost */
    uint64_t bytes_sent, bytes_received; /* of both connections */
    uint64_t rtt_us_last;                /* of the last reply that came in time */
};
void weir_redis_link_stats(const struct weir_redis_link *link, struct weir_redis_stats *out);

#endif
