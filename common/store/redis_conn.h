/* One connection to a Redis server: opens, introduces itself (AUTH, CLIENT SETNAME, SELECT, ROLE, PING), then carries
 * commands in a pipeline. RESP2; the server is an outside party (store/redis_reply.h).
 *
 * Life: weir_redis_conn_open -> ready -> closed, or closed at once; then its owner calls weir_redis_conn_close, which
 * it may also do at any other time. Replies belong to commands in their order. A call whose deadline passes ends with
 * WEIR_ETIMEOUT and keeps its place, so that its late reply is taken for nobody else's; one of which no byte has been
 * written yet is taken back. The connection ends when no byte has come for 4 x timeout while an answer is due.
 *
 * A server that says READONLY, LOADING or MASTERDOWN, or whose ROLE is not master where that is wanted, is not fit: the
 * connection ends. Calls that were in flight end with WEIR_ECLOSED then, as at every end. */
#ifndef WEIR_STORE_REDIS_CONN_H
#define WEIR_STORE_REDIS_CONN_H

#include "core/redis_url.h"
#include "store/redis.h"
#include "store/redis_dial.h"

/* Calls in flight, late ones included. A busy node makes 50 a second, and a call waits for 250 ms; a start or a reload
 * may add a burst. */
#define WEIR_REDIS_CALLS_MAX 1024u
/* Bytes of commands that were not yet written. The largest command publishes the map of 65,536 shards. */
#define WEIR_REDIS_UNSENT_BYTES_MAX ((size_t)4194304)
/* Silence that ends a connection, in timeouts. */
#define WEIR_REDIS_SILENT_TIMEOUTS 4u
/* Opening takes 4 x timeout at most, and this long at least: handshakes take round trips and arithmetic. */
#define WEIR_REDIS_OPEN_MS_MIN 1000u

struct weir_redis_conn;

struct weir_redis_conn_opts {
    struct weir_redis_dial_opts server;               /* done and owner are not used; texts outlive the connection */
    const struct weir_redis_credentials *credentials; /* NULL: none are sent. Outlives the connection */
    uint32_t db;
    const char *client_name;        /* NULL: none */
    bool master;                    /* ROLE must say so, where the server lets us ask */
    uint64_t timeout_ms;            /* the unit of patience; of calls that name none */
    struct weir_redis_stats *stats; /* may be NULL */
    /* Both never from inside a call from outside. */
    void (*ready)(void *owner);
    void (*closed)(void *owner, const struct weir_err *why); /* once; nothing can be sent any more */
    void *owner;
};

/* Begins to open. Errors: WEIR_ENOMEM. */
WEIR_MUST_USE int weir_redis_conn_open(struct weir_redis_conn **out, struct weir_reactor *r,
                                       const struct weir_redis_conn_opts *opts);
/* Ends the calls in flight from inside (with the reason of the end, or WEIR_ECLOSED), frees, nulls. Legal on NULL and
 * inside every callback. */
void weir_redis_conn_close(struct weir_redis_conn **conn);

/* As weir_redis_link_call. */
WEIR_MUST_USE int weir_redis_conn_send(struct weir_redis_conn *conn, const struct weir_str *args, unsigned count,
                                       uint64_t timeout_ms, weir_redis_cb cb, void *owner);

/* From now on (once ready, with no call in flight) replies belong to nobody: each is told to `push`, valid during the
 * call, which may close the connection. Commands are then sent with _write, and have no deadlines; the owner watches
 * the silence. */
void weir_redis_conn_push(struct weir_redis_conn *conn,
                          void (*push)(void *owner, const struct weir_redis_reply *reply));
/* Errors: those of _send. */
WEIR_MUST_USE int weir_redis_conn_write(struct weir_redis_conn *conn, const struct weir_str *args, unsigned count);
/* When the last byte came, on the reactor's clock. */
uint64_t weir_redis_conn_heard_ms(const struct weir_redis_conn *conn);

#endif
