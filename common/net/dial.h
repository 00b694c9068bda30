/* Opens a connection to one of several addresses, so that a dead one costs a quarter of a second at most: Happy
 * Eyeballs (RFC 8305 section 5). Attempts begin in the order given, the next one when the one before has failed or has
 * taken longer than the delay; all that have begun go on, and the first to succeed wins. The others are closed.
 *
 * It knows no clock over all attempts: the owner's deadline closes the race. TLS is not its business: a handshake runs
 * on the winner. On the reactor's thread only. */
#ifndef WEIR_NET_DIAL_H
#define WEIR_NET_DIAL_H

#include "net/addr.h"
#include "net/stream.h"

/* RFC 8305 section 8: the connection attempt delay that it recommends. */
#define WEIR_DIAL_DELAY_MS 250u
/* Addresses tried in one race: with all of them silent the last begins within 2 s, before a usual connect clock ends;
 * and no more descriptors than this are open for one connection. */
#define WEIR_DIAL_ATTEMPTS_MAX 8u

struct weir_dial;

enum weir_dial_outcome {
    WEIR_DIAL_WON,
    WEIR_DIAL_FAILED, /* refused, unreachable ...; or still silent when the owner's clock ran out */
    WEIR_DIAL_LOST,   /* another address won that began later: silent, or slower by the delay at least */
};

struct weir_dial_result {
    struct weir_stream *stream; /* the receiver's; NULL: no address answered */
    struct weir_addr addr;      /* the winner's */
    const struct weir_err *err; /* why there is none, valid during the call; of weir_tcp_connect and its `started` */
};

/* As weir_tcp_connect. */
typedef int (*weir_dial_connect_fn)(struct weir_stream **out, struct weir_reactor *r, const struct sockaddr *addr,
                                    socklen_t addr_len, const struct weir_tcp_opts *opts, struct weir_err *err);
/* What became of an address, for whoever keeps a record of them. Not told: addresses that were not tried, whose race
 * was over too early to tell, or that could not be tried for want of memory or descriptors. May not close the race. */
typedef void (*weir_dial_tried_cb)(void *owner, const struct weir_addr *addr, enum weir_dial_outcome outcome);
/* The race is over, and has been freed. */
typedef void (*weir_dial_done_cb)(void *owner, const struct weir_dial_result *result);

struct weir_dial_opts {
    const struct weir_addr *addrs; /* at least one; copied. Those beyond WEIR_DIAL_ATTEMPTS_MAX are not tried */
    unsigned count;
    const struct weir_tcp_opts *tcp; /* may be NULL; must live as long as the race */
    weir_dial_connect_fn connect;    /* NULL: weir_tcp_connect */
    weir_dial_tried_cb tried;        /* may be NULL */
    weir_dial_done_cb done;
    void *owner;
};

/* Begins; done is called exactly once and never from inside, unless the race is closed before. Errors: those of
 * weir_tcp_connect when no attempt could even begin, WEIR_ENOMEM; *out is then NULL and done is not called (tried may
 * have been). */
WEIR_MUST_USE int weir_dial_start(struct weir_dial **out, struct weir_reactor *r, const struct weir_dial_opts *opts,
                                  struct weir_err *err);
/* Ends a race that has no winner yet: every attempt is aborted, nothing is reported; *dial becomes NULL. late: a clock
 * ran out, so what has not answered by now counts as failed, and `tried` hears of it. Legal on NULL. */
void weir_dial_close(struct weir_dial **dial, bool late);

/* Orders addresses for a race: families take turns, beginning with that of the first (RFC 8305 section 4, with a first
 * address family count of 1); within a family the order stays. out has room for count, and is not `in`. */
void weir_dial_interleave(struct weir_addr *out, const struct weir_addr *in, unsigned count);

#endif
