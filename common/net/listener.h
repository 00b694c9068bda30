/* Listening sockets: one for each worker on the same address (SO_REUSEPORT), and the accepting on a worker's reactor.
 *
 * SO_REUSEPORT would let a second process share the port in silence, so the first socket is bound and put to listening
 * without it: the kernel then refuses it when anybody else listens there, however close the race. It joins the others
 * afterwards. */
#ifndef WEIR_NET_LISTENER_H
#define WEIR_NET_LISTENER_H

#include <stdbool.h>
#include <stdint.h>

#include "core/err.h"
#include "core/wheel.h"
#include "net/addr.h"
#include "net/reactor.h"

/* Connections waiting for accept, per socket; the kernel lowers it to net.core.somaxconn. */
#define WEIR_LISTEN_BACKLOG 4096
/* Accepted per turn, so that a flood of connections does not starve the ones that are there. */
#define WEIR_ACCEPT_TURN_MAX 64
/* Out of descriptors: so long until the next try. */
#define WEIR_ACCEPT_RETRY_MS 100
/* What the handshakes under way are given to end: a round trip to clients of the same region, with some to spare. */
#define WEIR_LISTENER_LAST_MS 25

/* Opens `count` non-blocking listening sockets on *addr into fds. Port 0 takes a free one, the same for all; *addr is
 * set to what was bound. An IPv6 wildcard takes IPv4 too. On failure nothing is open. Errors, all naming the address:
 * WEIR_EBUSY (somebody listens there), WEIR_ELIMIT (descriptors), WEIR_EIO (not ours, no right). */
int weir_listen_open(int *fds, unsigned count, struct weir_addr *addr, struct weir_err *err);

struct weir_listener;

struct weir_listener {
    struct weir_source source;
    struct weir_reactor *reactor;
    struct weir_deadline retry;
    /* A connection: non-blocking, close-on-exec, its descriptor the callee's. May call weir_listener_hold and _close,
     * but not free the listener. */
    void (*accepted)(struct weir_listener *l, int fd, const struct weir_addr *peer);
    /* Told at each change: error > 0 is an errno for which accepting pauses (EMFILE, ENFILE, no memory) and is tried
     * again each WEIR_ACCEPT_RETRY_MS, 0 means it works again. May be NULL. */
    void (*trouble)(struct weir_listener *l, int error);
    void *owner;
    uint64_t accepted_total;
    int error; /* the trouble it is in */
    bool held, open, closing;
};

/* Accepts from fd on r's thread from the next turn on; set callbacks and owner in *l before, the rest is filled in
 * here. On success fd belongs to the listener. Errors: WEIR_EIO, WEIR_ELIMIT. */
int weir_listener_start(struct weir_listener *l, struct weir_reactor *r, int fd);
/* Leaves connections waiting in the kernel (held), or goes on with them. */
void weir_listener_hold(struct weir_listener *l, bool held);
/* Lets no new handshake begin, while those under way end and are accepted: to be called WEIR_LISTENER_LAST_MS before
 * weir_listener_close where nothing may be lost. A client that comes now tries again and finds the port closed, or its
 * next owner. Without it, whoever completes a handshake between the last accept and the close is reset. */
void weir_listener_turn_away(struct weir_listener *l);
/* Hands over every connection that the kernel has completed (they would be reset otherwise), held or not, then closes
 * the socket. Legal on one that was never started (all zero), and twice. */
void weir_listener_close(struct weir_listener *l);

#endif
