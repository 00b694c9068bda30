/* How a connection introduces itself to a Redis server, all in one go: AUTH, CLIENT SETNAME, SELECT, ROLE, PING, those
 * of them that are wanted. A server that does not let us set a name or ask for its role (an access list, a proxy) is
 * fine; one that refuses the password or the database, or is no master where one is wanted, is not. */
#ifndef WEIR_STORE_REDIS_HELLO_H
#define WEIR_STORE_REDIS_HELLO_H

#include "store/redis_conn.h"

struct weir_redis_hello {
    const struct weir_redis_conn_opts *opts;
    /* Once: err NULL, or why the server is not to be used, valid during the call. Within it the connection may be
     * closed. */
    void (*done)(struct weir_redis_hello *h, const struct weir_err *err);
    unsigned open; /* answers still due */
    bool failed;
};

/* Sends it; h lives as long as the connection. Errors: those of weir_redis_conn_send; the connection must then be
 * closed. */
WEIR_MUST_USE int weir_redis_hello_send(struct weir_redis_hello *h, struct weir_redis_conn *conn, uint64_t timeout_ms);

#endif
