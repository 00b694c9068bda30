/* A subscription: a connection of its own that receives what is published to a few channels. A PING goes out when
 * nothing has come for a while, and no byte for 4 x timeout after it ends the subscription, so that a frozen server or
 * a path that swallows packets does not pass for a quiet channel.
 *
 * Life: weir_redis_sub_open -> subscribed -> closed, or closed at once; then its owner calls weir_redis_sub_close,
 * which it may also do at any other time. It does not try again by itself. */
#ifndef WEIR_STORE_REDIS_SUB_H
#define WEIR_STORE_REDIS_SUB_H

#include "store/redis_conn.h"

/* Quiet for this long: a PING. One command a second, at most. */
#define WEIR_REDIS_PING_MS 1000u

struct weir_redis_sub;

struct weir_redis_sub_opts {
    struct weir_redis_conn_opts conn; /* ready, closed and owner are not used */
    const char *const *channels;      /* at least one; outlive the subscription */
    unsigned channel_count;
    /* All may close it; none comes from inside open. */
    void (*subscribed)(void *owner); /* to all channels */
    void (*message)(void *owner, struct weir_str channel, struct weir_str payload);
    void (*closed)(void *owner, const struct weir_err *why); /* once */
    void *owner;
};

/* Errors: WEIR_ENOMEM. */
WEIR_MUST_USE int weir_redis_sub_open(struct weir_redis_sub **out, struct weir_reactor *r,
                                      const struct weir_redis_sub_opts *opts);
/* Without `closed`; nulls. Legal on NULL and inside every callback. */
void weir_redis_sub_close(struct weir_redis_sub **sub);

#endif
